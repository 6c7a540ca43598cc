//! Login and registration, and limits of failures.

mod guess;
mod key;
mod often;
mod prelogin;
mod register;
mod renew;
mod station;
mod vault;

use parlance::store::invite::{self, NewInvite};
use parlance_wire::{key::SecretHash, time::Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Answer, World, key as key_of, operator, public_key};

fn station() -> String {
    Uuid::new_v4().simple().to_string()
}

async fn log_in(world: &World, apikey: &str, user: Option<&str>) -> Answer {
    let station = station();
    let mut headers = vec![("Ozeki-Station", station.as_str())];
    headers.extend(user.map(|user| ("Ozeki-User", user)));
    world
        .posts(
            "chatserver",
            "chatlogin",
            &headers,
            &json!({ "action": "login", "apikey": apikey }).to_string(),
        )
        .await
}

fn registration(name: &str) -> Value {
    json!({
        "action": "register", "email": format!("{name}@example.org"), "fullname": name, "nick": name,
        "apikey": format!("a long key of {name}"), "publickey": public_key(&key_of(name)), "rsakey": "opaque"
    })
}

/// An operator's invitation for one person, valid for this many hours.
async fn invite(world: &World, code: &str, hours: i64) {
    let now = Timestamp::now();
    let invite = NewInvite {
        code_hash: &SecretHash::of(code),
        inviter: None,
        email: None,
        uses: 1,
        expires_at: now.plus(chrono::TimeDelta::hours(hours)),
    };
    invite::insert(&world.store, &invite, &operator(), now)
        .await
        .unwrap();
}

async fn register(world: &World, request: &Value) -> Answer {
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
}
