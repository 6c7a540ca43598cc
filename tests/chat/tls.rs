//! TLS without a proxy: the certificate is read at the start and on SIGHUP, and a bad one changes
//! nothing.

use std::{io::Write, sync::Arc};

use chrono::TimeDelta;
use parlance_wire::time::Timestamp;

use crate::world::World;

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
    let world = World::with(|settings| {
        settings.tls = Some(files.clone());
        settings.metrics_addr = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let shown = |world: &Arc<World>| {
        let address = world.url.trim_start_matches("http://").to_owned();
        let mut openssl = std::process::Command::new("openssl")
            .args(["s_client", "-ign_eof", "-connect", &address])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let request = b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        openssl.stdin.take().unwrap().write_all(request).unwrap();
        let output = openssl.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).to_lowercase()
    };
    let first = shown(&world);
    assert!(first.contains("first.example"));
    assert!(
        first.contains("strict-transport-security: max-age=31536000"),
        "{first}"
    );
    // The metrics say when the certificate ends.
    let metrics = reqwest::get(world.metrics_url()).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let expires: i64 = metrics
        .lines()
        .find_map(|line| line.strip_prefix("parlance_tls_certificate_expires_seconds "))
        .unwrap()
        .parse()
        .unwrap();
    let (two_days, hour) = (TimeDelta::days(2).num_seconds(), 3600);
    let left = expires - Timestamp::now().unix_seconds();
    assert!((two_days - hour..=two_days).contains(&left), "{left}");
    make("second.example");
    world.reads_certificate_again().unwrap();
    assert!(shown(&world).contains("second.example"));
    std::fs::write(&files.key, "nonsense").unwrap();
    assert!(
        world
            .reads_certificate_again()
            .unwrap_err()
            .to_string()
            .contains("TLS_KEY")
    );
    assert!(shown(&world).contains("second.example"));
    world.end().await;
}
