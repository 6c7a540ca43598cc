//! Purging in small batches, beside readers and writers.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::TimeDelta;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use uuid::Uuid;

use super::{age, purge};
use crate::{
    plans::statement,
    world::{Conversation, Person, World, at, message},
};

#[tokio::test]
async fn a_batch_that_takes_too_long_is_deleted_in_parts() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    for n in 0..8 {
        ann.adds(&conversation, &n.to_string()).await;
    }
    age(&world, 8).await;
    // Stands for millions of reports: more than two at once take longer than a statement may.
    world
        .sql(
            "create function is_slow() returns trigger language plpgsql as
            $$ begin if (select count(*) from gone) > 2 then raise exception 'too slow' using errcode = 'query_canceled'; end if; return null; end $$;
            create trigger is_slow after delete on messages referencing old table as gone for each statement execute function is_slow()",
        )
        .await;
    assert_eq!(purge(&world, 7).await, 8);
    assert_eq!(
        (
            world.count("messages").await,
            world.count("expired_messages").await
        ),
        (0, 8)
    );
    world.end().await;
}

#[tokio::test]
async fn writers_and_readers_go_on_while_a_batch_is_being_deleted() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let old =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    let sent = [0, 1, 2, 3, 4].map(|n| {
        let mut message = message(&n.to_string());
        message["ValidUntil"] = at(-TimeDelta::days(30)).into();
        message
    });
    for message in &sent {
        ann.does("add", &old, json!({ "message": message.to_string() }))
            .await
            .ok();
    }
    let ids = sent
        .each_ref()
        .map(|message| message["ID"].as_str().unwrap().to_owned());
    ben.views(&old, &ids[..3]).await.ok();
    age(&world, 8).await;
    // Each statement of the purge is started and not committed, while everyone continues.
    for (marks, arguments) in [
        (
            "greatest(valid_until, stored_at) >= coalesce",
            "now() - interval '7 days', null, 3".to_owned(),
        ),
        (
            "delete from messages m using",
            format!("'{}', 2, 1000", old.id),
        ),
        (
            "delete from reports r using",
            format!("'{}', 2, 1000", old.id),
        ),
        (
            "delete from expired_messages e using",
            format!("'{}', 2, 1000", old.id),
        ),
    ] {
        let mut purger = world.store.options().connect().await.unwrap();
        let query = statement(&[marks]);
        let begun = format!("prepare purge as {query}; begin; execute purge({arguments})");
        sqlx::raw_sql(AssertSqlSafe(begun))
            .execute(&mut purger)
            .await
            .unwrap();
        let id = ann.adds(&old, "meanwhile").await;
        ben.views(&old, &[id.clone(), ids[4].clone()]).await.ok();
        let page = ben.reads(&old).await;
        assert_eq!(
            page["messages"].as_array().unwrap().last().unwrap()["ID"],
            id.as_str()
        );
        // A retry of a message that is being deleted.
        ann.does("add", &old, json!({ "message": sent[0].to_string() }))
            .await
            .ok();
        sqlx::raw_sql("rollback")
            .execute(&mut purger)
            .await
            .unwrap();
        purger.close().await.unwrap();
    }
    world.end().await;
}

/// Stores a thousand messages in each of these conversations, which ended `days` ago.
async fn was_said(world: &World, days: u32, conversations: &[Uuid]) {
    sqlx::query(
        "with made as (
            select conversation_id, instance, last_seq + n as seq, gen_random_uuid() as message_id, repeat('A', 500) as data, chain as head
            from conversations, generate_series(1, 1000) n where conversation_id = any($1)
        ), stored as (
            insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain, stored_at)
            select conversation_id, seq, message_id, instance, conversation_id, conversation_id, 'Message', now(), now() - make_interval(days => $2), data,
                   chain(coalesce(head, chain_beginning(conversation_id, instance)), seq, message_id, sha256(data::bytea))
                       over (partition by conversation_id order by seq),
                   now() - make_interval(days => $2)
            from made
            returning conversation_id, seq, message_id, chain
        )
        update conversations c set last_seq = m.seq, last_message_id = m.message_id, last_message_seq = m.seq, chain = m.chain
        from stored m where c.conversation_id = m.conversation_id and m.seq = c.last_seq + 1000",
    )
    .bind(conversations)
    .bind(i32::try_from(days).unwrap())
    .execute(&world.db)
    .await
    .unwrap();
    world.counts_messages().await;
}

#[tokio::test]
async fn purged_space_is_reused() {
    let world = World::new().await;
    let (.., conversation) = world.conversation().await;
    let size = async || -> i64 {
        sqlx::query_scalar("select pg_relation_size('messages')")
            .fetch_one(&world.db)
            .await
            .unwrap()
    };
    let mut sizes = vec![];
    for round in 1..5 {
        for _ in 0..3 {
            was_said(&world, 8, &[conversation.id.parse().unwrap()]).await;
        }
        sizes.push(size().await);
        assert_eq!(purge(&world, 7).await, 3000, "round {round}");
        // What PostgreSQL does by itself after a while.
        world.sql("vacuum messages").await;
        assert_eq!(world.count("expired_messages").await, 3000 * round);
    }
    assert!(
        sizes.iter().all(|size| *size <= sizes[0] + 8192 * 4),
        "{sizes:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_purge_and_writers_both_get_on_while_the_other_is_at_work() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    world
        .sql(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 10) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select conversation_id, user_id, '', '', 'admin', now() from conversations, users where instance = 'AAAAAAAAAA' and nick = 'Ben'",
        )
        .await;
    let groups: Vec<Uuid> =
        sqlx::query_scalar("select conversation_id from conversations where is_group order by 1")
            .fetch_all(&world.db)
            .await
            .unwrap();
    // Two parts of ten batches each.
    let parts: Vec<(u32, &[Uuid])> = [20, 10].into_iter().zip(groups.chunks(5)).collect();
    for (days, groups) in &parts {
        was_said(&world, *days, groups).await;
    }
    let written = [AtomicU64::new(0), AtomicU64::new(0)];
    let writes = async |who: &Person, written: &AtomicU64| -> Infallible {
        loop {
            who.adds(&conversation, "meanwhile").await;
            written.fetch_add(1, Ordering::Relaxed);
        }
    };
    let so_far = || {
        written
            .each_ref()
            .map(|written| written.load(Ordering::Relaxed))
    };
    let purges = async {
        let mut gone = 0;
        for (days, _) in &parts {
            let before = so_far();
            gone += purge(&world, days - 5).await;
            let after = so_far();
            assert!(
                before
                    .iter()
                    .zip(after)
                    .all(|(before, after)| after > before + 1),
                "{before:?} {after:?}"
            );
        }
        gone
    };
    let gone = tokio::select! {
        gone = purges => gone,
        never = writes(&ann, &written[0]) => match never {},
        never = writes(&ben, &written[1]) => match never {},
    };
    assert_eq!(
        (gone, world.count("expired_messages").await),
        (10_000, 10_000)
    );
    let written = usize::try_from(so_far().iter().sum::<u64>()).unwrap();
    // The writes have happened; nobody waits for the answers of the two that were running.
    assert!(
        (written..=written + 2).contains(&usize::try_from(world.count("messages").await).unwrap())
    );
    world.stop().await;
}
