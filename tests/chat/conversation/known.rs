//! Comparing a list with the lines that a client holds: the answer has all changes, and little
//! else.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use super::flag;
use crate::world::{Conversation, Person, World, message, request};

/// A client's list: each line by its id.
#[derive(Default)]
struct Held(BTreeMap<String, Value>);

impl Held {
    async fn whole(person: &Person) -> Self {
        let answer = person
            .asks_as(4, "chatconversation", json!({ "action": "list" }))
            .await
            .ok();
        let mut held = Self::default();
        held.keep(&answer);
        held
    }

    fn keep(&mut self, answer: &Value) -> Vec<String> {
        let lines = answer["conversations"].as_array().unwrap();
        let id = |line: &Value| line["id"].as_str().unwrap().to_owned();
        self.0
            .extend(lines.iter().map(|line| (id(line), line.clone())));
        lines.iter().map(id).collect()
    }

    fn known(&self) -> Value {
        self.0
            .iter()
            .map(|(id, line)| (id.clone(), line["version"].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Asks for changes and applies them. Returns the changed lines and those that are gone.
    async fn catches_up(&mut self, person: &Person) -> (Vec<String>, Vec<String>) {
        let fields = json!({ "action": "list", "known": self.known() });
        let answer = person.asks_as(4, "chatconversation", fields).await.ok();
        assert_eq!(answer["hasmore"], false);
        let gone: Vec<String> = serde_json::from_value(answer["gone"].clone()).unwrap();
        self.0.retain(|id, _| !gone.contains(id));
        (self.keep(&answer), gone)
    }
}

/// A group of these people, created by the first one.
async fn group(admin: &Person, others: &[&Person]) -> Conversation {
    let everyone = others.iter().copied().chain([admin]);
    let secrets: BTreeMap<_, _> = everyone.map(|one| (one.user.clone(), "s")).collect();
    let ids: Vec<_> = others.iter().map(|one| &one.user).collect();
    let fields = json!({ "action": "create", "displayname": "n", "participantids": ids, "secrets": secrets });
    let answer = admin.asks("chatconversationgroup", fields).await.ok();
    Conversation::of(&answer["conversation"])
}

#[tokio::test]
async fn each_change_is_told_and_nothing_else() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let group = group(&ann, &[&ben]).await;
    let mut held = Held::default();
    let (told, gone) = held.catches_up(&ben).await;
    assert_eq!((told.len(), gone.len()), (2, 0));
    assert_eq!(held.0, Held::whole(&ben).await.0);
    assert_eq!(held.catches_up(&ben).await, (vec![], vec![]));

    let id = ann.adds(&direct, "x").await;
    assert_eq!(
        held.catches_up(&ben).await,
        (vec![direct.id.clone()], vec![])
    );
    assert_eq!(held.0[&direct.id]["unread"], 1);
    ben.views(&direct, std::slice::from_ref(&id)).await.ok();
    assert_eq!(held.catches_up(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.0[&direct.id]["unread"], 0);
    for action in super::FLAGS {
        ben.asks("chatconversation", flag(action, &group))
            .await
            .ok();
        let (told, _) = held.catches_up(&ben).await;
        // Undoing nothing changes nothing.
        let is_no_change = ["unfavorite", "unmute"].contains(&action);
        assert!(
            told == [group.id.clone()] || is_no_change && told.is_empty(),
            "{action}: {told:?}"
        );
    }
    // Another participant's flags do not concern the reader.
    ann.asks("chatconversation", flag("favorite", &group))
        .await
        .ok();
    assert_eq!(held.catches_up(&ben).await, (vec![], vec![]));
    let admin = async |mut fields: Value| {
        fields["conversationid"] = group.id.clone().into();
        ann.asks_as(4, "chatconversationgroup", fields).await.ok();
    };
    admin(json!({ "action": "rename", "displaynames": { &ben.user: "another name" } })).await;
    assert_eq!(held.catches_up(&ben).await.0, [group.id.clone()]);
    admin(json!({
        "action": "addparticipants", "participantids": [cleo.user], "secrets": { &cleo.user: "s" }
    }))
    .await;
    assert_eq!(held.catches_up(&ben).await.0, [group.id.clone()]);
    let id = ann.adds(&group, "x").await;
    held.catches_up(&ben).await;
    let erase = request("erase", &group, json!({ "messageids": [id] }));
    ann.asks_as(4, "chatconversation", erase).await.ok();
    assert_eq!(held.catches_up(&ben).await.0, [group.id.clone()]);
    assert_eq!(held.0[&group.id]["unread"], 0);
    admin(json!({ "action": "removeparticipants", "participantids": [ben.user] })).await;
    assert_eq!(
        held.catches_up(&ben).await,
        (vec![], vec![group.id.clone()])
    );
    assert_eq!(held.0, Held::whole(&ben).await.0);
    // Last, because the following purge changes the line's version again.
    ann.does("clear", &direct, json!({})).await.ok();
    assert_eq!(held.catches_up(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.0[&direct.id]["lastmessageid"], "");
    world.end().await;
}

#[tokio::test]
async fn unread_messages_and_their_expiry_are_told() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    ann.adds(&direct, "x").await;
    let mut held = Held::whole(&ben).await;
    world
        .sql("update messages set stored_at = now() - interval '8 days', valid_until = now() - interval '8 days'")
        .await;
    let before = parlance_wire::time::Timestamp::now().plus(-chrono::TimeDelta::days(7));
    parlance::store::purge::expired(&world.store, before)
        .await
        .unwrap();
    assert_eq!(held.catches_up(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.0[&direct.id]["unread"], 0);
    world.end().await;
}

#[tokio::test]
async fn malformed_known_lines_are_refused() {
    let world = World::new().await;
    let (ann, _, direct) = world.conversation().await;
    let version = "0123456789abcdef";
    let many: BTreeMap<_, _> = (0..10_001)
        .map(|n| (format!("{n:032x}"), version))
        .collect();
    for known in [
        json!([]),
        json!("x"),
        json!({ "x": version }),
        json!({ &direct.id: "x" }),
        json!({ &direct.id: 5 }),
        json!(many),
    ] {
        let fields = json!({ "action": "list", "known": known });
        ann.asks_as(4, "chatconversation", fields)
            .await
            .refused(400, "bad_request");
    }
    for page in [json!({ "limit": 5 }), json!({ "after": direct.id })] {
        let mut fields = page;
        fields["action"] = "list".into();
        fields["known"] = json!({});
        ann.asks_as(4, "chatconversation", fields)
            .await
            .refused(400, "bad_request");
    }
    // The maximum number of lines, none of which is the caller's.
    let most: BTreeMap<_, _> = many.into_iter().take(10_000).collect();
    let fields = json!({ "action": "list", "known": most });
    let answer = ann.asks_as(4, "chatconversation", fields).await.ok();
    assert_eq!(answer["gone"].as_array().unwrap().len(), 10_000);
    assert_eq!(answer["conversations"].as_array().unwrap().len(), 1);
    // For a published client it is an unknown field.
    let published = json!({ "action": "list", "known": 5 });
    let answer = ann.asks("chatconversation", published).await.ok();
    assert!(answer.get("gone").is_none() && answer["conversations"][0].get("version").is_none());
    world.end().await;
}

/// Adds two people to this many groups, directly in the database.
async fn fill(world: &World, ann: &Person, ben: &Person, count: usize) {
    world
        .sql(&format!(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5('group ' || n)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, {count}) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select c.conversation_id, u.id::uuid, repeat('s', 512), repeat('n', 100), 'admin', now()
            from conversations c, unnest(array['{}', '{}']) u (id)
            where c.is_group",
            ann.user, ben.user
        ))
        .await;
}

#[tokio::test]
async fn only_changed_lines_of_a_thousand_are_told() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    fill(&world, &ann, &ben, 1000).await;
    let fields = json!({ "action": "list" });
    let whole = ben.asks_as(4, "chatconversation", fields).await.text.len();
    let mut held = Held::whole(&ben).await;
    assert_eq!(held.0.len(), 1000);
    let mut changed: Vec<_> = held.0.keys().take(3).cloned().collect();
    for id in &changed {
        let group = Conversation {
            id: id.clone(),
            instance: "AAAAAAAAAA".into(),
        };
        ann.adds(&group, "x").await;
    }
    let fields = json!({ "action": "list", "known": held.known() });
    let answer = ben.asks_as(4, "chatconversation", fields).await;
    assert!(
        answer.text.len() * 100 < whole,
        "{} of {whole}",
        answer.text.len()
    );
    let (mut told, gone) = held.catches_up(&ben).await;
    told.sort();
    changed.sort();
    assert_eq!((told, gone), (changed, vec![]));
    assert_eq!(held.0, Held::whole(&ben).await.0);
    world.end().await;
}

#[tokio::test]
async fn a_commit_in_flight_during_a_list_is_told_after_it() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    ann.adds(&direct, "x").await;
    // It began before the list and another commit, and ends after both.
    let mut late = world.db.begin().await.unwrap();
    sqlx::query(
        "update participants set display_name = 'another name' where user_id = $1::text::uuid",
    )
    .bind(&ben.user)
    .execute(&mut *late)
    .await
    .unwrap();
    ann.adds(&direct, "y").await;
    let mut held = Held::whole(&ben).await;
    assert_eq!(held.catches_up(&ben).await.0, Vec::<String>::new());
    late.commit().await.unwrap();
    assert_eq!(held.catches_up(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.0[&direct.id]["displayname"], "another name");
    world.end().await;
}

#[tokio::test]
async fn no_change_is_missed_with_many_writers() {
    const GROUPS: usize = 12;
    let world = World::new().await;
    let other_node = world.another().await;
    let (ann, ben) = world.friends().await;
    fill(&world, &ann, &ben, GROUPS).await;
    let mut held = Held::whole(&ben).await;
    let groups: Vec<_> = held
        .0
        .keys()
        .map(|id| Conversation {
            id: id.clone(),
            instance: "AAAAAAAAAA".into(),
        })
        .collect();
    // Writers on both nodes: messages, reports, and changes to the reader's own lines.
    let written = AtomicBool::new(false);
    let writer = async |node: &std::sync::Arc<World>, n: usize| {
        let at = |person: &Person| Person {
            world: node.clone(),
            ..person.clone()
        };
        let (ann, ben) = (at(&ann), at(&ben));
        for round in 0..15 {
            let group = &groups[(n * 5 + round * 7) % GROUPS];
            let message = message(&round.to_string());
            let add = json!({ "message": message.to_string() });
            ann.does("add", group, add).await.ok();
            let id = message["ID"].as_str().unwrap().to_owned();
            match (n + round) % 4 {
                0 => drop(ben.views(group, &[id]).await.ok()),
                1 => drop(
                    ben.asks("chatconversation", flag("favorite", group))
                        .await
                        .ok(),
                ),
                2 => drop(
                    ben.asks("chatconversation", flag("unfavorite", group))
                        .await
                        .ok(),
                ),
                _ => {
                    let erase = request("erase", group, json!({ "messageids": [id] }));
                    ann.asks_as(4, "chatconversation", erase).await.ok();
                }
            }
        }
    };
    let writers = async {
        futures_util::future::join_all((0..4).map(|n| {
            let node = if n % 2 == 0 { &world } else { &other_node };
            writer(node, n)
        }))
        .await;
        written.store(true, Ordering::Release);
    };
    let reader = async {
        let mut rounds = 0;
        loop {
            // Read first: everything written up to here is reported by the next answer.
            let is_last = written.load(Ordering::Acquire);
            held.catches_up(&ben).await;
            rounds += 1;
            if is_last {
                return rounds;
            }
        }
    };
    let ((), rounds) = tokio::join!(writers, reader);
    assert!(rounds > 2, "the reader never read beside a writer");
    assert_eq!(held.0, Held::whole(&ben).await.0);
    assert_eq!(held.catches_up(&ben).await, (vec![], vec![]));
    other_node.stop().await;
    world.end().await;
}
