//! The answer to a poll is repeated until the station shows that it has it.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Changes, Person, World, eventually};

/// Polls and loses the answer: disconnects at once, or once it has arrived.
async fn loses_a_poll(person: &Person, version: i64, waits: bool) {
    let mut connection = person.world.connection().await;
    connection
        .write_all(&person.signed_request(
            version,
            "chatnotification",
            json!({ "action": "download" }),
        ))
        .await
        .unwrap();
    if waits {
        connection.readable().await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_poll_is_repeated() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ben.listens().await;
    for round in 0..20 {
        ann.adds(&conversation, &round.to_string()).await;
        for _ in 0..=round % 2 {
            loses_a_poll(&ben, 3 + round % 2, round % 3 > 0).await;
        }
        // The lost poll may be answered after this one.
        let told = async || ben.hears().await.conversations == [conversation.id.clone()];
        eventually("the news", told).await;
        eventually("quiet", async || ben.hears().await == Changes::default()).await;
    }
    world.end().await;
}

/// Sends a request on a connection. Returns the answer's body.
async fn asks_on(connection: &mut TcpStream, request: &[u8]) -> Value {
    connection.write_all(request).await.unwrap();
    let mut answer = vec![];
    let mut piece = [0; 4096];
    loop {
        let n = connection.read(&mut piece).await.unwrap();
        assert!(n > 0, "an answer");
        answer.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(json) = serde_json::from_str::<Value>(body)
        {
            return json;
        }
    }
}

#[tokio::test]
async fn the_next_request_on_a_connection_shows_that_the_answer_before_arrived() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ben.listens().await;
    ben.hears().await;
    let poll = ben.signed_request(3, "chatnotification", json!({ "action": "download" }));
    let (mut own, mut other) = (world.connection().await, world.connection().await);
    for (round, next) in [
        poll.clone(),
        ben.signed_request(3, "chatfriends", json!({ "action": "list" })),
    ]
    .iter()
    .enumerate()
    {
        ann.adds(&conversation, &round.to_string()).await;
        // A poll on another connection gets it again, as it may have been lost.
        assert_eq!(
            asks_on(&mut own, &poll).await["conversationchangedof"],
            json!([conversation.id])
        );
        assert_eq!(
            asks_on(&mut other, &poll).await["conversationchangedof"],
            json!([conversation.id])
        );
        asks_on(&mut other, next).await;
        assert_eq!(
            asks_on(&mut own, &poll).await["conversationchangedof"],
            json!([])
        );
    }
    world.end().await;
}

#[tokio::test]
async fn an_acknowledged_answer_is_not_repeated() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ben.listens().await;
    let poll = |fields: Value| ben.signed_request(4, "chatnotification", fields);
    // Each on a connection of its own, as behind a proxy.
    let asks = async |request: Vec<u8>| asks_on(&mut world.connection().await, &request).await;
    ben.hears().await;
    ann.adds(&conversation, "x").await;
    let first = asks(poll(json!({ "action": "download" }))).await;
    let again = asks(poll(
        json!({ "action": "download", "received": "ab".repeat(16) }),
    ))
    .await;
    for told in [&first, &again] {
        assert_eq!(told["conversationchangedof"], json!([conversation.id]));
    }
    assert_ne!(first["receipt"], again["receipt"]);
    // An answer to a v3 client has no receipt.
    assert!(
        asks(ben.signed_request(3, "chatnotification", json!({ "action": "download" })))
            .await
            .get("receipt")
            .is_none()
    );
    let newest = asks(poll(json!({ "action": "download" }))).await;
    let quiet = asks(poll(
        json!({ "action": "download", "received": newest["receipt"] }),
    ))
    .await;
    assert_eq!(quiet["conversationchangedof"], json!([]));
    // Fetching it confirms it as well.
    ann.adds(&conversation, "y").await;
    assert_eq!(
        asks(poll(json!({ "action": "download" }))).await["conversationchangedof"],
        json!([conversation.id])
    );
    asks(ben.signed_request(
        4,
        "chatconversation",
        crate::world::request("download", &conversation, json!({})),
    ))
    .await;
    assert_eq!(
        asks(poll(json!({ "action": "download" }))).await["conversationchangedof"],
        json!([])
    );
    // The list, for a client that has no invitations to fetch.
    ann.does("clear", &conversation, json!({})).await.ok();
    for (version, is_told_again) in [(4, true), (3, false)] {
        assert_eq!(
            asks(poll(json!({ "action": "download" }))).await["conversationlistchangedof"],
            json!([ben.user])
        );
        asks(ben.signed_request(version, "chatconversation", json!({ "action": "list" }))).await;
        let again = asks(poll(json!({ "action": "download" }))).await;
        assert_eq!(
            again["conversationlistchangedof"] == json!([ben.user]),
            is_told_again,
            "{version}"
        );
    }
    let wrong = asks(poll(json!({ "action": "download", "received": "x" }))).await;
    assert_eq!(wrong["errorcode"], "bad_request");
    world.end().await;
}

#[tokio::test]
async fn behind_a_proxy_the_next_request_on_a_connection_shows_nothing() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ben.listens().await;
    ben.hears().await;
    ann.adds(&conversation, "x").await;
    let body =
        json!({ "action": "download", "clientversioncode": 3, "timestamp": crate::world::now() })
            .to_string();
    let signature = ben.signs("chatserver", "chatnotification", &body);
    for header in [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=203.0.113.9"),
        ("Via", "1.1 proxy"),
    ] {
        let headers = [
            ("Ozeki-User", &*ben.user),
            ("Ozeki-Station", &*ben.station),
            ("Ozeki-Signature", &*signature),
            header,
        ];
        let told = world
            .posts("chatserver", "chatnotification", &headers, &body)
            .await
            .ok();
        assert_eq!(
            told["conversationchangedof"],
            json!([conversation.id]),
            "{header:?}"
        );
    }
    // The same client, without a proxy.
    assert_eq!(ben.hears().await.conversations, [conversation.id]);
    assert_eq!(ben.hears().await, Changes::default());
    world.end().await;
}
