//! It starts from nothing, and stops cleanly.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::sys::signal::Signal;

use super::{Dir, KEEP, KEPT, Server, lives, parlance, psql, refuses};
use crate::world::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_on_nothing_safely_and_stops_cleanly() {
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    assert!(server.is_ready().await);
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ] {
        assert_eq!(
            psql(&dir.data(), &format!("show {setting}")),
            value,
            "{setting}"
        );
    }
    // Only its own user can access the socket and the data.
    for private in ["run", "postgres"] {
        assert_eq!(
            std::fs::metadata(dir.data().join(private)).unwrap().mode() & 0o077,
            0,
            "{private}"
        );
    }
    if nix::unistd::geteuid().is_root() {
        assert_ne!(std::fs::metadata(dir.postgres()).unwrap().uid(), 0);
    }
    psql(&dir.data(), KEEP);
    let postmaster = dir.postmaster().unwrap();
    server.stop();
    assert!(!lives(postmaster));
    let server = Server::start(&dir.data());
    assert_eq!(psql(&dir.data(), KEPT), "1");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn its_postgresql_has_the_operators_settings() {
    let dir = Dir::new();
    let settings = "shared_buffers=48MB; max_wal_senders=3";
    let server = Server::start_as(parlance(&dir.data()).env("POSTGRES_SETTINGS", settings));
    for (setting, value) in [
        ("shared_buffers", "48MB"),
        ("max_wal_senders", "3"),
        ("fsync", "on"),
    ] {
        let shown = psql(&dir.data(), &format!("show {setting}"));
        assert_eq!(shown, value, "{setting}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_before_the_end() {
    use std::io::{Read, Write};
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    let mut socket =
        std::net::TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    socket.write_all(b"POST /?srv=chatserver&api=chatlogin HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").unwrap();
    // The server has the request's head, and asks for the rest.
    let mut asks = [0; 25];
    socket.read_exact(&mut asks).unwrap();
    assert_eq!(&asks, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal(Signal::SIGTERM);
    let address = server.url.trim_start_matches("http://").to_owned();
    eventually("the server to take no more", async || {
        std::net::TcpStream::connect(&address).is_err()
    })
    .await;
    socket.write_all(b"{}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("bad_request"),
        "{answer}"
    );
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_path_does_not_matter() {
    let dir = Dir::new();
    let data = dir.0.join("d".repeat(120));
    let server = Server::start(&data);
    assert_eq!(psql(&data, "select 1"), "1");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_database_cannot_reach_is_one_sentence() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = Dir::new();
    std::fs::set_permissions(&dir.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("cannot reach") && sentence.contains("DATA_DIR"),
        "{sentence}"
    );
}
