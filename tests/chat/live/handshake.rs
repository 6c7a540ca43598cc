//! The handshake of a socket: authentication, limits and addresses.

use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, protocol::frame::coding::CloseCode};

use crate::world::{Person, Socket, World, address, at, eventually, now};

#[tokio::test]
async fn login_names_the_socket_and_it_is_there() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let body = json!({ "action": "login", "apikey": "the apikey of Ann" }).to_string();
    let login = world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-Station", &ann.station)],
            &body,
        )
        .await
        .ok();
    let named = login["listeners"]["ws"].as_str().unwrap();
    assert_eq!(named, format!("{}/ws", world.url.replace("http", "ws")));
    assert!(address(&ann, 3, &now()).starts_with(named));
    Socket::of(&ann, 3).await;
    world.end().await;
}

#[tokio::test]
async fn a_station_that_connects_again_takes_the_place_of_its_old_socket() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut old = Socket::of(&ben, 3).await;
    let mut new = Socket::of(&ben, 3).await;
    assert_eq!(old.ends().await, CloseCode::Policy);
    ann.adds(&conversation, "x").await;
    assert_eq!(
        new.hears().await["conversationchangedof"],
        json!([conversation.id])
    );
    world.end().await;
}

#[tokio::test]
async fn who_signs_out_again_and_again_costs_nobody_else_a_handshake() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let sign_out = json!({ "action": "signout", "stationid": "ab".repeat(16) });
    let flood = async {
        loop {
            ann.asks_as(4, "chatlogin", sign_out.clone()).await;
        }
    };
    let handshakes = async {
        for _ in 0..50 {
            tokio_tungstenite::connect_async(address(&ben, 3, &now()))
                .await
                .unwrap();
        }
    };
    tokio::select! {
        () = handshakes => {}
        () = flood => {}
    }
    world.end().await;
}

#[tokio::test]
async fn a_handshake_is_refused_like_any_request() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let forged = Person {
        key: ben.key.clone(),
        ..ann.clone()
    };
    let unknown = Person {
        station: "ab".repeat(16),
        ..ann.clone()
    };
    let good = address(&ann, 3, &now());
    for (url, status, code) in [
        (address(&forged, 3, &now()), 401, "signature_invalid"),
        (address(&unknown, 3, &now()), 401, "unknown_station"),
        (
            address(&ann, 3, &at(chrono::TimeDelta::hours(-1))),
            401,
            "timestamp_out_of_range",
        ),
        (address(&ann, 3, "yesterday"), 400, "bad_request"),
        (good.replace("signature=", "x="), 401, "signature_missing"),
        (good.replace("station=", "x="), 401, "signature_missing"),
        (good.replace("user=", "user=zz"), 400, "bad_request"),
        (
            good.replace("clientversioncode=3", "clientversioncode=x"),
            400,
            "bad_request",
        ),
    ] {
        let path = url.split_once("/ws").unwrap().1;
        world
            .sends("GET", &format!("/ws{path}"))
            .await
            .refused(status, code);
        assert!(
            matches!(tokio_tungstenite::connect_async(&url).await, Err(Error::Http(answer)) if answer.status() == status)
        );
    }
    // A valid signature, but not a handshake.
    let path = good.split_once("/ws").unwrap().1;
    world
        .sends("GET", &format!("/ws{path}"))
        .await
        .refused(400, "bad_request");
    world
        .sends("POST", &format!("/ws{path}"))
        .await
        .refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn sockets_of_a_user_and_of_a_node_are_limited() {
    let world = World::with(|settings| {
        settings.sockets_per_user = 2;
        settings.sockets = 3;
    })
    .await;
    let (ann, ben, cleo) = (
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
    );
    let mut sockets = vec![
        Socket::of(&ann, 3).await,
        Socket::of(&ann.second_device().await, 3).await,
    ];
    let refused =
        async |person: &Person| match tokio_tungstenite::connect_async(address(person, 3, &now()))
            .await
        {
            Err(Error::Http(answer)) => (
                answer.status().as_u16(),
                answer.headers().contains_key("Retry-After"),
            ),
            other => panic!("{other:?}"),
        };
    assert_eq!(refused(&ann.second_device().await).await, (429, true));
    sockets.push(Socket::of(&ben, 3).await);
    assert_eq!(refused(&cleo).await, (429, true));
    drop(sockets.pop());
    eventually("room", async || {
        tokio_tungstenite::connect_async(address(&cleo, 3, &now()))
            .await
            .is_ok()
    })
    .await;
    world.end().await;
}
