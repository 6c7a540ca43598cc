//! Logging in to NATS with a key, or with credentials that name one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{Nats, has_bus};
use crate::{
    embedded::{Dir, Server, parlance},
    world::{World, eventually, settings},
};

/// A NATS server with this configuration.
fn nats(dir: &Path, configuration: &str) -> Nats {
    let path = dir.join("nats.conf");
    fs::write(&path, configuration).unwrap();
    let mut nats = Nats::new();
    nats.start_by(|command| {
        command.arg("-c").arg(path);
    });
    nats
}

/// A token of one key about another, as NATS has them.
fn token(by: &KeyPair, about: &KeyPair, kind: &str, mut claims: Value) -> String {
    claims["type"] = kind.into();
    claims["version"] = 2.into();
    let parts = [
        json!({ "typ": "JWT", "alg": "ed25519-nkey" }),
        json!({
            "jti": "x", "iat": 0, "iss": by.public_key(), "name": kind, "sub": about.public_key(), "nats": claims
        }),
    ];
    let text = parts
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    let signature = URL_SAFE_NO_PAD.encode(by.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

/// Waits until a node that logs in with this file is connected.
async fn connects(nats: &Nats, file: &Path) {
    let world = World::with(|settings| {
        settings.nats_url = vec![nats.url().parse().unwrap()];
        settings.nats_credentials = Some(file.to_owned());
    })
    .await;
    eventually("the bus", async || has_bus(&world, "connected").await).await;
    world.end().await;
}

#[tokio::test]
async fn a_node_logs_in_to_nats_with_the_key_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let user = KeyPair::new_user();
    let users = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        user.public_key()
    );
    let nats = nats(dir.path(), &users);
    let seed = dir.path().join("seed");
    fs::write(&seed, format!("{}\n", user.seed().unwrap())).unwrap();
    connects(&nats, &seed).await;
}

#[tokio::test]
async fn a_node_with_a_seed_that_is_not_whole_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let user = KeyPair::new_user().seed().unwrap();
    // One character was changed, or is missing.
    let changed = if user.ends_with('A') { "B" } else { "A" };
    let changed = format!("{}{changed}", &user[..user.len() - 1]);
    let in_credentials = format!(
        "-----BEGIN NATS USER JWT-----\nab.cd.ef\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{changed}\n------END USER NKEY SEED------\n"
    );
    let account = KeyPair::new_account().seed().unwrap();
    for wrong in [&changed, &user[1..], &account, &in_credentials] {
        let path = dir.path().join("seed");
        fs::write(&path, wrong).unwrap();
        let mut settings = settings();
        settings.nats_url = vec!["nats://127.0.0.1:1".parse().unwrap()];
        settings.nats_credentials = Some(path.clone());
        let Err(error) = Box::pin(parlance::server::start(settings)).await else {
            panic!("started with {wrong}");
        };
        let sentence = error.to_string();
        assert!(
            sentence.contains(path.to_str().unwrap()) && !sentence.contains(&user[2..]),
            "{sentence}"
        );
    }
}

#[test]
fn an_open_file_of_credentials_and_a_refused_login_are_logged() {
    let dir = Dir::new();
    let nats = nats(
        dir.data().parent().unwrap(),
        &format!(
            "authorization {{ users: [ {{ nkey: {} }} ] }}",
            KeyPair::new_user().public_key()
        ),
    );
    let seed = dir.data().with_file_name("seed");
    fs::write(&seed, KeyPair::new_user().seed().unwrap()).unwrap();
    fs::set_permissions(&seed, fs::Permissions::from_mode(0o640)).unwrap();
    let start = || {
        let mut command = parlance(&dir.data());
        command
            .env("NATS_URL", nats.url())
            .env("NATS_CREDENTIALS", &seed);
        Server::start_as(&mut command)
    };
    let refused = "NATS cannot be used: client error: nats: authorization violation";
    let open = "everyone on this machine can use";
    let server = start();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !server.logged(refused) {
        assert!(Instant::now() < deadline, "{}", server.log.lock().unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!server.logged(open));
    server.stop();
    fs::set_permissions(&seed, fs::Permissions::from_mode(0o644)).unwrap();
    let server = start();
    assert!(server.logged(open));
    server.stop();
}

#[tokio::test]
async fn a_node_logs_in_to_nats_with_a_file_of_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let (operator, account, user) = (
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_user(),
    );
    let unlimited = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1
    });
    let nats = nats(
        dir.path(),
        &format!(
            "operator: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {} }}\n",
            token(&operator, &operator, "operator", json!({})),
            account.public_key(),
            token(
                &operator,
                &account,
                "account",
                json!({ "limits": unlimited })
            ),
        ),
    );
    let credentials = dir.path().join("parlance.creds");
    let login = token(
        &account,
        &user,
        "user",
        json!({ "subs": -1, "data": -1, "payload": -1 }),
    );
    fs::write(
        &credentials,
        format!(
            "-----BEGIN NATS USER JWT-----\n{login}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed().unwrap()
        ),
    )
    .unwrap();
    connects(&nats, &credentials).await;
}
