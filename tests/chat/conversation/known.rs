//! What has changed in a list: all that changed is told, and little else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parlance_wire::time::Timestamp;
use serde_json::{Value, json};

use super::flag;
use crate::world::{Conversation, Held, Person, World, message, request};

/// A group of these people, of whom the first one makes it.
async fn group(admin: &Person, others: &[&Person]) -> Conversation {
    let everyone = others.iter().copied().chain([admin]);
    let secrets: BTreeMap<_, _> = everyone.map(|one| (one.user.clone(), "s")).collect();
    let ids: Vec<_> = others.iter().map(|one| &one.user).collect();
    let fields = json!({ "action": "create", "displayname": "n", "participantids": ids, "secrets": secrets });
    let answer = admin.asks("chatconversationgroup", fields).await.ok();
    Conversation::of(&answer["conversation"])
}

/// Whether the server knows what anyone's transactions have changed, or has to look at all of a reader's conversations.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lookup {
    ByChanges,
    ByLooking,
}

impl Lookup {
    async fn is_taken(self, world: &World) {
        if self == Self::ByLooking {
            world
                .sql("update list_era set complete_from = '9000000000000000000'")
                .await;
        }
    }
}

#[tokio::test]
async fn each_change_is_told_and_nothing_else() {
    for lookup in [Lookup::ByChanges, Lookup::ByLooking] {
        let world = World::new().await;
        lookup.is_taken(&world).await;
        each_change_is_told(&world).await;
        world.end().await;
    }
}

async fn each_change_is_told(world: &Arc<World>) {
    let (ann, ben, direct) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let group = group(&ann, &[&ben]).await;
    let mut held = Held::default();
    let (told, gone) = held.hears(&ben).await;
    assert_eq!((told.len(), gone.len()), (2, 0));
    assert_eq!(held.lines, Held::whole(&ben).await.lines);
    assert_eq!(held.hears(&ben).await, (vec![], vec![]));

    let id = ann.adds(&direct, "x").await;
    assert_eq!(held.hears(&ben).await, (vec![direct.id.clone()], vec![]));
    assert_eq!(held.lines[&direct.id]["unread"], 1);
    ben.views(&direct, std::slice::from_ref(&id)).await.ok();
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.lines[&direct.id]["unread"], 0);
    for action in super::FLAGS {
        ben.asks("chatconversation", flag(action, &group))
            .await
            .ok();
        let (told, _) = held.hears(&ben).await;
        assert_eq!(told, [group.id.clone()], "{action}");
    }
    // How another one arranges their list is nobody's business.
    ann.asks("chatconversation", flag("favorite", &group))
        .await
        .ok();
    assert_eq!(held.hears(&ben).await, (vec![], vec![]));
    // How they are called is, in each conversation with them.
    let profile = json!({ "action": "profile", "nick": "Anna" });
    ann.asks_as(4, "chatlogin", profile).await.ok();
    assert_eq!(held.hears(&ben).await.0.len(), 2);
    let names = held.lines[&direct.id]["participants"].to_string();
    assert!(names.contains("Anna"), "{names}");
    assert_eq!(held.hears(&ben).await, (vec![], vec![]));
    let admin = async |mut fields: Value| {
        fields["conversationid"] = group.id.clone().into();
        ann.asks_as(4, "chatconversationgroup", fields).await.ok();
    };
    admin(json!({ "action": "rename", "displaynames": { &ben.user: "another name" } })).await;
    assert_eq!(held.hears(&ben).await.0, [group.id.clone()]);
    admin(json!({
        "action": "addparticipants", "participantids": [cleo.user], "secrets": { &cleo.user: "s" }
    }))
    .await;
    assert_eq!(held.hears(&ben).await.0, [group.id.clone()]);
    let id = ann.adds(&group, "x").await;
    held.hears(&ben).await;
    let erase = request("erase", &group, json!({ "messageids": [id] }));
    ann.asks_as(4, "chatconversation", erase).await.ok();
    assert_eq!(held.hears(&ben).await.0, [group.id.clone()]);
    assert_eq!(held.lines[&group.id]["unread"], 0);
    admin(json!({ "action": "setrole", "participantid": cleo.user, "role": "admin" })).await;
    assert_eq!(held.hears(&ben).await.0, [group.id.clone()]);
    admin(json!({ "action": "removeparticipants", "participantids": [ben.user] })).await;
    assert_eq!(held.hears(&ben).await, (vec![], vec![group.id.clone()]));
    assert_eq!(held.lines, Held::whole(&ben).await.lines);
    // Last, as the purge that follows makes another version of the line.
    ann.does("clear", &direct, json!({})).await.ok();
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.lines[&direct.id]["lastmessageid"], "");
}

#[tokio::test]
async fn what_is_unread_and_expires_is_told() {
    for lookup in [Lookup::ByChanges, Lookup::ByLooking] {
        let world = World::new().await;
        lookup.is_taken(&world).await;
        let (ann, ben, direct) = world.conversation().await;
        ann.adds(&direct, "x").await;
        world
            .sql("update messages set stored_at = now() - interval '8 days', valid_until = now() - interval '8 days'")
            .await;
        let mut held = Held::default();
        held.hears(&ben).await;
        assert_eq!(held.lines[&direct.id]["unread"], 1);
        let before = Timestamp::now().plus(-chrono::TimeDelta::days(7));
        parlance::store::purge::expired(&world.store, before)
            .await
            .unwrap();
        assert_eq!(held.hears(&ben).await.0, [direct.id.clone()], "{lookup:?}");
        assert_eq!(held.lines[&direct.id]["unread"], 0);
        world.end().await;
    }
}

#[tokio::test]
async fn a_new_secret_and_an_end_of_an_account_are_told() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let mut held = Held::whole(&ben).await;
    held.hears(&ben).await;
    // An epoch's secret that comes later, as the server stores it.
    world
        .sql("insert into epochs (conversation_id, epoch, announcement, signature, members, from_seq, announced_at)
            select conversation_id, 1, '', decode(repeat('00', 64), 'hex'), '{}', 0, now() from conversations;
            update conversations set epoch = 1;
            insert into list_changes select pg_current_xact_id(), conversation_id from conversations")
        .await;
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.lines[&direct.id]["secret"], "");
    let share = json!({
        "action": "shareepochs", "conversationid": direct.id, "userid": ben.user, "secrets": { "1": "wrapped" }
    });
    ann.asks_as(4, "chatconversation", share).await.ok();
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    assert_eq!(held.lines[&direct.id]["secret"], "wrapped");
    let delete = json!({ "action": "delete", "apikey": format!("the apikey of {}", ann.name) });
    ann.asks_as(4, "chatlogin", delete).await.ok();
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    let names = held.lines[&direct.id]["participants"].to_string();
    assert!(!names.contains("Ann"), "{names}");
    assert_eq!(held.lines, Held::whole(&ben).await.lines);
    world
        .sql("delete from epoch_secrets; update conversations set epoch = 0; delete from epochs")
        .await;
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_known_is_refused_and_what_is_not_known_is_told_whole() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let list = async |fields: Value| {
        let mut fields = fields;
        fields["action"] = "list".into();
        ann.asks_as(4, "chatconversation", fields).await
    };
    let mut held = Held::whole(&ann).await;
    held.hears(&ann).await;
    let mark = held.known;
    for known in [
        json!([]),
        json!({}),
        json!({ &direct.id: "x" }),
        json!(5),
        json!("x".repeat(129)),
    ] {
        list(json!({ "known": known }))
            .await
            .refused(400, "bad_request");
    }
    for page in [json!({ "limit": 5 }), json!({ "after": direct.id })] {
        let mut fields = page;
        fields["known"] = mark.clone().into();
        list(fields).await.refused(400, "bad_request");
    }
    let foreign = format!("{}{}", "0".repeat(32), &mark[32..]);
    let future = format!("{}{}{}", &mark[..32], "7fffffffffffffff", &mark[48..]);
    let negative = format!("{}{}{}", &mark[..32], "ffffffffffffffff", &mark[48..]);
    let old = format!("{}{}{}", &mark[..32], "0000000000000000", &mark[48..]);
    // Of the same conversation, but another reader's.
    let bens = Held::whole(&ben).await.known;
    for known in [
        "",
        "x",
        &mark[1..],
        &foreign,
        &future,
        &negative,
        &old,
        &bens,
    ] {
        let answer = list(json!({ "known": known })).await.ok();
        assert_eq!(
            answer["conversations"].as_array().unwrap().len(),
            1,
            "{known}"
        );
        assert_eq!(answer["conversationids"], json!([direct.id]), "{known}");
    }
    let answer = list(json!({ "known": mark })).await.ok();
    assert_eq!(answer["conversations"], json!([]));
    assert!(answer.get("conversationids").is_none());
    // A page has a mark as well.
    let page = list(json!({ "limit": 1 })).await.ok();
    let answer = list(json!({ "known": page["known"] })).await.ok();
    assert_eq!(answer["conversations"], json!([]));
    // Of an empty list nothing is known, and that is as good.
    let cleo = world.person("Cleo").await;
    let mut held = Held::whole(&cleo).await;
    assert_eq!((held.known.as_str(), held.lines.len()), ("", 0));
    assert_eq!(held.catches_up(&cleo).await, (vec![], vec![]));
    // To a published client it is an unknown field.
    let published = json!({ "action": "list", "known": 5 });
    let answer = ann.asks("chatconversation", published).await.ok();
    assert!(answer.get("known").is_none() && answer.get("conversationids").is_none());
    world.end().await;
}

#[tokio::test]
async fn old_changes_are_pruned_and_told_all_the_same() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let mut held = Held::whole(&ben).await;
    held.hears(&ben).await;
    ann.adds(&direct, "x").await;
    // More than are kept, all of them later.
    world
        .sql("insert into list_changes select (pg_current_xact_id()::text::bigint + n)::text::xid8, md5('')::uuid from generate_series(1, 6000) n")
        .await;
    parlance::store::list::prune(&world.store).await.unwrap();
    assert_eq!(world.count("list_changes").await, 5000);
    assert_eq!(held.hears(&ben).await.0, [direct.id.clone()]);
    world.end().await;
}

/// Puts two people into so many groups, behind the server's back.
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
async fn of_a_thousand_conversations_three_that_changed_are_told() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    fill(&world, &ann, &ben, 1000).await;
    let fields = json!({ "action": "list" });
    let whole = ben.asks_as(4, "chatconversation", fields).await.text.len();
    let mut held = Held::whole(&ben).await;
    held.hears(&ben).await;
    assert_eq!(held.lines.len(), 1000);
    let mut changed: Vec<_> = held.lines.keys().take(3).cloned().collect();
    for id in &changed {
        let group = Conversation {
            id: id.clone(),
            instance: "AAAAAAAAAA".into(),
        };
        ann.adds(&group, "x").await;
    }
    let fields = json!({ "action": "list", "known": held.known });
    let answer = ben.asks_as(4, "chatconversation", fields).await;
    assert!(
        answer.text.len() * 100 < whole,
        "{} of {whole}",
        answer.text.len()
    );
    let (mut told, gone) = held.hears(&ben).await;
    told.sort();
    changed.sort();
    assert_eq!((told, gone), (changed, vec![]));
    assert_eq!(held.lines, Held::whole(&ben).await.lines);
    world.end().await;
}

#[tokio::test]
async fn a_commit_that_was_on_its_way_during_a_list_is_told_after_it() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let group = group(&ann, &[&ben]).await;
    // It began before the lists and before other commits, and ends after all of them.
    let mut late = world.db.begin().await.unwrap();
    for statement in [
        format!(
            "update participants set display_name = 'another name' where user_id = '{}' and peer_id is not null",
            ben.user
        ),
        "update conversations set last_access_at = last_access_at + interval '1 day' where is_group".into(),
        "insert into list_changes select pg_current_xact_id(), conversation_id from conversations
        where is_group"
            .into(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&mut *late)
            .await
            .unwrap();
    }
    ann.adds(&direct, "y").await;
    let mut held = Held::whole(&ben).await;
    let before = held.lines[&group.id]["lastaccess"].as_i64().unwrap();
    for n in 0..3 {
        ann.adds(&direct, &n.to_string()).await;
        held.catches_up(&ben).await;
    }
    late.commit().await.unwrap();
    let mut told = held.hears(&ben).await.0;
    told.sort();
    let mut both = [direct.id.clone(), group.id.clone()];
    both.sort();
    assert_eq!(told, both);
    assert_eq!(held.lines[&direct.id]["displayname"], "another name");
    assert_eq!(held.lines[&group.id]["lastaccess"], before + 86400);
    world.end().await;
}

#[tokio::test]
async fn nothing_is_missed_however_many_write_at_once() {
    for lookup in [Lookup::ByChanges, Lookup::ByLooking] {
        nothing_is_missed(lookup).await;
    }
}

async fn nothing_is_missed(lookup: Lookup) {
    const GROUPS: usize = 12;
    let world = World::new().await;
    let other_node = world.another().await;
    lookup.is_taken(&world).await;
    let (ann, ben) = world.friends().await;
    fill(&world, &ann, &ben, GROUPS).await;
    let mut held = Held::whole(&ben).await;
    let groups: Vec<_> = held
        .lines
        .keys()
        .map(|id| Conversation {
            id: id.clone(),
            instance: "AAAAAAAAAA".into(),
        })
        .collect();
    // Writers on both nodes: messages, reports, and changes of the reader's own lines.
    let written = AtomicBool::new(false);
    let writer = async |node: &Arc<World>, n: usize| {
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
            // Looked at before: what was written up to here is told by what follows.
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
    assert_eq!(held.lines, Held::whole(&ben).await.lines);
    other_node.stop().await;
    world.end().await;
}
