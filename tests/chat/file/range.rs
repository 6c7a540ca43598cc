//! Parts of files, and peers that take them slowly or not at all.

use std::time::Duration;

use serde_json::json;

use super::raw::begins_to_get;
use crate::world::{Kind, Person, RECORD, eventually, now};

async fn any_part_can_be_read(kind: Kind) {
    let world = kind.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(2 * RECORD + 10, &conversation).await;
    let size = file.bytes.len();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=5-262147", 5..262_148),
        ("bytes=262143-262144", 262_143..262_145),
        ("bytes=262144-524287", 262_144..524_288),
        ("bytes=524290-", 524_290..size),
        ("bytes=-11", size - 11..size),
        ("bytes=0-99999999", 0..size),
    ] {
        let read = ben.gets(&file.id, Some(range)).await;
        assert_eq!(read.status, 206, "{range}");
        assert!(read.bytes == file.bytes[part.clone()], "{range}");
        assert_eq!(
            read.header("content-range"),
            format!("bytes {}-{}/{size}", part.start, part.end - 1)
        );
        assert_eq!(read.header("etag"), format!("\"{}\"", file.digest()));
    }
    for range in ["lines=0-1", "bytes=0-1,4-5", "nothing"] {
        let read = ben.gets(&file.id, Some(range)).await;
        assert!(read.status == 200 && read.bytes == file.bytes, "{range}");
    }
    let request = json!({ "action": "get", "fileid": file.id, "clientversioncode": 4, "timestamp": now(), "nonce": "head" });
    let call = reqwest::Client::new().head(format!("{}/file/{}", world.url, file.id));
    let call = ben.with_request(call, &request.to_string());
    let head = call.send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], size.to_string());
    assert!(head.bytes().await.unwrap().is_empty());
    let beyond = ben.gets(&file.id, Some(&format!("bytes={size}-"))).await;
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
    beyond.answer().refused(416, "range_not_satisfiable");
    // Requests for another file than the path's, replays, and others' signatures.
    let request = json!({ "action": "get", "fileid": file.id, "clientversioncode": 4, "timestamp": now(), "nonce": "a" });
    let request = request.to_string();
    let elsewhere = "00000000-0000-4000-8000-000000000000";
    ben.gets_with(elsewhere, &request, None)
        .await
        .answer()
        .refused(400, "bad_request");
    let request = request.replace("\"a\"", "\"b\"");
    assert_eq!(ben.gets_with(&file.id, &request, None).await.status, 200);
    ben.gets_with(&file.id, &request, None)
        .await
        .answer()
        .refused(409, "replayed");
    let forged = Person {
        key: ann.key.clone(),
        ..ben.clone()
    };
    let request = request.replace("\"b\"", "\"c\"");
    forged
        .gets_with(&file.id, &request, None)
        .await
        .answer()
        .refused(401, "signature_invalid");
    world.end().await;
}

async fn a_peer_that_takes_nothing_is_dropped_and_holds_nobody_up(kind: Kind) {
    let world = kind
        .world_with(|settings| {
            settings.timings.write_timeout = Duration::from_secs(1);
            settings.requests_per_user = 2;
        })
        .await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(32 * RECORD, &conversation).await;
    // All that Ben may have in progress: requests whose answers he does not take.
    let mut stalled = vec![];
    for _ in 0..2 {
        stalled.push(begins_to_get(&ben, &file, 4096).await);
    }
    // Ann is served meanwhile; Ben is, once they are dropped.
    assert!(ann.gets(&file.id, None).await.bytes == file.bytes);
    eventually("room", async || {
        ben.gets(&file.id, None).await.status == 200
    })
    .await;
    drop(stalled);
    world.end().await;
}

in_each_store!(
    any_part_can_be_read,
    a_peer_that_takes_nothing_is_dropped_and_holds_nobody_up
);
