//! Groups that nobody takes part in any more: nothing of them is left.

use std::time::Duration;

use futures_util::future::join_all;
use parlance::store;
use serde_json::{Value, json};

use super::{asks, group, ids, secrets};
use crate::world::{Conversation, Person, Roster, World, eventually};

/// What may be stored of a group.
const TABLES: [&str; 10] = [
    "conversations",
    "participants",
    "invitations",
    "former_participants",
    "departures",
    "epochs",
    "epoch_secrets",
    "messages",
    "reports",
    "files",
];

/// The tables in which there is something of this group.
async fn left_of(world: &World, group: &Conversation) -> Vec<&'static str> {
    let mut left = vec![];
    for table in TABLES {
        let rows = format!("{table} where conversation_id = '{}'", group.id);
        if world.count(&rows).await > 0 {
            left.push(table);
        }
    }
    left
}

async fn leaves(person: &Person, group: &Conversation) {
    asks(person, "leave", json!({ "conversationid": group.id }))
        .await
        .ok();
}

/// A round of the purge.
async fn purge(world: &World) {
    store::purge::cleared(&world.store).await.unwrap();
    let mut searched = None;
    let purged = store::purge::empty_groups(&world.store, &mut searched).await;
    purged.unwrap();
    assert!(searched.is_none());
}

#[tokio::test]
async fn nothing_is_left_of_a_group_after_the_last_one_has_left_and_one_with_an_invitation_stays() {
    let world = World::new().await;
    let ([ann, ben, cleo, _], conversation) = group(&world).await;
    let id = ann.adds(&conversation, "hi").await;
    ben.views(&conversation, &[id]).await.ok();
    cleo.uploads(10, &conversation).await;
    // Cleo is no friend of Ben's, so she is invited.
    let request = json!({ "displayname": "x", "participantids": ids(&[&cleo]), "secrets": secrets(&[&ben, &cleo]) });
    let invited = Conversation::of(&asks(&ben, "create", request).await.ok()["conversation"]);
    for person in [&ann, &ben] {
        leaves(person, &conversation).await;
    }
    purge(&world).await;
    let left = left_of(&world, &conversation).await;
    assert!(
        left.contains(&"participants") && left.contains(&"messages"),
        "{left:?}"
    );
    leaves(&cleo, &conversation).await;
    // Epochs that it had, and secrets of one that did not begin.
    world
        .sql(&format!(
            "insert into epochs values ('{id}', 1, '', decode(repeat('00', 64), 'hex'), '{{}}', 0, now());
            insert into epoch_secrets values ('{id}', 2, '{ann}', '')",
            id = conversation.id,
            ann = ann.user,
        ))
        .await;
    // As if its creator had gone without withdrawing the invitation.
    world
        .sql(&format!(
            "delete from participants where conversation_id = '{}'",
            invited.id
        ))
        .await;
    purge(&world).await;
    assert_eq!(left_of(&world, &conversation).await, [""; 0]);
    assert_eq!(
        left_of(&world, &invited).await,
        ["conversations", "invitations"]
    );
    // Who left long ago, and has a cursor, finds what they found before.
    for action in ["download", "downloadpartial", "favorite"] {
        cleo.does(action, &conversation, json!({}))
            .await
            .refused(404, "conversation_not_found");
    }
    let decline = json!({ "action": "decline", "conversationid": invited.id });
    cleo.asks_as(4, "chatconversationgroup", decline).await.ok();
    purge(&world).await;
    assert_eq!(left_of(&world, &invited).await, [""; 0]);
    world.end().await;
}

#[tokio::test]
async fn the_server_deletes_a_group_that_all_leave_at_once() {
    let often = Duration::from_millis(50);
    let world = World::with(|settings| settings.timings.purge = often).await;
    let ([ann, ben, cleo, _], conversation) = group(&world).await;
    ann.adds(&conversation, "hi").await;
    join_all([&ann, &ben, &cleo].map(|person| leaves(person, &conversation))).await;
    eventually("its end", async || {
        left_of(&world, &conversation).await.is_empty()
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn the_id_of_a_group_that_all_have_left_is_not_used_again() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    for person in [&ann, &ben] {
        person.has_card().await;
    }
    let (request, _) = ann.group_with_epoch(&[&ben]);
    let creates = async |person: &Person, request: &Value| {
        person
            .asks_as(4, "chatconversationgroup", request.clone())
            .await
    };
    let made = creates(&ann, &request).await.ok();
    let conversation = Conversation::of(&made["conversation"]);
    for person in [&ann, &ben] {
        leaves(person, &conversation).await;
    }
    purge(&world).await;
    assert_eq!(left_of(&world, &conversation).await, [""; 0]);
    // Neither by a creation that is sent again, nor by somebody else.
    creates(&ann, &request).await.refused(409, "already_exists");
    let hers = Roster {
        admins: vec![&ben],
        added: vec![&ben, &ann],
        removed: vec![],
    };
    let (mut taken, _) = ben.rekeying(&conversation, None, &hers);
    taken["action"] = "create".into();
    taken["displayname"] = "x".into();
    taken["participantids"] = json!([ann.user]);
    creates(&ben, &taken).await.refused(409, "already_exists");
    assert_eq!(left_of(&world, &conversation).await, [""; 0]);
    assert_eq!(world.count("former_groups").await, 1);
    world.end().await;
}
