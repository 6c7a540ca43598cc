//! Answers that are not read.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use super::fill;
use crate::world::{World, eventually, request};

/// A connection with small buffers, so that unread data stays with the server.
async fn narrow(world: &World) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
        .connect(world.url.trim_start_matches("http://").parse().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_refused_more_and_everyone_else_is_served() {
    let world =
        World::with(|settings| settings.timings.write_timeout = Duration::from_secs(12)).await;
    let (ann, ben, conversation) = world.conversation().await;
    fill(&ann, &conversation).await;
    let page = ann.signed_request(
        4,
        "chatconversation",
        request("download", &conversation, json!({})),
    );
    let mut silent = vec![];
    // As many as needed: a request that waits too long for its turn is refused, and holds nothing.
    eventually("a refusal", async || {
        let mut connection = narrow(&world).await;
        connection.write_all(&page).await.unwrap();
        silent.push(connection);
        silent.len() >= 8 && ann.reads_page(&conversation).await == 429
    })
    .await;
    // Ben, who reads his answers, is served; and small answers are given to everyone.
    for _ in 0..5 {
        assert_eq!(
            ben.reads(&conversation).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            70
        );
        ben.adds(&conversation, "meanwhile").await;
        ann.lists_friends().await.ok();
    }
    // A peer that accepts nothing is dropped after a while, and its share is released.
    eventually("room", async || ann.reads_page(&conversation).await == 200).await;
    drop(silent);
    world.end().await;
}

#[tokio::test]
async fn a_completed_change_is_answered_however_much_its_user_leaves_unread() {
    // A client that reads nothing must not be dropped meanwhile.
    let world =
        World::with(|settings| settings.timings.write_timeout = Duration::from_mins(5)).await;
    let (ann, _, conversation) = world.conversation().await;
    fill(&ann, &conversation).await;
    // A group so large that its answers exceed the size that is always sent.
    world
        .sql(&format!(
            "update conversations set is_group = true; update participants set peer_id = null, role = 'admin';
            insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5(n::text)::uuid, n || '@example.org', 'Member', 'Member ' || n, '', '', now() from generate_series(1, 400) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select '{}', md5(n::text)::uuid, '', '', 'member', now() from generate_series(1, 400) n",
            conversation.id
        ))
        .await;
    let page = ann.signed_request(
        4,
        "chatconversation",
        request("download", &conversation, json!({})),
    );
    let mut silent = vec![];
    // As many as needed: a request that waits too long for its turn is refused, and holds nothing.
    eventually("a refusal", async || {
        let mut connection = narrow(&world).await;
        connection.write_all(&page).await.unwrap();
        silent.push(connection);
        silent.len() >= 8 && ann.reads_page(&conversation).await == 429
    })
    .await;
    let muted = ann.does("mute", &conversation, json!({})).await;
    assert!(
        muted.ok()["conversation"]["properties"][0]["ismuted"] == true
            && muted.text.len() > 16 << 10
    );
    let cleared = ann.does("clear", &conversation, json!({})).await;
    assert!(
        cleared.ok()["conversation"]["instance"] != conversation.instance.as_str()
            && cleared.text.len() > 16 << 10
    );
    assert_eq!(ann.reads_page(&conversation).await, 409);
    drop(silent);
    world.end().await;
}

#[tokio::test]
async fn invitations_are_read_as_lists_are_few_at_a_time_for_each_user() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let waiting = async || -> i64 {
        let waiting = "select count(*) from pg_locks where relation = 'invitations'::regclass and not granted";
        sqlx::query_scalar(waiting)
            .fetch_one(&world.db)
            .await
            .unwrap()
    };
    let mut lock = world.db.begin().await.unwrap();
    sqlx::raw_sql("lock table invitations in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let asked = join_all((0..8).map(|_| {
        ann.asks_as(
            4,
            "chatconversationgroup",
            json!({ "action": "invitations" }),
        )
    }));
    let meanwhile = async {
        eventually("her requests", async || waiting().await >= 2).await;
        // All requests share four database connections.
        for _ in 0..5 {
            ben.lists_friends().await.ok();
        }
        let waiting = waiting().await;
        lock.rollback().await.unwrap();
        waiting
    };
    let (answers, waiting) = tokio::join!(asked, meanwhile);
    assert_eq!(waiting, 2);
    assert!(
        answers
            .iter()
            .all(|answer| [200, 429].contains(&answer.status)),
        "{answers:?}"
    );
    world.end().await;
}
