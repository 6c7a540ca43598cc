//! The transcript can be verified, and outlives the messages' text.

use aws_lc_rs::digest;
use chrono::TimeDelta;
use parlance::store::{self, Db};
use parlance_wire::time::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, migrate::Migrator};

use crate::world::{Conversation, Person, Socket, World, empty_database, message, request};

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest::digest(&digest::SHA256, &parts.concat())
        .as_ref()
        .to_vec()
}

fn bytes(id: &Value) -> Vec<u8> {
    hex::decode(id.as_str().unwrap().replace('-', "")).unwrap()
}

/// Follows a chain through rows according to docs/transcript.md. Returns where it leads.
pub(crate) fn follow(chain: Vec<u8>, rows: &Value) -> Vec<u8> {
    rows.as_array().unwrap().iter().fold(chain, |chain, row| {
        let hash = match row["Data"].as_str() {
            Some(data) => sha256(&[data.as_bytes()]),
            None => bytes(&row["DataHash"]),
        };
        let chain = sha256(&[
            &chain,
            &row["Seq"].as_i64().unwrap().to_be_bytes(),
            &bytes(&row["ID"]),
            &hash,
        ]);
        assert_eq!(row["Chain"], hex::encode(&chain));
        chain
    })
}

pub(crate) fn beginning(conversation: &Conversation) -> Vec<u8> {
    sha256(&[
        &hex::decode(&conversation.id).unwrap(),
        conversation.instance.as_bytes(),
    ])
}

pub(crate) async fn asks(
    who: &Person,
    action: &str,
    conversation: &Conversation,
    fields: Value,
) -> Value {
    who.asks_as(4, "chatconversation", request(action, conversation, fields))
        .await
        .ok()
}

/// The conversation's head in a v4 client's list.
pub(crate) async fn head(who: &Person, conversation: &Conversation) -> Value {
    let list = who
        .asks_as(4, "chatconversation", json!({ "action": "list" }))
        .await
        .ok();
    list["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["id"] == conversation.id.as_str())
        .unwrap()["chain"]
        .clone()
}

#[tokio::test]
async fn every_message_carries_a_hash_over_all_before_it_and_the_list_the_newest() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    assert_eq!(head(&ann, &conversation).await, "");
    // Many concurrent messages, with reports in between.
    futures_util::future::join_all((0..40).map(|n| {
        let (ann, ben, conversation) = (&ann, &ben, &conversation);
        async move {
            let id = [ann, ben][n % 2]
                .adds(conversation, &format!("text {n}"))
                .await;
            ben.views(conversation, &[id]).await.ok();
        }
    }))
    .await;
    let page = asks(&ben, "download", &conversation, json!({})).await;
    let end = follow(beginning(&conversation), &page["messages"]);
    assert_eq!(page["messages"].as_array().unwrap().len(), 40);
    assert_eq!(head(&ann, &conversation).await, hex::encode(&end));
    assert_eq!(head(&ben, &conversation).await, hex::encode(&end));
    // A socket's events have the same chain.
    let mut socket = Socket::of(&ben, 4).await;
    ann.adds(&conversation, "heard").await;
    let heard = socket.hears().await["events"][0]["message"].clone();
    let end = follow(end, &json!([heard]));
    assert_eq!(head(&ann, &conversation).await, hex::encode(&end));
    let page = asks(&ben, "download", &conversation, json!({})).await;
    // A retry adds no link.
    let sent = message("again");
    for _ in 0..2 {
        asks(
            &ann,
            "add",
            &conversation,
            json!({ "message": sent.to_string() }),
        )
        .await;
    }
    let last = page["messages"].as_array().unwrap().last().unwrap();
    let page = asks(
        &ben,
        "download",
        &conversation,
        json!({ "firstmessageid": last["ID"] }),
    )
    .await;
    let fresh = json!(page["messages"].as_array().unwrap()[1..]);
    assert_eq!(fresh.as_array().unwrap().len(), 1);
    assert_eq!(
        head(&ann, &conversation).await,
        hex::encode(follow(end, &fresh))
    );
    // Older clients get none of it.
    let older = ben.reads(&conversation).await;
    assert!(
        older["messages"][0].get("Chain").is_none() && older["messages"][0].get("Seq").is_none()
    );
    assert!(ben.sees(&conversation).await.get("chain").is_none());
    // Another instance has another chain.
    let next =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    assert_eq!(head(&ann, &next).await, "");
    ann.adds(&next, "first").await;
    let page = asks(&ben, "download", &next, json!({})).await;
    assert_eq!(
        head(&ben, &next).await,
        hex::encode(follow(beginning(&next), &page["messages"]))
    );
    world.end().await;
}

#[tokio::test]
async fn the_transcript_is_read_page_by_page_by_those_who_take_part() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..5 {
        ann.adds(&conversation, &n.to_string()).await;
    }
    let (mut chain, mut after, mut pages) = (beginning(&conversation), 0, 0);
    loop {
        let page = asks(
            &ben,
            "transcript",
            &conversation,
            json!({ "afterseq": after, "limit": 2 }),
        )
        .await;
        chain = follow(chain, &page["transcript"]);
        after = page["transcript"].as_array().unwrap().last().unwrap()["Seq"]
            .as_i64()
            .unwrap();
        pages += 1;
        if page["hasmore"] == false {
            break;
        }
    }
    assert_eq!(
        (pages, head(&ann, &conversation).await),
        (3, json!(hex::encode(chain)))
    );
    assert_eq!(
        asks(
            &ben,
            "transcript",
            &conversation,
            json!({ "afterseq": after })
        )
        .await["transcript"],
        json!([])
    );
    // A page with exactly the remaining links is the last one.
    for (limit, has_more) in [(4, true), (5, false), (6, false)] {
        assert_eq!(
            asks(&ben, "transcript", &conversation, json!({ "limit": limit })).await["hasmore"],
            has_more,
            "{limit}"
        );
        assert_eq!(
            asks(
                &ben,
                "downloadpartial",
                &conversation,
                json!({ "limit": limit })
            )
            .await["hasmore"],
            has_more,
            "{limit}"
        );
    }
    let eve = world.person("Eve").await;
    eve.does("transcript", &conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    let stale = Conversation {
        instance: "AAAAAAAAAA".into(),
        ..conversation.clone()
    };
    ben.does("transcript", &stale, json!({}))
        .await
        .refused(409, "stale_instance");
    for wrong in [json!("x"), json!(1.5), json!({})] {
        ben.does("transcript", &conversation, json!({ "afterseq": wrong }))
            .await
            .refused(400, "bad_request");
    }
    ben.does("transcript", &conversation, json!({ "limit": 501 }))
        .await
        .refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn messages_from_before_the_chain_get_one() {
    let options = empty_database().await;
    let mut db = PgConnection::connect_with(&options).await.unwrap();
    let before: Vec<_> = store::MIGRATIONS
        .iter()
        .filter(|migration| migration.version < 5)
        .cloned()
        .collect();
    Migrator::with_migrations(before)
        .run(&mut db)
        .await
        .unwrap();
    // Two groups: in one an instance has ended, and its successor has a message and a report; the
    // other one is empty.
    sqlx::raw_sql(
        "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
        values (md5('u')::uuid, 'u', 'u', 'u', '', '', now());
        insert into conversations (conversation_id, is_group, instance, last_seq, cleared_seq, last_message_id, last_report_id, last_access_at, created_at)
        values (md5('c')::uuid, true, 'BBBBBBBBBB', 5, 2, md5('5')::uuid, md5('4')::uuid, now(), now()),
               (md5('d')::uuid, true, 'CCCCCCCCCC', 0, 0, null, null, now(), now());
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select conversation_id, md5('u')::uuid, '', '', 'admin', now() from conversations;
        insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data)
        select md5('c')::uuid, n, md5(n::text)::uuid, case when n < 3 then 'AAAAAAAAAA' else 'BBBBBBBBBB' end, md5('u')::uuid, md5('s')::uuid,
               'Message', now(), now(), 'said ' || n
        from unnest(array[1, 2, 3, 5]) n;
        insert into reports (conversation_id, seq, report_id, message_seq, message_id, user_id, station_id, type, created_at, valid_until)
        values (md5('c')::uuid, 4, md5('4')::uuid, 3, md5('3')::uuid, md5('u')::uuid, md5('s')::uuid, 'viewed', now(), now())",
    )
    .execute(&mut db)
    .await
    .unwrap();
    let db = Db::new(options, 1);
    store::migrate(&db).await.unwrap();
    assert!(store::doctor::examine(&db).await.unwrap().is_empty());
    // No clock has shown a week since it was stored, so nothing is purged yet.
    assert_eq!(
        store::purge::expired(&db, Timestamp::now().plus(-TimeDelta::days(7)))
            .await
            .unwrap(),
        0
    );
}
