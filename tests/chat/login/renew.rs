//! Accounts with a vault and a card: registering them in one commit, converting published accounts,
//! and replacing keys.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{register, registration, station, vault::asks_unsigned};
use crate::world::{Answer, Person, World, key as key_of, public_key, sign};

async fn asks(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks_as(4, "chatlogin", fields).await
}

fn kdf() -> Value {
    json!({ "kdf": "argon2id", "m": 65536, "t": 3, "p": 1, "salt": "07".repeat(16) })
}

/// Ann, not yet registered.
fn ann(world: &std::sync::Arc<World>) -> Person {
    let name = "ann".to_owned();
    let user = parlance_wire::id::UserId::of(
        &parlance_wire::text::Email::parse("ann@example.org").unwrap(),
    );
    Person {
        world: world.clone(),
        key: key_of(&name),
        name,
        user: user.to_string(),
        station: station(),
    }
}

/// The server's id, from an unsigned request.
async fn server(world: &World) -> parlance_wire::id::ServerId {
    let prelogin = json!({ "action": "prelogin", "email": "nobody@example.org" });
    let told = asks_unsigned(world, prelogin).await.ok();
    serde_json::from_value(told["server"].clone()).unwrap()
}

/// Logs in from the person's station, with a name for it.
async fn logs_in(person: &Person, apikey: &str, name: &str) -> Answer {
    let body = json!({
        "action": "login", "apikey": apikey, "stationname": name, "clientversioncode": 4
    });
    let headers = [("Ozeki-Station", person.station.as_str())];
    person
        .world
        .posts("chatserver", "chatlogin", &headers, &body.to_string())
        .await
}

#[tokio::test]
async fn an_account_is_created_with_vault_and_card_or_not_at_all() {
    let world = World::new().await;
    let ann = ann(&world);
    let card = ann.first_card(server(&world).await);
    let mut new = registration("ann");
    new["kdf"] = kdf();
    new["recoverykey"] = "a recovery key of ann".into();
    new["card"] = serde_json::to_value(&card).unwrap();
    for (path, wrong) in [
        ("/card", json!("x")),
        ("/card/signatures/rsa", json!("AAAA")),
        // Another user's.
        ("/email", json!("ben@example.org")),
        // A second one without a first.
        (
            "/card",
            serde_json::to_value(ann.next_card(&card.card, 2, Some(1))).unwrap(),
        ),
    ] {
        let mut request = new.clone();
        *request.pointer_mut(path).unwrap() = wrong;
        let refusal = asks_unsigned(&world, request).await;
        assert!([400, 409].contains(&refusal.status), "{path}: {refusal:?}");
    }
    assert_eq!(
        (world.count("users").await, world.count("cards").await),
        (0, 0)
    );
    asks_unsigned(&world, new).await.ok();
    let login = logs_in(&ann, "a long key of ann", "Ann's phone").await.ok();
    assert_eq!(
        (&login["key"], &login["version"]),
        (&json!("password"), &json!(0))
    );
    let vault = asks(&ann, "vault", json!({})).await.ok();
    assert_eq!(
        (&vault["rsakey"], &vault["version"], &vault["kdf"]),
        (&json!("opaque"), &json!(0), &kdf())
    );
    let seen = ann.asks_keys("get", json!({ "userids": [ann.user] })).await;
    let seen = seen.ok()["cards"][&ann.user].clone();
    assert_eq!(seen, json!([card]));
    world.end().await;
}

#[tokio::test]
async fn an_older_clients_registration_ignores_new_fields_of_any_form() {
    let world = World::new().await;
    let mut old = registration("ann");
    (old["kdf"], old["recoverykey"]) = (json!([1]), json!({}));
    (old["card"], old["stationname"]) = (json!("x"), json!(7));
    asks_unsigned(&world, old.clone())
        .await
        .refused(400, "bad_request");
    register(&world, &old).await.ok();
    let mut login = json!({ "action": "login", "apikey": "a long key of ann", "stationname": [] });
    let station = station();
    let headers = [("Ozeki-Station", station.as_str())];
    world
        .posts("chatserver", "chatlogin", &headers, &login.to_string())
        .await
        .ok();
    login["clientversioncode"] = 4.into();
    for wrong in [json!([]), json!("a\nb"), json!(" x"), json!("n".repeat(65))] {
        login["stationname"] = wrong;
        world
            .posts("chatserver", "chatlogin", &headers, &login.to_string())
            .await
            .refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn a_station_keeps_its_name_until_it_is_given_another() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let named = async || {
        let seen = asks(&ann, "stations", json!({})).await.ok();
        seen["stations"][0]["name"].clone()
    };
    assert_eq!(named().await, "");
    for (given, kept) in [
        ("Ann\u{2019}s phone", "Ann\u{2019}s phone"),
        ("", "Ann\u{2019}s phone"),
        ("Telefon, 2.", "Telefon, 2."),
    ] {
        logs_in(&ann, "the apikey of Ann", given).await.ok();
        assert_eq!(named().await, kept);
    }
    ann.logs_in().await;
    assert_eq!(named().await, "Telefon, 2.");
    world.end().await;
}

#[tokio::test]
async fn a_published_account_becomes_one_with_a_vault_and_a_card_in_one_commit() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let mut bens = crate::world::Socket::of(&ben, 4).await;
    let card = ann.first_card(server(&world).await);
    let mut change = json!({
        "apikey": "a new apikey of Ann", "kdf": kdf(), "rsakey": "a vault", "version": 1,
        "recoverykey": "a recovery key of Ann", "card": ben.first_card(server(&world).await)
    });
    // Ben's card: the whole request is refused.
    asks(&ann, "changepassword", change.clone())
        .await
        .refused(400, "bad_request");
    logs_in(&ann, "the apikey of Ann", "").await.ok();
    change["card"] = serde_json::to_value(&card).unwrap();
    for _ in 0..2 {
        asks(&ann, "changepassword", change.clone()).await.ok();
    }
    assert_eq!(
        bens.hears_about("friendavailabilitesof").await,
        json!([ann.user])
    );
    logs_in(&ann, "the apikey of Ann", "")
        .await
        .refused(401, "login_failed");
    for (apikey, key) in [
        ("a new apikey of Ann", "password"),
        ("a recovery key of Ann", "recovery"),
    ] {
        let login = logs_in(&ann, apikey, "").await.ok();
        assert_eq!(
            (&login["rsakey"], &login["key"]),
            (&json!("a vault"), &json!(key))
        );
    }
    assert_eq!(world.count("cards").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_vault_is_replaced_alone_and_a_second_device_gets_stale_version() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let phone = ann.second_device().await;
    let change = |text: &str, version: i64| json!({ "rsakey": text, "version": version });
    asks(&ann, "changevault", change("vault 1", 1)).await.ok();
    asks(&ann, "changevault", change("vault 1", 1)).await.ok();
    let stale = asks(&phone, "changevault", change("another vault 1", 1)).await;
    assert_eq!(stale.refused(409, "stale_version")["version"], 1);
    let seen = asks(&phone, "vault", json!({})).await.ok();
    assert_eq!(
        (&seen["rsakey"], &seen["version"], &seen["kdf"]),
        (
            &json!("vault 1"),
            &json!(1),
            &json!({ "kdf": "pbkdf2-sha256" })
        )
    );
    let all = (0..4).map(|n| {
        let change = change(&format!("vault 2 of {n}"), 2);
        let phone = phone.clone();
        async move { asks(&phone, "changevault", change).await.status }
    });
    let mut statuses = join_all(all).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
    // The login with the password is the same as before.
    logs_in(&ann, "the apikey of Ann", "").await.ok();
    world.end().await;
}

#[tokio::test]
async fn a_new_key_pair_comes_with_the_card_that_names_it() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let first = ann.first_card(ann.server_id().await);
    ann.publishes(&first).await.ok();
    let renewed = Person {
        key: key_of("Ann's second"),
        ..ann.clone()
    };
    let new_key = public_key(&renewed.key);
    let proof = sign(
        &renewed.key,
        &format!("parlance new key 1\n{}\n{new_key}", ann.user),
    );
    let mut change =
        json!({ "publickey": new_key, "proof": proof, "rsakey": "vault 1", "version": 1 });
    asks(&ann, "changekeys", change.clone())
        .await
        .refused(400, "bad_request");
    // A card with the old pair.
    change["card"] = serde_json::to_value(ann.next_card(&first.card, 2, Some(1))).unwrap();
    asks(&ann, "changekeys", change.clone())
        .await
        .refused(400, "bad_request");
    // A card that does not follow.
    change["card"] = serde_json::to_value(renewed.first_card(ann.server_id().await)).unwrap();
    asks(&ann, "changekeys", change.clone())
        .await
        .refused(409, "stale_card");
    ann.lists().await.ok();
    // Also a new signing key, signed by the previous one.
    let second = renewed.next_card(&first.card, 2, Some(1));
    change["card"] = serde_json::to_value(&second).unwrap();
    asks(&ann, "changekeys", change).await.ok();
    ann.lists().await.refused(401, "signature_invalid");
    let seen = renewed
        .asks_keys("get", json!({ "userids": [ann.user] }))
        .await
        .ok();
    assert_eq!(seen["cards"][&ann.user], json!([first, second]));
    world.end().await;
}
