//! The log: what operators find in it, and how little a flood of requests adds.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    embedded::{Dir, Server, parlance},
    world::{World, eventually},
};

/// The log of all servers in this process.
static LOG: LazyLock<&'static Mutex<Vec<u8>>> = LazyLock::new(|| {
    let log: &Mutex<Vec<u8>> = Box::leak(Box::default());
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || Writer(log))
        .init();
    log
});

struct Writer(&'static Mutex<Vec<u8>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines with this address.
fn lines_of(address: &str) -> Vec<String> {
    let log = LOG.lock().unwrap().clone();
    let text = String::from_utf8(log).unwrap();
    let named = format!("address={address} ");
    text.lines()
        .filter(|line| format!("{line} ").contains(&named))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_is_two_lines_and_those_of_others_are_still_logged() {
    LazyLock::force(&LOG);
    let world = World::with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        settings.timings.refusal_summary = Duration::from_hours(1);
    })
    .await;
    let ann = world.person("Ann").await;
    let body = json!({ "action": "list" }).to_string();
    let asks = async |address: &str, signature: &str| {
        let headers = [
            ("X-Forwarded-For", address),
            ("Ozeki-User", &*ann.user),
            ("Ozeki-Station", &*ann.station),
            ("Ozeki-Signature", signature),
        ];
        world
            .posts("chatserver", "chatfriends", &headers, &body)
            .await
    };
    for _ in 0..30 {
        asks("203.0.113.9", "AAAA")
            .await
            .refused(401, "signature_invalid");
    }
    // Another outcome, and another client with the same one.
    asks("203.0.113.9", "")
        .await
        .refused(401, "signature_missing");
    asks("198.51.100.7", "AAAA")
        .await
        .refused(401, "signature_invalid");
    assert_eq!(lines_of("203.0.113.9").len(), 2);
    assert_eq!(lines_of("198.51.100.7").len(), 1);
    world.end().await;
    let flood: Vec<_> = lines_of("203.0.113.9")
        .into_iter()
        .filter(|line| line.contains("signature_invalid"))
        .collect();
    assert_eq!(flood.len(), 2, "{flood:#?}");
    assert!(flood[0].contains("request{id=") && flood[0].contains("api=\"chatfriends\""));
    assert!(flood[1].contains("refused again") && flood[1].contains("times=29"));
    assert_eq!(lines_of("198.51.100.7").len(), 1);
}

/// Sends a request that is refused. Returns the id of the answer.
async fn refused(url: &str) -> String {
    let url = format!("{url}/?srv=chatserver&api=chatlogin");
    let answer = reqwest::Client::new()
        .post(url)
        .body(json!({ "action": "login" }).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_request_have_the_id_of_its_answer_in_both_formats() {
    let dir = Dir::new();
    let server = Server::start_as(parlance(&dir.data()).env("LOG_FORMAT", "json"));
    let id = refused(&server.url).await;
    eventually("a line", async || server.logged(&id)).await;
    let log = server.log.lock().unwrap().clone();
    let line = log.lines().find(|line| line.contains(&id)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["span"], json!({ "name": "request", "id": id }));
    assert_eq!(
        (
            &line["outcome"],
            &line["api"],
            &line["action"],
            &line["address"]
        ),
        (
            &json!("bad_request"),
            &json!("chatlogin"),
            &json!("login"),
            &json!("127.0.0.1")
        )
    );
    server.stop();
    let server = Server::start(&dir.data());
    let id = refused(&server.url).await;
    eventually("a line", async || {
        server.logged(&format!("request{{id={id}}}: "))
    })
    .await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_request_leave_no_line_whatever_level_is_set() {
    let dir = Dir::new();
    for level in [None, Some("info")] {
        let mut command = parlance(&dir.data());
        command.env_remove("RUST_LOG");
        if let Some(level) = level {
            command.env("RUST_LOG", level);
        }
        let server = Server::start_as(&mut command);
        let address = server.url.trim_start_matches("http://");
        for junk in [
            "\x16\x03\x01\r\n\r\n",
            "GET\r\n\r\n",
            "POST / HTTP/1.1\r\nx\r\n\r\n",
        ]
        .repeat(10)
        {
            let mut connection = TcpStream::connect(address).unwrap();
            connection.write_all(junk.as_bytes()).unwrap();
            // Closed after the library has logged what it logs. It may be reset.
            let _ = connection.read_to_end(&mut vec![]);
        }
        let id = refused(&server.url).await;
        eventually("a line", async || server.logged(&id)).await;
        let log = server.log.lock().unwrap().clone();
        assert!(
            !log.contains("ERROR") && !log.contains("stream error"),
            "{log}"
        );
        server.stop();
    }
}
