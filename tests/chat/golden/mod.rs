//! The documentation as a test: every published call is sent to the server, and the answer compared
//! key for key, in the published order. `tests/golden` has the calls, and `golden.sha256` their
//! hashes at publication; if the published collection is available, it is compared too.

mod json;
mod play;
mod published;

use chrono::TimeDelta;
use parlance::settings::Registration;
use serde_json::Value;
use uuid::Uuid;

use self::json::Ordered;
use crate::world::{Person, World, file, key, public_key};

const ALICE: &str = "aa68d2204cb2bb85f2de3b9aad0d86d7";

const ADMIN: &str = "d574638619cbff603bf857164c47e850";

const CONVERSATION: &str = "8ca16186c36a4e0a1ef2096e6c60b613";

const APIKEY: &str = "d040b...dae0d0";

fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(file("tests/golden").join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The published answer, with accidental mistakes corrected as noted beside the call.
fn expected(name: &str) -> Ordered {
    let text = std::fs::read_to_string(file("tests/golden").join(format!("{name}.json"))).unwrap();
    let Ordered::Object(fields) =
        serde_json::from_str(&text.replace("File does not exist", "")).unwrap()
    else {
        panic!("{name}")
    };
    fields
        .into_iter()
        .find(|(key, _)| key == "response")
        .unwrap()
        .1
}

/// The world of the examples: Alice and the Administrator, who are friends, with their
/// conversation.
async fn world() -> (std::sync::Arc<World>, Person, Person) {
    let world = World::with(|settings| {
        settings.signature_window = TimeDelta::days(36500);
        settings.public_url = "http://localhost/ozeki/index.php".into();
        settings.registration = Registration::Open;
    })
    .await;
    let mut people = vec![];
    for (user, name, full_name) in [
        (ALICE, "Alice", "Ozeki Alice"),
        (ADMIN, "Administrator", "Administrator"),
    ] {
        let key = key(name);
        let station = Uuid::new_v4().simple().to_string();
        world
            .sql(&format!(
                "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, availability, created_at)
                values ('{user}', '{name}', '{full_name}', '{name}', '{}', E'{}', 'available', '2024-03-01Z');
                insert into stations values ('{user}', '{station}', '2024-03-01Z')",
                public_key(&key),
                golden("login.login")["response"]["rsakey"].as_str().unwrap().replace('\r', "\\r").replace('\n', "\\n"),
            ))
            .await;
        people.push(Person {
            world: world.clone(),
            name: name.into(),
            user: user.into(),
            station,
            key,
        });
    }
    world
        .sql(&format!(
            "insert into credentials values (sha256('{APIKEY}'), '{ALICE}', 'password', '2024-03-01Z');
            insert into friendships values ('{ALICE}', '{ADMIN}', '2024-03-01Z'), ('{ADMIN}', '{ALICE}', '2024-03-01Z');
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            values ('{CONVERSATION}', false, 'PqjfKSn7V8', '2024-03-01Z', '2024-03-01Z');
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            values ('{CONVERSATION}', '{ALICE}', '', '', 'member', '2024-03-01Z'), ('{CONVERSATION}', '{ADMIN}', '', '', 'member', '2024-03-01Z')"
        ))
        .await;
    let admin = people.pop().unwrap();
    (world, people.pop().unwrap(), admin)
}

/// Sets the conversation to the state of an example, where an action does not change it.
async fn stage(world: &World, shown: &Value, instance: &str) {
    let own = &shown["properties"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    world
        .sql(&format!(
            "update conversations set instance = '{instance}', last_access_at = to_timestamp({}) where conversation_id = '{CONVERSATION}';
            update participants set display_name = '{}', secret = '{}', color = '{}', hide_id = '{}'
            where conversation_id = '{CONVERSATION}' and user_id = '{}'",
            shown["lastaccess"],
            text(&shown["displayname"]),
            text(&shown["secret"]),
            text(&own["listitembackgroundcolor"]),
            text(&own["hideid"]),
            text(&own["userid"]),
        ))
        .await;
}

/// Stores a message or a report directly. An example does not have everything that a server stores,
/// so such a world is stopped without the checks.
async fn store_row(world: &World, instance: &str, row: &Value) {
    let text = |field: &str, default: &str| row[field].as_str().unwrap_or(default).to_owned();
    let (id, r#type, created) = (text("ID", ""), text("Type", ""), text("Created", ""));
    let valid_until = text("ValidUntil", "2024-03-20 00:00:00");
    let station = Uuid::new_v4();
    let is_report = r#type != "Message";
    let insert = if is_report {
        format!(
            "insert into reports select c.conversation_id, c.last_seq, '{id}', 1, '{}', '{}', '{}', '{type}', '{created}Z', '{valid_until}Z' from c",
            text("MessageID", "e64fa984-9b2c-4d32-a965-a1faca1d5b83"),
            text("User", ALICE),
            text("Station", &station.to_string()),
        )
    } else {
        format!(
            "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select c.conversation_id, c.last_seq, '{id}', '{instance}', '{ALICE}', '{station}', '{type}', '{created}Z', '{valid_until}Z', '{}', sha256('') from c",
            text("Data", "opaque"),
        )
    };
    let newest = if is_report {
        "last_report_id"
    } else {
        "last_message_id"
    };
    // reports_one_per_message: here, each report is about a message of its own.
    let insert = insert
        .replace("'{id}', 1,", "")
        .replace(&format!("'{id}', 1, "), &format!("'{id}', c.last_seq, "));
    world
        .sql(&format!(
            "with c as (update conversations set last_seq = last_seq + 1, {newest} = '{id}' where conversation_id = '{CONVERSATION}' returning *) {insert}"
        ))
        .await;
}

/// Sends a published request with its fields unchanged, byte for byte.
async fn play(caller: &Person, name: &str) -> Ordered {
    let call = golden(name);
    let (srv, api) = (call["srv"].as_str().unwrap(), call["api"].as_str().unwrap());
    let answer = caller.sends(srv, api, &call["request"].to_string()).await;
    answer.ok();
    serde_json::from_str(&answer.text).unwrap()
}
