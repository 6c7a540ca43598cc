//! What a page of another site can make a visitor's browser do: nothing. And what is of browsers'
//! answers otherwise.

use serde_json::json;

use crate::world::{Answer, World};

/// A login that fails, with these headers. Returns its answer.
async fn tries_to_log_in(world: &World, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "action": "login", "apikey": "0".repeat(64) }).to_string();
    let station = "0".repeat(32);
    let headers = [&[("Ozeki-Station", &*station)], headers].concat();
    world
        .posts("chatserver", "chatlogin", &headers, &body)
        .await
}

#[tokio::test]
async fn requests_from_pages_of_other_sites_are_refused() {
    let world =
        World::with(|settings| settings.public_url = "https://chat.example.org".into()).await;
    let own = world.url.clone();
    let host = own.trim_start_matches("http://").to_owned();
    let foreign = "https://evil.example";
    for headers in [
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site"), ("Origin", &*own)],
        vec![("Sec-Fetch-Site", "another word")],
        vec![("Origin", foreign)],
        vec![("Origin", "null")],
        vec![("Origin", "")],
        vec![("Origin", foreign), ("Sec-Fetch-Site", "same-origin")],
        // A name of the attacker's that points to this machine: to the browser it is one site.
        vec![
            ("Host", "evil.example:8080"),
            ("Origin", "http://evil.example:8080"),
            ("Sec-Fetch-Site", "same-origin"),
        ],
        vec![
            ("Host", "127.0.0.1.evil.example"),
            ("Origin", "http://127.0.0.1.evil.example"),
        ],
    ] {
        let answer = tries_to_log_in(&world, &headers).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert_eq!(answer.json()["errorcode"], "not_allowed", "{headers:?}");
        let mut handshake = reqwest::Client::new().get(format!("{own}/ws?user=u&station=s"));
        for (name, value) in &headers {
            handshake = handshake.header(*name, *value);
        }
        let status = handshake.send().await.unwrap().status();
        assert_eq!(status, 403, "{headers:?}");
    }
    for headers in [
        vec![],
        vec![("Host", "another.example")],
        vec![("Sec-Fetch-Site", "none")],
        vec![("Origin", &*own), ("Sec-Fetch-Site", "same-origin")],
        vec![("Origin", &*own)],
        // A proxy that speaks TLS.
        vec![
            ("Host", "chat.example.org"),
            ("Origin", "https://chat.example.org"),
        ],
        vec![("Host", &*host), ("Origin", "https://chat.example.org")],
        vec![
            ("Host", "localhost:8080"),
            ("Origin", "http://localhost:8080"),
        ],
        vec![("Host", "[::1]:8080"), ("Origin", "http://[::1]:8080")],
    ] {
        let answer = tries_to_log_in(&world, &headers).await;
        assert_eq!(answer.status, 401, "{headers:?}: {}", answer.text);
    }
    world.end().await;
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    let world = World::new().await;
    for (encoding, status) in [("gzip", 415), ("br", 415), ("identity", 401)] {
        let answer = tries_to_log_in(&world, &[("Content-Encoding", encoding)]).await;
        assert_eq!(answer.status, status, "{encoding}");
    }
    world.end().await;
}

#[tokio::test]
async fn probes_answer_head() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz"] {
        let answer = world.sends("HEAD", path).await;
        assert_eq!((answer.status, &*answer.text), (200, ""), "{path}");
        assert!(!answer.headers.contains_key("strict-transport-security"));
    }
    world.end().await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_use_the_api_and_nobody_elses() {
    let allowed = "https://app.example";
    let world = World::with(|settings| settings.allowed_origins = vec![allowed.into()]).await;
    let client = reqwest::Client::new();
    let preflight = async |origin: &str| {
        client
            .request(
                reqwest::Method::OPTIONS,
                format!("{}/?srv=chatserver&api=chatlogin", world.url),
            )
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "ozeki-station")
            .send()
            .await
            .unwrap()
    };
    let answer = preflight(allowed).await;
    assert_eq!(answer.status(), 204);
    let headers = answer.headers();
    assert_eq!(headers["Access-Control-Allow-Origin"], allowed);
    assert_eq!(headers["Access-Control-Allow-Methods"], "POST");
    assert!(
        headers["Access-Control-Allow-Headers"]
            .to_str()
            .unwrap()
            .contains("Ozeki-Signature")
    );
    assert!(!headers.contains_key("Access-Control-Allow-Credentials"));
    let answer = tries_to_log_in(
        &world,
        &[("Origin", allowed), ("Sec-Fetch-Site", "cross-site")],
    )
    .await;
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert_eq!(answer.headers["Access-Control-Allow-Origin"], allowed);
    assert_eq!(answer.headers["Vary"], "Origin");
    for foreign in [
        "https://app.example.evil",
        "http://app.example",
        "https://app.example:8443",
        "null",
        "",
    ] {
        let answer = preflight(foreign).await;
        assert_ne!(answer.status(), 204, "{foreign}");
        assert!(
            !answer.headers().contains_key("Access-Control-Allow-Origin"),
            "{foreign}"
        );
        let answer = tries_to_log_in(
            &world,
            &[("Origin", foreign), ("Sec-Fetch-Site", "cross-site")],
        )
        .await;
        assert_eq!(answer.status, 403, "{foreign}");
        assert!(
            !answer.headers.contains_key("Access-Control-Allow-Origin"),
            "{foreign}"
        );
    }
    // Who sends no origin is no page of another site, unless it says so.
    assert_eq!(tries_to_log_in(&world, &[]).await.status, 401);
    assert_eq!(
        tries_to_log_in(&world, &[("Sec-Fetch-Site", "cross-site")])
            .await
            .status,
        403
    );
    world.end().await;
}
