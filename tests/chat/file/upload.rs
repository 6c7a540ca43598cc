//! Uploads: in any order, repeated, interrupted, and wrong ones.

use futures_util::future::join_all;
use serde_json::json;

use super::{is_same, rows};
use crate::world::{File, Kind, Person, RECORD, World, now};

async fn records_come_in_any_order_and_are_read_as_they_were_sent(kind: Kind) {
    let world = kind.world().await;
    let other_node = world.another().await;
    let (ann, ben, conversation) = world.conversation().await;
    let elsewhere = |person: &Person| Person {
        world: other_node.clone(),
        ..person.clone()
    };
    let file = File::new(9 * RECORD + 100);
    let begun = ann.begins(&file, &conversation).await.ok();
    assert_eq!(
        (&begun["records"], &begun["have"], &begun["complete"]),
        (&json!(10), &json!([]), &json!(false))
    );
    // Here and on another node.
    let put = elsewhere(&ann)
        .puts(&file, 6, file.records(6, 4))
        .await
        .ok();
    assert_eq!(put["have"], json!([[6, 9]]));
    let put = ann.puts(&file, 1, file.records(1, 1)).await.ok();
    assert_eq!(put["have"], json!([[1, 1], [6, 9]]));
    // Nobody reads it yet, and it says what is missing.
    ben.gets(&file.id, None)
        .await
        .answer()
        .refused(404, "file_not_found");
    let missing = ann.completes(&file).await.refused(409, "file_incomplete");
    assert_eq!(missing["have"], json!([[1, 1], [6, 9]]));
    // Two at once, and one that is there in part.
    let (one, other) = tokio::join!(
        ann.puts(&file, 0, file.records(0, 3)),
        ann.puts(&file, 2, file.records(2, 4))
    );
    one.ok();
    other.ok();
    // After a reload: where were we?
    for person in [&ann, &elsewhere(&ann), &ann.second_device().await] {
        let status = person.asks_file("status", &file.id, json!({})).await.ok();
        assert_eq!(
            (&status["have"], &status["size"], &status["complete"]),
            (&json!([[0, 9]]), &json!(file.bytes.len()), &json!(false))
        );
    }
    // Everything again is the same.
    let again = ann.begins(&file, &conversation).await.ok();
    assert_eq!(again["have"], json!([[0, 9]]));
    ann.puts(&file, 4, file.records(4, 4)).await.ok();
    for _ in 0..2 {
        ann.completes(&file).await.ok();
        ann.puts(&file, 4, file.records(4, 4)).await.ok();
        assert_eq!(
            ann.begins(&file, &conversation).await.ok()["complete"],
            true
        );
    }
    for reader in [&ann, &ben, &elsewhere(&ben)] {
        let read = reader.gets(&file.id, None).await;
        assert_eq!(read.status, 200);
        assert!(read.bytes == file.bytes);
        assert_eq!(read.header("content-type"), "application/octet-stream");
        assert_eq!(read.header("accept-ranges"), "bytes");
        assert_eq!(read.header("content-length"), file.bytes.len().to_string());
        assert_eq!(
            read.header("content-security-policy"),
            "default-src 'none'; sandbox"
        );
    }
    assert_eq!(rows(&world).await, [1, 10, 0]);
    other_node.stop().await;
    world.end().await;
}

async fn what_is_not_as_announced_is_refused_and_nothing_of_it_is_stored(kind: Kind) {
    let world = kind.world().await;
    let (ann, _, conversation) = world.conversation().await;
    let file = File::new(2 * RECORD + 10);
    ann.begins(&file, &conversation).await.ok();
    let body = file.records(0, 1);
    let sha256 = hex::encode(parlance_wire::e2ee::sha256(&[body]));
    let right = json!({ "fileid": file.id, "record": 0, "sha256": sha256, "length": body.len() });
    let with = |name: &str, value: serde_json::Value| {
        let mut fields = right.clone();
        fields[name] = value;
        fields
    };
    for (fields, body) in [
        (with("sha256", "00".repeat(32).into()), body),
        (with("sha256", "00".into()), body),
        (with("length", (body.len() + 1).into()), body),
        (with("length", body.len().into()), &body[1..]),
        (with("length", (2 * RECORD).into()), body),
        (with("length", 10.into()), &body[..10]),
        (with("length", 0.into()), &[][..]),
        (with("length", (-1).into()), body),
        // Beyond the end, or the last record with another length.
        (with("record", 3.into()), body),
        (with("record", 2.into()), body),
        (with("record", 2_147_483_648_u32.into()), body),
        (with("record", u64::MAX.into()), body),
        (with("record", (-1).into()), body),
        (with("fileid", "none".into()), body),
    ] {
        ann.puts_as(fields, body).await.refused(400, "bad_request");
    }
    // More than four records.
    let large = File::new(6 * RECORD);
    ann.begins(&large, &conversation).await.ok();
    ann.puts(&large, 0, large.records(0, 5))
        .await
        .refused(400, "bad_request");
    // Signed by nobody, by somebody else, for another time, and twice.
    let request = |nonce: &str| {
        let mut fields = right.clone();
        fields["action"] = "put".into();
        fields["clientversioncode"] = 4.into();
        fields["timestamp"] = now().into();
        fields["nonce"] = nonce.into();
        fields.to_string()
    };
    let ben = world.person("Ben").await;
    let forged = Person {
        key: ben.key.clone(),
        ..ann.clone()
    };
    forged
        .posts_with(&request("a"), body)
        .await
        .refused(401, "signature_invalid");
    let old = request("a").replace(&now()[..4], "2001");
    ann.posts_with(&old, body)
        .await
        .refused(401, "timestamp_out_of_range");
    assert_eq!(rows(&world).await, [2, 0, 0]);
    let request = request("b");
    ann.posts_with(&request, body).await.ok();
    ann.posts_with(&request, body)
        .await
        .refused(409, "replayed");
    // Other bytes in a record that is there: all of them are refused.
    let mut other = file.records(0, 2).to_vec();
    other[RECORD - 1] ^= 1;
    ann.puts(&file, 0, &other)
        .await
        .refused(409, "file_conflict");
    assert_eq!(rows(&world).await, [2, 1, 0]);
    ann.puts(&file, 0, file.records(0, 3)).await.ok();
    ann.asks_file("complete", &file.id, json!({ "digest": "00".repeat(32) }))
        .await
        .refused(409, "file_conflict");
    ann.completes(&file).await.ok();
    ann.asks_file("complete", &file.id, json!({ "digest": "00".repeat(32) }))
        .await
        .refused(409, "file_conflict");
    ann.puts(&file, 0, &other)
        .await
        .refused(409, "file_conflict");
    assert!(ann.gets(&file.id, None).await.bytes == file.bytes);
    // The same id for another size.
    let other = File {
        bytes: vec![0; 10],
        ..file.clone()
    };
    ann.begins(&other, &conversation)
        .await
        .refused(409, "file_conflict");
    world.end().await;
}

async fn an_upload_goes_on_at_another_server_after_its_own_has_ended(kind: Kind) {
    let first = kind.world().await;
    let (ann, ben, conversation) = first.conversation().await;
    let file = File::new(5 * RECORD);
    ann.begins(&file, &conversation).await.ok();
    ann.puts(&file, 0, file.records(0, 2)).await.ok();
    let second = first.another().await;
    first.stop().await;
    let there = |person: &Person| Person {
        world: second.clone(),
        ..person.clone()
    };
    let (ann, ben) = (there(&ann), there(&ben));
    let status = ann.asks_file("status", &file.id, json!({})).await.ok();
    assert_eq!(status["have"], json!([[0, 1]]));
    ann.puts(&file, 2, file.records(2, 3)).await.ok();
    ann.completes(&file).await.ok();
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    second.end().await;
}

async fn uploads_at_once_wait_for_each_other_instead_of_being_refused(kind: Kind) {
    let world = kind.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    // From one address, and more than may be held of it at once.
    let people = [&ann, &ben];
    let files: Vec<File> = (0..12).map(|_| File::new(4 * RECORD)).collect();
    let uploads = files.iter().enumerate().map(async |(n, file)| {
        let person = people[n % 2];
        person.begins(file, &conversation).await.ok();
        person.puts(file, 0, file.records(0, 4)).await.ok();
        person.completes(file).await.ok();
    });
    let written = async {
        for n in 0..20 {
            ann.adds(&conversation, &n.to_string()).await;
        }
    };
    tokio::join!(join_all(uploads), written);
    assert_eq!(rows(&world).await, [12, 48, 0]);
    world.end().await;
}

#[tokio::test]
async fn older_clients_find_no_such_api() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    let unknown = ann
        .asks_as(3, "chatnosuchthing", json!({ "action": "create" }))
        .await;
    let file = File::new(10);
    for fields in [
        json!({ "action": "create", "fileid": file.id, "conversationid": conversation.id, "instance": conversation.instance, "size": 10 }),
        json!({ "action": "status", "fileid": file.id }),
        json!({ "action": "anything" }),
    ] {
        is_same(&ann.asks_as(3, "chatfileserver", fields).await, &unknown);
    }
    let put =
        json!({ "action": "put", "clientversioncode": 3, "timestamp": now(), "fileid": file.id });
    is_same(&ann.posts_with(&put.to_string(), b"x").await, &unknown);
    let get =
        json!({ "action": "get", "clientversioncode": 3, "timestamp": now(), "fileid": file.id });
    let get = ann.gets_with(&file.id, &get.to_string(), None).await;
    get.answer().refused(404, "unknown_api");
    // Version 4: each action in its place.
    for action in ["put", "get"] {
        let fields = json!({ "record": 0, "sha256": "00".repeat(32), "length": 1 });
        ann.asks_file(action, &file.id, fields)
            .await
            .refused(400, "bad_request");
    }
    let status = json!({ "action": "status", "clientversioncode": 4, "timestamp": now(), "fileid": file.id });
    ann.posts_with(&status.to_string(), b"")
        .await
        .refused(400, "bad_request");
    ann.gets_with(&file.id, &status.to_string(), None)
        .await
        .answer()
        .refused(400, "bad_request");
    ann.asks_file("nothing", &file.id, json!({}))
        .await
        .refused(404, "unknown_action");
    let unsigned = world.sends("GET", &format!("/file/{}", file.id)).await;
    unsigned.refused(401, "signature_missing");
    world.end().await;
}

in_each_store!(
    records_come_in_any_order_and_are_read_as_they_were_sent,
    what_is_not_as_announced_is_refused_and_nothing_of_it_is_stored,
    an_upload_goes_on_at_another_server_after_its_own_has_ended,
    uploads_at_once_wait_for_each_other_instead_of_being_refused
);
