//! Coming in: login and registration, and how many failures are let through.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance::{settings::Registration, store};
use parlance_wire::{key::SecretHash, time::Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Answer, World, key as key_of, public_key};

fn station() -> String {
    Uuid::new_v4().simple().to_string()
}

async fn log_in(world: &World, apikey: &str, user: Option<&str>) -> Answer {
    let station = station();
    let mut headers = vec![("Ozeki-Station", station.as_str())];
    headers.extend(user.map(|user| ("Ozeki-User", user)));
    world
        .posts(
            "chatserver",
            "chatlogin",
            &headers,
            &json!({ "action": "login", "apikey": apikey }).to_string(),
        )
        .await
}

fn registration(name: &str) -> Value {
    json!({
        "action": "register", "email": format!("{name}@example.org"), "fullname": name, "nick": name,
        "apikey": format!("a long key of {name}"), "publickey": public_key(&key_of(name)), "rsakey": "opaque"
    })
}

async fn register(world: &World, request: &Value) -> Answer {
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
}

#[tokio::test]
async fn a_key_opens_its_own_users_login_alone() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let answer = log_in(&world, "the apikey of Ann", None).await.is_ok();
    assert_eq!(
        (&answer["userid"], &answer["nick"], &answer["rsakey"]),
        (&json!(ann.user), &json!("Ann"), &json!("opaque"))
    );
    assert_eq!(
        log_in(&world, "the apikey of Ann", Some(&ann.user))
            .await
            .is_ok()["userid"],
        ann.user.as_str()
    );
    // Every failure reads the same: a wrong key, another one's, a user who does not exist.
    let mut failures = vec![];
    for (apikey, user) in [
        ("wrong", None),
        ("wrong", Some(ann.user.as_str())),
        ("the apikey of Ann", Some(ben.user.as_str())),
        ("wrong", Some("00000000000000000000000000000000")),
    ] {
        let failure = log_in(&world, apikey, user).await;
        failure.is_refused(401, "login_failed");
        failures.push(failure.text);
    }
    assert!(failures.windows(2).all(|pair| pair[0] == pair[1]));
    world.end().await;
}

#[tokio::test]
async fn a_login_takes_a_key_and_a_station() {
    let world = World::new().await;
    let login = |fields: Value| fields.to_string();
    let key = login(json!({ "action": "login", "apikey": "k" }));
    world
        .posts("chatserver", "chatlogin", &[], &key)
        .await
        .is_refused(400, "bad_request");
    world
        .posts("chatserver", "chatlogin", &[("Ozeki-Station", "x")], &key)
        .await
        .is_refused(400, "bad_request");
    for fields in [
        json!({ "action": "login" }),
        json!({ "action": "login", "apikey": "" }),
        json!({ "action": "login", "apikey": 5 }),
        json!({ "action": "login", "apikey": "k".repeat(257) }),
    ] {
        world
            .posts(
                "chatserver",
                "chatlogin",
                &[("Ozeki-Station", &station())],
                &login(fields),
            )
            .await
            .is_refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn too_many_failures_of_a_user_or_an_address_are_not_even_looked_at() {
    let world = World::with(|settings| settings.login_tries = 3).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..3 {
        log_in(&world, "wrong", Some(&ann.user))
            .await
            .is_refused(401, "login_failed");
    }
    let refused = log_in(&world, "the apikey of Ann", Some(&ann.user)).await;
    refused.is_refused(429, "rate_limited");
    assert!(
        refused.headers["Retry-After"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    // Others are not touched by it, and success costs nothing.
    for _ in 0..30 {
        log_in(&world, "the apikey of Ben", Some(&ben.user))
            .await
            .is_ok();
    }
    // The address has its own measure: 18 a minute here, of which some are spent.
    let mut statuses = vec![];
    for _ in 0..20 {
        statuses.push(log_in(&world, "wrong", None).await.status);
    }
    assert!(
        statuses.contains(&401) && statuses.last() == Some(&429),
        "{statuses:?}"
    );
    log_in(&world, "the apikey of Ben", None)
        .await
        .is_refused(429, "rate_limited");
    world.end().await;
}

#[tokio::test]
async fn an_address_behind_a_trusted_proxy_is_the_one_that_the_proxy_saw() {
    let world = World::with(|settings| {
        settings.login_tries = 1;
        settings.trusted_proxies = vec![
            "127.0.0.1/32".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
    })
    .await;
    let body = json!({ "action": "login", "apikey": "wrong" }).to_string();
    let fails = async |forwarded: &str| {
        let headers = [
            ("Ozeki-Station", "ab".repeat(16)),
            ("X-Forwarded-For", forwarded.to_owned()),
        ];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        world
            .posts("chatserver", "chatlogin", &headers, &body)
            .await
            .status
    };
    for _ in 0..6 {
        assert_eq!(fails("192.0.2.1, 10.0.0.7").await, 401);
    }
    assert_eq!(fails("192.0.2.1, 10.0.0.7").await, 429);
    // What the client itself wrote in front does not help.
    assert_eq!(fails("192.0.2.99, 192.0.2.1").await, 429);
    assert_eq!(fails("192.0.2.2").await, 401);
    // One customer's IPv6 network counts as one address.
    for n in 1..7 {
        assert_eq!(fails(&format!("2001:db8::{n}")).await, 401);
    }
    assert_eq!(fails("2001:db8::7").await, 429);
    assert_eq!(fails("2001:db8:0:1::7").await, 401);
    world.end().await;
}

#[tokio::test]
async fn only_the_hash_of_a_key_is_kept() {
    let world = World::new().await;
    world.person("Ann").await;
    let kept: Vec<u8> = sqlx::query_scalar("select key_hash from credentials")
        .fetch_one(&world.db)
        .await
        .unwrap();
    assert_eq!(kept, SecretHash::of("the apikey of Ann").as_bytes());
    world.end().await;
}

#[tokio::test]
async fn a_user_keeps_the_hundred_stations_seen_last() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for _ in 0..101 {
        log_in(&world, "the apikey of Ann", None).await.is_ok();
    }
    assert_eq!(world.count("stations").await, 100);
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_refused(401, "unknown_station");
    world.end().await;
}

#[tokio::test]
async fn registration_is_for_whom_the_operator_lets_in() {
    let closed = World::with(|settings| settings.registration = Registration::Closed).await;
    register(&closed, &registration("ann"))
        .await
        .is_refused(403, "registration_closed");
    assert_eq!(closed.count("users").await, 0);
    closed.end().await;

    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    register(&world, &registration("ann"))
        .await
        .is_refused(403, "registration_closed");
    let now = Timestamp::now();
    for (code, hours) in [("good", 1), ("late", -1)] {
        store::invite::insert(
            &world.store,
            &SecretHash::of(code),
            now,
            now.plus(chrono::TimeDelta::hours(hours)),
        )
        .await
        .unwrap();
    }
    let with = |name: &str, code: &str| {
        let mut request = registration(name);
        request["invite"] = code.into();
        request
    };
    for code in ["late", "unknown"] {
        register(&world, &with("ann", code))
            .await
            .is_refused(403, "registration_closed");
    }
    assert_eq!(world.count("users").await, 0);
    register(&world, &with("ann", "good")).await.is_ok();
    register(&world, &with("ben", "good"))
        .await
        .is_refused(403, "registration_closed");
    assert_eq!(world.count("users").await, 1);
    world.end().await;
}

#[tokio::test]
async fn an_invitation_lets_one_person_in_however_many_use_it_at_once() {
    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    let now = Timestamp::now();
    store::invite::insert(
        &world.store,
        &SecretHash::of("one"),
        now,
        now.plus(chrono::TimeDelta::hours(1)),
    )
    .await
    .unwrap();
    let requests = ["ann", "ben", "cleo", "dan"].map(|name| {
        let mut request = registration(name);
        request["invite"] = "one".into();
        request
    });
    let answers =
        futures_util::future::join_all(requests.iter().map(|request| register(&world, request)))
            .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(world.count("users").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_known_address_cannot_be_registered_again_nor_a_known_key() {
    let world = World::new().await;
    register(&world, &registration("ann")).await.is_ok();
    register(&world, &registration("ann"))
        .await
        .is_refused(409, "already_exists");
    let mut other_case = registration("ann");
    other_case["email"] = " ANN@Example.org ".into();
    register(&world, &other_case)
        .await
        .is_refused(409, "already_exists");
    let mut same_key = registration("ben");
    same_key["apikey"] = "a long key of ann".into();
    register(&world, &same_key)
        .await
        .is_refused(409, "already_exists");
    assert_eq!(
        (world.count("users").await, world.count("credentials").await),
        (1, 1)
    );
    world.end().await;
}

#[tokio::test]
async fn registration_refuses_each_field_of_a_wrong_form_by_name_and_stores_nothing() {
    let world = World::new().await;
    let truncated = {
        let der = STANDARD.decode(public_key(&key_of("ann"))).unwrap();
        STANDARD.encode(&der[..der.len() - 5])
    };
    // An RSA key of 1024 bits, and an elliptic one.
    let short = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC0GLIMZ/RPWMpD6+ChshwAFPkCJpqnBxCwiuuZhlq7uLHdhA6rkB8M5QW3tFr4/6iSCaAwF0QKv7ch9ruy3tPUEC2YVTS0YJtoNk0YyeXNDbb+5EpMdeSSFsEUEj8WwJRurBNjKuTQH5cUQK4CxDYPLTWvlPVqbMGWZ3yuyxwiJwIDAQAB";
    let elliptic = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==";
    for (field, wrong) in [
        ("email", json!("nobody")),
        ("email", json!(format!("{}@example.org", "a".repeat(250)))),
        ("email", json!("a\0b@example.org")),
        ("fullname", json!("")),
        ("fullname", json!("a".repeat(129))),
        ("fullname", json!("a\nb")),
        ("nick", json!("a".repeat(65))),
        ("nick", json!(" a")),
        ("nick", json!(5)),
        ("apikey", json!("")),
        ("apikey", json!("a password")),
        ("publickey", json!("")),
        ("publickey", json!("AAAA")),
        ("publickey", json!(truncated)),
        ("publickey", json!(short)),
        ("publickey", json!(elliptic)),
        ("rsakey", json!("a".repeat(16385))),
        ("rsakey", json!("a\0")),
        ("rsakey", Value::Null),
    ] {
        let mut request = registration("ann");
        request[field] = wrong.clone();
        let refusal = register(&world, &request)
            .await
            .is_refused(400, "bad_request");
        assert!(
            refusal["errormessage"].as_str().unwrap().starts_with(field),
            "{field} {wrong}: {refusal}"
        );
        request.as_object_mut().unwrap().remove(field);
        let refusal = register(&world, &request)
            .await
            .is_refused(400, "bad_request");
        assert_eq!(refusal["errormessage"], format!("{field} is missing."));
    }
    assert_eq!(world.count("users").await, 0);
    world.end().await;
}

#[tokio::test]
async fn registrations_of_an_address_are_counted_whether_they_succeed_or_not() {
    let world = World::with(|settings| {
        settings.registrations = 2;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let from = async |address: &str, name: &str| {
        world
            .posts(
                "chatserver",
                "chatlogin",
                &[("X-Forwarded-For", address)],
                &registration(name).to_string(),
            )
            .await
    };
    from("192.0.2.1", "ann").await.is_ok();
    from("192.0.2.1", "ann")
        .await
        .is_refused(409, "already_exists");
    let refused = from("192.0.2.1", "ben").await;
    refused.is_refused(429, "rate_limited");
    // A measure of an hour: the next one is a while away.
    assert!(
        refused.headers["Retry-After"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 60,
        "{refused:?}"
    );
    assert_eq!(world.count("users").await, 1);
    // Elsewhere one still registers, and here one still logs in.
    from("192.0.2.2", "ben").await.is_ok();
    let login = json!({ "action": "login", "apikey": "a long key of ann" }).to_string();
    let headers = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("Ozeki-Station", &station()),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    world
        .posts("chatserver", "chatlogin", &headers, &login)
        .await
        .is_ok();
    world.end().await;
}

#[tokio::test]
async fn login_names_addresses_that_go_with_the_public_url() {
    for (public_url, listener, socket, api) in [
        ("http://127.0.0.1:0", "ws", None, None),
        (
            "https://chat.example.org",
            "wss",
            Some("wss://chat.example.org/ws"),
            Some("https://chat.example.org/"),
        ),
        (
            "http://10.0.0.7:8080/",
            "ws",
            Some("ws://10.0.0.7:8080/ws"),
            Some("http://10.0.0.7:8080/"),
        ),
        (
            "https://chat.example.org/ozeki/index.php",
            "wss",
            Some("wss://chat.example.org/ozeki/ws"),
            Some("https://chat.example.org/ozeki/index.php"),
        ),
    ] {
        let world = World::with(|settings| settings.public_url = public_url.into()).await;
        world.person("Ann").await;
        let answer = log_in(&world, "the apikey of Ann", None).await.is_ok();
        // Where nothing else was said: where it listens.
        let socket = socket.map_or_else(
            || format!("{}/ws", world.url.replace("http", "ws")),
            str::to_owned,
        );
        assert_eq!(answer["listeners"], json!({ listener: socket }));
        let api = api.map_or_else(|| format!("{}/", world.url), str::to_owned);
        for (name, api_name) in [
            ("login", "chatlogin"),
            ("conversationgroup", "chatconversationgroup"),
            ("reports", "chatreports"),
        ] {
            assert_eq!(
                answer["urls"][name],
                format!("{api}?srv=chatserver&api={api_name}")
            );
        }
        world.end().await;
    }
}

#[tokio::test]
async fn login_says_whether_one_may_register() {
    for (registration, told) in [
        (Registration::Open, "true"),
        (Registration::Invite, "true"),
        (Registration::Closed, "false"),
    ] {
        let world = World::with(|settings| settings.registration = registration).await;
        let (email, key) = ("ann@example.org", "a long key of ann");
        world
            .sql(&format!(
                "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
                values (md5('{email}')::uuid, '{email}', 'ann', 'ann', '{}', '', now());
                insert into credentials (key_hash, user_id, label, created_at) values (sha256('{key}'), md5('{email}')::uuid, '', now())",
                public_key(&key_of("ann")),
            ))
            .await;
        assert_eq!(
            log_in(&world, key, None).await.is_ok()["registration"],
            told
        );
        world.end().await;
    }
}

#[tokio::test]
async fn where_registration_is_open_an_invitation_does_not_matter() {
    let world = World::new().await;
    let mut request = registration("ann");
    request["invite"] = "any".into();
    register(&world, &request).await.is_ok();
    // The shortest key that is none too short, and the longest; names of as many characters as they may have.
    let mut short = registration("ben");
    short["apikey"] = "b".repeat(15).into();
    register(&world, &short)
        .await
        .is_refused(400, "bad_request");
    short["apikey"] = "b".repeat(16).into();
    short["fullname"] = "é".repeat(128).into();
    short["nick"] = "é".repeat(64).into();
    short["rsakey"] = "r".repeat(16384).into();
    register(&world, &short).await.is_ok();
    let answer = log_in(&world, &"b".repeat(16), None).await.is_ok();
    assert_eq!(
        (&answer["nick"], &answer["fullname"], &answer["rsakey"]),
        (&short["nick"], &short["fullname"], &short["rsakey"])
    );
    world.end().await;
}
