//! Clients that disconnect half-way, and bugs of the server.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    embedded::{Dir, Server, parlance},
    world::{Changes, World, message, request},
};

#[tokio::test]
async fn an_internal_error_leaks_nothing() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    ann.hears().await;
    world.sql("alter table messages rename to elsewhere").await;
    for request in [
        request("add", &conversation, json!({ "message": message("x") })),
        request("download", &conversation, json!({})),
        request("downloadpartial", &conversation, json!({})),
    ] {
        let answer = ann.asks("chatconversation", request).await;
        answer.refused(500, "internal");
        assert!(
            !answer.text.contains("messages") && !answer.text.contains("relation"),
            "{}",
            answer.text
        );
    }
    // A refused request changed nothing, so no station has to resync.
    assert_eq!(ann.hears().await, Changes::default());
    world.sql("alter table elsewhere rename to messages").await;
    ann.adds(&conversation, "well again").await;
    world.end().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_holds_nobody_up() {
    use std::io::Write;
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let slow: Vec<_> = (0..50)
        .map(|n| {
            let mut socket = std::net::TcpStream::connect(world.url.trim_start_matches("http://")).unwrap();
            let head =
                ["", "POST / HTTP/1.1\r\nHost:", "POST /?srv=chatserver&api=chatlogin HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"];
            socket.write_all(head[n % 3].as_bytes()).unwrap();
            socket
        })
        .collect();
    ann.lists().await.ok();
    drop(slow);
    world.end().await;
}

#[tokio::test]
async fn ten_thousand_connections_that_say_nothing_are_closed_and_hold_nobody_up() {
    use tokio::{io::AsyncReadExt, net::TcpStream};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    // Fewer if the machine limits the open files of a process.
    let count = most.saturating_sub(1000).min(10_000);
    let dir = Dir::new();
    let server = Server::start_as(parlance(&dir.data()).env("REGISTRATION", "open"));
    let world = World::at(&server.url, sqlx::postgres::PgConnectOptions::new());
    let ann = world.person("Ann").await;
    let address = world.url.trim_start_matches("http://").to_owned();
    let mut silent = vec![];
    for _ in 0..count {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    ann.lists().await.ok();
    // The server gives up on them and closes the connection.
    let mut rest = Vec::new();
    for mut connection in silent {
        let closed = timeout(Duration::from_mins(1), connection.read_to_end(&mut rest)).await;
        assert!(closed.is_ok());
    }
    ann.lists().await.ok();
    server.stop();
}
