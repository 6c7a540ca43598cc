//! Notifications may be repeated, but never left out.

use serde_json::json;

use crate::world::{Changes, Person, World, message};

#[tokio::test]
async fn a_station_is_told_to_resync_before_it_is_told_of_changes() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let second_device = ben.second_device().await;
    for person in [&ben, &second_device] {
        person.listens().await;
        assert_eq!(person.hears().await, Changes::default());
    }
    for n in 0..3 {
        ann.adds(&conversation, &n.to_string()).await;
    }
    for person in [&ben, &second_device] {
        assert_eq!(
            person.hears().await,
            Changes {
                conversations: vec![conversation.id.clone()],
                ..Changes::default()
            }
        );
        assert_eq!(person.hears().await, Changes::default());
    }
    world.end().await;
}

#[tokio::test]
async fn a_writers_own_other_stations_hear_too_and_strangers_do_not() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let (second_device, cleo) = (ann.second_device().await, world.person("Cleo").await);
    second_device.listens().await;
    cleo.listens().await;
    ann.adds(&conversation, "x").await;
    assert_eq!(second_device.hears().await.conversations, [conversation.id]);
    assert_eq!(cleo.hears().await, Changes::default());
    world.end().await;
}

#[tokio::test]
async fn a_refusal_notifies_nobody() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let first = message("x");
    ann.does("add", &conversation, json!({ "message": first }))
        .await
        .ok();
    ben.listens().await;
    let mut other = first;
    other["Data"] = "y".into();
    ann.does("add", &conversation, json!({ "message": other }))
        .await
        .refused(409, "message_id_conflict");
    ann.does(
        "add",
        &crate::world::Conversation {
            instance: "AAAAAAAAAA".into(),
            ..conversation
        },
        json!({ "message": message("z") }),
    )
    .await
    .refused(409, "stale_instance");
    assert_eq!(ben.hears().await, Changes::default());
    world.end().await;
}

#[tokio::test]
async fn unsigned_polling_is_off_unless_the_operator_allows_it() {
    let poll =
        json!({ "action": "download", "clientversioncode": 3, "timestamp": crate::world::now() })
            .to_string();
    let closed = World::new().await;
    let ann = closed.person("Ann").await;
    closed
        .posts(
            "chatserver",
            "chatnotification",
            &[("Ozeki-Station", &ann.station)],
            &poll,
        )
        .await
        .refused(401, "signature_missing");
    closed.end().await;

    let world = World::with(|settings| settings.allow_unsigned_notifications = true).await;
    let (ann, ben, conversation) = world.conversation().await;
    let polls = async |station: &str, body: &str| {
        world
            .posts(
                "chatserver",
                "chatnotification",
                &[("Ozeki-Station", station)],
                body,
            )
            .await
    };
    assert_eq!(
        polls(&ben.station, &poll).await.ok()["conversationlistchangedof"],
        json!([ben.user])
    );
    ann.adds(&conversation, "x").await;
    assert_eq!(
        polls(&ben.station, &poll).await.ok()["conversationchangedof"],
        json!([conversation.id])
    );
    polls(&"ef".repeat(16), &poll)
        .await
        .refused(401, "unknown_station");
    let late = json!({ "action": "download", "timestamp": crate::world::at(chrono::TimeDelta::hours(-1)) }).to_string();
    polls(&ben.station, &late)
        .await
        .refused(401, "timestamp_out_of_range");
    // Nothing else is answered without a signature.
    world
        .posts(
            "chatserver",
            "chatconversation",
            &[("Ozeki-Station", &ben.station)],
            &json!({ "action": "list" }).to_string(),
        )
        .await
        .refused(401, "signature_missing");
    world.end().await;
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_is_announced_all_the_same() {
    use std::io::Write;
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ben.listens().await;
    for n in 0..20 {
        let body = crate::world::request(
            "add",
            &conversation,
            json!({ "message": message(&n.to_string()), "timestamp": crate::world::now() }),
        )
        .to_string();
        let mut socket =
            std::net::TcpStream::connect(world.url.trim_start_matches("http://")).unwrap();
        write!(
            socket,
            "POST /?srv=chatserver&api=chatconversation HTTP/1.1\r\nHost: x\r\nOzeki-User: {}\r\nOzeki-Station: {}\r\nOzeki-Signature: {}\r\nContent-Length: {}\r\n\r\n{body}",
            ann.user, ann.station, ann.signs("chatserver", "chatconversation", &body), body.len()
        )
        .unwrap();
        // It disconnects before the answer, and sometimes before the work.
        for _ in 0..n {
            world.sends("GET", "/healthz").await;
        }
        drop(socket);
    }
    // A client that resyncs once and then only listens holds everything.
    let mut held = 0;
    crate::world::eventually("quiet", async || {
        let heard = ben.hears().await.conversations.contains(&conversation.id);
        if heard {
            held = ben.reads(&conversation).await["messages"]
                .as_array()
                .unwrap()
                .len();
        }
        let there = usize::try_from(world.count("messages").await).unwrap();
        !heard && held == there && there > 0
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn unsigned_polls_of_stations_that_nobody_has_are_limited_by_the_address() {
    let world = World::with(|settings| {
        settings.allow_unsigned_notifications = true;
        settings.bad_signatures = 3;
    })
    .await;
    let ann = world.person("Ann").await;
    // She signs, and is known here.
    ann.lists().await.ok();
    let poll = json!({ "action": "download", "timestamp": crate::world::now() }).to_string();
    let polls = async |station: &str| {
        let headers = [("Ozeki-Station", station)];
        world
            .posts("chatserver", "chatnotification", &headers, &poll)
            .await
    };
    for n in 1..=3 {
        polls(&format!("{n:032x}"))
            .await
            .refused(401, "unknown_station");
    }
    polls(&"ef".repeat(16)).await.refused(429, "rate_limited");
    ann.lists().await.ok();
    world.end().await;
}

#[tokio::test]
async fn a_poll_that_names_a_user_must_be_signed_even_where_unsigned_polling_is_allowed() {
    let world = World::with(|settings| settings.allow_unsigned_notifications = true).await;
    let (ann, ben, conversation) = world.conversation().await;
    // A station that both use: the user who logged in last may poll there without a name.
    let anns = Person {
        station: ben.station.clone(),
        ..ann.clone()
    };
    anns.logs_in().await;
    anns.listens().await;
    ben.listens().await;
    ann.adds(&conversation, "x").await;
    let poll =
        json!({ "action": "download", "clientversioncode": 3, "timestamp": crate::world::now() })
            .to_string();
    let polls = async |person: &Person, signature: Option<&str>| {
        let mut headers = vec![
            ("Ozeki-User", &*person.user),
            ("Ozeki-Station", &*person.station),
        ];
        headers.extend(signature.map(|signature| ("Ozeki-Signature", signature)));
        world
            .posts("chatserver", "chatnotification", &headers, &poll)
            .await
    };
    let forged = ann.signs("chatserver", "chatnotification", &poll);
    polls(&ben, None).await.refused(401, "signature_missing");
    polls(&ben, Some("AAAA"))
        .await
        .refused(401, "signature_invalid");
    polls(&ben, Some(&forged))
        .await
        .refused(401, "signature_invalid");
    polls(&anns, None).await.refused(401, "signature_missing");
    // Nothing was taken from anyone's pending notifications.
    for person in [&anns, &ben] {
        assert_eq!(
            person.hears().await,
            Changes {
                conversations: vec![conversation.id.clone()],
                ..Changes::default()
            }
        );
    }
    world.end().await;
}

#[tokio::test]
async fn unsigned_polling_is_of_the_user_last_seen_at_the_station_who_may_still_come_in() {
    let world = World::with(|settings| settings.allow_unsigned_notifications = true).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (ann, ben) = (
        Person {
            station: "cd".repeat(16),
            ..ann
        },
        Person {
            station: "cd".repeat(16),
            ..ben
        },
    );
    let poll = json!({ "action": "download", "timestamp": crate::world::now() }).to_string();
    let polls = async || {
        world
            .posts(
                "chatserver",
                "chatnotification",
                &[("Ozeki-Station", &*ann.station)],
                &poll,
            )
            .await
    };
    for person in [&ann, &ben] {
        person.logs_in().await;
        assert_eq!(
            polls().await.ok()["conversationlistchangedof"],
            json!([person.user])
        );
    }
    // Both are notified, and one of them polls.
    ann.logs_in().await;
    let cleo = world.person("Cleo").await;
    cleo.requests_friendship(&ann).await.ok();
    cleo.requests_friendship(&ben).await.ok();
    assert_eq!(
        polls().await.ok()["friendavailabilitesof"],
        json!([cleo.user])
    );
    assert_eq!(ann.hears().await, Changes::default());
    assert_eq!(ben.hears().await.friends, [cleo.user.clone()]);
    world.sets_disabled(&ben, true).await;
    polls().await.ok();
    world.sets_disabled(&ann, true).await;
    polls().await.refused(401, "unknown_station");
    world.end().await;
}
