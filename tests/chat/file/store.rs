//! Stores outside the database: away, changed past the server, and of somebody else.

use std::{fs, path::Path, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use parlance::{
    server,
    settings::{Database, FileStore},
    store::{
        self,
        file::{Fault, LeftOver},
    },
};
use sqlx::ConnectOptions;
use uuid::Uuid;

use crate::world::{
    Answer, Conversation, File, Kind, Person, RECORD, S3Server, World, database, directory,
    eventually, lying, settings, stores,
};

/// What somebody can do with files while their store is away, and what goes on.
async fn goes_on(ann: &Person, conversation: &Conversation, begun: &File, complete: &File) {
    let away = |answer: Answer| {
        let refused = answer.refused(503, "unavailable");
        let sentence = refused["errormessage"].as_str().unwrap();
        assert!(
            sentence.contains("Messages can still be sent"),
            "{sentence}"
        );
        assert_eq!(answer.headers["Retry-After"], "10");
    };
    away(ann.puts(begun, 0, begun.records(0, 1)).await);
    away(ann.gets(&complete.id, None).await.answer());
    ann.adds(conversation, "messages go on").await;
    ann.asks_file("status", &begun.id, serde_json::json!({}))
        .await
        .ok();
}

/// Before and after it is away.
async fn comes_back(
    world: Arc<World>,
    take_away: impl AsyncFnOnce(),
    bring_back: impl AsyncFnOnce(),
) {
    let (ann, ben, conversation) = world.conversation().await;
    let complete = ann.uploads(RECORD + 10, &conversation).await;
    let begun = File::new(2 * RECORD);
    ann.begins(&begun, &conversation).await.ok();
    take_away().await;
    goes_on(&ann, &conversation, &begun, &complete).await;
    bring_back().await;
    ann.puts(&begun, 0, begun.records(0, 2)).await.ok();
    ann.completes(&begun).await.ok();
    for file in [&begun, &complete] {
        assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    }
    world.end().await;
}

#[tokio::test]
async fn a_directory_that_is_not_mounted_is_away_and_comes_back() {
    let place = Kind::Directory.place();
    let FileStore::Dir(path) = place.clone() else {
        unreachable!()
    };
    let world = World::with(|settings| settings.file_store = Some(place)).await;
    let elsewhere = path.with_extension("away");
    comes_back(
        world,
        async || {
            fs::rename(&path, &elsewhere).unwrap();
            // What is there instead must not be taken for it.
            fs::create_dir(&path).unwrap();
        },
        async || {
            fs::remove_dir(&path).unwrap();
            fs::rename(&elsewhere, &path).unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn an_s3_server_that_is_stopped_is_away_and_comes_back() {
    let own = directory().join("s3-of-one-test");
    let server = S3Server::start(&own, 0);
    let port = server.port;
    let place = server.place("a/b");
    let world = World::with(|settings| settings.file_store = Some(place)).await;
    let mut again = None;
    comes_back(
        world,
        async || server.stop(),
        async || again = Some(S3Server::start(&own, port)),
    )
    .await;
    again.expect("it was started").stop();
}

#[tokio::test]
async fn an_s3_server_that_hangs_is_away_and_comes_back() {
    let server = S3Server::start(&directory().join("s3-that-hangs"), 0);
    let place = server.place("files");
    let world = World::with(|settings| {
        settings.file_store = Some(place);
        settings.stores.timeout = Duration::from_secs(3);
    })
    .await;
    comes_back(
        world,
        async || server.signal(Signal::SIGSTOP),
        async || server.signal(Signal::SIGCONT),
    )
    .await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_hangs_is_away_and_comes_back() {
    let place = Kind::Directory.place();
    let world = World::with(|settings| {
        settings.file_store = Some(place);
        settings.stores.timeout = Duration::from_secs(1);
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(10, &conversation).await;
    let object = lying(&world).await.remove(0);
    let bytes = fs::read(&object).unwrap();
    // Who opens it waits for somebody who writes.
    fs::remove_file(&object).unwrap();
    mkfifo(&object, Mode::S_IRWXU).unwrap();
    // More than the directory has turns.
    let reads = join_all((0..20).map(|_| ben.gets(&file.id, None)));
    let others = async {
        ann.adds(&conversation, "messages go on").await;
    };
    let (answers, ()) = tokio::join!(reads, others);
    for answer in answers {
        answer.answer().refused(503, "unavailable");
    }
    // All who wait are let go, as those are who ask meanwhile.
    drop(fs::File::options().read(true).write(true).open(&object));
    fs::remove_file(&object).unwrap();
    fs::write(&object, bytes).unwrap();
    eventually("it comes back", async || {
        ben.gets(&file.id, None).await.bytes == file.bytes
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn of_two_servers_that_claim_a_directory_at_once_one_gets_it() {
    for _ in 0..5 {
        let place = Kind::Directory.place();
        let starts = async || {
            let options = database().await;
            let id = "update server_identity set server_id = gen_random_uuid()";
            let mut connection = options.connect().await.unwrap();
            sqlx::raw_sql(id).execute(&mut connection).await.unwrap();
            let mut settings = settings();
            settings.database = Database::Given(Box::new(options));
            settings.file_store = Some(place.clone());
            settings
        };
        let (one, other) = (starts().await, starts().await);
        let (one, other) = tokio::join!(server::start(one), server::start(other));
        assert!(one.is_ok() != other.is_ok(), "{place:?}");
        for running in [one, other].into_iter().flatten() {
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_store_is_of_one_server_and_a_setting_moves_no_files() {
    let place = Kind::Directory.place();
    let world = World::with(|settings| settings.file_store = Some(place.clone())).await;
    let (ann, _, conversation) = world.conversation().await;
    ann.uploads(10, &conversation).await;
    let options = database().await;
    // All databases of the tests are copies of one.
    sqlx::raw_sql("update server_identity set server_id = gen_random_uuid()")
        .execute(&mut options.connect().await.unwrap())
        .await
        .unwrap();
    let mut others = settings();
    others.database = Database::Given(Box::new(options));
    others.file_store = Some(place);
    let refused = server::start(others).await.map(|_| ()).unwrap_err();
    let causes = std::iter::successors(Some(&refused as &dyn std::error::Error), |error| {
        error.source()
    });
    let told: Vec<String> = causes.map(ToString::to_string).collect();
    assert!(told.join(": ").contains("another server"), "{told:?}");
    // A node with another setting uses what the database says.
    let elsewhere = Kind::Directory.place();
    let other_node = world
        .another_with(|settings| settings.file_store = Some(elsewhere.clone()))
        .await;
    let there = Person {
        world: other_node.clone(),
        ..ann.clone()
    };
    there.uploads(10, &conversation).await;
    assert_eq!(lying(&world).await.len(), 2);
    let FileStore::Dir(elsewhere) = elsewhere else {
        unreachable!()
    };
    assert!(!elsewhere.exists());
    other_node.stop().await;
    world.end().await;
}

async fn no_more_lies_there_than_counts(kind: Kind) {
    if kind == Kind::Postgres {
        return;
    }
    let world = kind.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = File::new(6 * RECORD);
    ann.begins(&file, &conversation).await.ok();
    // Again and again, a record farther; one twice at the same time; and two with a hole before.
    for first in 0..2 {
        ann.puts(&file, first, file.records(first, 2)).await.ok();
    }
    let again = || ann.puts(&file, 4, file.records(4, 1));
    let (one, other) = tokio::join!(again(), again());
    one.ok();
    other.ok();
    ann.puts(&file, 2, file.records(2, 4)).await.ok();
    ann.completes(&file).await.ok();
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    store::file::drain(&world.store, &stores(), Duration::from_mins(15))
        .await
        .unwrap();
    let lying = lying(&world).await;
    let sizes = lying.iter().map(|path| fs::metadata(path).unwrap().len());
    assert_eq!(sizes.sum::<u64>(), 6 * RECORD as u64);
    world.end().await;
}

#[tokio::test]
async fn a_file_that_is_deleted_while_its_bytes_are_written_leaves_none() {
    let server = S3Server::start(&directory().join("s3-that-waits"), 0);
    let place = server.place("files");
    let world = World::with(|settings| settings.file_store = Some(place)).await;
    let (ann, _, conversation) = world.conversation().await;
    let file = File::new(RECORD);
    ann.begins(&file, &conversation).await.ok();
    server.signal(Signal::SIGSTOP);
    let deleted = async {
        eventually("its bytes are on their way", async || {
            world.count("file_objects where state = 'begun'").await == 1
        })
        .await;
        ann.asks_file("delete", &file.id, serde_json::json!({}))
            .await
            .ok();
        // Another one with its id.
        ann.begins(&file, &conversation).await.ok();
        server.signal(Signal::SIGCONT);
    };
    let (answer, ()) = tokio::join!(ann.puts(&file, 0, &file.bytes), deleted);
    answer.refused(404, "file_not_found");
    assert_eq!(world.count("file_records").await, 0);
    store::file::drain(&world.store, &stores(), Duration::from_mins(15))
        .await
        .unwrap();
    assert_eq!(world.count("file_objects").await, 0);
    world.end().await;
    server.stop();
}

/// Every file in which a store has an object's bytes or what it says of them: those of this name.
fn parts(of: &Path) -> Vec<std::path::PathBuf> {
    let name = of.file_name().unwrap().to_string_lossy();
    let object = name.split("._S3rver").next().unwrap().to_owned();
    let all = fs::read_dir(of.parent().unwrap()).unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    all.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(&object)
    })
    .collect()
}

async fn missing_damaged_and_left_over_bytes_are_found(kind: Kind) {
    if kind == Kind::Postgres {
        return;
    }
    let world = kind.world().await;
    let (ann, _, conversation) = world.conversation().await;
    for size in [10, RECORD + 10, 5 * RECORD] {
        ann.uploads(size, &conversation).await;
    }
    let faults = async |left_over| {
        let examined = store::file::examine(&world.store, &stores(), left_over).await;
        let examined = examined.unwrap();
        let found: Vec<_> = examined
            .findings()
            .into_iter()
            .map(|finding| (finding.fault, finding.count))
            .collect();
        (found, examined.files, examined.deleted)
    };
    assert_eq!(faults(LeftOver::Report).await, (vec![], 3, 0));
    let objects = lying(&world).await;
    assert_eq!(objects.len(), 4);
    // One is damaged.
    let bytes = fs::read(&objects[0]).unwrap();
    let mut damaged = bytes.clone();
    damaged[5] ^= 1;
    fs::write(&objects[0], &damaged).unwrap();
    assert_eq!(faults(LeftOver::Report).await.0, [(Fault::Damaged, 1)]);
    // One ends too early, also before the record that is read.
    for kept in [7, 0] {
        fs::write(&objects[0], &bytes[..kept]).unwrap();
        assert_eq!(faults(LeftOver::Report).await.0, [(Fault::Damaged, 1)]);
    }
    fs::write(&objects[0], &bytes).unwrap();
    // One is missing: and its file's readers get an error, not something else.
    let taken: Vec<_> = parts(&objects[1])
        .into_iter()
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    for (_, path) in &taken {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(faults(LeftOver::Report).await.0, [(Fault::Missing, 1)]);
    for (bytes, path) in &taken {
        fs::write(path, bytes).unwrap();
    }
    // And one is there that no row tells of, beside what is not the server's.
    let other = Uuid::new_v4().to_string();
    for path in parts(&objects[2]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (id, rest) = name.split_at(36);
        let copy = format!("{}{}{rest}", &id[..2], &other[2..]);
        fs::copy(&path, path.with_file_name(copy)).unwrap();
    }
    assert_eq!(faults(LeftOver::Report).await.0, [(Fault::LeftOver, 1)]);
    assert_eq!(faults(LeftOver::Delete).await, (vec![], 3, 1));
    assert_eq!(lying(&world).await.len(), 4);
    world.end().await;
}

async fn bytes_whose_writer_has_ended_are_deleted_and_others_stay(kind: Kind) {
    let world = kind.world().await;
    let (ann, _, conversation) = world.conversation().await;
    let file = ann.uploads(10, &conversation).await;
    let drain = async |unfinished| {
        store::file::drain(&world.store, &stores(), unfinished)
            .await
            .unwrap()
    };
    // A node that ended between its two commits, after it had written; one a moment ago, and one before it wrote.
    let before = lying(&world).await.len();
    if kind != Kind::Postgres {
        let again = File::new(2 * RECORD);
        ann.begins(&again, &conversation).await.ok();
        ann.puts(&again, 0, again.records(0, 1)).await.ok();
        world
            .sql("delete from file_records where record = 0 and file_key = (select max(file_key) from files);
                update file_objects set state = 'begun' where file_key = (select max(file_key) from files);
                insert into file_objects (object_id, store_id, file_key, state)
                    select gen_random_uuid(), store_id, file_key, 'begun' from file_objects limit 1")
            .await;
        drain(Duration::from_mins(15)).await;
        assert_eq!(lying(&world).await.len(), before + 1);
    }
    drain(Duration::ZERO).await;
    assert_eq!(lying(&world).await.len(), before);
    assert_eq!(
        world.count("file_objects").await,
        i64::try_from(before).unwrap()
    );
    assert!(ann.gets(&file.id, None).await.bytes == file.bytes);
    // Those of a file that ended.
    ann.asks_file("delete", &file.id, serde_json::json!({}))
        .await
        .ok();
    eventually("its end", async || lying(&world).await.is_empty()).await;
    world.end().await;
}

in_each_store!(
    no_more_lies_there_than_counts,
    missing_damaged_and_left_over_bytes_are_found,
    bytes_whose_writer_has_ended_are_deleted_and_others_stay,
);
