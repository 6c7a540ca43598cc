//! Logging in to NATS with a key, or with credentials that name one.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{Nats, has_bus};
use crate::world::{World, eventually};

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
