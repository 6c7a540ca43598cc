//! The bytes of many files are deleted, and those in a store that is away keep nothing else.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parlance::{settings::FileStore, store::file};
use parlance_wire::time::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{counted, rows};
use crate::world::{Kind, RECORD, S3Server, World, directory, eventually, stores};

/// After so long, nobody goes on to write an object.
const UNFINISHED: Duration = Duration::from_mins(15);

#[tokio::test]
async fn hundreds_of_small_files_go_in_one_pass_and_others_go_on_to_count() {
    let seldom = Duration::from_hours(1);
    let world = World::with(|settings| settings.timings.purge = seldom).await;
    let (ann, ben, conversation) = world.conversation().await;
    for person in [&ann, &ben] {
        person.uploads(10, &conversation).await;
    }
    // Three hundred more like each, of two days ago: more than are deleted at once.
    world
        .sql(
            "insert into files (file_id, user_id, conversation_id, instance, size, created_at, digest)
                select gen_random_uuid(), user_id, conversation_id, instance, size, created_at, digest
                from files, generate_series(1, 300);
            insert into file_records (file_key, record, hash, bytes)
                select f.file_key, r.record, r.hash, r.bytes
                from files f
                join files o on o.digest = f.digest and o.file_key <> f.file_key
                join file_records r on r.file_key = o.file_key;
            update files set created_at = created_at - interval '2 days';
            update file_usage set bytes = 301 * 4096",
        )
        .await;
    let kept = ben.uploads(10, &conversation).await;
    let abandoned = file::abandoned(&world.store, Timestamp::now()).await;
    assert_eq!(abandoned.unwrap(), 602);
    assert_eq!(rows(&world).await, [1, 603, 602]);
    let deleted = file::drain(&world.store, &stores(), UNFINISHED).await;
    assert_eq!(deleted.unwrap(), 602);
    assert_eq!(rows(&world).await, [1, 1, 0]);
    // Ann has no file, and Ben has one.
    assert_eq!(
        (counted(&world).await, world.count("file_usage").await),
        (4096, 1)
    );
    assert!(ann.gets(&kept.id, None).await.bytes == kept.bytes);
    ben.asks_file("delete", &kept.id, json!({})).await.ok();
    eventually("nothing is left", async || {
        rows(&world).await == [0, 0, 0] && world.count("file_usage").await == 0
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_deleted_keeps_nothing_else_in_its_store() {
    let seldom = Duration::from_hours(1);
    let FileStore::Dir(place) = Kind::Directory.place() else {
        unreachable!()
    };
    let world = World::with(|settings| {
        settings.timings.purge = seldom;
        settings.file_store = Some(FileStore::Dir(place.clone()));
    })
    .await;
    let (ann, _ben, conversation) = world.conversation().await;
    let objects = async || {
        sqlx::query_scalar::<_, Uuid>("select object_id from file_objects order by object_id")
            .fetch_all(&world.db)
            .await
            .unwrap()
    };
    for _ in 0..10 {
        ann.uploads(10, &conversation).await;
    }
    // Instead of the bytes of all but the last one, there are directories with something in them.
    let damaged = objects().await;
    let parts = || {
        fs::read_dir(&place)
            .unwrap()
            .map(|part| part.unwrap().path())
    };
    let lying: Vec<_> = damaged[..9]
        .iter()
        .map(|object| {
            let mut paths = parts().map(|part| part.join(object.to_string()));
            paths.find(|path| path.exists()).unwrap()
        })
        .collect();
    for path in &lying {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("file"), "").unwrap();
    }
    world
        .sql("update files set created_at = created_at - interval '2 days'")
        .await;
    let abandoned = file::abandoned(&world.store, Timestamp::now()).await;
    assert_eq!(abandoned.unwrap(), 10);
    file::drain(&world.store, &stores(), UNFINISHED)
        .await
        .unwrap_err();
    assert_eq!(objects().await, damaged[..9]);
    for path in &lying {
        fs::remove_dir_all(path).unwrap();
    }
    file::drain(&world.store, &stores(), UNFINISHED)
        .await
        .unwrap();
    assert!(objects().await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_once_a_pass_and_what_lies_elsewhere_goes() {
    let own = directory().join("s3-of-deleted-files");
    let server = S3Server::start(&own, 0);
    let (place, port) = (server.place("files"), server.port);
    let world = World::with(|settings| settings.file_store = Some(place)).await;
    let (ann, _ben, conversation) = world.conversation().await;
    let outside = ann.uploads(10, &conversation).await;
    world
        .sql("update file_store_head set store_id = null")
        .await;
    let inside = ann.uploads(2 * RECORD + 1, &conversation).await;
    server.stop();
    for file in [&outside, &inside] {
        ann.asks_file("delete", &file.id, json!({})).await.ok();
    }
    // Only the bytes of the other one go on to count.
    eventually("what lies in PostgreSQL goes", async || {
        rows(&world).await == [0, 0, 1] && counted(&world).await == 4096
    })
    .await;
    world.stop().await;
    // Ten batches of objects, in a store that hangs up.
    world
        .sql(
            "insert into file_objects (object_id, store_id, file_key, state)
                select gen_random_uuid(), store_id, 0, 'gone' from file_stores, generate_series(1, 640)",
        )
        .await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let tries = Arc::new(AtomicU64::new(0));
    let counted_tries = tries.clone();
    let hanging_up = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            counted_tries.fetch_add(1, Ordering::Relaxed);
            drop(connection);
        }
    });
    file::drain(&world.store, &stores(), UNFINISHED)
        .await
        .unwrap_err();
    hanging_up.abort();
    assert!(hanging_up.await.unwrap_err().is_cancelled());
    // A few requests at the same time, which may be repeated, and not some for each batch.
    let tries = tries.load(Ordering::Relaxed);
    assert!((1..80).contains(&tries), "{tries}");
    world
        .sql("delete from file_objects where file_key = 0")
        .await;
    // It is back.
    let server = S3Server::start(&own, port);
    file::drain(&world.store, &stores(), UNFINISHED)
        .await
        .unwrap();
    for table in ["gone_files", "file_objects", "file_usage"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    world.end().await;
    server.stop();
}
