//! `parlance serve`: its signal handling.

use std::{path::Path, process::Command};

use nix::sys::signal::Signal;

use crate::{
    embedded::{Dir, Server, parlance},
    world::eventually,
};

/// A certificate for this name, and its key.
fn certificate(dir: &Path, name: &str) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(dir).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    let output = openssl
        .args([
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The name in the certificate that a server presents.
fn shown(address: &str) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", address])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find(|line| line.starts_with("subject="))
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sighup_the_certificate_is_read_again() {
    let dir = Dir::new();
    let files = tempfile::tempdir().unwrap();
    certificate(files.path(), "before.example.org");
    let mut command = parlance(&dir.data());
    command
        .env("TLS_CERT", files.path().join("cert.pem"))
        .env("TLS_KEY", files.path().join("key.pem"));
    let server = Server::start_as(&mut command);
    let address = server.url.strip_prefix("https://").unwrap().to_owned();
    assert!(shown(&address).contains("before.example.org"));
    certificate(files.path(), "after.example.org");
    assert!(shown(&address).contains("before.example.org"));
    server.signal(Signal::SIGHUP);
    eventually("the new certificate", async || {
        shown(&address).contains("after.example.org")
    })
    .await;
    assert!(server.logged("the certificate was read again"));
    // An unreadable certificate leaves the old one in use.
    std::fs::write(files.path().join("cert.pem"), "no certificate").unwrap();
    server.signal(Signal::SIGHUP);
    eventually("a complaint", async || {
        server.logged("the old certificate stays")
    })
    .await;
    assert!(shown(&address).contains("after.example.org"));
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_sighup_a_server_without_a_certificate_does_not_say_that_it_read_one() {
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    server.signal(Signal::SIGHUP);
    eventually("a line about it", async || server.logged("SIGHUP")).await;
    assert!(
        !server.logged("was read again"),
        "{}",
        server.log.lock().unwrap()
    );
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_users_prints_a_link_on_stdout_alone_and_one_with_users_does_not() {
    let dir = Dir::new();
    let mut server = Server::start(&dir.data());
    let said = server.says(2);
    let code = said[1]
        .strip_prefix(&format!("{}/#invite=", server.url))
        .unwrap_or_else(|| panic!("{said:?}"));
    assert!(!server.logged(code), "the log is kept");
    let mut register = parlance(&dir.data());
    register.args(["user", "register", "ann@example.org", "--password-stdin"]);
    let output = crate::cli::run(register.args(["--invite", code]), "a long password");
    crate::cli::good(&output);
    let list = crate::cli::run(parlance(&dir.data()).args(["user", "list"]), "");
    assert!(crate::cli::good(&list).contains("  admin"));
    server.stop();

    let mut later = Server::start(&dir.data());
    later.signal(Signal::SIGTERM);
    assert_eq!(later.says(1), Vec::<String>::new());
    later.stop();
}
