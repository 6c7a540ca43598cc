//! The WebSocket: what is committed is on the other screen at once; what is not wanted is refused.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::frame::{
            Frame,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

use crate::world::{News, Person, Talk, World, at, eventually, message, now};

/// A station that listens.
pub(crate) struct Ear {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

fn encoded(text: &str) -> String {
    text.replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
        .replace(' ', "%20")
}

/// The address of a handshake.
pub(crate) fn address(person: &Person, version: i64, timestamp: &str) -> String {
    let signature = person.signs("chatserver", "websocket", timestamp);
    format!(
        "{}/ws?user={}&station={}&timestamp={}&signature={}&clientversioncode={version}",
        person.world.url.replace("http", "ws"),
        person.user,
        person.station,
        encoded(timestamp),
        encoded(&signature),
    )
}

impl Ear {
    /// Opens a socket; its first frame has not been read yet.
    pub(crate) async fn open(person: &Person, version: i64) -> Self {
        let (socket, _) = tokio_tungstenite::connect_async(address(person, version, &now()))
            .await
            .unwrap();
        Self { socket }
    }

    /// Opens a socket and reads its first frame, of a station that was not known.
    pub(crate) async fn of(person: &Person, version: i64) -> Self {
        let mut ear = Self::open(person, version).await;
        assert_eq!(
            ear.hears().await["conversationlistchangedof"],
            json!([person.user])
        );
        ear
    }

    /// The next frame.
    pub(crate) async fn hears(&mut self) -> Value {
        loop {
            match timeout(Duration::from_secs(10), self.socket.next())
                .await
                .expect("a frame")
            {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no frame: {other:?}"),
            }
        }
    }

    /// Reads up to the server's next ping.
    async fn is_pinged(&mut self) {
        while !matches!(
            timeout(Duration::from_secs(40), self.socket.next())
                .await
                .expect("a ping"),
            Some(Ok(Message::Ping(_)))
        ) {}
    }

    /// Nothing was sent up to now: the answer to a ping comes first.
    pub(crate) async fn hears_nothing(&mut self) {
        self.socket
            .send(Message::Ping(vec![7].into()))
            .await
            .unwrap();
        loop {
            match timeout(Duration::from_secs(10), self.socket.next())
                .await
                .expect("a pong")
            {
                Some(Ok(Message::Pong(_))) => return,
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("it heard {other:?}"),
            }
        }
    }

    /// Reads what was sent up to now.
    pub(crate) async fn calms_down(&mut self) {
        self.socket
            .send(Message::Ping(vec![7].into()))
            .await
            .unwrap();
        while !matches!(
            timeout(Duration::from_secs(10), self.socket.next())
                .await
                .expect("a pong"),
            Some(Ok(Message::Pong(_)))
        ) {}
    }

    pub(crate) async fn says(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// How the server ends it.
    pub(crate) async fn ends(&mut self) -> CloseCode {
        loop {
            match timeout(Duration::from_secs(10), self.socket.next())
                .await
                .expect("an end")
            {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code,
                Some(Ok(_)) => {}
                other => panic!("no close: {other:?}"),
            }
        }
    }
}

fn typing(talk: &Talk) -> String {
    json!({ "action": "typing", "conversationid": talk.id }).to_string()
}

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
        .is_ok();
    let named = login["listeners"]["ws"].as_str().unwrap();
    assert_eq!(named, format!("{}/ws", world.url.replace("http", "ws")));
    assert!(address(&ann, 3, &now()).starts_with(named));
    Ear::of(&ann, 3).await;
    world.end().await;
}

#[tokio::test]
async fn what_is_committed_is_pushed_to_everyone_in_it_and_answered() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let (mut anns, mut bens) = (Ear::of(&ann, 3).await, Ear::of(&ben, 4).await);
    let message = message("hi");
    let answer = ann
        .does("add", &talk, json!({ "message": message }))
        .await
        .is_ok();
    assert_eq!(answer["message"]["ID"], message["ID"]);
    // A published client hears the ids, and nothing else.
    assert_eq!(
        anns.hears().await,
        json!({ "friendavailabilitesof": [], "conversationchangedof": [talk.id], "conversationlistchangedof": [] })
    );
    // A v4 client hears the message, whole.
    let heard = bens.hears().await;
    let whole = ben
        .asks_as(
            4,
            "chatconversation",
            crate::world::on("download", &talk, json!({})),
        )
        .await
        .is_ok();
    assert_eq!(heard["conversationchangedof"], json!([talk.id]));
    assert_eq!(
        heard["events"],
        json!([{ "conversationid": talk.id, "instance": talk.instance, "message": whole["messages"][0], "after": "" }])
    );

    ben.views(&talk, &[message["ID"].as_str().unwrap().to_owned()])
        .await
        .is_ok();
    assert_eq!(
        anns.hears().await["conversationchangedof"],
        json!([talk.id])
    );
    let heard = bens.hears().await;
    let report = &ann.reads(&talk).await["reports"][0];
    assert_eq!(
        heard["events"],
        json!([{ "conversationid": talk.id, "instance": talk.instance, "report": report, "after": "" }])
    );
    // What was refused, or already there, is nobody's event.
    ben.views(&talk, &[message["ID"].as_str().unwrap().to_owned()])
        .await
        .is_ok();
    anns.hears_nothing().await;
    bens.hears_nothing().await;
    world.end().await;
}

#[tokio::test]
async fn the_first_frame_is_what_is_pending_and_a_push_clears_it() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ben.listens().await;
    ann.adds(&talk, "before").await;
    let mut ear = Ear::open(&ben, 3).await;
    assert_eq!(ear.hears().await["conversationchangedof"], json!([talk.id]));
    ann.adds(&talk, "while").await;
    ear.hears().await;
    assert_eq!(ben.hears().await, News::default());
    world.end().await;
}

#[tokio::test]
async fn events_follow_one_another_under_concurrent_writers() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben, talk) = world.talk().await;
    let mut ear = Ear::of(&ben, 4).await;
    let writers: Vec<_> = (0..6)
        .map(|n| {
            let (writer, talk) = (
                if n % 2 == 0 { ann.clone() } else { ben.clone() },
                talk.clone(),
            );
            tokio::spawn(async move {
                for n in 0..25 {
                    writer.adds(&talk, &n.to_string()).await;
                }
            })
        })
        .collect();
    // A client as docs/api.md describes it: appends what follows its newest row, downloads otherwise.
    let mut held: Vec<String> = vec![];
    let mut appended = 0;
    while held.len() < 150 {
        let frame = ear.hears().await;
        let mut is_behind = frame["conversationchangedof"] == json!([talk.id])
            && frame["events"].as_array().unwrap().is_empty();
        for event in frame["events"].as_array().unwrap() {
            let id = event["message"]["ID"].as_str().unwrap().to_owned();
            if event["after"].as_str() == Some(held.last().map_or("", String::as_str)) {
                held.push(id);
                appended += 1;
            } else if !held.contains(&id) {
                is_behind = true;
            }
        }
        if is_behind {
            let page = ben
                .does("download", &talk, json!({ "firstmessageid": held.last() }))
                .await
                .is_ok();
            let page = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["ID"].as_str().unwrap().to_owned());
            held.extend(page.skip(usize::from(!held.is_empty())).collect::<Vec<_>>());
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let truth: Vec<String> = ben.reads(&talk).await["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["ID"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(held, truth);
    assert!(appended > 0, "no event ever followed");
    world.end().await;
}

#[tokio::test]
async fn a_slow_reader_costs_a_set_and_not_a_queue() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let mut ear = Ear::of(&ben, 4).await;
    // 20 MB of messages, while the socket is not read.
    let data = "A".repeat(60_000);
    for _ in 0..350 {
        ann.adds(&talk, &data).await;
    }
    let last = ann.adds(&talk, "last").await;
    // What arrives in the end is far less than what was written; the id is there all the same.
    let mut bytes = 0;
    loop {
        let frame = ear.hears().await;
        bytes += frame.to_string().len();
        assert_eq!(frame["conversationchangedof"], json!([talk.id]));
        if frame["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["message"]["ID"] == last.as_str())
        {
            break;
        }
    }
    assert!(bytes < 4_000_000, "{bytes}");
    world.end().await;
}

#[tokio::test]
async fn a_large_row_is_left_out_of_the_events_and_named_all_the_same() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let mut ear = Ear::of(&ben, 4).await;
    ann.adds(&talk, &"A".repeat(60_000)).await;
    let frame = ear.hears().await;
    assert_eq!(
        (&frame["conversationchangedof"], &frame["events"]),
        (&json!([talk.id]), &json!([]))
    );
    let large = ann.reads(&talk).await["messages"][0]["ID"].clone();
    ann.adds(&talk, "small").await;
    assert_eq!(ear.hears().await["events"][0]["after"], large);
    world.end().await;
}

#[tokio::test]
async fn many_reports_at_once_are_all_told_whole_or_only_named() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let mut ids = vec![];
    for n in 0..71 {
        ids.push(ann.adds(&talk, &n.to_string()).await);
    }
    let mut ear = Ear::of(&ann, 4).await;
    ben.views(&talk, &ids[..20]).await.is_ok();
    assert_eq!(ear.hears().await["events"].as_array().unwrap().len(), 20);
    // A client that appended some of these would believe that it has all.
    ben.views(&talk, &ids[20..]).await.is_ok();
    let frame = ear.hears().await;
    assert_eq!(
        (&frame["conversationchangedof"], &frame["events"]),
        (&json!([talk.id]), &json!([]))
    );
    world.end().await;
}

#[tokio::test]
async fn a_socket_that_ends_may_have_lost_its_last_push() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let ear = Ear::of(&ben, 3).await;
    ann.adds(&talk, "pushed into the void").await;
    drop(ear);
    eventually("the end of the socket", async || {
        ben.hears().await.lists == [ben.user.clone()]
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_push_that_the_answer_to_a_ping_confirmed_is_not_told_again() {
    let world = World::with(|settings| settings.timings.ping = Duration::from_secs(1)).await;
    let (ann, ben, talk) = world.talk().await;
    let mut ear = Ear::of(&ben, 3).await;
    ann.adds(&talk, "pushed and read").await;
    ear.hears().await;
    // What reads the server's ping answers it.
    ear.is_pinged().await;
    ear.calms_down().await;
    ear.socket.close(None).await.unwrap();
    while ear.socket.next().await.is_some() {}
    assert_eq!(ben.hears().await, News::default());
    world.end().await;
}

#[tokio::test]
async fn a_station_that_connects_again_takes_the_place_of_its_old_socket() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let mut old = Ear::of(&ben, 3).await;
    let mut new = Ear::of(&ben, 3).await;
    assert_eq!(old.ends().await, CloseCode::Policy);
    ann.adds(&talk, "x").await;
    assert_eq!(new.hears().await["conversationchangedof"], json!([talk.id]));
    world.end().await;
}

#[tokio::test]
async fn a_handshake_is_refused_as_any_request_is() {
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
            .is_refused(status, code);
        assert!(
            matches!(tokio_tungstenite::connect_async(&url).await, Err(Error::Http(answer)) if answer.status() == status)
        );
    }
    // Well signed, but no handshake.
    let path = good.split_once("/ws").unwrap().1;
    world
        .sends("GET", &format!("/ws{path}"))
        .await
        .is_refused(400, "bad_request");
    world
        .sends("POST", &format!("/ws{path}"))
        .await
        .is_refused(400, "bad_request");
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
    let mut ears = vec![
        Ear::of(&ann, 3).await,
        Ear::of(&ann.elsewhere().await, 3).await,
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
    assert_eq!(refused(&ann.elsewhere().await).await, (429, true));
    ears.push(Ear::of(&ben, 3).await);
    assert_eq!(refused(&cleo).await, (429, true));
    drop(ears.pop());
    eventually("room", async || {
        tokio_tungstenite::connect_async(address(&cleo, 3, &now()))
            .await
            .is_ok()
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn typing_is_told_to_the_others_v4_sockets_once_a_second_and_never_stored() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let ben_elsewhere = ben.elsewhere().await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let (mut anns, mut bens, mut bens_old) = (
        Ear::of(&ann, 4).await,
        Ear::of(&ben, 4).await,
        Ear::of(&ben_elsewhere, 3).await,
    );
    for _ in 0..3 {
        anns.says(&typing(&talk)).await;
    }
    let heard = bens.hears().await;
    assert_eq!(
        heard["typing"],
        json!([{ "conversationid": talk.id, "userid": ann.user }])
    );
    anns.hears_nothing().await;
    bens.hears_nothing().await;
    bens_old.hears_nothing().await;
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn nonsense_in_a_frame_is_refused_and_the_socket_goes_on() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let cleo = world.person("Cleo").await;
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    let mut cleos = Ear::of(&cleo, 4).await;
    let mut bens = Ear::of(&ben, 4).await;
    for (text, code) in [
        ("", "bad_request"),
        ("[]", "bad_request"),
        ("{}", "bad_request"),
        (r#"{"action":"dance"}"#, "unknown_action"),
        (r#"{"action":"typing"}"#, "bad_request"),
        (r#"{"action":"typing","conversationid":"x"}"#, "bad_request"),
        // A conversation of others, and one that is not there.
        (&typing(&talk), "conversation_not_found"),
        (
            &typing(&Talk {
                id: "0".repeat(32),
                ..talk.clone()
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
    let mut published = Ear::of(&ann, 3).await;
    published.says(&typing(&talk)).await;
    assert_eq!(published.hears().await["errorcode"], "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn what_is_too_large_too_often_or_no_text_ends_the_socket_with_its_code() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut large = Ear::of(&ann, 4).await;
    large.says(&"x".repeat(5000)).await;
    assert_eq!(large.ends().await, CloseCode::Size);
    let mut binary = Ear::open(&ann, 4).await;
    binary
        .socket
        .send(Message::Binary(vec![1].into()))
        .await
        .unwrap();
    assert_eq!(binary.ends().await, CloseCode::Unsupported);
    // Whole, and in two parts of which each is valid by itself but for the character that is cut.
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
        let mut invalid = Ear::open(&ann, 4).await;
        for part in parts {
            invalid.socket.send(part).await.unwrap();
        }
        assert_eq!(invalid.ends().await, CloseCode::Invalid);
    }
    let mut chatty = Ear::open(&ann, 4).await;
    for _ in 0..60 {
        let _ = chatty.socket.send(Message::text("{}")).await;
    }
    assert_eq!(chatty.ends().await, CloseCode::Policy);
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    world.end().await;
}

#[tokio::test]
async fn at_the_end_of_the_server_sockets_are_closed_with_1001() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (mut anns, mut bens) = (Ear::of(&ann, 3).await, Ear::of(&ben, 4).await);
    let begun = std::time::Instant::now();
    let ((), one, other) = tokio::join!(world.stop(), anns.ends(), bens.ends());
    assert_eq!((one, other), (CloseCode::Away, CloseCode::Away));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn one_who_is_barred_is_hung_up_on() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut ear = Ear::of(&ann, 3).await;
    let user = parlance_wire::id::UserId::parse(&ann.user).unwrap();
    parlance::store::user::set_disabled(
        &world.store,
        user,
        Some(parlance_wire::time::Timestamp::now()),
    )
    .await
    .unwrap();
    assert_eq!(ear.ends().await, CloseCode::Policy);
    let again = tokio_tungstenite::connect_async(address(&ann, 3, &now())).await;
    assert!(matches!(again, Err(Error::Http(answer)) if answer.status() == 403));
    world.end().await;
}

#[tokio::test]
async fn an_open_socket_makes_one_available_and_its_end_offline_a_while_later() {
    let world =
        World::with(|settings| settings.timings.offline_after = Duration::from_secs(2)).await;
    let (ann, ben) = world.friends().await;
    let mut bens = Ear::of(&ben, 3).await;
    let anns = Ear::of(&ann, 3).await;
    assert_eq!(
        bens.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    assert_eq!(ben.friend_is().await, "available");
    // Killed, without a word.
    drop(anns);
    assert_eq!(
        bens.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    assert_eq!(ben.friend_is().await, "offline");
    world.end().await;
}

#[tokio::test]
async fn what_one_says_of_oneself_outlasts_a_socket() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.asks("chatavailability", json!({ "action": "userbusy" }))
        .await
        .is_ok();
    let _ear = Ear::of(&ann, 3).await;
    eventually("the socket to be written down", async || {
        world.count("listeners").await == 1
    })
    .await;
    assert_eq!(ben.friend_is().await, "busy");
    world.end().await;
}

#[tokio::test]
async fn a_blocked_friend_does_not_see_one_come() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.asks(
        "chatblocklist",
        json!({ "action": "block", "userid": ben.user }),
    )
    .await
    .is_ok();
    let mut bens = Ear::of(&ben, 3).await;
    let _anns = Ear::of(&ann, 3).await;
    eventually("both sockets to be written down", async || {
        world.count("listeners").await == 2
    })
    .await;
    bens.hears_nothing().await;
    assert_eq!(ben.friend_is().await, "offline");
    world.end().await;
}

/// A world whose server speaks TLS, with a certificate that openssl made.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_it_speaks_tls_and_reads_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let files = parlance::settings::Tls {
        cert: dir.path().join("cert.pem"),
        key: dir.path().join("key.pem"),
    };
    let make = |name: &str| {
        let made = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &format!("/CN={name}"),
                "-keyout",
            ])
            .arg(&files.key)
            .arg("-out")
            .arg(&files.cert)
            .output()
            .unwrap();
        assert!(made.status.success());
    };
    make("first.example");
    let world = World::with(|settings| settings.tls = Some(files.clone())).await;
    let shown = |world: &Arc<World>| {
        let address = world.url.trim_start_matches("http://").to_owned();
        let output = std::process::Command::new("openssl")
            .args(["s_client", "-connect", &address])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(shown(&world).contains("first.example"));
    make("second.example");
    world.reads_certificate_again().unwrap();
    assert!(shown(&world).contains("second.example"));
    std::fs::write(&files.key, "nonsense").unwrap();
    assert!(
        world
            .reads_certificate_again()
            .unwrap_err()
            .contains("TLS_KEY")
    );
    assert!(shown(&world).contains("second.example"));
    world.end().await;
}

#[tokio::test]
async fn many_who_listen_hear_of_a_message_in_a_group() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    world.sql("update conversations set is_group = true; update participants set peer_id = null, role = 'admin'").await;
    let mut ears = vec![];
    for n in 0..20 {
        let member = world
            .person(&format!("Member{}", n % 4))
            .await
            .elsewhere()
            .await;
        world
            .sql(&format!(
                "insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
                values ('{}', '{}', '', '', 'member', now()) on conflict do nothing",
                talk.id, member.user
            ))
            .await;
        ears.push(Ear::of(&member, 4).await);
    }
    let sent = message("to all");
    ben.does("add", &talk, json!({ "message": sent }))
        .await
        .is_ok();
    for ear in &mut ears {
        assert_eq!(ear.hears().await["events"][0]["message"]["ID"], sent["ID"]);
    }
    drop(ann);
    world.end().await;
}

#[tokio::test]
async fn the_answer_to_a_ping_that_was_sent_before_a_push_does_not_confirm_it() {
    let world = World::with(|settings| settings.timings.ping = Duration::from_secs(5)).await;
    let (ann, ben, talk) = world.talk().await;
    let mut ear = Ear::of(&ben, 3).await;
    // A ping is read, and not answered yet: the answer goes with what is written or read next.
    ear.is_pinged().await;
    ann.adds(&talk, "pushed after the ping").await;
    let MaybeTlsStream::Plain(line) = ear.socket.get_ref() else {
        panic!("a socket without TLS")
    };
    timeout(Duration::from_secs(10), line.peek(&mut [0; 1]))
        .await
        .expect("the push has come")
        .unwrap();
    ear.socket.flush().await.unwrap();
    // The server has read the answer, as it answers what came after it.
    ear.calms_down().await;
    drop(ear);
    eventually("the end of the socket", async || {
        ben.hears().await.lists == [ben.user.clone()]
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_clear_is_told_as_a_change_of_the_list_and_of_the_conversation() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let elsewhere = ben.elsewhere().await;
    let mut ears = [Ear::of(&ben, 3).await, Ear::of(&elsewhere, 4).await];
    for ear in &mut ears {
        ear.calms_down().await;
    }
    ann.does("clear", &talk, json!({})).await.is_ok();
    for ear in &mut ears {
        let frame = ear.hears().await;
        assert_eq!(
            (
                &frame["conversationlistchangedof"],
                &frame["conversationchangedof"]
            ),
            (&json!([ben.user]), &json!([talk.id])),
            "{frame}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_page_that_was_cut_wakes_the_socket_of_its_own_station() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    crate::cursor::fill(&world, &ann, &talk, 1500, 10).await;
    let elsewhere = ben.elsewhere().await;
    let [mut ear, mut other] = [Ear::of(&ben, 4).await, Ear::of(&elsewhere, 4).await];
    for ear in [&mut ear, &mut other] {
        ear.calms_down().await;
    }
    let page = ben.reads(&talk).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1000);
    // Named, and not told whole: there is nothing new to append.
    let frame = ear.hears().await;
    assert_eq!(
        (&frame["conversationchangedof"], &frame["events"]),
        (&json!([talk.id]), &json!([]))
    );
    let rest = ben
        .does(
            "download",
            &talk,
            json!({ "firstmessageid": page["messages"][999]["ID"] }),
        )
        .await
        .is_ok();
    assert_eq!(rest["messages"].as_array().unwrap().len(), 501);
    ear.hears_nothing().await;
    other.hears_nothing().await;
    world.end().await;
}
