//! Senders and readers on a slow line, and ones that stop; and how much a user may upload.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{MissedTickBehavior, interval},
};

use super::{
    raw::{NARROW, begins_to_get, begins_to_put, reads_head, status},
    rows,
};
use crate::world::{File, Kind, RECORD, World, eventually};

#[tokio::test]
async fn a_sender_on_a_line_of_64_kbit_a_second_finishes_and_one_that_stops_is_given_up() {
    let world = World::with(|settings| {
        settings.timings.body_timeout = Duration::from_secs(2);
        settings.timings.write_timeout = Duration::from_secs(1);
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let (slow, stalled) = (File::new(32_000), File::new(32_000));
    for file in [&slow, &stalled] {
        ann.begins(file, &conversation).await.ok();
    }
    let mut connection = begins_to_put(&ann, &slow).await;
    let mut line = interval(Duration::from_millis(100));
    line.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for piece in slow.bytes.chunks(800) {
        line.tick().await;
        connection.write_all(piece).await.unwrap();
    }
    assert_eq!(status(&mut connection).await, "200");
    ann.completes(&slow).await.ok();
    assert!(ben.gets(&slow.id, None).await.bytes == slow.bytes);
    let mut connection = begins_to_put(&ann, &stalled).await;
    connection
        .write_all(&stalled.bytes[..31_999])
        .await
        .unwrap();
    // Not one that says that the request is wrong: the same one, sent again, is taken.
    assert_eq!(status(&mut connection).await, "408");
    ann.completes(&stalled)
        .await
        .refused(409, "file_incomplete");
    world.end().await;
}

#[tokio::test]
async fn a_reader_who_takes_little_by_little_gets_the_file_and_one_that_stops_is_dropped() {
    let world = World::with(|settings| {
        settings.timings.write_timeout = Duration::from_secs(3);
        settings.requests_per_user = 1;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(32 * RECORD, &conversation).await;
    let mut stalled = begins_to_get(&ben, &file, NARROW).await;
    let mut slow = begins_to_get(&ann, &file, NARROW).await;
    assert_eq!(status(&mut slow).await, "200");
    reads_head(&mut slow).await;
    let mut bytes = vec![];
    let is_dropped = eventually("the other one is dropped", async || {
        // His next request waits for the one that he does not read.
        ben.asks_file("status", &file.id, json!({})).await.status == 404
    });
    let little_by_little = async {
        let mut line = interval(Duration::from_millis(50));
        loop {
            line.tick().await;
            let mut piece = vec![0; 16 << 10];
            let count = slow.read(&mut piece).await.unwrap();
            bytes.extend_from_slice(&piece[..count]);
        }
    };
    // For longer than somebody may accept nothing.
    tokio::select! {
        () = is_dropped => {}
        () = little_by_little => {}
    }
    assert!(bytes.len() < file.bytes.len());
    let mut rest = vec![0; file.bytes.len() - bytes.len()];
    slow.read_exact(&mut rest).await.unwrap();
    bytes.append(&mut rest);
    assert!(bytes == file.bytes);
    let mut left = vec![];
    let cut = stalled.read_to_end(&mut left).await;
    assert!(cut.is_err() || left.len() < file.bytes.len());
    world.end().await;
}

#[tokio::test]
async fn a_user_uploads_so_much_an_hour_whatever_becomes_of_it() {
    let world = Kind::Postgres
        .world_with(|settings| settings.per_user.file_bytes = 4 * RECORD as u64)
        .await;
    let (ann, ben, conversation) = world.conversation().await;
    for _ in 0..2 {
        let file = ann.uploads(2 * RECORD, &conversation).await;
        ann.asks_file("delete", &file.id, json!({})).await.ok();
    }
    let more = File::new(RECORD);
    ann.begins(&more, &conversation).await.ok();
    let answer = ann.puts(&more, 0, &more.bytes).await;
    let refused = answer.refused(429, "rate_limited");
    let sentence = refused["errormessage"].as_str().unwrap();
    assert!(sentence.contains("1048576"), "{sentence}");
    assert!(answer.headers.contains_key("Retry-After"));
    // Others upload, and she does the rest.
    ben.uploads(4 * RECORD, &conversation).await;
    ann.adds(&conversation, "a message").await;
    world.end().await;
}

async fn records_are_of_the_file_that_they_were_begun_for(kind: Kind) {
    let world = kind.world().await;
    let (ann, _, conversation) = world.conversation().await;
    let file = File::new(4 * RECORD);
    ann.begins(&file, &conversation).await.ok();
    let mut connection = begins_to_put(&ann, &file).await;
    let (last, bytes) = file.bytes.split_last().unwrap();
    // More than any buffer in between holds: the server has looked at the request, and receives.
    connection.write_all(bytes).await.unwrap();
    ann.asks_file("delete", &file.id, json!({})).await.ok();
    let small = File {
        bytes: vec![0; 10],
        ..file.clone()
    };
    ann.begins(&small, &conversation).await.ok();
    connection.write_all(&[*last]).await.unwrap();
    assert_eq!(status(&mut connection).await, "404");
    let status = ann.asks_file("status", &file.id, json!({})).await.ok();
    assert_eq!((&status["have"], &status["size"]), (&json!([]), &json!(10)));
    assert_eq!(rows(&world).await[1], 0);
    world.end().await;
}

in_each_store!(records_are_of_the_file_that_they_were_begun_for);
