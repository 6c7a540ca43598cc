//! Moves from store to store that are killed, refused or meet others, and files that end meanwhile.

use std::{os::unix::fs::chown, process::Stdio, sync::Arc, time::Duration};

use nix::unistd::geteuid;
use parlance::{
    settings::{FileStore, StoreOptions},
    store::{
        error::Error,
        file::{self, LeftOver, Progress},
    },
};
use serde_json::json;

use super::{
    relocate::{elsewhere, left_behind, moves, tries_to_move},
    rows,
};
use crate::{
    cli::{bad, parlance, run},
    world::{
        Conversation, File, Hold, Kind, Person, RECORD, World, eventually, lying, message, s3_keys,
        stores,
    },
};

/// Uploads three files, and takes a lock with which a move stops at the second one.
async fn stops_at_the_second(
    world: &Arc<World>,
    ann: &Person,
    conversation: &Conversation,
) -> (Vec<File>, Hold) {
    let mut files = vec![];
    for size in [RECORD + 10, 2 * RECORD, 10] {
        files.push(ann.uploads(size, conversation).await);
    }
    let lock = format!(
        "select from files where file_id = '{}' for update",
        files[1].id
    );
    let hold = Hold::by(world, &lock).await;
    (files, hold)
}

fn directory(place: &FileStore) -> &std::path::Path {
    match place {
        FileStore::Dir(path) => path,
        _ => unreachable!(),
    }
}

/// Nothing is there but these files, each whole.
async fn are_all_there(world: &World, reader: &Person, files: &[File]) {
    assert_eq!(left_behind(world).await, 0);
    for file in files {
        assert!(reader.gets(&file.id, None).await.bytes == file.bytes);
    }
    eventually("nothing is left elsewhere", async || {
        file::drain(&world.store, &stores(), Duration::ZERO)
            .await
            .unwrap();
        elsewhere(world, Kind::Directory).await == (0, 0)
    })
    .await;
    assert_eq!(
        i64::try_from(lying(world).await.len()).unwrap(),
        world.count("file_objects").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_killed_is_begun_again() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let (files, hold) = stops_at_the_second(&world, &ann, &conversation).await;
    let place = Kind::Directory.place();
    std::fs::create_dir_all(directory(&place)).unwrap();
    let to = place.to_string();
    let command = |to: &str| {
        let mut command = parlance(world.store.options());
        command.args(["files", "move", "--to", to]);
        command
    };
    let mut killed = command(&to).stderr(Stdio::null()).spawn().unwrap();
    hold.is_waited_for(1).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    hold.ends().await;
    assert!(left_behind(&world).await > 0);
    for file in &files {
        assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    }
    // The database notices a moment later that the first one has ended.
    eventually("the second one", async || {
        run(&mut command(&to), "").status.success()
    })
    .await;
    are_all_there(&world, &ben, &files).await;
    world.end().await;
}

#[tokio::test]
async fn two_moves_at_once_are_one() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let (files, hold) = stops_at_the_second(&world, &ann, &conversation).await;
    let place = Kind::Directory.place();
    let second = async {
        hold.is_waited_for(1).await;
        let elsewhere = Kind::S3.place();
        let refused = tries_to_move(&world, &elsewhere, StoreOptions::new(Some(s3_keys()))).await;
        assert!(refused.unwrap().is_none());
        let to = Kind::Postgres.place().to_string();
        let mut command = parlance(world.store.options());
        command.args(["files", "move", "--to", &to]);
        let sentence = bad(&run(&mut command, ""));
        assert!(sentence.contains("moving files already"), "{sentence}");
        hold.ends().await;
    };
    let (moved, ()) = tokio::join!(moves(&world, &place), second);
    assert_eq!((moved.records, moved.unreadable), (5, None));
    are_all_there(&world, &ben, &files).await;
    world.end().await;
}

#[tokio::test]
async fn a_place_without_room_is_refused_before_anything_is_moved() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(RECORD + 10, &conversation).await;
    let place = Kind::Directory.place();
    let full = StoreOptions {
        reserve: u64::MAX,
        ..StoreOptions::new(None)
    };
    let refused = tries_to_move(&world, &place, full).await.unwrap_err();
    assert!(matches!(refused, Error::FilesFull { .. }), "{refused:?}");
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("262154 bytes"), "{cause}");
    // New ones go where they went before.
    let next = ann.uploads(10, &conversation).await;
    assert_eq!(world.count("file_objects").await, 0);
    // With room, and told how far it is.
    let moved = tries_to_move(&world, &place, StoreOptions::new(None)).await;
    let (_, told) = moved.unwrap().unwrap();
    let all = |bytes| Progress::Moved {
        bytes,
        of_bytes: 262_164,
    };
    assert_eq!(told, [all(0), all(262_154), all(262_164)]);
    are_all_there(&world, &ben, &[file, next]).await;
    world.end().await;
}

#[tokio::test]
async fn files_that_end_during_a_move_leave_nothing() {
    let often = Duration::from_millis(50);
    let world = World::with(|settings| settings.timings.purge = often).await;
    let (ann, ben, conversation) = world.conversation().await;
    let cara = world.person("Cara").await;
    ann.befriends(&cara).await;
    let other = ann.creates(&cara).await;
    let stays = ann.uploads(RECORD + 10, &conversation).await;
    let ends = ann.uploads(2 * RECORD, &conversation).await;
    let deleted = ann.uploads(RECORD + 1, &conversation).await;
    let purged = ann.uploads(RECORD + 2, &conversation).await;
    let cleared = ann.uploads(RECORD + 3, &other).await;
    // With a message: others without one end after a day.
    ann.adds_files(&other, &message("a file"), &[&cleared])
        .await
        .ok();
    // One is deleted at the moment when its bytes have been copied; the others after the move has seen that
    // they are there.
    let hold = Hold::by(
        &world,
        &format!(
            "with gone as (delete from files where file_id = '{}' returning file_key, user_id, size)
            insert into gone_files (file_key, user_id, size) select * from gone",
            ends.id
        ),
    )
    .await;
    let place = Kind::Directory.place();
    let meanwhile = async {
        hold.is_waited_for(1).await;
        ann.asks_file("delete", &deleted.id, json!({})).await.ok();
        ann.does("clear", &other, json!({})).await.ok();
        world
            .sql(&format!(
                "update files set created_at = created_at - interval '2 days' where file_id = '{}'",
                purged.id
            ))
            .await;
        file::abandoned(&world.store, parlance_wire::time::Timestamp::now())
            .await
            .unwrap();
        hold.ends().await;
    };
    let (moved, ()) = tokio::join!(moves(&world, &place), meanwhile);
    assert!(moved.unreadable.is_none(), "{moved:?}");
    for file in [&ends, &deleted, &purged, &cleared] {
        assert_eq!(ann.gets(&file.id, None).await.status, 404);
    }
    are_all_there(&world, &ben, std::slice::from_ref(&stays)).await;
    eventually("their rows are gone", async || {
        rows(&world).await == [1, 2, 0]
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_directory_of_another_user_is_refused() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(10, &conversation).await;
    let command = |to: &str| {
        let mut command = parlance(world.store.options());
        command.args(["files", "move", "--to", to]);
        bad(&run(&mut command, ""))
    };
    let place = Kind::Directory.place();
    let path = directory(&place);
    // Nobody else can give a directory away.
    if geteuid().is_root() {
        let sentence = command(&place.to_string());
        assert!(
            sentence.contains("create /") && !path.exists(),
            "{sentence}"
        );
        std::fs::create_dir_all(path).unwrap();
        chown(path, Some(12345), None).unwrap();
        let sentence = command(&place.to_string());
        assert!(sentence.contains("number 12345"), "{sentence}");
        assert!(std::fs::read_dir(path).unwrap().next().is_none());
    }
    assert_eq!(
        world.count("file_store_head where store_id is null").await,
        1
    );
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    let examined = file::examine(&world.store, &stores(), LeftOver::Report).await;
    assert!(examined.unwrap().findings().is_empty());
    world.end().await;
}
