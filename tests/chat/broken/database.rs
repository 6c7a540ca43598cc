//! The database is away, silent, full, or of another version.

use std::time::Duration;

use parlance::{
    store::{self, Db},
    timings::DatabaseTimings,
};
use serde_json::json;
use tokio::time::timeout;

use super::still;
use crate::{
    proxy::behind_a_proxy,
    world::{Changes, World, database, empty_database, eventually, message},
};

#[tokio::test]
async fn requests_are_refused_while_the_database_is_away_and_succeed_afterwards() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, conversation) = world.conversation().await;
    let kept = ann.adds(&conversation, "before").await;
    proxy.cut();
    for _ in 0..3 {
        let refused = ann
            .does("add", &conversation, json!({ "message": message("lost?") }))
            .await;
        refused.refused(503, "unavailable");
        assert!(refused.headers.contains_key("Retry-After"));
        assert!(
            !refused.text.contains("socket") && !refused.text.contains("postgres"),
            "{}",
            refused.text
        );
    }
    assert_eq!(world.sends("GET", "/readyz").await.status, 503);
    assert_eq!(world.sends("GET", "/healthz").await.status, 200);
    proxy.mend();
    eventually("readiness", async || {
        world.sends("GET", "/readyz").await.status == 200
    })
    .await;
    let after = ann.adds(&conversation, "after").await;
    let history = ben.reads(&conversation).await;
    let ids: Vec<_> = history["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["ID"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [kept, after]);
    world.end().await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_stored_once_and_everyone_hears_of_it() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "prepared").await;
    ben.hears().await;
    ben.hears().await;
    let message = message("committed");
    proxy.lose_next_answer();
    ann.does("add", &conversation, json!({ "message": message }))
        .await
        .refused(503, "unavailable");
    eventually("the commit", async || world.count("messages").await == 2).await;
    // Subscribed stations have to resync, as it is unknown whether the message was stored.
    assert_eq!(ben.hears().await.lists, [ben.user.clone()]);
    ann.does("add", &conversation, json!({ "message": message }))
        .await
        .ok();
    assert_eq!(
        ben.hears().await,
        Changes {
            conversations: vec![conversation.id.clone()],
            ..Changes::default()
        }
    );
    assert_eq!(world.count("messages").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_database_that_falls_silent_holds_nobody_up_for_long() {
    let (world, proxy) = behind_a_proxy(|settings| {
        still(settings);
        settings.timings.database = DatabaseTimings::default();
    })
    .await;
    let (ann, _ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "before").await;
    proxy.fall_silent();
    // A dead connection is detected after a statement's maximum time, and costs a single request.
    // Nobody waits for ever.
    let refused = timeout(
        Duration::from_mins(1),
        ann.does("mute", &conversation, json!({})),
    )
    .await
    .expect("an answer");
    refused.refused(503, "unavailable");
    timeout(Duration::from_mins(1), ann.adds(&conversation, "after"))
        .await
        .expect("another connection");
    world.end().await;
}

#[tokio::test]
async fn writes_are_refused_while_the_disk_is_full_and_reads_succeed() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let before = ann.adds(&conversation, "before").await;
    ben.hears().await;
    // PostgreSQL's answer when it cannot extend a file.
    world
        .sql(
            "create function is_full() returns trigger language plpgsql as
            $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
            create trigger is_full before insert on messages execute function is_full();
            create trigger is_full before insert on reports execute function is_full()",
        )
        .await;
    let sent = message("meanwhile");
    let viewed = json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [before] });
    for _ in 0..2 {
        let answer = ann
            .does("add", &conversation, json!({ "message": sent }))
            .await;
        answer.refused(503, "unavailable");
        assert!(
            answer.headers.contains_key("Retry-After") && !answer.text.contains("extend"),
            "{answer:?}"
        );
        ben.asks("chatreports", viewed.clone())
            .await
            .refused(503, "unavailable");
    }
    assert_eq!(
        ben.reads(&conversation).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(ben.hears().await, Changes::default());
    world.sql("drop function is_full cascade").await;
    ann.does("add", &conversation, json!({ "message": sent }))
        .await
        .ok();
    ben.asks("chatreports", viewed).await.ok();
    let history = ben.reads(&conversation).await;
    assert_eq!(
        (
            history["messages"].as_array().unwrap().len(),
            history["reports"].as_array().unwrap().len()
        ),
        (2, 1)
    );
    world.end().await;
}

#[tokio::test]
async fn several_nodes_may_migrate_an_empty_database_at_once() {
    let options = empty_database().await;
    let nodes = (0..4).map(|_| Db::new(options.clone(), 1));
    let results =
        futures_util::future::join_all(nodes.map(async |db| store::migrate(&db).await)).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(store::is_current(&Db::new(options, 1)).await.unwrap());
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_a_sentence() {
    let options = database().await;
    let db = Db::new(options.clone(), 1);
    sqlx::raw_sql(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99999999, 'tomorrow', true, '', 0)",
    )
    .execute(&sqlx::PgPool::connect_lazy_with(options.clone()))
    .await
    .unwrap();
    let sentence = store::migrate(&db).await.unwrap_err().to_string();
    assert!(
        sentence.contains("newer") && sentence.contains("99999999"),
        "{sentence}"
    );
}

#[tokio::test]
async fn an_uncertain_commit_is_announced_again_once_it_is_settled() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "prepared").await;
    ben.listens().await;
    ben.hears().await;
    proxy.lose_next_answer();
    ann.does(
        "add",
        &conversation,
        json!({ "message": message("committed?") }),
    )
    .await
    .refused(503, "unavailable");
    // Immediately, and again once the database would have stopped the statement.
    for _ in 0..2 {
        eventually("the doubt", async || {
            ben.hears().await.lists == [ben.user.clone()]
        })
        .await;
        assert_eq!(ben.hears().await, Changes::default());
    }
    world.end().await;
}
