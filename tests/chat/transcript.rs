//! The transcript proves itself, and outlives what it was about.

use aws_lc_rs::digest;
use chrono::TimeDelta;
use parlance::{
    model::time::Timestamp,
    store::{self, Db},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, migrate::Migrator};

use crate::{
    live::Ear,
    plans::statement,
    world::{Person, Talk, World, at, empty_database, message, on},
};

fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest::digest(&digest::SHA256, &parts.concat()).as_ref().to_vec()
}

fn bytes(id: &Value) -> Vec<u8> {
    hex::decode(id.as_str().unwrap().replace('-', "")).unwrap()
}

/// Follows a chain through rows, as docs/transcript.md says; where it leads.
pub fn follow(chain: Vec<u8>, rows: &Value) -> Vec<u8> {
    rows.as_array().unwrap().iter().fold(chain, |chain, row| {
        let hash = match row["Data"].as_str() {
            Some(data) => sha256(&[data.as_bytes()]),
            None => bytes(&row["DataHash"]),
        };
        let chain = sha256(&[&chain, &row["Seq"].as_i64().unwrap().to_be_bytes(), &bytes(&row["ID"]), &hash]);
        assert_eq!(row["Chain"], hex::encode(&chain));
        chain
    })
}

pub fn beginning(talk: &Talk) -> Vec<u8> {
    sha256(&[&hex::decode(&talk.id).unwrap(), talk.instance.as_bytes()])
}

async fn asks(who: &Person, action: &str, talk: &Talk, fields: Value) -> Value {
    who.asks_as(4, "chatconversation", on(action, talk, fields)).await.is_ok()
}

/// The conversation's head, as a v4 client's list shows it.
async fn head(who: &Person, talk: &Talk) -> Value {
    let list = who.asks_as(4, "chatconversation", json!({ "action": "list" })).await.is_ok();
    list["conversations"].as_array().unwrap().iter().find(|c| c["id"] == talk.id.as_str()).unwrap()["chain"].clone()
}

/// Has everything that was said so far be stored, and end, at least so many days ago.
async fn age(world: &World, days: u32) {
    world
        .sql(&format!("update messages set stored_at = now() - interval '{days} days', valid_until = least(valid_until, now() - interval '{days} days')"))
        .await;
}

/// Purges what ended more than a week ago.
async fn purge(world: &World) -> u64 {
    store::purge::expired(&world.store, Timestamp::now().plus(-TimeDelta::days(7))).await.unwrap()
}

#[tokio::test]
async fn every_message_carries_a_hash_over_all_before_it_and_the_list_the_newest() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    assert_eq!(head(&ann, &talk).await, "");
    // Many at once, with reports between them.
    futures_util::future::join_all((0..40).map(|n| {
        let (ann, ben, talk) = (&ann, &ben, &talk);
        async move {
            let id = [ann, ben][n % 2].adds(talk, &format!("ünïcode {n}")).await;
            ben.views(talk, &[id]).await.is_ok();
        }
    }))
    .await;
    let page = asks(&ben, "download", &talk, json!({})).await;
    let end = follow(beginning(&talk), &page["messages"]);
    assert_eq!(page["messages"].as_array().unwrap().len(), 40);
    assert_eq!(head(&ann, &talk).await, hex::encode(&end));
    assert_eq!(head(&ben, &talk).await, hex::encode(&end));
    // What a socket is told carries the same.
    let mut ear = Ear::of(&ben, 4).await;
    ann.adds(&talk, "heard").await;
    let heard = ear.hears().await["events"][0]["message"].clone();
    let end = follow(end, &json!([heard]));
    assert_eq!(head(&ann, &talk).await, hex::encode(&end));
    let page = asks(&ben, "download", &talk, json!({})).await;
    // A retry adds no link.
    let sent = message("again");
    for _ in 0..2 {
        asks(&ann, "add", &talk, json!({ "message": sent.to_string() })).await;
    }
    let last = page["messages"].as_array().unwrap().last().unwrap();
    let page = asks(&ben, "download", &talk, json!({ "firstmessageid": last["ID"] })).await;
    let fresh = json!(page["messages"].as_array().unwrap()[1..]);
    assert_eq!(fresh.as_array().unwrap().len(), 1);
    assert_eq!(head(&ann, &talk).await, hex::encode(follow(end, &fresh)));
    // Older clients see none of it.
    let older = ben.reads(&talk).await;
    assert!(older["messages"][0].get("Chain").is_none() && older["messages"][0].get("Seq").is_none());
    assert!(ben.sees(&talk).await.get("chain").is_none());
    // Another life, another chain.
    let next = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    assert_eq!(head(&ann, &next).await, "");
    ann.adds(&next, "first").await;
    let page = asks(&ben, "download", &next, json!({})).await;
    assert_eq!(head(&ben, &next).await, hex::encode(follow(beginning(&next), &page["messages"])));
    world.end().await;
}

#[tokio::test]
async fn the_transcript_is_read_page_by_page_by_those_who_take_part() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    for n in 0..5 {
        ann.adds(&talk, &n.to_string()).await;
    }
    let (mut chain, mut after, mut pages) = (beginning(&talk), 0, 0);
    loop {
        let page = asks(&ben, "transcript", &talk, json!({ "afterseq": after, "limit": 2 })).await;
        chain = follow(chain, &page["transcript"]);
        after = page["transcript"].as_array().unwrap().last().unwrap()["Seq"].as_i64().unwrap();
        pages += 1;
        if page["hasmore"] == false {
            break;
        }
    }
    assert_eq!((pages, head(&ann, &talk).await), (3, json!(hex::encode(chain))));
    assert_eq!(asks(&ben, "transcript", &talk, json!({ "afterseq": after })).await["transcript"], json!([]));
    let eve = world.person("Eve").await;
    eve.does("transcript", &talk, json!({})).await.is_refused(404, "conversation_not_found");
    let stale = Talk { instance: "AAAAAAAAAA".into(), ..talk.clone() };
    ben.does("transcript", &stale, json!({})).await.is_refused(409, "stale_instance");
    for wrong in [json!("x"), json!(1.5), json!({})] {
        ben.does("transcript", &talk, json!({ "afterseq": wrong })).await.is_refused(400, "bad_request");
    }
    ben.does("transcript", &talk, json!({ "limit": 501 })).await.is_refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn what_expired_goes_with_its_reports_and_the_chain_holds() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let sent = ["one", "two", "three"].map(|data| {
        let mut message = message(data);
        message["ValidUntil"] = at(-TimeDelta::days(30)).into();
        message
    });
    let mut ids = vec![];
    for message in &sent {
        asks(&ann, "add", &talk, json!({ "message": message.to_string() })).await;
        ids.push(message["ID"].as_str().unwrap().to_owned());
    }
    ben.views(&talk, &ids).await.is_ok();
    let before = head(&ben, &talk).await;
    age(&world, 6).await;
    assert_eq!(purge(&world).await, 0);
    age(&world, 8).await;
    assert_eq!(purge(&world).await, 3);
    let history = ben.reads(&talk).await;
    assert_eq!((&history["messages"], &history["reports"]), (&json!([]), &json!([])));
    assert_eq!((world.count("messages").await, world.count("reports").await), (0, 0));
    // The chain is the same, and leads on.
    assert_eq!(head(&ben, &talk).await, before);
    let newest = ann.adds(&talk, "four").await;
    let links = asks(&ben, "transcript", &talk, json!({})).await["transcript"].clone();
    assert_eq!(links.as_array().unwrap().len(), 4);
    assert_eq!(head(&ben, &talk).await, hex::encode(follow(beginning(&talk), &links)));
    // A cursor still finds its place, though the clocks of those who wrote later are behind.
    world.sql("update messages set created_at = now() - interval '30 days'").await;
    for (cursor, found) in [(&sent[2], 1), (&sent[0], 1)] {
        let cursor = json!({ "firstmessageid": cursor["ID"], "firstmessagedate": cursor["Created"] });
        let page = ben.does("download", &talk, cursor).await.is_ok();
        assert_eq!(page["messages"].as_array().unwrap().len(), found);
        assert_eq!(page["messages"][0]["ID"], newest.as_str());
    }
    let cursor = json!({ "lastmessageid": sent[2]["ID"], "lastmessagedate": sent[2]["Created"] });
    assert_eq!(ben.does("downloadpartial", &talk, cursor).await.is_ok()["messages"], json!([]));
    // A retry is still known, and so is another message that has its id.
    ann.does("add", &talk, json!({ "message": sent[1].to_string() })).await.is_ok();
    let mut other = sent[1].clone();
    other["Data"] = "other".into();
    ann.does("add", &talk, json!({ "message": other.to_string() })).await.is_refused(409, "message_id_conflict");
    // Nothing can be reported of it.
    ben.views(&talk, &ids).await.is_ok();
    assert_eq!((world.count("messages").await, world.count("reports").await), (1, 0));
    assert!(store::doctor::examine(&world.store).await.unwrap().is_empty());
    // `clear` takes what remained, too.
    ann.does("clear", &talk, json!({})).await.is_ok();
    assert_eq!(store::purge::cleared(&world.store).await.unwrap(), 4);
    assert_eq!(world.count("expired_messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_deleted_in_parts() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    for n in 0..8 {
        ann.adds(&talk, &n.to_string()).await;
    }
    age(&world, 8).await;
    // Stands for reports by the million: more than two at once take longer than a statement may.
    world
        .sql(
            "create function is_slow() returns trigger language plpgsql as
            $$ begin if (select count(*) from gone) > 2 then raise exception 'too slow' using errcode = 'query_canceled'; end if; return null; end $$;
            create trigger is_slow after delete on messages referencing old table as gone for each statement execute function is_slow()",
        )
        .await;
    assert_eq!(purge(&world).await, 8);
    assert_eq!((world.count("messages").await, world.count("expired_messages").await), (0, 8));
    world.end().await;
}

#[tokio::test]
async fn what_was_said_before_there_was_a_chain_gets_one() {
    let options = empty_database().await;
    let mut db = PgConnection::connect_with(&options).await.unwrap();
    let before: Vec<_> = store::MIGRATIONS.iter().filter(|migration| migration.version < 5).cloned().collect();
    Migrator::with_migrations(before).run(&mut db).await.unwrap();
    // Two groups: in one a life has ended, and in the next one something was said and seen; in the other nothing was.
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
    // Nobody's clock has shown a week since it was stored: nothing of it goes now.
    assert_eq!(store::purge::expired(&db, Timestamp::now().plus(-TimeDelta::days(7))).await.unwrap(), 0);
}

#[tokio::test]
async fn a_message_that_comes_late_is_kept_for_the_grace_all_the_same() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    // Its sender's clock is a year behind, or its station lay in a drawer.
    let mut late = message("late");
    late["Created"] = "2024-03-08 11:50:45".into();
    late["ValidUntil"] = "2024-03-15 11:50:45".into();
    ann.does("add", &talk, json!({ "message": late.to_string() })).await.is_ok();
    assert_eq!(purge(&world).await, 0);
    assert_eq!(ben.reads(&talk).await["messages"][0]["ID"], late["ID"]);
    world.end().await;
}

#[tokio::test]
async fn writers_and_readers_go_on_while_a_batch_is_being_deleted() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let old = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    let sent = [0, 1, 2, 3, 4].map(|n| {
        let mut message = message(&n.to_string());
        message["ValidUntil"] = at(-TimeDelta::days(30)).into();
        message
    });
    for message in &sent {
        ann.does("add", &old, json!({ "message": message.to_string() })).await.is_ok();
    }
    let ids = sent.each_ref().map(|message| message["ID"].as_str().unwrap().to_owned());
    ben.views(&old, &ids[..3]).await.is_ok();
    age(&world, 8).await;
    // Each statement of the purge is begun and not committed, while everyone goes on.
    for (marks, arguments) in [
        ("insert into expired_messages", "now() - interval '7 days', null, 3".to_owned()),
        ("delete from messages m using", format!("'{}', 2, 1000", old.id)),
        ("delete from reports r using", format!("'{}', 2, 1000", old.id)),
        ("delete from expired_messages e using", format!("'{}', 2, 1000", old.id)),
    ] {
        let mut purger = world.store.options().connect().await.unwrap();
        let query = statement(&[marks]);
        let begun = format!("prepare purge as {query}; begin; execute purge({arguments})");
        sqlx::raw_sql(AssertSqlSafe(begun)).execute(&mut purger).await.unwrap();
        let id = ann.adds(&old, "meanwhile").await;
        ben.views(&old, &[id.clone(), ids[4].clone()]).await.is_ok();
        let page = ben.reads(&old).await;
        assert_eq!(page["messages"].as_array().unwrap().last().unwrap()["ID"], id.as_str());
        // A retry of what is being deleted.
        ann.does("add", &old, json!({ "message": sent[0].to_string() })).await.is_ok();
        sqlx::raw_sql("rollback").execute(&mut purger).await.unwrap();
        purger.close().await.unwrap();
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_purged_makes_room_for_what_is_written() {
    let world = World::new().await;
    let (ann, _, talk) = world.talk().await;
    let size = async || -> i64 { sqlx::query_scalar("select pg_relation_size('messages')").fetch_one(&world.db).await.unwrap() };
    let mut sizes = vec![];
    for round in 0..4_u32 {
        let talk = Talk::of(&ann.does("clear", &talk_now(&ann, &talk).await, json!({})).await.is_ok()["conversation"]);
        world
            .sql(&format!(
                "with made as (
                    select last_seq + n as seq, gen_random_uuid() as message_id, repeat('A', 500) as data,
                           chain_beginning(conversation_id, instance) as head
                    from conversations, generate_series(1, 3000) n where conversation_id = '{id}'
                )
                insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain, stored_at)
                select '{id}', seq, message_id, '{instance}', '{user}', '{station}', 'Message', now(), now() - interval '8 days', data,
                       chain(head, seq, message_id, sha256(data::bytea)) over (order by seq), now() - interval '8 days'
                from made;
                update conversations c set last_seq = m.seq, last_message_id = m.message_id, chain = m.chain
                from (select * from messages where conversation_id = '{id}' order by seq desc limit 1) m
                where c.conversation_id = '{id}'",
                id = talk.id, instance = talk.instance, user = ann.user, station = ann.station,
            ))
            .await;
        sizes.push(size().await);
        assert_eq!(purge(&world).await, 3000, "round {round}");
        // What PostgreSQL does by itself after a while.
        world.sql("vacuum messages").await;
        assert_eq!(world.count("expired_messages").await, 3000 * i64::from(round + 1));
    }
    assert!(sizes.iter().all(|size| *size <= sizes[0] + 8192 * 4), "{sizes:?}");
    world.end().await;
}

/// The conversation, in its present life.
async fn talk_now(who: &Person, talk: &Talk) -> Talk {
    Talk::of(&who.sees(talk).await)
}
