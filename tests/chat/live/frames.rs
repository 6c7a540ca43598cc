//! Frames that clients send: typing, frames that are refused, and frames that end the socket.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{CloseCode, Data, OpCode},
    },
};

use crate::world::{Conversation, Socket, World};

fn typing(conversation: &Conversation) -> String {
    json!({ "action": "typing", "conversationid": conversation.id }).to_string()
}

#[tokio::test]
async fn typing_is_pushed_to_other_v4_sockets_once_a_second_and_never_stored() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let ben_elsewhere = ben.second_device().await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let (mut anns, mut bens, mut bens_old) = (
        Socket::of(&ann, 4).await,
        Socket::of(&ben, 4).await,
        Socket::of(&ben_elsewhere, 3).await,
    );
    for _ in 0..3 {
        anns.says(&typing(&conversation)).await;
    }
    let heard = bens.hears().await;
    assert_eq!(
        heard["typing"],
        json!([{ "conversationid": conversation.id, "userid": ann.user }])
    );
    anns.hears_nothing().await;
    bens.hears_nothing().await;
    bens_old.hears_nothing().await;
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn typing_at_many_stations_is_pushed_as_often_as_at_one() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let tablet = ann.second_device().await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let mut stations = [Socket::of(&ann, 4).await, Socket::of(&tablet, 4).await];
    let mut bens = Socket::of(&ben, 4).await;
    let by = |user: &str| json!([{ "conversationid": conversation.id, "userid": user }]);
    for _ in 0..2 {
        for station in &mut stations {
            station.says(&typing(&conversation)).await;
        }
        // Its frames were handled before its ping is answered.
        for station in &mut stations {
            station.drain().await;
        }
        assert_eq!(bens.hears().await["typing"], by(&ann.user));
        bens.hears_nothing().await;
        // Others have their own.
        bens.says(&typing(&conversation)).await;
        for station in &mut stations {
            assert_eq!(station.hears_about("typing").await, by(&ben.user));
        }
        world.clock.advance(Duration::from_secs(1));
    }
    world.end().await;
}

#[tokio::test]
async fn nonsense_in_a_frame_is_refused_and_the_socket_goes_on() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let mut cleos = Socket::of(&cleo, 4).await;
    let mut bens = Socket::of(&ben, 4).await;
    for (text, code) in [
        ("", "bad_request"),
        ("[]", "bad_request"),
        ("{}", "bad_request"),
        (r#"{"action":"dance"}"#, "unknown_action"),
        (r#"{"action":"typing"}"#, "bad_request"),
        (r#"{"action":"typing","conversationid":"x"}"#, "bad_request"),
        // A conversation of others, and one that does not exist.
        (&typing(&conversation), "conversation_not_found"),
        (
            &typing(&Conversation {
                id: "0".repeat(32),
                ..conversation.clone()
            }),
            "conversation_not_found",
        ),
    ] {
        cleos.says(text).await;
        let refusal = cleos.hears().await;
        assert_eq!(
            (&refusal["status"], &refusal["errorcode"]),
            (&json!("ERROR"), &json!(code)),
            "{text}"
        );
    }
    bens.hears_nothing().await;
    let mut published = Socket::of(&ann, 3).await;
    published.says(&typing(&conversation)).await;
    assert_eq!(published.hears().await["errorcode"], "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn frames_that_are_too_large_too_frequent_or_not_text_close_the_socket_with_their_code() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut large = Socket::of(&ann, 4).await;
    large.says(&"x".repeat(5000)).await;
    assert_eq!(large.ends().await, CloseCode::Size);
    let mut binary = Socket::open(&ann, 4).await;
    binary
        .stream
        .send(Message::Binary(vec![1].into()))
        .await
        .unwrap();
    assert_eq!(binary.ends().await, CloseCode::Unsupported);
    // Whole, and in two parts, each of which is valid except for the character that is cut.
    let text = |payload: &'static [u8], data, is_final| {
        Message::Frame(Frame::message(payload, OpCode::Data(data), is_final))
    };
    let parts = [
        vec![text(b"\xff", Data::Text, true)],
        vec![
            text(b"{\xc3", Data::Text, false),
            text(b"}", Data::Continue, true),
        ],
    ];
    for parts in parts {
        let mut invalid = Socket::open(&ann, 4).await;
        for part in parts {
            invalid.stream.send(part).await.unwrap();
        }
        assert_eq!(invalid.ends().await, CloseCode::Invalid);
    }
    let mut chatty = Socket::open(&ann, 4).await;
    for _ in 0..60 {
        let _ = chatty.stream.send(Message::text("{}")).await;
    }
    assert_eq!(chatty.ends().await, CloseCode::Library(4429));
    ann.lists().await.ok();
    world.end().await;
}
