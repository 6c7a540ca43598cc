//! Downloads during which the file, or the store that it lies in, goes away.

use std::fs;

use parlance::settings::FileStore;
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::raw::{NARROW, begins_to_get, reads_head, status};
use crate::world::{File, Kind, Person, RECORD, S3Server, World, directory};

/// Begins to read a file, of which much more is left than is on its way.
async fn begins(reader: &Person, file: &File) -> TcpStream {
    let mut reading = begins_to_get(reader, file, NARROW).await;
    assert_eq!(status(&mut reading).await, "200");
    reads_head(&mut reading).await;
    reading
}

/// What is read until the connection ends.
async fn reads_rest(mut reading: TcpStream) -> Vec<u8> {
    let mut bytes = vec![];
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = reading.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..count]);
    }
    bytes
}

/// A download is cut short where nobody can take it for the whole, and goes on from there once the store is back.
async fn is_cut_and_goes_on(
    world: &World,
    (writer, reader, conversation): (Person, Person, crate::world::Conversation),
    take_away: impl AsyncFnOnce(),
    bring_back: impl AsyncFnOnce(),
) {
    let file = writer.uploads(64 * RECORD, &conversation).await;
    let reading = begins(&reader, &file).await;
    take_away().await;
    let mut bytes = reads_rest(reading).await;
    assert!(!bytes.is_empty() && bytes.len() < file.bytes.len());
    bring_back().await;
    let range = format!("bytes={}-", bytes.len());
    let rest = reader.gets(&file.id, Some(&range)).await;
    assert_eq!(rest.status, 206);
    bytes.extend_from_slice(&rest.bytes);
    assert!(bytes == file.bytes);
    world.end().await;
}

#[tokio::test]
async fn a_download_is_cut_when_its_directory_goes_away_and_goes_on_when_it_is_back() {
    let place = Kind::Directory.place();
    let FileStore::Dir(path) = place.clone() else {
        unreachable!()
    };
    let world = World::with(|settings| settings.file_store = Some(place)).await;
    let people = world.conversation().await;
    let elsewhere = path.with_extension("away");
    is_cut_and_goes_on(
        &world,
        people,
        async || fs::rename(&path, &elsewhere).unwrap(),
        async || fs::rename(&elsewhere, &path).unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_download_is_cut_when_its_s3_server_is_stopped_and_goes_on_when_it_is_back() {
    let own = directory().join("s3-of-a-download");
    let server = S3Server::start(&own, 0);
    let port = server.port;
    let place = server.place("files");
    let world = World::with(|settings| settings.file_store = Some(place)).await;
    let people = world.conversation().await;
    let mut again = None;
    is_cut_and_goes_on(
        &world,
        people,
        async || server.stop(),
        async || again = Some(S3Server::start(&own, port)),
    )
    .await;
    again.expect("it was started").stop();
}

async fn a_download_is_cut_when_the_file_is_deleted_on_another_node(kind: Kind) {
    let world = kind.world().await;
    let other_node = world.another().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(64 * RECORD, &conversation).await;
    let reading = begins(&ben, &file).await;
    let there = Person {
        world: other_node.clone(),
        ..ann
    };
    there.asks_file("delete", &file.id, json!({})).await.ok();
    let bytes = reads_rest(reading).await;
    assert!(bytes.len() < file.bytes.len());
    assert!(file.bytes.starts_with(&bytes));
    assert_eq!(ben.gets(&file.id, None).await.status, 404);
    other_node.stop().await;
    world.end().await;
}

in_each_store!(a_download_is_cut_when_the_file_is_deleted_on_another_node);
