//! Registration.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance::settings::Registration;
use serde_json::{Value, json};

use super::{invite, log_in, register, registration, station};
use crate::world::{World, key as key_of, public_key};

#[tokio::test]
async fn registration_is_for_whom_the_operator_lets_in() {
    let closed = World::with(|settings| settings.registration = Registration::Closed).await;
    register(&closed, &registration("ann"))
        .await
        .refused(403, "registration_closed");
    assert_eq!(closed.count("users").await, 0);
    closed.end().await;

    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    register(&world, &registration("ann"))
        .await
        .refused(403, "registration_closed");
    for (code, hours) in [("good", 1), ("late", -1)] {
        invite(&world, code, hours).await;
    }
    let with = |name: &str, code: &str| {
        let mut request = registration(name);
        request["invite"] = code.into();
        request
    };
    for code in ["late", "unknown"] {
        register(&world, &with("ann", code))
            .await
            .refused(403, "registration_closed");
    }
    assert_eq!(world.count("users").await, 0);
    register(&world, &with("ann", "good")).await.ok();
    register(&world, &with("ben", "good"))
        .await
        .refused(403, "registration_closed");
    assert_eq!(world.count("users").await, 1);
    world.end().await;
}

#[tokio::test]
async fn an_invitation_lets_one_person_in_however_many_use_it_at_once() {
    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    invite(&world, "one", 1).await;
    let requests = ["ann", "ben", "cleo", "dan"].map(|name| {
        let mut request = registration(name);
        request["invite"] = "one".into();
        request
    });
    let answers =
        futures_util::future::join_all(requests.iter().map(|request| register(&world, request)))
            .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(world.count("users").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_known_address_cannot_be_registered_again_nor_a_known_key() {
    let world = World::new().await;
    register(&world, &registration("ann")).await.ok();
    register(&world, &registration("ann"))
        .await
        .refused(409, "already_exists");
    let mut other_case = registration("ann");
    other_case["email"] = " ANN@Example.org ".into();
    let taken = register(&world, &other_case)
        .await
        .refused(409, "already_exists");
    let mut same_key = registration("ben");
    same_key["apikey"] = "a long key of ann".into();
    let refused = register(&world, &same_key)
        .await
        .refused(409, "already_exists");
    assert_eq!(refused, taken, "one answer for both");
    assert_eq!(
        (world.count("users").await, world.count("credentials").await),
        (1, 1)
    );
    world.end().await;
}

#[tokio::test]
async fn registration_refuses_each_field_of_a_wrong_form_by_name_and_stores_nothing() {
    let world = World::new().await;
    let truncated = {
        let der = STANDARD.decode(public_key(&key_of("ann"))).unwrap();
        STANDARD.encode(&der[..der.len() - 5])
    };
    // An RSA key of 1024 bits, and an elliptic-curve key.
    let short = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC0GLIMZ/RPWMpD6+ChshwAFPkCJpqnBxCwiuuZhlq7uLHdhA6rkB8M5QW3tFr4/6iSCaAwF0QKv7ch9ruy3tPUEC2YVTS0YJtoNk0YyeXNDbb+5EpMdeSSFsEUEj8WwJRurBNjKuTQH5cUQK4CxDYPLTWvlPVqbMGWZ3yuyxwiJwIDAQAB";
    let elliptic = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==";
    for (field, wrong) in [
        ("email", json!("nobody")),
        ("email", json!(format!("{}@example.org", "a".repeat(250)))),
        ("email", json!("a\0b@example.org")),
        ("email", json!("аnn@example.org")),
        ("email", json!("ann@example.org.")),
        ("email", json!("<script>@x")),
        ("fullname", json!("\u{202e}nnA")),
        ("nick", json!("An\u{200b}n")),
        ("nick", json!("\u{2066}Ann")),
        ("fullname", json!("")),
        ("fullname", json!("a".repeat(129))),
        ("fullname", json!("a\nb")),
        ("nick", json!("a".repeat(65))),
        ("nick", json!(" a")),
        ("nick", json!(5)),
        ("apikey", json!("")),
        ("apikey", json!("a password")),
        ("publickey", json!("")),
        ("publickey", json!("AAAA")),
        ("publickey", json!(truncated)),
        ("publickey", json!(short)),
        ("publickey", json!(elliptic)),
        ("rsakey", json!("a\0")),
        ("rsakey", Value::Null),
    ] {
        let mut request = registration("ann");
        request[field] = wrong.clone();
        let refusal = register(&world, &request).await.refused(400, "bad_request");
        assert!(
            refusal["errormessage"].as_str().unwrap().starts_with(field),
            "{field} {wrong}: {refusal}"
        );
        request.as_object_mut().unwrap().remove(field);
        let refusal = register(&world, &request).await.refused(400, "bad_request");
        assert_eq!(refusal["errormessage"], format!("{field} is missing."));
    }
    assert_eq!(world.count("users").await, 0);
    world.end().await;
}

#[tokio::test]
async fn registrations_of_an_address_are_counted_whether_they_succeed_or_not() {
    let world = World::with(|settings| {
        settings.registrations = 2;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let from = async |address: &str, name: &str| {
        world
            .posts(
                "chatserver",
                "chatlogin",
                &[("X-Forwarded-For", address)],
                &registration(name).to_string(),
            )
            .await
    };
    from("192.0.2.1", "ann").await.ok();
    from("192.0.2.1", "ann")
        .await
        .refused(409, "already_exists");
    let refused = from("192.0.2.1", "ben").await;
    refused.refused(429, "rate_limited");
    // The limit is per hour, so the next attempt is a while away.
    assert!(
        refused.headers["Retry-After"]
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 60,
        "{refused:?}"
    );
    assert_eq!(world.count("users").await, 1);
    // Registering still works elsewhere, and logging in still works here.
    from("192.0.2.2", "ben").await.ok();
    let login = json!({ "action": "login", "apikey": "a long key of ann" }).to_string();
    let headers = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("Ozeki-Station", &station()),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    world
        .posts("chatserver", "chatlogin", &headers, &login)
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn login_says_whether_registration_is_open() {
    for (registration, told) in [
        (Registration::Open, "true"),
        (Registration::Invite, "true"),
        (Registration::Closed, "false"),
    ] {
        let world = World::with(|settings| settings.registration = registration).await;
        let (email, key) = ("ann@example.org", "a long key of ann");
        world
            .sql(&format!(
                "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
                values (md5('{email}')::uuid, '{email}', 'ann', 'ann', '{}', '', now());
                insert into credentials (key_hash, user_id, label, created_at) values (sha256('{key}'), md5('{email}')::uuid, '', now())",
                public_key(&key_of("ann")),
            ))
            .await;
        assert_eq!(log_in(&world, key, None).await.ok()["registration"], told);
        world.end().await;
    }
}

#[tokio::test]
async fn an_invitation_is_ignored_where_registration_is_open() {
    let world = World::new().await;
    let mut request = registration("ann");
    request["invite"] = "any".into();
    register(&world, &request).await.ok();
    // The shortest and the longest valid key, and names of the maximum length.
    let mut short = registration("ben");
    short["apikey"] = "b".repeat(15).into();
    register(&world, &short).await.refused(400, "bad_request");
    short["apikey"] = "b".repeat(16).into();
    short["fullname"] = "é".repeat(128).into();
    short["nick"] = "é".repeat(64).into();
    short["rsakey"] = "r".repeat(16384).into();
    register(&world, &short).await.ok();
    let answer = log_in(&world, &"b".repeat(16), None).await.ok();
    assert_eq!(
        (&answer["nick"], &answer["fullname"], &answer["rsakey"]),
        (&short["nick"], &short["fullname"], &short["rsakey"])
    );
    world.end().await;
}
