//! Broken on purpose: the database away, its answers lost, its tables gone. The answer is still a
//! documented refusal, and nothing is lost.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parlance::{
    settings::Settings,
    store::{self, Db},
};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    embedded::{Dir, Server, parlance},
    proxy::behind_a_proxy,
    world::{News, World, database, empty_database, eventually, message, on},
};

fn still(settings: &mut Settings) {
    // Few connections, so that every statement is soon prepared on each.
    settings.database_connections = 2;
    // What is counted is what is asked for.
    settings.timings.heartbeat = Duration::from_hours(1);
}

#[tokio::test]
async fn while_the_database_is_away_one_is_told_so_and_afterwards_all_is_well() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, talk) = world.talk().await;
    let kept = ann.adds(&talk, "before").await;
    proxy.cut();
    for _ in 0..3 {
        let refused = ann
            .does("add", &talk, json!({ "message": message("lost?") }))
            .await;
        refused.is_refused(503, "unavailable");
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
    let after = ann.adds(&talk, "after").await;
    let history = ben.reads(&talk).await;
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
    let (ann, ben, talk) = world.talk().await;
    ann.adds(&talk, "prepared").await;
    ben.hears().await;
    ben.hears().await;
    let message = message("committed");
    proxy.lose_next_answer();
    ann.does("add", &talk, json!({ "message": message }))
        .await
        .is_refused(503, "unavailable");
    eventually("the commit", async || world.count("messages").await == 2).await;
    // Who listened is told to compare everything, as nobody knows whether it was stored.
    assert_eq!(ben.hears().await.lists, [ben.user.clone()]);
    ann.does("add", &talk, json!({ "message": message }))
        .await
        .is_ok();
    assert_eq!(
        ben.hears().await,
        News {
            conversations: vec![talk.id.clone()],
            ..News::default()
        }
    );
    assert_eq!(world.count("messages").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_database_that_falls_silent_holds_nobody_up_for_long() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, _ben, talk) = world.talk().await;
    ann.adds(&talk, "before").await;
    proxy.fall_silent();
    // A dead line is not found out sooner than a statement may last, but by one request only. Nobody waits for ever.
    let refused = timeout(Duration::from_mins(1), ann.does("mute", &talk, json!({})))
        .await
        .expect("an answer");
    refused.is_refused(503, "unavailable");
    timeout(Duration::from_mins(1), ann.adds(&talk, "after"))
        .await
        .expect("another connection");
    world.end().await;
}

#[tokio::test]
async fn each_read_and_each_flag_is_one_round_trip() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, talk) = world.talk().await;
    for n in 0..30 {
        let id = ann.adds(&talk, &n.to_string()).await;
        ben.views(&talk, &[id]).await.is_ok();
    }
    // Conversations by the dozen: the number must not matter.
    world
        .sql(&format!(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 100) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, u::uuid, '', '', 'admin', now() from generate_series(1, 100) n, unnest(array['{}', '{}']) u",
            ann.user, ben.user
        ))
        .await;
    for request in [
        json!({ "action": "list" }),
        json!({ "action": "list", "limit": 10, "after": "c4ca4238a0b923820dcc509a6f75849b" }),
        on("download", &talk, json!({})),
        on("downloadpartial", &talk, json!({})),
        on("favorite", &talk, json!({})),
        on("unfavorite", &talk, json!({})),
        on("mute", &talk, json!({})),
        on("unmute", &talk, json!({})),
        on("hide", &talk, json!({ "hideid": "AAAAAAAAAA;" })),
        on("hide", &talk, json!({})),
        on("unhide", &talk, json!({})),
        on(
            "setlistitembackgroundcolor",
            &talk,
            json!({ "color": "#bae1ff" }),
        ),
        on("add", &talk, json!({ "message": message("x") })),
    ] {
        // Once or twice to prepare the statement, on each connection; then it is one.
        let mut trips = vec![];
        for _ in 0..6 {
            let before = proxy.round_trips();
            let version = if request.get("after").is_some() { 4 } else { 3 };
            ann.asks_as(version, "chatconversation", request.clone())
                .await
                .is_ok();
            trips.push(proxy.round_trips() - before);
        }
        assert_eq!(trips[3..], [1, 1, 1], "{request}: {trips:?}");
    }
    let before = proxy.round_trips();
    ann.hears().await;
    assert_eq!(
        proxy.round_trips(),
        before,
        "notifications need no database"
    );
    world.end().await;
}

#[tokio::test]
async fn while_the_disk_is_full_one_is_told_so_and_what_is_there_can_be_read() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let before = ann.adds(&talk, "before").await;
    ben.hears().await;
    // What PostgreSQL answers when it cannot extend a file.
    world
        .sql(
            "create function is_full() returns trigger language plpgsql as
            $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
            create trigger is_full before insert on messages execute function is_full();
            create trigger is_full before insert on reports execute function is_full()",
        )
        .await;
    let sent = message("meanwhile");
    let viewed = json!({ "action": "viewed", "conversationid": talk.id, "instance": talk.instance, "messageids": [before] });
    for _ in 0..2 {
        let answer = ann.does("add", &talk, json!({ "message": sent })).await;
        answer.is_refused(503, "unavailable");
        assert!(
            answer.headers.contains_key("Retry-After") && !answer.text.contains("extend"),
            "{answer:?}"
        );
        ben.asks("chatreports", viewed.clone())
            .await
            .is_refused(503, "unavailable");
    }
    assert_eq!(
        ben.reads(&talk).await["messages"].as_array().unwrap().len(),
        1
    );
    assert_eq!(ben.hears().await, News::default());
    world.sql("drop function is_full cascade").await;
    ann.does("add", &talk, json!({ "message": sent }))
        .await
        .is_ok();
    ben.asks("chatreports", viewed).await.is_ok();
    let history = ben.reads(&talk).await;
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
async fn a_fault_of_ours_leaks_nothing() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    ann.hears().await;
    world.sql("alter table messages rename to elsewhere").await;
    for request in [
        on("add", &talk, json!({ "message": message("x") })),
        on("download", &talk, json!({})),
        on("downloadpartial", &talk, json!({})),
    ] {
        let answer = ann.asks("chatconversation", request).await;
        answer.is_refused(500, "internal");
        assert!(
            !answer.text.contains("messages") && !answer.text.contains("relation"),
            "{}",
            answer.text
        );
    }
    // What was refused was not done: nobody has to compare anything.
    assert_eq!(ann.hears().await, News::default());
    world.sql("alter table elsewhere rename to messages").await;
    ann.adds(&talk, "well again").await;
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
    let sentence = store::migrate(&db).await.unwrap_err();
    assert!(
        sentence.contains("newer") && sentence.contains("99999999"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_holds_nobody_up() {
    use std::io::Write;
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let slow: Vec<_> = (0..50)
        .map(|n| {
            let mut socket = std::net::TcpStream::connect(world.url.trim_start_matches("http://")).unwrap();
            let head =
                ["", "POST / HTTP/1.1\r\nHost:", "POST /?srv=chatserver&api=chatlogin HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"];
            socket.write_all(head[n % 3].as_bytes()).unwrap();
            socket
        })
        .collect();
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    drop(slow);
    world.end().await;
}

#[tokio::test]
async fn ten_thousand_connections_that_say_nothing_are_closed_and_hold_nobody_up() {
    use tokio::{io::AsyncReadExt, net::TcpStream};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    // Where the machine does not allow a process so many files, as many as it does.
    let count = most.saturating_sub(1000).min(10_000);
    let dir = Dir::new();
    let server = Server::start_as(parlance(&dir.data()).env("REGISTRATION", "open"));
    let world = World::at(&server.url, sqlx::postgres::PgConnectOptions::new());
    let ann = world.person("Ann").await;
    let address = world.url.trim_start_matches("http://").to_owned();
    let mut silent = vec![];
    for _ in 0..count {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    // The server gives up on them; whatever it says before, the end comes by itself.
    let mut rest = Vec::new();
    for mut connection in silent {
        let closed = timeout(Duration::from_mins(1), connection.read_to_end(&mut rest)).await;
        assert!(closed.is_ok());
    }
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    server.stop();
}

#[tokio::test]
async fn what_may_yet_be_committed_is_announced_once_more_when_it_is_decided() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, talk) = world.talk().await;
    ann.adds(&talk, "prepared").await;
    ben.listens().await;
    ben.hears().await;
    proxy.lose_next_answer();
    ann.does("add", &talk, json!({ "message": message("committed?") }))
        .await
        .is_refused(503, "unavailable");
    // At once; and again after the time in which the database would have stopped the statement.
    for _ in 0..2 {
        eventually("the doubt", async || {
            ben.hears().await.lists == [ben.user.clone()]
        })
        .await;
        assert_eq!(ben.hears().await, News::default());
    }
    world.end().await;
}
