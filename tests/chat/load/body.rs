//! Request bodies: slow ones, large ones, and those of strangers.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Roster, World, eventually};

/// Sends a large body except for its last byte, as the user in the headers.
async fn almost(world: &World, headers: &str, declared: usize, sent: usize) -> TcpStream {
    let mut connection = world.connection().await;
    let head = format!(
        "POST /?srv=chatserver&api=chatconversation HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {declared}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // It may be refused before its end.
    let _ = connection.write_all(&vec![b'x'; sent]).await;
    connection
}

/// The status of the answer.
async fn status(connection: &mut TcpStream) -> String {
    let mut text = [0; 12];
    match tokio::time::timeout(Duration::from_secs(30), connection.read_exact(&mut text))
        .await
        .expect("an answer")
    {
        Ok(_) => String::from_utf8_lossy(&text[9..]).into_owned(),
        Err(_) => "closed".into(),
    }
}

#[tokio::test]
async fn slow_bodies_of_strangers_hold_nobody_up() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    // More than a stranger may send, and as much as one may.
    let mut refused = join_all((0..20).map(|_| almost(&world, "", 1 << 20, 1 << 20))).await;
    let _slow = join_all((0..200).map(|_| almost(&world, "", 64 << 10, (64 << 10) - 1))).await;
    let large = "A".repeat(60_000);
    for _ in 0..10 {
        ann.adds(&conversation, &large).await;
        ben.adds(&conversation, "small").await;
    }
    assert_eq!(status(&mut refused[0]).await, "413");
    world.end().await;
}

#[tokio::test]
async fn slow_bodies_in_the_name_of_a_user_use_up_their_share_there() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let posing = format!(
        "Ozeki-User: {}\r\nOzeki-Station: {}\r\n",
        ann.user, ann.station
    );
    let mut slow = join_all((0..12).map(|_| almost(&world, &posing, 1 << 20, (1 << 20) - 1))).await;
    // A third at most fits her share; the others are refused at once.
    let refused: Vec<String> = slow
        .iter_mut()
        .map(status)
        .collect::<FuturesUnordered<_>>()
        .take(8)
        .collect()
        .await;
    assert_eq!(refused, ["429"; 8]);
    // Others at the same address can still send large ones, and she small ones.
    ben.adds(&conversation, &"A".repeat(60_000)).await;
    ann.adds(&conversation, "small").await;
    drop(slow);
    eventually("her share", async || {
        let message = crate::world::message(&"A".repeat(60_000)).to_string();
        ann.does("add", &conversation, json!({ "message": message }))
            .await
            .status
            == 200
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn only_users_who_are_known_send_large_bodies_and_logins_are_small() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    let large = "x".repeat(70_000);
    for (user, station) in [
        (&*ann.user, "ab".repeat(16)),
        (&"ab".repeat(16), ann.station.clone()),
    ] {
        let headers = [
            ("Ozeki-User", user),
            ("Ozeki-Station", &*station),
            ("Ozeki-Signature", "AAAA"),
        ];
        world
            .posts("chatserver", "chatconversation", &headers, &large)
            .await
            .refused(413, "too_large");
    }
    let login = json!({ "action": "login", "apikey": "x".repeat(33_000) }).to_string();
    world
        .posts("chatserver", "chatlogin", &[], &login)
        .await
        .refused(413, "too_large");
    // Without a declared length, too.
    let mut connection = world.connection().await;
    let head = "POST /?srv=chatserver&api=chatconversation HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection
        .write_all(format!("{head}{:x}\r\n", large.len()).as_bytes())
        .await
        .unwrap();
    let _ = connection.write_all(large.as_bytes()).await;
    assert_eq!(status(&mut connection).await, "413");
    ann.adds(&conversation, "x").await;
    world.end().await;
}

#[tokio::test]
async fn a_large_body_that_stops_is_given_up_however_much_of_it_came() {
    let world = World::with(|settings| {
        settings.timings.body_timeout = Duration::from_mins(5);
        settings.timings.body_silence = Duration::from_millis(500);
    })
    .await;
    let (ann, _, conversation) = world.conversation().await;
    let known = format!(
        "Ozeki-User: {}\r\nOzeki-Station: {}\r\n",
        ann.user, ann.station
    );
    let mut large = almost(&world, &known, 500_000, 400_000).await;
    assert_eq!(status(&mut large).await, "408");
    ann.adds(&conversation, "x").await;
    world.end().await;
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let world = World::with(|settings| {
        settings.timings.body_timeout = Duration::from_secs(2);
        settings.timings.body_silence = Duration::from_mins(5);
    })
    .await;
    let (ann, _, conversation) = world.conversation().await;
    let mut small = almost(&world, "", 1000, 500).await;
    let known = format!(
        "Ozeki-User: {}\r\nOzeki-Station: {}\r\n",
        ann.user, ann.station
    );
    let mut slow = almost(&world, &known, 500_000, 20_000).await;
    let mut answer = vec![];
    small.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("incomplete_body"),
        "{answer}"
    );
    // A body that continues, but far too slowly.
    let given_up = async {
        while slow.write_all(b"x").await.is_ok() {
            // One byte for each answer to somebody else.
            world.sends("GET", "/healthz").await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), given_up)
        .await
        .expect("an end");
    ann.adds(&conversation, "x").await;
    world.end().await;
}

#[tokio::test]
async fn a_body_with_thousands_of_secrets_counts_until_its_request_is_done() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.has_card().await;
    let (conversation, first) = ann.creates_with_epoch(&ben).await;
    let mut lock = world.db.acquire().await.unwrap();
    let hold = format!(
        "begin; select from conversations where conversation_id = '{}' for update",
        conversation.id
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(hold))
        .execute(&mut *lock)
        .await
        .unwrap();
    let (mut request, _) = ann.rekeying(&conversation, Some(&first), &Roster::default());
    request["padding"] = "x".repeat(3 << 20).into();
    let large = ann.signed_request(4, "chatconversation", request.clone());
    let mut connection = world.connection().await;
    connection.write_all(&large).await.unwrap();
    world.blocked_process().await;
    // Another one of hers is refused, but not a small one, nor one of another user.
    let again = ann.signed_request(4, "chatconversation", request);
    let mut refused = world.connection().await;
    let _ = refused.write_all(&again).await;
    assert_eq!(status(&mut refused).await, "429");
    ann.lists().await.ok();
    sqlx::raw_sql("rollback").execute(&mut *lock).await.unwrap();
    drop(lock);
    assert_eq!(status(&mut connection).await, "200");
    world.end().await;
}
