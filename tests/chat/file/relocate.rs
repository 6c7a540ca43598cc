//! Files are moved from store to store, while people send and read them.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use parlance::{
    settings::{FileStore, StoreOptions},
    store::{
        error::Error,
        file::{self, LeftOver, Progress, Stores},
    },
};
use parlance_wire::time::Timestamp;
use serde_json::json;

use crate::{
    cli::{bad, good, parlance, run},
    world::{
        Conversation, File, Hold, Kind, Person, RECORD, World, eventually, lying, message,
        operator, s3_keys, stores,
    },
};

/// Moves all files, and returns also what was told of the progress. `None`: somebody else moves files.
pub(super) async fn tries_to_move(
    world: &World,
    to: &FileStore,
    options: StoreOptions,
) -> Result<Option<(file::Moved, Vec<Progress>)>, Error> {
    let (stores, by, mut told) = (Stores::new(options), operator(), vec![]);
    let order = file::Move {
        to,
        disk: None,
        by: &by,
        now: Timestamp::now(),
    };
    let moved =
        file::relocate(&world.store, &stores, order, |progress| told.push(progress)).await?;
    Ok(moved.map(|moved| (moved, told)))
}

pub(super) async fn moves(world: &World, to: &FileStore) -> file::Moved {
    let moved = tries_to_move(world, to, StoreOptions::new(Some(s3_keys()))).await;
    let (moved, told) = moved.unwrap().expect("nobody else moves files");
    assert!(matches!(told[0], Progress::Moved { bytes: 0, .. }));
    moved
}

/// The number of records that are not in this kind of store, and of objects beside theirs.
pub(super) async fn elsewhere(world: &World, kind: Kind) -> (i64, i64) {
    let (records, objects) = match kind {
        Kind::Postgres => ("object_id is not null", "true"),
        Kind::Directory | Kind::S3 => (
            "object_id is null or object_id not in (
                select object_id from file_objects join file_store_head using (store_id) where state = 'stored'
            )",
            "object_id not in (select object_id from file_records where object_id is not null)",
        ),
    };
    (
        world.count(&format!("file_records where {records}")).await,
        world.count(&format!("file_objects where {objects}")).await,
    )
}

/// Sends files, one after the other, and reads each.
async fn sends(person: &Person, conversation: &Conversation, has_ended: &AtomicBool) -> Vec<File> {
    let mut sent = vec![];
    // Not more, as each move takes all of them along.
    while !has_ended.load(Ordering::Relaxed) && sent.len() < 6 {
        let file = person.uploads(5 * RECORD + 7, conversation).await;
        assert!(person.gets(&file.id, None).await.bytes == file.bytes);
        let gone = person.uploads(RECORD + 1, conversation).await;
        person.asks_file("delete", &gone.id, json!({})).await.ok();
        person
            .adds_files(conversation, &message("a file"), &[&file])
            .await
            .ok();
        sent.push(file);
    }
    sent
}

/// The number of records that files have elsewhere.
pub(super) async fn left_behind(world: &World) -> i64 {
    world
        .count(
            "files join file_records using (file_key) left join file_objects using (object_id), file_store_head h
            where file_objects.store_id is distinct from h.store_id",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_move_while_they_are_sent_and_read() {
    let world = World::new().await;
    let other_node = world.another().await;
    let (ann, ben, conversation) = world.conversation().await;
    let there = Person {
        world: other_node.clone(),
        ..ben.clone()
    };
    let first = ann.uploads(17 * RECORD + 5, &conversation).await;
    let half = File::new(6 * RECORD);
    ann.begins(&half, &conversation).await.ok();
    // Two requests, one within the other: an object of which records are elsewhere.
    ann.puts(&half, 1, half.records(1, 2)).await.ok();
    let (has_ended, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let moving = async {
        for kind in [
            Kind::Directory,
            Kind::S3,
            Kind::Postgres,
            Kind::S3,
            Kind::Directory,
        ] {
            let moved = moves(&world, &kind.place()).await;
            assert!(
                moved.records >= 18 && moved.unreadable.is_none(),
                "{moved:?}"
            );
            assert_eq!(left_behind(&world).await, 0, "{kind:?}");
            ann.puts(&half, 0, half.records(0, 4)).await.ok();
            let seen = reads.load(Ordering::Relaxed);
            eventually("somebody reads", async || {
                reads.load(Ordering::Relaxed) > seen
            })
            .await;
        }
        has_ended.store(true, Ordering::Relaxed);
    };
    let reading = async {
        while !has_ended.load(Ordering::Relaxed) {
            assert!(there.gets(&first.id, None).await.bytes == first.bytes);
            reads.fetch_add(1, Ordering::Relaxed);
        }
    };
    let ((), (), of_ann, of_ben) = tokio::join!(
        moving,
        reading,
        sends(&ann, &conversation, &has_ended),
        sends(&there, &conversation, &has_ended),
    );
    ann.puts(&half, 4, half.records(4, 2)).await.ok();
    ann.completes(&half).await.ok();
    for file in of_ann.iter().chain(&of_ben).chain([&first, &half]) {
        assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    }
    eventually("nothing is left elsewhere", async || {
        file::drain(&world.store, &stores(), Duration::ZERO)
            .await
            .unwrap();
        elsewhere(&world, Kind::Directory).await == (0, 0)
    })
    .await;
    assert_eq!(
        i64::try_from(lying(&world).await.len()).unwrap(),
        world.count("file_objects").await
    );
    other_node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_move_begins_although_others_send_all_the_time() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = File::new(RECORD);
    ann.begins(&file, &conversation).await.ok();
    // As somebody else's request has it while it stores records.
    let held = Hold::by(&world, "select from file_store_head for share").await;
    let place = Kind::Directory.place();
    let one_after_the_other = async {
        held.is_waited_for(1).await;
        let sent = async { ann.puts(&file, 0, &file.bytes).await.ok() };
        let ended = async {
            // It does not pass the move that waits.
            held.is_waited_for(2).await;
            held.ends().await;
        };
        tokio::join!(sent, ended);
    };
    let (moved, ()) = tokio::join!(moves(&world, &place), one_after_the_other);
    assert_eq!(moved.records, 0);
    ann.completes(&file).await.ok();
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    assert_eq!(left_behind(&world).await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_place_with_two_names_keeps_its_files() {
    let place = Kind::Directory.place();
    let world = World::with(|settings| settings.file_store = Some(place.clone())).await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(RECORD + 10, &conversation).await;
    let FileStore::Dir(path) = place else {
        unreachable!()
    };
    let other_name = path.with_extension("link");
    std::os::unix::fs::symlink(&path, &other_name).unwrap();
    moves(&world, &FileStore::Dir(other_name)).await;
    let examined = file::examine(&world.store, &stores(), LeftOver::Delete).await;
    assert_eq!(examined.unwrap().deleted, 0);
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    world.end().await;
}

#[tokio::test]
async fn the_command_moves_files_and_leaves_what_cannot_be_read() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let files = [
        ann.uploads(RECORD + 10, &conversation).await,
        ann.uploads(10, &conversation).await,
    ];
    let move_to = |to: &str| {
        run(
            parlance(world.store.options()).args(["files", "move", "--to", to]),
            "",
        )
    };
    assert_eq!(move_to("dir:relative").status.code(), Some(2));
    let sentence = bad(&move_to("s3:http://127.0.0.1:1/files"));
    assert!(sentence.contains("AWS_ACCESS_KEY_ID"), "{sentence}");
    let place = Kind::Directory.place();
    let to = place.to_string();
    let FileStore::Dir(path) = place else {
        unreachable!()
    };
    std::fs::create_dir_all(&path).unwrap();
    let output = move_to(&to);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("0 of 262164 bytes"), "{told}");
    let said = good(&output);
    assert!(
        said.contains("3 records, 262164 bytes") && said.contains(&to),
        "{said}"
    );
    let said = good(&move_to(&to));
    assert!(said.contains("0 records"), "{said}");
    // Its line in the log of changes.
    let log = good(&run(parlance(world.store.options()).arg("audit"), ""));
    assert!(log.contains("files move") && log.contains(&to), "{log}");
    // One that is damaged stays, and is named.
    let objects = lying(&world).await;
    let small = objects
        .iter()
        .find(|path| std::fs::metadata(path).unwrap().len() == 10)
        .unwrap();
    let bytes = std::fs::read(small).unwrap();
    std::fs::write(small, "elsewise").unwrap();
    let output = move_to("postgres");
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && sentence.contains(&files[1].id),
        "{sentence}"
    );
    assert_eq!(elsewhere(&world, Kind::Postgres).await.0, 1);
    assert!(ben.gets(&files[0].id, None).await.bytes == files[0].bytes);
    std::fs::write(small, bytes).unwrap();
    // One that was deleted, and of which nobody has deleted the bytes yet.
    world
        .sql(
            "with gone as (
                delete from files where size = 10 returning file_key, user_id, size
            )
            insert into gone_files (file_key, user_id, size) select * from gone",
        )
        .await;
    good(&move_to("postgres"));
    assert_eq!(elsewhere(&world, Kind::Postgres).await, (0, 0));
    assert!(ben.gets(&files[0].id, None).await.bytes == files[0].bytes);
    world.end().await;
}
