//! Stations and credentials: listing, ending and revoking them, and announcing new ones.

use parlance::{settings::Registration, store};
use parlance_wire::{id::UserId, key::SecretHash, time::Timestamp};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::station;
use crate::world::{Answer, Person, Socket, World, eventually, operator};

const SIGNED_OUT: CloseCode = CloseCode::Library(4401);

async fn asks(person: &Person, fields: Value) -> Answer {
    person.asks_as(4, "chatlogin", fields).await
}

async fn stations(person: &Person) -> Vec<Value> {
    let answer = asks(person, json!({ "action": "stations" })).await.ok();
    answer["stations"].as_array().unwrap().clone()
}

async fn keys(person: &Person) -> Vec<Value> {
    let answer = asks(person, json!({ "action": "keys" })).await.ok();
    answer["keys"].as_array().unwrap().clone()
}

/// Adds an apikey for a person, as an operator does.
async fn add_apikey(world: &World, person: &Person, apikey: &str) {
    let user = UserId::parse(&person.user).unwrap();
    let hash = SecretHash::of(apikey);
    let now = Timestamp::now();
    let added = store::credential::add(&world.store, user, &hash, "robot", &operator(), now).await;
    assert!(added.unwrap());
}

/// The same person at a new station, logged in with another apikey.
async fn at_new_station(person: &Person, apikey: &str) -> Person {
    let other = Person {
        station: station(),
        ..person.clone()
    };
    let body = json!({ "action": "login", "apikey": apikey }).to_string();
    let headers = [("Ozeki-Station", other.station.as_str())];
    let world = &person.world;
    world
        .posts("chatserver", "chatlogin", &headers, &body)
        .await
        .ok();
    other
}

#[tokio::test]
async fn a_user_sees_their_own_stations_and_no_others() {
    let world = World::new().await;
    let (ann, _) = (world.person("Ann").await, world.person("Ben").await);
    let phone = ann.second_device().await;
    let seen = stations(&ann).await;
    assert_eq!(seen.len(), 2);
    for row in &seen {
        let is_own = row["stationid"] == ann.station.as_str();
        assert!(is_own || row["stationid"] == phone.station.as_str());
        assert_eq!(row["current"], is_own);
        assert_eq!(row["key"], "password");
        assert!(row["created"].is_string() && row["lastseen"].is_string());
    }
    world.end().await;
}

#[tokio::test]
async fn a_signed_out_station_is_disconnected_and_unknown_on_every_node() {
    let world = World::new().await;
    let other_node = world.another().await;
    let ann = world.person("Ann").await;
    let phone = ann.second_device().await;
    let tablet = Person {
        world: other_node.clone(),
        ..ann.second_device().await
    };
    let (mut phones, mut tablets) = (Socket::of(&phone, 4).await, Socket::of(&tablet, 4).await);
    let one = json!({ "action": "signout", "stationid": phone.station });
    assert_eq!(asks(&ann, one.clone()).await.ok()["signedout"], 1);
    assert_eq!(phones.ends().await, SIGNED_OUT);
    phone.lists().await.refused(401, "unknown_station");
    // A second time: it is already gone.
    assert_eq!(asks(&ann, one).await.ok()["signedout"], 0);
    tablet.lists().await.ok();
    let others = json!({ "action": "signout", "others": true });
    assert_eq!(asks(&ann, others).await.ok()["signedout"], 1);
    assert_eq!(tablets.ends().await, SIGNED_OUT);
    eventually("the other node knows", async || {
        tablet.lists().await.status == 401
    })
    .await;
    // The calling station stays, and an ended one may log in again.
    ann.lists().await.ok();
    tablet.logs_in().await;
    tablet.lists().await.ok();
    other_node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn the_socket_of_a_station_that_gives_way_to_a_new_one_closes() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let phone = ann.second_device().await;
    let (mut anns, mut phones) = (Socket::of(&ann, 4).await, Socket::of(&phone, 4).await);
    // The phone was seen an hour ago, Ann's computer now, and 98 others in between.
    world
        .sql(&format!(
            "update stations set last_seen_at = now() - interval '1 hour'
            where station_id = '{}';
            insert into stations (user_id, station_id, last_seen_at, bound_at, credential_id)
            select user_id, gen_random_uuid(), now() - interval '1 minute', bound_at, credential_id
            from stations, generate_series(1, 98) where station_id = '{}'",
            phone.station, ann.station
        ))
        .await;
    assert_eq!(world.count("stations").await, 100);
    ann.second_device().await;
    assert_eq!(phones.ends().await, SIGNED_OUT);
    phone.lists().await.refused(401, "unknown_station");
    assert_eq!(world.count("stations").await, 100);
    anns.hears_about("newstations").await;
    ann.lists().await.ok();
    world.end().await;
}

#[tokio::test]
async fn nobody_signs_out_another_users_station() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let request = json!({ "action": "signout", "stationid": ben.station });
    assert_eq!(asks(&ann, request).await.ok()["signedout"], 0);
    ben.lists().await.ok();
    for wrong in [
        json!({ "action": "signout" }),
        json!({ "action": "signout", "stationid": ben.station, "others": true }),
        json!({ "action": "signout", "stationid": "x" }),
        json!({ "action": "revoke" }),
        json!({ "action": "revoke", "keyid": "x" }),
    ] {
        asks(&ann, wrong).await.refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_done_with_an_account_is_signed_and_of_version_4() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let forged = Person {
        key: ben.key.clone(),
        ..ann.clone()
    };
    for action in ["stations", "signout", "keys", "revoke"] {
        let fields = json!({ "action": action, "others": true, "keyid": "ab".repeat(16) });
        ann.asks("chatlogin", fields.clone())
            .await
            .refused(404, "unknown_action");
        asks(&forged, fields.clone())
            .await
            .refused(401, "signature_invalid");
        let mut unsigned = fields;
        unsigned["clientversioncode"] = 4.into();
        world
            .posts("chatserver", "chatlogin", &[], &unsigned.to_string())
            .await
            .refused(401, "signature_missing");
    }
    ann.lists().await.ok();
    world.end().await;
}

#[tokio::test]
async fn a_revoked_apikey_opens_nothing_and_its_stations_end() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    add_apikey(&world, &ann, "the key of a robot").await;
    let robot = at_new_station(&ann, "the key of a robot").await;
    let mut socket = Socket::of(&robot, 4).await;
    let seen = keys(&ann).await;
    assert_eq!(
        seen.iter()
            .map(|key| (&key["kind"], &key["label"]))
            .collect::<Vec<_>>(),
        [
            (&json!("password"), &json!("password")),
            (&json!("apikey"), &json!("robot"))
        ]
    );
    assert!(seen.iter().all(|key| key["lastused"].is_string()));
    assert!(!seen[1].to_string().contains("the key of a robot"));
    // For the caller, another user's key does not exist.
    let ben = world.person("Ben").await;
    let revoke = json!({ "action": "revoke", "keyid": seen[1]["keyid"] });
    asks(&ben, revoke.clone()).await.ok();
    robot.lists().await.ok();
    for _ in 0..2 {
        asks(&ann, revoke.clone()).await.ok();
    }
    assert_eq!(socket.ends().await, SIGNED_OUT);
    robot.lists().await.refused(401, "unknown_station");
    ann.lists().await.ok();
    super::log_in(&world, "the key of a robot", None)
        .await
        .refused(401, "login_failed");
    let password = json!({ "action": "revoke", "keyid": seen[0]["keyid"] });
    asks(&ann, password).await.refused(403, "not_allowed");
    world.end().await;
}

#[tokio::test]
async fn the_last_key_cannot_be_revoked_even_concurrently() {
    let world = World::with(|settings| settings.registration = Registration::Closed).await;
    let email = "robot@example.org";
    world
        .sql(&format!(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            values (md5('{email}')::uuid, '{email}', 'Robot', 'Robot', '{}', '', now())",
            crate::world::public_key(&crate::world::key("Robot")),
        ))
        .await;
    let robot = Person {
        world: world.clone(),
        name: "Robot".into(),
        user: UserId::of(&parlance_wire::text::Email::parse(email).unwrap()).to_string(),
        station: station(),
        key: crate::world::key("Robot"),
    };
    for key in ["one key of a robot", "two keys of a robot"] {
        add_apikey(&world, &robot, key).await;
    }
    // At two stations, logged in with different keys, each of which then revokes its own.
    let one = at_new_station(&robot, "one key of a robot").await;
    let two = at_new_station(&robot, "two keys of a robot").await;
    let seen = keys(&one).await;
    let revoke = |key: &Value| json!({ "action": "revoke", "keyid": key["keyid"] });
    let (first, second) = tokio::join!(asks(&one, revoke(&seen[0])), asks(&two, revoke(&seen[1])));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert!(
        statuses == [200, 403] || statuses == [200, 401],
        "{first:?} {second:?}"
    );
    assert_eq!(world.count("credentials").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_login_with_a_key_that_is_being_revoked_leaves_no_station() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    add_apikey(&world, &ann, "the key of a robot").await;
    let key = keys(&ann).await.remove(1);
    // A login that has read the key, and waits: revoking has to wait for the login.
    let mut held = world.db.begin().await.unwrap();
    sqlx::query("select from users for no key update")
        .execute(&mut *held)
        .await
        .unwrap();
    let revoking = tokio::spawn({
        let (ann, revoke) = (
            ann.clone(),
            json!({ "action": "revoke", "keyid": key["keyid"] }),
        );
        async move { asks(&ann, revoke).await }
    });
    world.blocked_process().await;
    let robot = at_new_station(&ann, "the key of a robot").await;
    held.rollback().await.unwrap();
    revoking.await.unwrap().ok();
    robot.lists().await.refused(401, "unknown_station");
    assert_eq!(stations(&ann).await.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn the_other_stations_of_a_user_are_told_of_a_new_one() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let polling = ann.second_device().await;
    let mut socket = Socket::of(&ann, 4).await;
    let mut published = Socket::of(&ann.second_device().await, 3).await;
    let mut bens = Socket::of(&ben, 4).await;
    let poll = async || {
        let answer = polling
            .asks_as(4, "chatnotification", json!({ "action": "download" }))
            .await;
        answer.ok()["newstations"].clone()
    };
    poll().await;
    let new = ann.second_device().await;
    let told = json!(new.station);
    // Earlier notifications about stations may be in the same frame, or in one of their own.
    while !socket
        .hears_about("newstations")
        .await
        .as_array()
        .unwrap()
        .contains(&told)
    {}
    assert_eq!(poll().await, json!([told]));
    // A request for the stations confirms it.
    stations(&polling).await;
    assert_eq!(poll().await, Value::Null);
    published.hears_nothing().await;
    bens.hears_nothing().await;
    // A new station is not told of itself, and a station that logs in again is not new.
    let mut news = Socket::of(&new, 4).await;
    new.logs_in().await;
    socket.hears_nothing().await;
    news.hears_nothing().await;
    world.end().await;
}
