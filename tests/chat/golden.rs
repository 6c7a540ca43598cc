//! The documentation as a test: every published call is played against the server as it stands, and
//! the answer compared key for key, in the published order. `tests/golden` holds the calls, `golden.sha256`
//! what they were when they were published; where the published collection is at hand, it is compared, too.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use chrono::TimeDelta;
use parlance::settings::Registration;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Person, World, file, key, public_key};

const ALICE: &str = "aa68d2204cb2bb85f2de3b9aad0d86d7";
const ADMIN: &str = "d574638619cbff603bf857164c47e850";
const TALK: &str = "8ca16186c36a4e0a1ef2096e6c60b613";
const APIKEY: &str = "d040b...dae0d0";

fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(file("tests/golden").join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// JSON whose fields keep their order.
#[derive(Debug, Clone, PartialEq)]
enum Ordered {
    Object(Vec<(String, Ordered)>),
    Array(Vec<Ordered>),
    Plain(Value),
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Ordered;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut fields = vec![];
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Ordered::Object(fields))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
                let mut items = vec![];
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Ordered::Array(items))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
                Ok(Ordered::Plain(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
                Ok(Ordered::Plain(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
                Ok(Ordered::Plain(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
                Ok(Ordered::Plain(value.into()))
            }
        }
        from.deserialize_any(Any)
    }
}

/// The published answer, with what the notes beside the call say is an accident put right.
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

/// The world of the examples: Alice and the Administrator, friends, with their conversation.
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
            values ('{TALK}', false, 'PqjfKSn7V8', '2024-03-01Z', '2024-03-01Z');
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            values ('{TALK}', '{ALICE}', '', '', 'member', '2024-03-01Z'), ('{TALK}', '{ADMIN}', '', '', 'member', '2024-03-01Z')"
        ))
        .await;
    let admin = people.pop().unwrap();
    (world, people.pop().unwrap(), admin)
}

/// Makes the conversation what an example shows, as far as an action does not change it.
async fn stage(world: &World, shown: &Value, instance: &str) {
    let own = &shown["properties"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    world
        .sql(&format!(
            "update conversations set instance = '{instance}', last_access_at = to_timestamp({}) where conversation_id = '{TALK}';
            update participants set display_name = '{}', secret = '{}', color = '{}', hide_id = '{}'
            where conversation_id = '{TALK}' and user_id = '{}'",
            shown["lastaccess"],
            text(&shown["displayname"]),
            text(&shown["secret"]),
            text(&own["listitembackgroundcolor"]),
            text(&own["hideid"]),
            text(&own["userid"]),
        ))
        .await;
}

/// Stores a message or a report, behind the server's back. What an example shows is not all that a server keeps: such
/// a world is stopped, not examined.
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
    // reports_one_per_message: here each report is of a message of its own.
    let insert = insert
        .replace("'{id}', 1,", "")
        .replace(&format!("'{id}', 1, "), &format!("'{id}', c.last_seq, "));
    world
        .sql(&format!(
            "with c as (update conversations set last_seq = last_seq + 1, {newest} = '{id}' where conversation_id = '{TALK}' returning *) {insert}"
        ))
        .await;
}

/// Plays a published request, byte for byte as its fields stand.
async fn play(caller: &Person, name: &str) -> Ordered {
    let call = golden(name);
    let (srv, api) = (call["srv"].as_str().unwrap(), call["api"].as_str().unwrap());
    let answer = caller.sends(srv, api, &call["request"].to_string()).await;
    answer.is_ok();
    serde_json::from_str(&answer.text).unwrap()
}

impl Ordered {
    fn field(&mut self, name: &str) -> &mut Self {
        let Self::Object(fields) = self else {
            panic!("no object: {self:?}")
        };
        let found = fields.iter_mut().find(|(key, _)| key == name);
        &mut found.unwrap_or_else(|| panic!("no field {name}")).1
    }

    fn keys(&self) -> Vec<&str> {
        let Self::Object(fields) = self else {
            panic!("no object: {self:?}")
        };
        fields.iter().map(|(key, _)| key.as_str()).collect()
    }
}

#[tokio::test]
async fn login_answers_the_published_fields_with_our_addresses() {
    let (world, alice, _) = world().await;
    let headers = [("Ozeki-Station", alice.station.as_str())];
    let answer = world
        .posts(
            "chatserver",
            "chatlogin",
            &headers,
            &golden("login.login")["request"].to_string(),
        )
        .await;
    answer.is_ok();
    let mut ours: Ordered = serde_json::from_str(&answer.text).unwrap();
    let mut published = expected("login.login");
    // What is ours to say: the version, what listens, and one address that the published page cuts off.
    assert_eq!(
        *ours.field("server"),
        Ordered::Plain(env!("CARGO_PKG_VERSION").into())
    );
    *published.field("server") = ours.field("server").clone();
    *published.field("listeners") = ours.field("listeners").clone();
    let Ordered::Object(urls) = published.field("urls") else {
        panic!()
    };
    urls.push((
        "reports".into(),
        Ordered::Plain("http://localhost/ozeki/index.php?srv=chatserver&api=chatreports".into()),
    ));
    assert_eq!(ours, published);
    world.stop().await;
}

#[tokio::test]
async fn list_answers_as_published() {
    let (world, alice, _) = world().await;
    let shown = golden("conversation.list")["response"]["conversations"][0].clone();
    stage(&world, &shown, "PqjfKSn7V8").await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": shown["lastmessageid"], "Type": "Message", "Created": "2024-03-08 11:50:45" })).await;
    store_row(
        &world,
        "PqjfKSn7V8",
        &json!({ "ID": shown["lastreportid"], "Type": "viewed", "Created": "2024-03-08 11:50:45" }),
    )
    .await;
    let mut published = expected("conversation.list");
    let Ordered::Array(conversations) = published.field("conversations") else {
        panic!()
    };
    // Elsewhere the examples write a report's id with dashes.
    *conversations[0].field("lastreportid") =
        Ordered::Plain("935d8b8d-e4c3-95f5-0405-e617e636dbbb".into());
    assert_eq!(play(&alice, "conversation.list").await, published);
    world.stop().await;
}

#[tokio::test]
async fn add_answers_as_published_and_a_published_retry_changes_nothing() {
    let (world, alice, _) = world().await;
    for _ in 0..2 {
        assert_eq!(
            play(&alice, "conversation.add").await,
            expected("conversation.add")
        );
    }
    assert_eq!(world.count("messages").await, 1);
    world.stop().await;
}

#[tokio::test]
async fn download_answers_as_published() {
    let (world, alice, _) = world().await;
    stage(
        &world,
        &golden("conversation.favorite")["response"]["conversation"],
        "ZTZqIV8LS5",
    )
    .await;
    let answer = golden("conversation.download")["response"].clone();
    for row in answer["messages"]
        .as_array()
        .unwrap()
        .iter()
        .chain(answer["reports"].as_array().unwrap())
    {
        store_row(&world, "ZTZqIV8LS5", row).await;
    }
    assert_eq!(
        play(&alice, "conversation.download").await,
        expected("conversation.download")
    );
    world.stop().await;
}

#[tokio::test]
async fn downloadpartial_answers_the_rows_before_the_cursor() {
    let (world, alice, _) = world().await;
    let call = golden("conversation.downloadpartial");
    let (request, shown) = (&call["request"], &call["response"]);
    store_row(&world, "PqjfKSn7V8", &shown["messages"][0]).await;
    store_row(&world, "PqjfKSn7V8", &shown["reports"][0]).await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": request["lastmessageid"], "Type": "Message", "Created": request["lastmessagedate"] }))
        .await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": request["lastreportid"], "Type": "viewed", "Created": request["lastreportdate"] }))
        .await;
    let mut ours = play(&alice, "conversation.downloadpartial").await;
    assert_eq!(ours.keys(), expected("conversation.downloadpartial").keys());
    // The published rows are cut short: each begins as published, and has the fields of download's.
    let whole = golden("conversation.download")["response"].clone();
    for kind in ["messages", "reports"] {
        let Ordered::Array(rows) = ours.field(kind) else {
            panic!()
        };
        assert_eq!(rows.len(), 1);
        let Ordered::Array(published) =
            expected("conversation.downloadpartial").field(kind).clone()
        else {
            panic!()
        };
        let (Ordered::Object(row), Ordered::Object(beginning)) = (&rows[0], &published[0]) else {
            panic!()
        };
        assert_eq!(&row[..3], &beginning[..]);
        assert_eq!(row.len(), whole[kind][0].as_object().unwrap().len());
    }
    world.stop().await;
}

#[tokio::test]
async fn clear_answers_as_published_with_an_instance_of_its_own() {
    let (world, alice, _) = world().await;
    let shown = golden("conversation.clear")["response"]["conversation"].clone();
    stage(&world, &shown, "PqjfKSn7V8").await;
    store_row(&world, "PqjfKSn7V8", &json!({ "ID": Uuid::new_v4().to_string(), "Type": "Message", "Created": "2024-03-08 14:12:48" }))
        .await;
    let mut ours = play(&alice, "conversation.clear").await;
    let mut published = expected("conversation.clear");
    let instance = published.field("conversation").field("instance");
    assert_ne!(ours.field("conversation").field("instance"), instance);
    assert_ne!(
        *ours.field("conversation").field("instance"),
        Ordered::Plain("PqjfKSn7V8".into())
    );
    *ours.field("conversation").field("instance") = instance.clone();
    assert_eq!(ours, published);
    world.stop().await;
}

/// The actions that change the caller's own row, and what has to stand there before.
#[tokio::test]
async fn what_arranges_the_list_answers_as_published() {
    for (action, before) in [
        ("favorite", "favorite_at = null"),
        ("unfavorite", "favorite_at = now()"),
        ("mute", "muted_at = null"),
        ("unmute", "muted_at = now()"),
        ("hide", "hide_id = ''"),
        ("unhide", "hide_id = '7sSwU2VoFM;', hidden_at = now()"),
        ("setlistitembackgroundcolor", "color = '#ffffff'"),
    ] {
        let (world, alice, admin) = world().await;
        let name = format!("conversation.{action}");
        let call = golden(&name);
        let shown = &call["response"]["conversation"];
        stage(&world, shown, shown["instance"].as_str().unwrap()).await;
        for (field, kind) in [("lastmessageid", "Message"), ("lastreportid", "viewed")] {
            if shown[field] != "" {
                store_row(
                    &world,
                    shown["instance"].as_str().unwrap(),
                    &json!({ "ID": shown[field], "Type": kind, "Created": "2024-03-11 07:23:46" }),
                )
                .await;
            }
        }
        let caller = if call["caller"] == ALICE {
            alice
        } else {
            admin
        };
        world
            .sql(&format!(
                "update participants set {before} where user_id = '{}'",
                caller.user
            ))
            .await;
        let mut published = expected(&name);
        if shown["lastreportid"] != "" {
            let dashed = Uuid::parse_str(shown["lastreportid"].as_str().unwrap())
                .unwrap()
                .to_string();
            *published.field("conversation").field("lastreportid") = Ordered::Plain(dashed.into());
        }
        assert_eq!(play(&caller, &name).await, published, "{action}");
        world.stop().await;
    }
}

#[tokio::test]
async fn friends_availability_reports_blocklist_and_workspace_answer_as_published() {
    let (world, alice, _) = world().await;
    let mut friends = play(&alice, "friends.list").await;
    let mut published = expected("friends.list");
    for list in [&mut friends, &mut published] {
        let Ordered::Array(availabilities) = list.field("availabilities") else {
            panic!()
        };
        // The published key is cut short.
        *availabilities[0].field("publickey") = Ordered::Plain("key".into());
    }
    assert_eq!(friends, published);

    play(&alice, "conversation.add").await;
    for name in [
        "availability.useravailable",
        "reports.viewed",
        "blocklist.blocklist",
    ] {
        assert_eq!(play(&alice, name).await, expected(name), "{name}");
    }
    assert_eq!(world.count("reports").await, 1);

    let elsewhere = Person {
        station: String::new(),
        ..alice
    };
    let name = "workspace.workspaceregister";
    assert_eq!(play(&elsewhere, name).await, expected(name));
    world.stop().await;
}

#[tokio::test]
async fn notification_answers_as_published() {
    let (world, alice, admin) = world().await;
    admin.listens().await;
    play(&alice, "conversation.add").await;
    assert_eq!(
        play(&admin, "notification.download").await,
        expected("notification.download")
    );
    world.stop().await;
}

/// SHA-256 of each call's text in hex, by name, as they were published.
const PUBLISHED: &str = include_str!("golden.sha256");

/// That the calls here are those that were published, byte for byte; and that what was published has not changed since,
/// where it is at hand: beside the checkout, or in a folder that `GOLDEN_DIR` names.
#[test]
fn the_calls_here_are_the_published_ones() {
    let sums = |dir: &Path| -> String {
        let mut sums: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let sum = digest::digest(&digest::SHA256, &std::fs::read(entry.path()).unwrap());
                format!(
                    "{}  {}\n",
                    hex::encode(sum),
                    entry.file_name().into_string().unwrap()
                )
            })
            .collect();
        sums.sort_unstable_by(|one, other| one[64..].cmp(&other[64..]));
        sums.concat()
    };
    assert_eq!(sums(&file("tests/golden")), PUBLISHED);
    let published =
        std::env::var_os("GOLDEN_DIR").map_or_else(|| file("../shared/vectors"), PathBuf::from);
    if published.exists() {
        assert_eq!(sums(&published), PUBLISHED, "{}", published.display());
    } else {
        // Past the test harness, which shows nothing of a test that is well.
        let note = "the published calls are not at hand: compared with their sums only\n";
        std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes()).unwrap();
    }
}

/// An action without an example, or an example without an action, is a fault of the documentation.
#[test]
fn every_published_action_has_an_example_and_every_example_an_action() {
    let published: BTreeSet<(String, String)> = std::fs::read_dir(file("tests/golden"))
        .unwrap()
        .map(|entry| {
            let call: Value =
                serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap())
                    .unwrap();
            (
                call["api"].as_str().unwrap().to_owned(),
                call["request"]["action"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let mut documented = BTreeSet::new();
    for entry in std::fs::read_dir(file("crates/parlance-wire/src/request")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let Some(api) = text
            .lines()
            .next()
            .unwrap()
            .split("&api=")
            .nth(1)
            .and_then(|rest| rest.split('`').next())
        else {
            continue;
        };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with("    /// Page \"") {
                let variant: String = lines
                    .peek()
                    .unwrap()
                    .trim()
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                documented.insert((api.to_owned(), variant.to_lowercase()));
            }
        }
    }
    assert_eq!(documented, published);
}
