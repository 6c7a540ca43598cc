//! Sockets of v4 clients: the signature outside the URL, pings, and close codes.

use futures_util::StreamExt;
use parlance_wire::{id::UserId, time::Timestamp};
use serde_json::json;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, client::IntoClientRequest, handshake::client::Response,
        protocol::frame::coding::CloseCode,
    },
};

use crate::world::{Person, Socket, World, address, handshake, now, operator};

type Request = tokio_tungstenite::tungstenite::handshake::client::Request;

async fn opens(request: Request) -> (Socket, Response) {
    let (stream, response) = connect_async(request).await.unwrap();
    (Socket { stream }, response)
}

async fn refused(request: Request) -> (u16, String) {
    match connect_async(request).await {
        Err(Error::Http(answer)) => {
            let body = answer.body().clone().unwrap_or_default();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let code = body["errorcode"].as_str().unwrap().to_owned();
            (answer.status().as_u16(), code)
        }
        other => panic!("{other:?}"),
    }
}

/// A handshake whose URL carries a nonce and the signature.
fn in_url(person: &Person, version: i64, nonce: &str) -> Request {
    let (time, url) = (now(), |signed: &str| address(person, version, signed));
    let signed = url(&format!("{time}\n{nonce}"));
    let stamp = |text: &str| text.replace(' ', "%20");
    signed
        .replace(&stamp(&format!("{time}\n{nonce}")), &stamp(&time))
        .replace("&signature", &format!("&nonce={nonce}&signature"))
        .into_client_request()
        .unwrap()
}

#[tokio::test]
async fn a_signature_among_the_protocols_opens_a_socket_once() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let request = handshake(&ann, &now(), "n1");
    assert!(!request.uri().to_string().contains("signature"));
    let (mut socket, response) = opens(request.clone()).await;
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "parlance");
    assert_eq!(
        socket.hears().await["conversationlistchangedof"],
        json!([ann.user])
    );
    assert_eq!(refused(request).await, (409, "replayed".into()));
    // The thief did not even end the owner's socket.
    socket.hears_nothing().await;
    // Not the signed nonce.
    let mut other = handshake(&ann, &now(), "n2");
    *other.uri_mut() = other.uri().to_string().replace("n2", "n3").parse().unwrap();
    assert_eq!(refused(other).await, (401, "signature_invalid".into()));
    let long = handshake(&ann, &now(), &"n".repeat(65));
    assert_eq!(refused(long).await, (400, "bad_request".into()));
    opens(handshake(&ann, &now(), &"n".repeat(64))).await;
    world.end().await;
}

#[tokio::test]
async fn a_nonce_in_the_url_is_valid_once_and_older_clients_have_none() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let request = in_url(&ann, 4, "n1");
    let (mut socket, response) = opens(request.clone()).await;
    assert!(!response.headers().contains_key("Sec-WebSocket-Protocol"));
    assert_eq!(refused(request).await, (409, "replayed".into()));
    socket.hears().await;
    let published = address(&ann, 3, &now()).into_client_request().unwrap();
    for _ in 0..2 {
        opens(published.clone()).await;
    }
    // Nor does its address open a socket of version 4, whoever reads it in a log.
    let newer = address(&ann, 3, &now()).replace("clientversioncode=3", "clientversioncode=4");
    let newer = newer.into_client_request().unwrap();
    assert_eq!(refused(newer).await, (400, "bad_request".into()));
    // An older client does not sign a nonce.
    assert_eq!(
        refused(in_url(&ann, 3, "n2")).await,
        (401, "signature_invalid".into())
    );
    world.end().await;
}

#[tokio::test]
async fn a_ping_is_answered_with_the_servers_time() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut socket = Socket::of(&ann, 4).await;
    socket.says(r#"{"action":"ping"}"#).await;
    let answer = socket.hears().await;
    assert!(Timestamp::parse(answer["pong"].as_str().unwrap()).is_some());
    let mut published = Socket::of(&ann.second_device().await, 3).await;
    published.says(r#"{"action":"ping"}"#).await;
    assert_eq!(published.hears().await["errorcode"], "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn the_code_of_an_end_tells_a_v4_client_what_to_do() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut old = Socket::of(&ann, 4).await;
    let mut new = Socket::of(&ann, 4).await;
    assert_eq!(old.ends().await, CloseCode::Library(4409));
    for _ in 0..60 {
        new.says(r#"{"action":"ping"}"#).await;
    }
    assert_eq!(new.ends().await, CloseCode::Library(4429));
    while new.stream.next().await.is_some() {}
    let mut last = Socket::open(&ann, 4).await;
    let user = UserId::parse(&ann.user).unwrap();
    parlance::store::user::set_disabled(&world.store, user, true, &operator(), Timestamp::now())
        .await
        .unwrap();
    assert_eq!(last.ends().await, CloseCode::Library(4403));
    world.end().await;
}
