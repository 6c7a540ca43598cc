//! Logging in: keys, stations, and limits of failures.

use parlance_wire::key::SecretHash;
use serde_json::{Value, json};

use super::{log_in, station};
use crate::world::World;

#[tokio::test]
async fn a_key_opens_its_own_users_login_alone() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let answer = log_in(&world, "the apikey of Ann", None).await.ok();
    assert_eq!(
        (&answer["userid"], &answer["nick"], &answer["rsakey"]),
        (&json!(ann.user), &json!("Ann"), &json!("opaque"))
    );
    assert_eq!(
        log_in(&world, "the apikey of Ann", Some(&ann.user))
            .await
            .ok()["userid"],
        ann.user.as_str()
    );
    // Every failure is the same: a wrong key, another user's key, a user who does not exist.
    let mut failures = vec![];
    for (apikey, user) in [
        ("wrong", None),
        ("wrong", Some(ann.user.as_str())),
        ("the apikey of Ann", Some(ben.user.as_str())),
        ("wrong", Some("00000000000000000000000000000000")),
    ] {
        let failure = log_in(&world, apikey, user).await;
        failure.refused(401, "login_failed");
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
        .refused(400, "bad_request");
    world
        .posts("chatserver", "chatlogin", &[("Ozeki-Station", "x")], &key)
        .await
        .refused(400, "bad_request");
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
            .refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn too_many_failures_of_a_user_or_an_address_are_refused_unchecked() {
    let world = World::with(|settings| settings.login_tries = 3).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..3 {
        log_in(&world, "wrong", Some(&ann.user))
            .await
            .refused(401, "login_failed");
    }
    let refused = log_in(&world, "the apikey of Ann", Some(&ann.user)).await;
    refused.refused(429, "rate_limited");
    assert!(
        refused.headers["Retry-After"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    // Others are not affected, and success costs nothing.
    for _ in 0..30 {
        log_in(&world, "the apikey of Ben", Some(&ben.user))
            .await
            .ok();
    }
    // The address has a limit of its own: 18 a minute here, some of which are used.
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
        .refused(429, "rate_limited");
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
    // A header that the client adds itself does not help.
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
async fn an_address_is_read_in_each_form_that_proxies_write() {
    let world = World::with(|settings| {
        settings.login_tries = 1;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let body = json!({ "action": "login", "apikey": "wrong" }).to_string();
    let fails = async |headers: &[(&str, &str)]| {
        let station = "ab".repeat(16);
        let headers = [&[("Ozeki-Station", &*station)], headers].concat();
        world
            .posts("chatserver", "chatlogin", &headers, &body)
            .await
            .status
    };
    let (plain, standard) = ("X-Forwarded-For", "Forwarded");
    // Each group is one client, which may fail six times.
    for forms in [
        [
            &[(plain, "203.0.113.11")][..],
            &[(plain, "203.0.113.11:4711")],
            &[(standard, "for=203.0.113.11")],
            &[(standard, "by=10.0.0.1;For=\"203.0.113.11:4711\";proto=http")],
            &[(plain, "203.0.113.11"), (standard, "for=203.0.113.11")],
            &[(standard, "for=192.0.2.1, for=203.0.113.11")],
        ],
        [
            &[(plain, "2001:db8:1::1")],
            &[(plain, "[2001:db8:1::2]")],
            &[(plain, "[2001:db8:1::3]:4711")],
            &[(standard, "for=\"[2001:db8:1::4]\"")],
            &[(standard, "for=\"[2001:db8:1::5]:4711\"")],
            &[(plain, "10.1.1.1, 2001:db8:1::6")],
        ],
        // Nobody is known: all of them are the proxy.
        [
            &[(plain, "unknown")],
            &[(standard, "for=_hidden")],
            &[(standard, "proto=http")],
            &[(plain, "203.0.113.12"), (standard, "for=203.0.113.13")],
            &[(plain, "203.0.113.12, what,")],
            &[],
        ],
    ] {
        for headers in forms {
            assert_eq!(fails(headers).await, 401, "{headers:?}");
        }
        assert_eq!(fails(forms[0]).await, 429, "{:?}", forms[0]);
    }
    // No form is a way around: each client's tries are used up.
    assert_eq!(fails(&[(standard, "for=203.0.113.11")]).await, 429);
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
        log_in(&world, "the apikey of Ann", None).await.ok();
    }
    assert_eq!(world.count("stations").await, 100);
    ann.lists().await.refused(401, "unknown_station");
    world.end().await;
}

#[tokio::test]
async fn login_tells_a_v4_client_what_the_server_takes_at_most() {
    let world = World::with(|settings| settings.max_message_bytes = 5000).await;
    let ann = world.person("Ann").await;
    let login = async |version: i64| {
        let body = json!({ "action": "login", "apikey": "the apikey of Ann", "clientversioncode": version });
        let headers = [("Ozeki-Station", ann.station.as_str())];
        let body = body.to_string();
        let answer = world.posts("chatserver", "chatlogin", &headers, &body);
        answer.await.ok()
    };
    assert_eq!(login(3).await["limits"], Value::Null);
    let limits = login(4).await["limits"].clone();
    assert_eq!(
        limits,
        json!({
            "messagebytes": 5000, "bodybytes": 1_048_576, "rsakeybytes": 262_144, "framebytes": 4096, "participants": 5000,
            "conversations": 1000, "newconversations": 100, "stations": 100, "sockets": 20, "requests": 32,
            "messageids": 1000, "erasedids": 100, "file": 104_857_600, "filequota": 1_073_741_824, "fileused": 0, "filebytes": 1_099_511_627_776_u64, "clockdifference": 300, "messagelifetime": 604_800, "expirygrace": 604_800
        })
    );
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
            "https://chat.example.org/chat/",
            "wss",
            Some("wss://chat.example.org/chat/ws"),
            Some("https://chat.example.org/chat/"),
        ),
        // Where nobody can connect to, what the client connected to.
        ("http://0.0.0.0:0", "ws", None, None),
        (
            "https://chat.example.org/ozeki/index.php",
            "wss",
            Some("wss://chat.example.org/ozeki/ws"),
            Some("https://chat.example.org/ozeki/index.php"),
        ),
    ] {
        let world = World::with(|settings| settings.public_url = public_url.into()).await;
        world.person("Ann").await;
        let answer = log_in(&world, "the apikey of Ann", None).await.ok();
        // By default, where it listens.
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
