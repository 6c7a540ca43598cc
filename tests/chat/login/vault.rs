//! How a password is stretched, and what replaces it, the recovery key and the key pair.

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

async fn prelogin(world: &World, email: &str) -> Answer {
    asks_unsigned(world, json!({ "action": "prelogin", "email": email })).await
}

async fn changes(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks_as(4, "chatlogin", fields).await
}

fn argon2id(m: i64, byte: u8) -> Value {
    let salt = format!("{byte:02x}").repeat(16);
    json!({ "kdf": "argon2id", "m": m, "t": 3, "p": 1, "salt": salt })
}

/// What a login with this key is told of the vault.
async fn vault(world: &World, apikey: &str) -> Value {
    let login = json!({ "action": "login", "apikey": apikey });
    let answer = asks_unsigned(world, login).await.ok();
    json!([answer["rsakey"], answer["version"], answer["key"]])
}

/// What a change of the password asks for.
fn password(apikey: &str, version: i64) -> Value {
    json!({
        "apikey": apikey, "kdf": argon2id(65536, 1), "rsakey": format!("vault {version} under {apikey}"), "version": version
    })
}

#[tokio::test]
async fn who_has_no_account_is_answered_as_who_has_one() {
    let world = World::new().await;
    let mut new = registration("ann");
    new["kdf"] = argon2id(65536, 7);
    asks_unsigned(&world, new).await.ok();
    let known = prelogin(&world, " Ann@Example.org ").await;
    let unknown = prelogin(&world, "nobody@example.org").await;
    let mut expected = argon2id(65536, 7);
    (expected["status"], expected["errormessage"]) = ("OK".into(), "".into());
    expected["server"] = unknown.ok()["server"].clone();
    assert_eq!(expected["server"].as_str().map(str::len), Some(32));
    assert_eq!(known.ok(), expected);
    // The same for each question, another one for each address, and of the same length.
    assert_eq!(
        prelogin(&world, "nobody@example.org").await.text,
        unknown.text
    );
    let other = prelogin(&world, "somebody@example.org").await;
    assert_ne!(other.text, unknown.text);
    assert_eq!(other.text.len(), known.text.len());
    let (mut told, salt) = (unknown.ok(), unknown.ok()["salt"].clone());
    let salt = salt.as_str().unwrap();
    assert!(salt.len() == 32 && salt.bytes().all(|b| b.is_ascii_hexdigit()));
    told["salt"] = expected["salt"].clone();
    assert_eq!(told, expected);
    // Another server has other salts.
    world
        .sql("update server_identity set seed = sha256(seed)")
        .await;
    let elsewhere = world.another().await;
    assert_ne!(
        prelogin(&elsewhere, "nobody@example.org").await.text,
        unknown.text
    );
    elsewhere.stop().await;
    world.end().await;
}

#[tokio::test]
async fn accounts_of_the_published_form_go_on_as_they_were() {
    let world = World::new().await;
    let mut old = registration("ann");
    // To an older client these are unknown fields.
    old["kdf"] = argon2id(65536, 7);
    old["recoverykey"] = "a recovery key of ann".into();
    super::register(&world, &old).await.ok();
    let told = prelogin(&world, "ann@example.org").await.ok();
    assert_eq!(
        told,
        json!({
            "status": "OK", "errormessage": "",
            "server": told["server"], "kdf": "pbkdf2-sha256"
        })
    );
    log_in(&world, "a long key of ann", None).await.ok();
    assert_eq!(world.count("credentials").await, 1);
    let older = json!({ "action": "prelogin", "email": "ann@example.org" }).to_string();
    world
        .posts("chatserver", "chatlogin", &[], &older)
        .await
        .refused(404, "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn prelogin_and_register_refuse_what_no_client_may_use() {
    let world = World::new().await;
    for wrong in [
        json!({}),
        json!({ "email": "nobody" }),
        json!({ "email": 5 }),
    ] {
        let mut request = wrong;
        request["action"] = "prelogin".into();
        asks_unsigned(&world, request)
            .await
            .refused(400, "bad_request");
    }
    let with = |kdf: Value| {
        let mut request = registration("ann");
        request["kdf"] = kdf;
        request
    };
    for (field, wrong) in [
        ("kdf", json!("argon2i")),
        ("m", json!(65535)),
        ("m", json!(1_048_577)),
        ("t", json!(2)),
        ("t", json!(49)),
        ("p", json!(0)),
        ("p", json!(17)),
        ("salt", json!("0707")),
        ("salt", json!("BwcHBwcHBwcHBwcHBwcHBw==")),
        ("salt", json!("0A".repeat(16))),
    ] {
        let mut kdf = argon2id(65536, 7);
        kdf[field] = wrong;
        let refusal = asks_unsigned(&world, with(kdf))
            .await
            .refused(400, "bad_request");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(
            sentence.starts_with(&format!("kdf.{field} must be")),
            "{refusal}"
        );
    }
    let mut short = registration("ann");
    short["recoverykey"] = "r".repeat(15).into();
    asks_unsigned(&world, short)
        .await
        .refused(400, "bad_request");
    // Two keys that are one.
    let mut same = registration("ann");
    same["recoverykey"] = same["apikey"].clone();
    asks_unsigned(&world, same)
        .await
        .refused(409, "already_exists");
    assert_eq!(world.count("users").await, 0);
    asks_unsigned(&world, with(argon2id(1_048_576, 7)))
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn prelogins_of_an_address_are_counted() {
    let world = World::with(|settings| settings.login_tries = 1).await;
    let mut statuses = vec![];
    for _ in 0..7 {
        statuses.push(prelogin(&world, "nobody@example.org").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429]);
    // Logins are counted apart.
    log_in(&world, "wrong", None)
        .await
        .refused(401, "login_failed");
    world.end().await;
}

#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old_one_with_its_vault() {
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
    // Other stations stay, and know what they logged in with.
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
    // Back to the published form, and this time the others have to log in again.
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
    // Of many that come at the same moment, one is done.
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
async fn who_lost_the_password_comes_back_with_the_recovery_key_which_is_used_up() {
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
    // The password, and a new sheet, in one commit: or neither.
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
    // A new sheet alone.
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
async fn a_new_key_signs_from_its_commit_on_on_every_node() {
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
    // The others have the old one, and log in again for the new one.
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
