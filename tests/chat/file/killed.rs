//! A server that is killed while files are sent: what was acknowledged is there, and nothing is left over.

use std::{process::Stdio, sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use parlance::{
    settings::FileStore,
    store::{self, file::LeftOver},
};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

use super::rows;
use crate::{
    cli::parlance,
    embedded::Server,
    world::{File, Kind, Person, RECORD, World, database, eventually, lying, s3_keys, stores},
};

const RECORDS: usize = 64;

/// A server of this program, on a test's database.
fn start(options: &PgConnectOptions, place: &FileStore) -> (Server, Arc<World>) {
    let keys = s3_keys();
    let mut command = parlance(options);
    command
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .env("REGISTRATION", "open")
        .env("FILE_STORE", place.to_string())
        .env("AWS_ACCESS_KEY_ID", keys.id)
        .env("AWS_SECRET_ACCESS_KEY", keys.secret)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let server = Server::start_as(&mut command);
    let world = World::at(&server.url, options.clone());
    (server, world)
}

async fn a_killed_server_loses_no_record_that_it_acknowledged(kind: Kind) {
    let (options, place) = (database().await, kind.place());
    let (mut server, mut world) = start(&options, &place);
    let (mut ann, ben, conversation) = world.conversation().await;
    let file = File::new(RECORDS * RECORD);
    ann.begins(&file, &conversation).await.ok();
    let mut sent = 0;
    while sent < RECORDS {
        // Some are acknowledged, and the server is killed while others are on their way.
        let upto = (sent + 12).min(RECORDS);
        while sent < upto {
            ann.puts(&file, sent, file.records(sent, 4)).await.ok();
            sent += 4;
        }
        let (sender, bytes) = (ann.clone(), file.clone());
        let on_the_way = tokio::spawn(async move {
            for first in (sent..RECORDS).step_by(2) {
                sender
                    .tries_to_put(&bytes, first, bytes.records(first, 2))
                    .await;
            }
        });
        if sent < RECORDS {
            eventually("some of these", async || {
                world.count("file_records").await > i64::try_from(sent).unwrap()
            })
            .await;
        }
        server.signal(Signal::SIGKILL);
        drop(server);
        on_the_way.await.unwrap();
        (server, world) = start(&options, &place);
        ann = Person {
            world: world.clone(),
            ..ann
        };
        let status = ann.asks_file("status", &file.id, json!({})).await.ok();
        let have = status["have"].as_array().unwrap();
        assert!(
            have[0][0] == 0 && have[0][1].as_u64().unwrap() + 1 >= sent as u64,
            "{sent} were acknowledged: {have:?}"
        );
    }
    ann.completes(&file).await.ok();
    let reader = Person {
        world: world.clone(),
        ..ben
    };
    assert!(reader.gets(&file.id, None).await.bytes == file.bytes);
    ann.asks_file("delete", &file.id, json!({})).await.ok();
    server.stop();
    // What it was killed over, and what it has not deleted yet.
    store::file::drain(&world.store, &stores(), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(
        (rows(&world).await, world.count("file_objects").await),
        ([0; 3], 0)
    );
    assert!(lying(&world).await.is_empty());
    let examined = store::file::examine(&world.store, &stores(), LeftOver::Report)
        .await
        .unwrap();
    assert!(examined.findings().is_empty());
    world.end().await;
}

in_each_store!(a_killed_server_loses_no_record_that_it_acknowledged);
