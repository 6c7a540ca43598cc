//! Replacing password, recovery key and key pair.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{log_in, registration, station};
use crate::world::{Answer, Person, Socket, World, key as key_of, public_key, sign};

const SIGNED_OUT: CloseCode = CloseCode::Library(4401);

/// An unsigned request of a v4 client.
pub(super) async fn asks_unsigned(world: &World, mut fields: Value) -> Answer {
    fields["clientversioncode"] = 4.into();
    let headers = [("Ozeki-Station", station())];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    world
        .posts("chatserver", "chatlogin", &headers, &fields.to_string())
        .await
}

pub(super) async fn prelogin(world: &World, email: &str) -> Answer {
    asks_unsigned(world, json!({ "action": "prelogin", "email": email })).await
}

async fn changes(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks_as(4, "chatlogin", fields).await
}

pub(super) fn argon2id(m: i64, byte: u8) -> Value {
    let salt = format!("{byte:02x}").repeat(16);
    json!({ "kdf": "argon2id", "m": m, "t": 3, "p": 1, "salt": salt })
}

/// The vault's fields in the answer to a login with this key.
async fn vault(world: &World, apikey: &str) -> Value {
    let login = json!({ "action": "login", "apikey": apikey });
    let answer = asks_unsigned(world, login).await.ok();
    json!([answer["rsakey"], answer["version"], answer["key"]])
}

/// A request to change the password.
fn password(apikey: &str, version: i64) -> Value {
    json!({
        "apikey": apikey, "kdf": argon2id(65536, 1), "rsakey": format!("vault {version} under {apikey}"), "version": version
    })
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one_together_with_the_vault() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let phone = ann.second_device().await;
    assert_eq!(
        vault(&world, "the apikey of Ann").await,
        json!(["opaque", 0, "password"])
    );
    let new = password("a new apikey of Ann", 1);
    // Twice: the first answer may have been lost.
    for _ in 0..2 {
        changes(&ann, "changepassword", new.clone()).await.ok();
    }
    log_in(&world, "the apikey of Ann", None)
        .await
        .refused(401, "login_failed");
    assert_eq!(
        vault(&world, "a new apikey of Ann").await,
        json!(["vault 1 under a new apikey of Ann", 1, "password"])
    );
    let told = prelogin(&world, "ann@example.org").await.ok();
    assert_eq!(told["salt"], argon2id(0, 1)["salt"]);
    // Other stations stay, and keep the name of their credential.
    let seen = phone
        .asks_as(4, "chatlogin", json!({ "action": "stations" }))
        .await
        .ok();
    assert!(
        seen["stations"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["key"] == "password")
    );
    // Back to the published form; this time the others have to log in again.
    let mut socket = Socket::of(&phone, 4).await;
    let mut published = password("a last apikey of Ann", 2);
    published.as_object_mut().unwrap().remove("kdf");
    published["signout"] = true.into();
    changes(&ann, "changepassword", published).await.ok();
    assert_eq!(socket.ends().await, SIGNED_OUT);
    phone.lists().await.refused(401, "unknown_station");
    ann.lists().await.ok();
    let told = prelogin(&world, "ann@example.org").await.ok();
    assert_eq!(told["kdf"], "pbkdf2-sha256");
    world.end().await;
}

#[tokio::test]
async fn the_version_of_a_vault_only_grows() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    changes(&ann, "changepassword", password("a new apikey of Ann", 5))
        .await
        .ok();
    for version in [1, 4, 5] {
        let stale = password("another apikey of Ann", version);
        let refusal = changes(&ann, "changepassword", stale).await;
        assert_eq!(refusal.refused(409, "stale_version")["version"], 5);
        let recovery =
            json!({ "recoverykey": "a recovery key of Ann", "rsakey": "x", "version": version });
        changes(&ann, "changerecovery", recovery)
            .await
            .refused(409, "stale_version");
    }
    for wrong in [
        json!(0),
        json!(-1),
        json!(2_147_483_648_i64),
        json!("6"),
        Value::Null,
    ] {
        let mut change = password("another apikey of Ann", 6);
        change["version"] = wrong;
        changes(&ann, "changepassword", change)
            .await
            .refused(400, "bad_request");
    }
    assert_eq!(
        vault(&world, "a new apikey of Ann").await,
        json!(["vault 5 under a new apikey of Ann", 5, "password"])
    );
    assert_eq!(world.count("credentials").await, 1);
    // Of several concurrent ones, only one is done.
    let all = (0..4).map(|n| {
        let change = password(&format!("the apikey number {n} of Ann"), 6);
        changes(&ann, "changepassword", change)
    });
    let answers = futures_util::future::join_all(all).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 409).count(),
        3,
        "{statuses:?}"
    );
    assert_eq!(world.count("credentials").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_recovery_key_replaces_a_lost_password_and_is_used_up() {
    let world = World::new().await;
    let mut new = registration("ann");
    new["recoverykey"] = "a recovery key of ann".into();
    asks_unsigned(&world, new).await.ok();
    assert_eq!(
        vault(&world, "a recovery key of ann").await,
        json!(["opaque", 0, "recovery"])
    );
    let login = json!({ "action": "login", "apikey": "a recovery key of ann" });
    let user = asks_unsigned(&world, login).await.ok()["userid"].clone();
    let ann = Person {
        world: world.clone(),
        name: "ann".into(),
        user: user.as_str().unwrap().into(),
        station: station(),
        key: key_of("ann"),
    };
    let at_station = json!({ "action": "login", "apikey": "a recovery key of ann" }).to_string();
    let headers = [("Ozeki-Station", ann.station.as_str())];
    world
        .posts("chatserver", "chatlogin", &headers, &at_station)
        .await
        .ok();
    // Password and recovery key in one commit, or neither.
    let mut change = password("a new apikey of ann", 1);
    change["recoverykey"] = "r".repeat(15).into();
    changes(&ann, "changepassword", change.clone())
        .await
        .refused(400, "bad_request");
    change["recoverykey"] = change["apikey"].clone();
    changes(&ann, "changepassword", change.clone())
        .await
        .refused(409, "already_exists");
    vault(&world, "a recovery key of ann").await;
    vault(&world, "a long key of ann").await;
    change["recoverykey"] = "another recovery key of ann".into();
    changes(&ann, "changepassword", change).await.ok();
    for old in ["a recovery key of ann", "a long key of ann"] {
        log_in(&world, old, None).await.refused(401, "login_failed");
    }
    let told = vault(&world, "another recovery key of ann").await;
    assert_eq!(
        told,
        json!(["vault 1 under a new apikey of ann", 1, "recovery"])
    );
    // Only a new recovery key.
    let sheet =
        json!({ "recoverykey": "a third recovery key of ann", "rsakey": "vault 2", "version": 2 });
    changes(&ann, "changerecovery", sheet).await.ok();
    log_in(&world, "another recovery key of ann", None)
        .await
        .refused(401, "login_failed");
    assert_eq!(
        vault(&world, "a third recovery key of ann").await,
        json!(["vault 2", 2, "recovery"])
    );
    vault(&world, "a new apikey of ann").await;
    let short = json!({ "recoverykey": "short", "rsakey": "vault 3", "version": 3 });
    changes(&ann, "changerecovery", short)
        .await
        .refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn a_new_key_signs_on_every_node_from_its_commit_on() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let phone = ann.second_device().await;
    let (mut phones, mut bens) = (Socket::of(&phone, 4).await, Socket::of(&ben, 4).await);
    let key = key_of("Ann's second");
    let new_key = public_key(&key);
    let proof = |text: String| sign(&key, &text);
    let good = proof(format!("parlance new key 1\n{}\n{new_key}", ann.user));
    let change = |proof: &str| json!({ "publickey": new_key, "proof": proof, "rsakey": "vault 1", "version": 1 });
    for wrong in [
        "",
        "no base64",
        &proof(format!("parlance new key 1\n{}\n{new_key}", ben.user)),
        &sign(
            &ann.key,
            &format!("parlance new key 1\n{}\n{new_key}", ann.user),
        ),
    ] {
        changes(&ann, "changekeys", change(wrong))
            .await
            .refused(400, "bad_request");
    }
    let forged = Person {
        key: key.clone(),
        ..ann.clone()
    };
    changes(&forged, "changekeys", change(&good))
        .await
        .refused(401, "signature_invalid");
    changes(&ann, "changekeys", change(&good)).await.ok();
    ann.lists().await.refused(401, "signature_invalid");
    let renewed = Person { key, ..ann.clone() };
    renewed.lists().await.ok();
    // The others have the old pair, and log in again for the new one.
    assert_eq!(phones.ends().await, SIGNED_OUT);
    let phone = Person {
        key: renewed.key.clone(),
        ..phone
    };
    phone.lists().await.refused(401, "unknown_station");
    phone.logs_in().await;
    phone.lists().await.ok();
    // Friends look again.
    let told = bens.hears_about("friendavailabilitesof").await;
    assert_eq!(told, json!([ann.user]));
    let list = ben.lists_friends().await.ok();
    assert_eq!(list["availabilities"][0]["publickey"], new_key);
    world.end().await;
}

#[tokio::test]
async fn a_vault_has_room_for_a_thousand_contacts_and_a_login_does_not() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let vault = |bytes: usize| json!({ "rsakey": "v".repeat(bytes), "version": 1 });
    let refused = changes(&ann, "changevault", vault(262_145)).await;
    let refused = refused.refused(400, "bad_request");
    let sentence = refused["errormessage"].as_str().unwrap();
    assert!(sentence.contains("262144"), "{sentence}");
    changes(&ann, "changevault", vault(262_144)).await.ok();
    let stored = changes(&ann, "vault", json!({})).await.ok();
    assert_eq!(stored["rsakey"].as_str().map(str::len), Some(262_144));
    let more = changes(&ann, "changevault", vault(300_000)).await;
    more.refused(413, "too_large");
    // No other request about an account is as large, whoever sends it.
    let large = json!({ "version": 1, "unknown": "v".repeat(40_000) });
    let refused = changes(&ann, "vault", large).await;
    refused.refused(413, "too_large");
    let mut new = registration("ben");
    new["rsakey"] = "v".repeat(40_000).into();
    let refused = asks_unsigned(&world, new).await;
    refused.refused(413, "too_large");
    world.end().await;
}
