//! The parameters of key derivation, before and at the registration.

use serde_json::{Value, json};

use super::{
    guess::{self, new_station, signs_at},
    log_in, registration,
    vault::{argon2id, asks_unsigned, prelogin},
};
use crate::world::{Answer, World};

#[tokio::test]
async fn addresses_with_and_without_an_account_get_the_same_prelogin() {
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
    // Always the same for an address, different for each address, and of the same length.
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
    // Other servers have other salts.
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
async fn addresses_without_an_account_get_the_parameters_of_an_account() {
    let world = World::new().await;
    // As of all accounts that the command line makes.
    super::register(&world, &registration("ann")).await.ok();
    let known = prelogin(&world, "ann@example.org").await;
    assert_eq!(known.ok()["kdf"], "pbkdf2-sha256");
    assert_eq!(
        prelogin(&world, "nobody@example.org").await.text,
        known.text
    );
    // One who needs more memory than usual.
    world
        .sql(&format!(
            "update users set kdf = '{}'",
            argon2id(131_072, 7)
        ))
        .await;
    let (known, unknown) = (
        prelogin(&world, "ann@example.org").await,
        prelogin(&world, "nobody@example.org").await,
    );
    let (mut told, expected) = (unknown.ok(), known.ok());
    assert_eq!(expected["m"], 131_072);
    assert_ne!(told["salt"], expected["salt"]);
    told["salt"] = expected["salt"].clone();
    assert_eq!(told, expected);
    world.end().await;
}

#[tokio::test]
async fn accounts_of_the_published_form_stay_as_they_are() {
    let world = World::new().await;
    let mut old = registration("ann");
    // For an older client these are unknown fields.
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
async fn prelogin_and_register_refuse_unsafe_parameters() {
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
    // The same key twice.
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
async fn prelogins_are_limited_per_address() {
    let world = World::with(|settings| settings.login_tries = 1).await;
    let mut statuses = vec![];
    for _ in 0..7 {
        statuses.push(prelogin(&world, "nobody@example.org").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429]);
    // Logins are counted separately.
    log_in(&world, "wrong", None)
        .await
        .refused(401, "login_failed");
    world.end().await;
}

/// Asks from an address, for the user of a nick, from a station.
async fn prelogin_at(world: &World, address: &str, nick: &str, station: &str) -> Answer {
    let headers = [("Ozeki-Station", station), ("X-Forwarded-For", address)];
    let email = format!("{}@example.org", nick.to_lowercase());
    let body = json!({ "action": "prelogin", "email": email, "clientversioncode": 4 }).to_string();
    world
        .posts("chatserver", "chatlogin", &headers, &body)
        .await
}

#[tokio::test]
async fn prelogins_of_strangers_refuse_neither_known_stations_nor_who_signed_well_there() {
    let world = guess::world(1).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (office, elsewhere) = ("192.0.2.1", "192.0.2.2");
    for _ in 0..6 {
        prelogin_at(&world, office, "Nobody", &new_station())
            .await
            .ok();
    }
    prelogin_at(&world, office, "Nobody", &new_station())
        .await
        .refused(429, "rate_limited");
    prelogin_at(&world, elsewhere, "Nobody", &new_station())
        .await
        .ok();
    // A station that has logged in before is answered, and a known one of somebody else is none of hers.
    prelogin_at(&world, office, "Ann", &ann.station).await.ok();
    prelogin_at(&world, office, "Ann", &ben.station)
        .await
        .refused(429, "rate_limited");
    // What it has for itself is limited, too.
    prelogin_at(&world, office, "Ann", &ann.station)
        .await
        .refused(429, "rate_limited");
    // Where a user signed well a moment ago, any station of theirs is answered, as often.
    prelogin_at(&world, office, "Ben", &new_station())
        .await
        .refused(429, "rate_limited");
    signs_at(&ben, office).await.ok();
    prelogin_at(&world, office, "Ben", &new_station())
        .await
        .ok();
    prelogin_at(&world, office, "Ben", &new_station())
        .await
        .refused(429, "rate_limited");
    world.end().await;
}

#[tokio::test]
async fn wrong_logins_refuse_no_prelogins() {
    let world = World::with(|settings| settings.login_tries = 1).await;
    for _ in 0..6 {
        log_in(&world, "wrong", None)
            .await
            .refused(401, "login_failed");
    }
    log_in(&world, "wrong", None)
        .await
        .refused(429, "rate_limited");
    prelogin(&world, "nobody@example.org").await.ok();
    world.end().await;
}
