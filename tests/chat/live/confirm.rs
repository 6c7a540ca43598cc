//! A push counts as received once the station has confirmed it; one that may be lost is made up
//! for.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;

use crate::world::{Changes, Socket, World, eventually};

#[tokio::test]
async fn the_first_frame_is_what_is_pending_and_a_push_clears_it() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ben.listens().await;
    ann.adds(&conversation, "before").await;
    let mut socket = Socket::open(&ben, 3).await;
    assert_eq!(
        socket.hears().await["conversationchangedof"],
        json!([conversation.id])
    );
    ann.adds(&conversation, "while").await;
    socket.hears().await;
    assert_eq!(ben.hears().await, Changes::default());
    world.end().await;
}

#[tokio::test]
async fn a_socket_that_ends_may_have_lost_its_last_push() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let socket = Socket::of(&ben, 3).await;
    ann.adds(&conversation, "pushed into the void").await;
    drop(socket);
    eventually("the end of the socket", async || {
        ben.hears().await.lists == [ben.user.clone()]
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_push_confirmed_by_a_pong_is_not_repeated() {
    let world = World::with(|settings| settings.timings.ping = Duration::from_secs(1)).await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut socket = Socket::of(&ben, 3).await;
    ann.adds(&conversation, "pushed and read").await;
    socket.hears().await;
    // Reading the server's ping also answers it.
    socket.is_pinged().await;
    socket.drain().await;
    socket.stream.close(None).await.unwrap();
    while socket.stream.next().await.is_some() {}
    assert_eq!(ben.hears().await, Changes::default());
    world.end().await;
}

#[tokio::test]
async fn the_answer_to_a_ping_that_was_sent_before_a_push_does_not_confirm_it() {
    let world = World::with(|settings| settings.timings.ping = Duration::from_secs(5)).await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut socket = Socket::of(&ben, 3).await;
    // A ping is read, but not yet answered: the answer goes out with the next read or write.
    socket.is_pinged().await;
    ann.adds(&conversation, "pushed after the ping").await;
    let MaybeTlsStream::Plain(line) = socket.stream.get_ref() else {
        panic!("a socket without TLS")
    };
    timeout(Duration::from_secs(10), line.peek(&mut [0; 1]))
        .await
        .expect("the push has come")
        .unwrap();
    socket.stream.flush().await.unwrap();
    // The server has read the answer, because it answered a later frame.
    socket.drain().await;
    drop(socket);
    eventually("the end of the socket", async || {
        ben.hears().await.lists == [ben.user.clone()]
    })
    .await;
    world.end().await;
}
