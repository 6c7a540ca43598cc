//! `GET /readyz` says when and why the database can be read but not written.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::world::{World, eventually, message};

/// A world whose server checks at each request.
async fn world() -> std::sync::Arc<World> {
    World::with(|settings| settings.timings.probe = std::time::Duration::ZERO).await
}

/// Waits for an answer with this status. Returns its text.
async fn readiness(world: &World, status: u16) -> String {
    let mut text = String::new();
    eventually("readiness", async || {
        let answer = world.sends("GET", "/readyz").await;
        text = answer.text;
        answer.status == status
    })
    .await;
    text
}

const FULL: &str = "create function is_full() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;";

#[tokio::test]
async fn a_node_that_cannot_write_is_not_ready_and_says_why_until_it_can() {
    let world = world().await;
    let (ann, _ben, conversation) = world.conversation().await;
    readiness(&world, 200).await;
    for (harm, heal, why) in [
        (
            "drop function chain_link cascade".to_owned(),
            "create function chain_link(previous bytea, head bytea, seq bigint, message_id uuid, data_hash bytea) returns bytea
                language sql immutable parallel safe
                return sha256(coalesce(previous, head) || int8send(seq) || uuid_send(message_id) || data_hash);
            create aggregate chain(head bytea, seq bigint, message_id uuid, data_hash bytea)
                (sfunc = chain_link, stype = bytea, parallel = safe)",
            "42883",
        ),
        (
            format!("{FULL} create trigger is_full before insert on messages execute function is_full()"),
            "drop function is_full cascade",
            "no room",
        ),
        ("alter table messages rename to elsewhere".to_owned(), "alter table elsewhere rename to messages", "42P01"),
    ] {
        world.sql(&harm).await;
        let said = readiness(&world, 503).await;
        assert!(said.starts_with("writes fail: ") && said.contains(why), "{said}");
        assert!(!said.contains("chain") && !said.contains("messages") && !said.contains("extend"), "{said}");
        assert_eq!(world.sends("GET", "/healthz").await.status, 200);
        world.sql(heal).await;
        readiness(&world, 200).await;
    }
    ann.adds(&conversation, "well again").await;
    // The attempt left nothing behind.
    assert_eq!(world.count("messages").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_node_whose_last_messages_could_not_be_stored_is_not_ready() {
    let world = world().await;
    let (ann, _ben, conversation) = world.conversation().await;
    // Large messages no longer fit, but small writes do.
    world
        .sql(&format!(
            "{FULL} create trigger is_full before insert on messages for each row when (length(new.data) > 1000)
                execute function is_full()"
        ))
        .await;
    let large = message(&"x".repeat(2000));
    ann.does("add", &conversation, json!({ "message": large }))
        .await
        .refused(503, "unavailable");
    assert!(readiness(&world, 503).await.starts_with("writes fail: "));
    world.sql("drop function is_full cascade").await;
    ann.does("add", &conversation, json!({ "message": large }))
        .await
        .ok();
    readiness(&world, 200).await;
    world.end().await;
}

#[tokio::test]
async fn a_message_that_the_database_does_not_take_does_not_make_the_node_unready() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    world
        .sql(
            "create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'never' using errcode = 'check_violation'; end $$;
            create trigger refuse before insert on messages for each row when (new.data = 'bad') execute function refuse()",
        )
        .await;
    ann.does("add", &conversation, json!({ "message": message("bad") }))
        .await
        .refused(500, "internal");
    assert_eq!(world.sends("GET", "/readyz").await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_session_that_was_ended_does_not_make_the_node_unready() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let mut hold = world.db.begin().await.unwrap();
    sqlx::query("select from conversations for update")
        .execute(&mut *hold)
        .await
        .unwrap();
    let asked = tokio::spawn(async move {
        ann.does("add", &conversation, json!({ "message": message("x") }))
            .await
    });
    let process = world.blocked_process().await;
    world
        .sql(&format!("select pg_terminate_backend({process}, 5000)"))
        .await;
    asked.await.unwrap().refused(503, "unavailable");
    hold.rollback().await.unwrap();
    let answer = world.sends("GET", "/readyz").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    world.end().await;
}

#[tokio::test]
async fn a_probe_that_hangs_up_costs_no_connection() {
    let world = World::new().await;
    let _people = world.conversation().await;
    let mut hold = world.db.begin().await.unwrap();
    sqlx::query("lock table messages")
        .execute(&mut *hold)
        .await
        .unwrap();
    let mut socket = world.connection().await;
    socket
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let process = world.blocked_process().await;
    // Resets the connection instead of closing it.
    socket.set_zero_linger().unwrap();
    drop(socket);
    // Concurrent requests wait for the same answer.
    let others: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let world = world.clone();
                async move { world.sends("GET", "/readyz").await.status }
            })
        })
        .collect();
    hold.rollback().await.unwrap();
    for asked in others {
        assert_eq!(asked.await.unwrap(), 200);
    }
    let alive = format!("select count(*) from pg_stat_activity where pid = {process}");
    let alive: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(alive))
        .fetch_one(&world.db)
        .await
        .unwrap();
    assert_eq!(alive, 1, "its connection was thrown away");
    world.end().await;
}

#[tokio::test]
async fn statements_call_nothing_that_is_loaded_late() {
    let world = World::new().await;
    let late: Vec<String> = sqlx::query_scalar(
        "select proname::text from pg_proc join pg_language l on l.oid = prolang
        where pronamespace = 'public'::regnamespace and lanname not in ('sql', 'internal')",
    )
    .fetch_all(&world.db)
    .await
    .unwrap();
    assert_eq!(late, Vec::<String>::new());
    // The chain is unchanged: docs/transcript.md, test vector.
    let chain: String = sqlx::query_scalar(
        "select string_agg(encode(chain, 'hex'), ' ' order by seq) from (
            select seq, chain(chain_beginning('8ca16186c36a4e0a1ef2096e6c60b613', 'PqjfKSn7V8'), seq, id, sha256(convert_to(data, 'UTF8')))
                over (order by seq) as chain
            from (values (1::bigint, 'fc2515cb-e483-4f64-936b-98f680565c96'::uuid, 'SGVsbG8='),
                         (3::bigint, 'e64fa984-9b2c-4d32-a965-a1faca1d5b83'::uuid, 'V29ybGQ=')) v (seq, id, data)
        ) linked",
    )
    .fetch_one(&world.db)
    .await
    .unwrap();
    assert_eq!(
        chain,
        "9101205197b29d1ff5534fe32fd4d243acc03793e17580e2a88a9cdbce0bbb65 edee98d33061954eea41c29600c614d98873d246463d741f435163f1594c8bd2"
    );
    world.end().await;
}
