//! The usual classes of attack, each tried: another's object, another's name, SQL in a page's fields, lines in the log,
//! the time that a login takes, what a browser may be made to do.

use std::{collections::BTreeSet, time::Duration};

use parlance::store::backup::{Snapshot, Tables};
use serde_json::{Value, json};

use crate::{
    embedded::{self, Dir, Server},
    live::Ear,
    proxy::behind_a_proxy,
    world::{Person, Talk, World, eventually, message, on},
};

/// Everything that the database holds, but for who was seen when.
async fn everything(world: &World) -> Tables {
    let mut snapshot = Snapshot::take(&world.store).await.unwrap();
    let mut tables = snapshot.tables().await.unwrap();
    snapshot.release().await.unwrap();
    for moving in ["public.stations", "public.nodes", "public.listeners"] {
        tables.remove(moving);
    }
    tables
}

/// The next frame that says something of this. Friends come and go meanwhile.
pub(crate) async fn hears(ear: &mut Ear, field: &str) -> Value {
    loop {
        match ear.hears().await[field].take() {
            Value::Null => {}
            Value::Array(nothing) if nothing.is_empty() => {}
            said => return said,
        }
    }
}

/// Every action that names a conversation: its API, and its fields.
fn actions(talk: &Talk, victim: &Person, own: &Person) -> Vec<(&'static str, Value)> {
    let plain = [
        "favorite",
        "unfavorite",
        "mute",
        "unmute",
        "hide",
        "unhide",
        "clear",
        "download",
        "downloadpartial",
        "transcript",
    ];
    let mut all: Vec<_> = plain
        .iter()
        .map(|action| ("chatconversation", on(action, talk, json!({}))))
        .collect();
    all.push((
        "chatconversation",
        on(
            "hide",
            talk,
            json!({ "hideid": format!("{};", talk.instance) }),
        ),
    ));
    all.push((
        "chatconversation",
        on(
            "setlistitembackgroundcolor",
            talk,
            json!({ "color": "#000000" }),
        ),
    ));
    all.push((
        "chatconversation",
        on("add", talk, json!({ "message": message("intruder") })),
    ));
    let ids = json!({ "messageids": [uuid::Uuid::new_v4()] });
    all.extend(
        ["viewed", "delivered"].map(|action| ("chatreports", on(action, talk, ids.clone()))),
    );
    let secrets = json!({ &own.user: "s", &victim.user: "s" });
    for (action, fields) in [
        (
            "rename",
            json!({ "displaynames": { &victim.user: "renamed" } }),
        ),
        (
            "addparticipants",
            json!({ "participantids": [own.user], "secrets": secrets }),
        ),
        (
            "removeparticipants",
            json!({ "participantids": [victim.user] }),
        ),
        (
            "setrole",
            json!({ "participantid": own.user, "role": "admin" }),
        ),
        ("leave", json!({})),
        ("accept", json!({})),
        ("decline", json!({})),
    ] {
        all.push(("chatconversationgroup", on(action, talk, fields)));
    }
    all
}

#[tokio::test]
async fn no_action_reaches_a_conversation_that_is_not_ones_own() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let (eve, cleo) = (world.person("Eve").await, world.person("Cleo").await);
    // Eve is a friend, and was in the group once.
    eve.befriends(&ann).await;
    let dan = world.person("Dan").await;
    let secrets = json!({ &ann.user: "s", &ben.user: "s", &eve.user: "s", &dan.user: "s" });
    let create = json!({ "action": "create", "displayname": "g", "participantids": [ben.user, eve.user, dan.user], "secrets": secrets });
    let group = Talk::of(&ann.asks("chatconversationgroup", create).await.is_ok()["conversation"]);
    for talk in [&talk, &group] {
        ann.adds(talk, "private").await;
    }
    let gone = json!({ "action": "removeparticipants", "conversationid": group.id, "participantids": [eve.user] });
    ann.asks("chatconversationgroup", gone).await.is_ok();
    let mut sockets = [Ear::of(&eve, 4).await, Ear::of(&cleo, 4).await];
    let mut ear = Ear::of(&ann, 4).await;
    eventually("the sockets to be written down", async || {
        world.count("listeners").await == 3
    })
    .await;
    let before = everything(&world).await;
    let mut tried = BTreeSet::new();
    for (stranger, socket) in [&eve, &cleo].into_iter().zip(&mut sockets) {
        for talk in [&talk, &group] {
            for (api, request) in actions(talk, &ann, stranger) {
                tried.insert(request["action"].as_str().unwrap().to_owned());
                for version in [3, 4] {
                    stranger
                        .asks_as(version, api, request.clone())
                        .await
                        .is_refused(404, "conversation_not_found");
                }
            }
            socket
                .says(&json!({ "action": "typing", "conversationid": talk.id }).to_string())
                .await;
            assert_eq!(hears(socket, "errorcode").await, "conversation_not_found");
        }
        assert!(
            stranger
                .asks("chatconversation", json!({ "action": "list" }))
                .await
                .is_ok()["conversations"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        // Dan's invitation is nobody else's business.
        let invitations = stranger
            .asks_as(
                4,
                "chatconversationgroup",
                json!({ "action": "invitations" }),
            )
            .await
            .is_ok();
        assert_eq!(invitations["invitations"], json!([]));
    }
    assert_eq!(tried.len(), 21);
    assert_eq!(everything(&world).await, before);
    // Nobody heard of any of it: the next thing that Ann hears is this.
    let id = ben.adds(&talk, "next").await;
    assert_eq!(
        hears(&mut ear, "events").await[0]["message"]["ID"],
        id.as_str()
    );
    world.end().await;
}

#[tokio::test]
async fn who_one_is_comes_from_the_signature_and_from_nowhere_else() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    // Ann says in each field there is that she is Ben.
    let mut sent = message("by Ann");
    for field in ["User", "UserID", "user", "Sender", "Station"] {
        sent[field] = ben.user.clone().into();
    }
    let mut request = on("add", &talk, json!({ "message": sent.to_string() }));
    for field in ["user", "userid", "Ozeki-User", "participantid", "station"] {
        request[field] = ben.user.clone().into();
    }
    ann.asks("chatconversation", request).await.is_ok();
    let page = ben
        .asks_as(4, "chatconversation", on("download", &talk, json!({})))
        .await
        .is_ok();
    let row = &page["messages"][0];
    assert_eq!(
        (&row["User"], &row["Station"]),
        (&json!(ann.user), &json!(ann.station))
    );
    // Ann's signature under Ben's name, from his station or hers; and Ben's request with another body.
    let body = json!({ "action": "list", "timestamp": crate::world::now() }).to_string();
    for (signs, user, station) in [(&ann, &ben, &ben), (&ann, &ben, &ann), (&ann, &ann, &ben)] {
        let claimed = Person {
            user: user.user.clone(),
            station: station.station.clone(),
            ..signs.clone()
        };
        let answer = claimed.sends("chatserver", "chatconversation", &body).await;
        answer.is_refused(
            401,
            if user.user == ann.user {
                "unknown_station"
            } else {
                "signature_invalid"
            },
        );
    }
    let signature = ben.signs("chatserver", "chatconversation", &body);
    let headers = [
        ("Ozeki-User", &*ben.user),
        ("Ozeki-Station", &*ben.station),
        ("Ozeki-Signature", &*signature),
    ];
    let other = body.replace("list", "lisT");
    world
        .posts("chatserver", "chatconversation", &headers, &other)
        .await
        .is_refused(404, "unknown_action");
    world
        .posts("chatserver", "chatconversation", &headers, &(body + " "))
        .await
        .is_refused(401, "signature_invalid");
    world.end().await;
}

#[tokio::test]
async fn what_looks_like_sql_is_text_or_refused() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ann.adds(&talk, "before").await;
    let before = everything(&world).await;
    let attacks = [
        "' or '1'='1",
        "1; drop table messages; --",
        "') union select public_key from users --",
        "\\'; select pg_sleep(10); --",
        "%00",
        "$1",
    ];
    for attack in attacks {
        for field in [
            "firstmessageid",
            "firstmessagedate",
            "firstreportid",
            "firstreportdate",
            "instance",
            "conversationid",
        ] {
            let mut request = on("download", &talk, json!({}));
            request[field] = attack.into();
            ben.asks("chatconversation", request)
                .await
                .is_refused(400, "bad_request");
        }
        for field in [
            "lastmessageid",
            "lastmessagedate",
            "lastreportid",
            "lastreportdate",
            "limit",
        ] {
            ben.does("downloadpartial", &talk, json!({ field: attack }))
                .await
                .is_refused(400, "bad_request");
        }
        ben.does("transcript", &talk, json!({ "afterseq": attack }))
            .await
            .is_refused(400, "bad_request");
        ben.does("hide", &talk, json!({ "hideid": attack }))
            .await
            .is_refused(400, "bad_request");
        ben.does(
            "setlistitembackgroundcolor",
            &talk,
            json!({ "color": attack }),
        )
        .await
        .is_refused(400, "bad_request");
        ben.asks(attack, json!({ "action": "list" }))
            .await
            .is_refused(404, "unknown_api");
        ben.asks("chatconversation", json!({ "action": attack }))
            .await
            .is_refused(404, "unknown_action");
    }
    assert_eq!(everything(&world).await, before);
    // Where text is free, it comes back as it was.
    for attack in attacks {
        ann.adds(&talk, attack).await;
    }
    let page = ben.reads(&talk).await;
    let data: Vec<&str> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|row| row["Data"].as_str().unwrap())
        .collect();
    assert_eq!(data, attacks);
    world.end().await;
}

#[tokio::test]
async fn a_login_costs_the_database_the_same_whoever_is_named() {
    // What is counted is what a login costs.
    let (world, proxy) =
        behind_a_proxy(|settings| settings.timings.heartbeat = Duration::from_hours(1)).await;
    let ann = world.person("Ann").await;
    let nobody = "0".repeat(32);
    let mut trips = vec![];
    for (user, key) in [
        (Some(&ann.user), "the apikey of Nobody"),
        (Some(&nobody), "the apikey of Nobody"),
        (None, "the apikey of Nobody"),
        (Some(&nobody), "the apikey of Ann"),
    ] {
        let body = json!({ "action": "login", "apikey": key }).to_string();
        let mut headers = vec![("Ozeki-Station", &*ann.station)];
        headers.extend(user.map(|user| ("Ozeki-User", user.as_str())));
        let mut last = 0;
        let mut text = String::new();
        for _ in 0..3 {
            let before = proxy.round_trips();
            let answer = world
                .posts("chatserver", "chatlogin", &headers, &body)
                .await;
            answer.is_refused(401, "login_failed");
            (last, text) = (proxy.round_trips() - before, answer.text);
        }
        trips.push((last, text));
    }
    assert!(
        trips[0].0 > 0 && trips.iter().all(|trip| *trip == trips[0]),
        "{trips:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn every_answer_says_that_it_is_not_to_be_kept_nor_guessed_at() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for answer in [
        ann.asks("chatconversation", json!({ "action": "list" }))
            .await,
        ann.asks("chatconversation", json!({ "action": "nothing" }))
            .await,
        world.posts("chatserver", "chatlogin", &[], "x").await,
        world.sends("GET", "/").await,
        world.sends("GET", "/healthz").await,
        world.sends("GET", "/readyz").await,
        world.sends("GET", "/ws").await,
        world.sends("GET", "/etc/passwd").await,
        world
            .sends("OPTIONS", "/?srv=chatserver&api=chatconversation")
            .await,
    ] {
        for (header, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ] {
            assert_eq!(answer.headers[header], value, "{answer:?}");
        }
        // No script of another site may read an answer, and nobody learns what runs here.
        for header in [
            "Access-Control-Allow-Origin",
            "Server",
            "X-Powered-By",
            "Set-Cookie",
        ] {
            assert!(!answer.headers.contains_key(header), "{header}: {answer:?}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn the_log_has_one_line_for_a_request_whatever_it_holds_and_no_secret() {
    let dir = Dir::new();
    let server = Server::start_as(embedded::parlance(&dir.data()).envs([
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "debug"),
        ("REGISTRATION", "open"),
    ]));
    let world = World::at(&server.url, sqlx::postgres::PgConnectOptions::new());
    let (ann, ben, talk) = world.talk().await;
    let line = "x\n{\"level\":\"ERROR\",\"forged\":true}\r\n\u{1b}[31mred\u{2028}";
    ann.adds(&talk, "the text that is secret").await;
    let body = json!({ "action": line, "timestamp": crate::world::now() }).to_string();
    let signature = ann.signs("chatserver", "chatconversation", &body);
    ann.sends("chatserver", "chatconversation", &body)
        .await
        .is_refused(404, "unknown_action");
    ann.asks_as(
        4,
        "chatconversation",
        json!({ "action": "list", "nonce": line }),
    )
    .await
    .is_ok();
    ben.does(
        "download",
        &Talk {
            instance: "0000000000".into(),
            ..talk.clone()
        },
        json!({ "firstmessageid": line }),
    )
    .await
    .is_refused(400, "bad_request");
    let headers = [
        ("X-Forwarded-For", "\"}\t1.2.3.4"),
        ("User-Agent", "{\"forged\":true}"),
        ("Ozeki-User", "\"},{\""),
    ];
    world.posts("chatserver", line, &headers, "{}").await;
    world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-Station", &ann.station)],
            &json!({ "action": "login", "apikey": "a key that does not fit" }).to_string(),
        )
        .await;
    // Sockets carry their signature in the URL: one that is let in, one from a station that never logged in, one of another
    // path, and one that is no handshake.
    let now = crate::world::now();
    let knock = |person: &Person| {
        let signature = person.signs("chatserver", "websocket", &now);
        let encode = |text: &str| {
            text.replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
                .replace(' ', "%20")
        };
        let query = format!(
            "user={}&station={}&timestamp={}&signature={}&clientversioncode=4",
            person.user,
            person.station,
            encode(&now),
            encode(&signature)
        );
        (query, signature)
    };
    let (good, first) = knock(&ann);
    let (refused, second) = knock(&Person {
        station: "ab".repeat(16),
        ..ann.clone()
    });
    let socket = format!("{}/ws?", world.url.replace("http", "ws"));
    tokio_tungstenite::connect_async(format!("{socket}{good}"))
        .await
        .unwrap();
    tokio_tungstenite::connect_async(format!("{socket}{refused}"))
        .await
        .unwrap_err();
    world
        .sends("GET", &format!("/ws?{refused}"))
        .await
        .is_refused(401, "unknown_station");
    world
        .sends("GET", &format!("/ws?{good}"))
        .await
        .is_refused(400, "bad_request");
    world
        .sends("GET", &format!("/elsewhere?{good}"))
        .await
        .is_refused(404, "unknown_api");
    let log = server.log.clone();
    server.stop();
    let log = log.lock().unwrap().clone();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of the log: {line}"))
        })
        .collect();
    assert!(lines.len() > 10, "{log}");
    assert!(
        lines.iter().all(|line| line.get("forged").is_none()),
        "{log}"
    );
    assert!(!log.contains('\u{1b}') && !log.contains("\\u001b"), "{log}");
    for secret in [
        "the text that is secret",
        "the apikey of",
        "a key that does not fit",
        "secret for",
        &signature[..40],
        "opaque",
    ] {
        assert!(!log.contains(secret), "{secret}\n{log}");
    }
    let outcomes: Vec<_> = lines
        .iter()
        .filter(|line| line["api"] == "websocket" && line["level"] == "INFO")
        .map(|line| &line["outcome"])
        .collect();
    assert_eq!(outcomes, ["unknown_station"], "{log}");
    // Others of the address had the outcomes of the second and the third one before: they are counted.
    for outcome in ["unknown_station", "bad_request"] {
        let is_summary = |line: &&Value| line["outcome"] == outcome && line["times"] == json!(1);
        assert_eq!(lines.iter().filter(is_summary).count(), 1, "{log}");
    }
    for signature in [first, second] {
        // However it may have been encoded.
        let piece = signature
            .split(['+', '/', '='])
            .max_by_key(|piece| piece.len())
            .unwrap();
        assert!(piece.len() > 10 && !log.contains(piece), "{piece}\n{log}");
    }
}
