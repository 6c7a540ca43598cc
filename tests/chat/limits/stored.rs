//! How much a user may have stored.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::world::{
    Answer, Conversation, Epoch, Person, Roster, World, eventually, message, request,
};

/// What 200 bytes and their row count for.
const EACH: i64 = 400;

async fn world() -> Arc<World> {
    World::with(|settings| {
        settings.per_user.stored_bytes = 2000;
        settings.timings.purge = Duration::from_millis(20);
    })
    .await
}

async fn sends(person: &Person, conversation: &Conversation, message: &Value) -> Answer {
    let fields = json!({ "message": message.to_string() });
    person.does("add", conversation, fields).await
}

/// What counts for each user, and what it should be.
async fn counted(world: &World) -> (i64, i64) {
    let both = "select (select coalesce(sum(bytes), 0)::bigint from (
            select bytes from usage union all select bytes from usage_change
        ) n), (select coalesce(sum(bytes), 0)::bigint from stored_bytes)";
    sqlx::query_as(both).fetch_one(&world.db).await.unwrap()
}

#[tokio::test]
async fn a_user_who_has_stored_as_much_as_they_may_makes_room_before_they_write_on() {
    let world = world().await;
    let (ann, ben, conversation) = world.conversation().await;
    let messages: Vec<Value> = (0..5).map(|_| message(&"x".repeat(200))).collect();
    for message in &messages {
        sends(&ann, &conversation, message).await.ok();
    }
    assert_eq!(counted(&world).await, (5 * EACH, 5 * EACH));
    eventually("Ann is refused", async || {
        let answer = sends(&ann, &conversation, &message("one more")).await;
        if answer.status == 200 {
            return false;
        }
        let refusal = answer.refused(413, "storage_full");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(
            sentence.contains("2000") && sentence.contains("Erase"),
            "{sentence}"
        );
        true
    })
    .await;
    // What was stored before is accepted again, as the first answer may be lost. Ben writes.
    sends(&ann, &conversation, &messages[0]).await.ok();
    ben.adds(&conversation, "beside").await;
    // What is erased makes room.
    let ids: Vec<&Value> = messages.iter().map(|message| &message["ID"]).collect();
    let erase = json!({
        "action": "erase", "conversationid": conversation.id, "instance": conversation.instance, "messageids": ids,
    });
    ann.asks_as(4, "chatconversation", erase).await.ok();
    eventually("Ann writes again", async || {
        sends(&ann, &conversation, &message("again")).await.status == 200
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn what_counts_for_a_user_is_what_is_stored_whichever_way_it_goes() {
    let world = world().await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..3 {
        ann.adds(&conversation, &n.to_string()).await;
        ben.adds(&conversation, &"e".repeat(20)).await;
    }
    let (all, stored) = counted(&world).await;
    assert_eq!(all, stored);
    // Cleared, then purged.
    ann.does("clear", &conversation, json!({})).await.ok();
    eventually("the purge", async || counted(&world).await == (0, 0)).await;
    // Expired.
    let conversation = Conversation::of(&ann.sees(&conversation).await);
    ann.adds(&conversation, "expires").await;
    world
        .sql("update messages set stored_at = now() - interval '9 days', valid_until = now() - interval '9 days'")
        .await;
    let purged = parlance::store::purge::expired(
        &world.store,
        parlance_wire::time::Timestamp::now().plus(-chrono::TimeDelta::days(1)),
    );
    assert_eq!(purged.await.unwrap(), 1);
    // Its row stays, until the conversation is cleared.
    assert_eq!(counted(&world).await, (200, 200));
    ann.does("clear", &conversation, json!({})).await.ok();
    eventually("the purge", async || counted(&world).await == (0, 0)).await;
    let conversation = Conversation::of(&ann.sees(&conversation).await);
    // Of a deleted account.
    ann.adds(&conversation, "of one who leaves").await;
    let delete = json!({ "action": "delete", "apikey": "the apikey of Ann" });
    ann.asks_as(4, "chatlogin", delete).await.ok();
    eventually("the erasure", async || counted(&world).await == (200, 200)).await;
    world.end().await;
}

/// What announcements and secrets of epochs take.
async fn taken(world: &World) -> i64 {
    let sum = "select ((select coalesce(sum(octet_length(announcement)), 0) from epochs)
        + (select coalesce(sum(octet_length(secret)), 0) from epoch_secrets))::bigint";
    sqlx::query_scalar(sum).fetch_one(&world.db).await.unwrap()
}

/// A group of Ann and Ben in its first epoch, with her announcement.
async fn group_of_both(world: &Arc<World>) -> ([Person; 2], Conversation, Epoch) {
    let (ann, ben) = world.friends().await;
    for person in [&ann, &ben] {
        person.has_card().await;
    }
    let (group, first) = ann.creates_group_with_epoch(&[&ben]).await;
    ([ann, ben], group, first)
}

#[tokio::test]
async fn an_epoch_counts_for_who_began_it_until_it_is_of_no_use() {
    let world = World::with(|settings| settings.timings.purge = Duration::from_millis(20)).await;
    let ([ann, ben], group, first) = group_of_both(&world).await;
    let same = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    let all = taken(&world).await;
    assert!(all > 0);
    assert_eq!(counted(&world).await, (all, all));
    // The secrets of the first epoch go, as nothing was written in it, and those of the second with the messages.
    let second = ann.rekeys(&group, &first, &same).await;
    let all = taken(&world).await;
    assert_eq!(counted(&world).await, (all, all));
    ann.adds_in(&group, 2, &message("x")).await.ok();
    ben.rekeys(&group, &second, &same).await;
    let kept = taken(&world).await;
    ann.does("clear", &group, json!({})).await.ok();
    eventually("the purge", async || taken(&world).await < kept).await;
    eventually("the count", async || {
        let all = taken(&world).await;
        counted(&world).await == (all, all)
    })
    .await;
    // A group that everyone has left.
    for person in [&ben, &ann] {
        person
            .asks(
                "chatconversationgroup",
                json!({ "action": "leave", "conversationid": group.id }),
            )
            .await
            .ok();
    }
    eventually("the end", async || counted(&world).await == (0, 0)).await;
    assert_eq!(taken(&world).await, 0);
    world.end().await;
}

#[tokio::test]
async fn who_has_stored_as_much_as_they_may_begins_no_epochs() {
    let world = world().await;
    let ([ann, ben], group, first) = group_of_both(&world).await;
    let same = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    let groups = "chatconversationgroup";
    eventually("Ann is refused", async || {
        let new = ann.group_with_epoch(&[&ben]).0;
        let answer = ann.asks_as(4, groups, new).await;
        if answer.status == 200 {
            return false;
        }
        answer.refused(413, "storage_full");
        true
    })
    .await;
    let conversations = "chatconversation";
    let (next, _) = ann.rekeying(&group, Some(&first), &same);
    let share = json!({ "userid": ben.user, "secrets": { "1": "s" } });
    for refused in [next, request("shareepochs", &group, share)] {
        ann.asks_as(4, conversations, refused)
            .await
            .refused(413, "storage_full");
    }
    // Nobody stays in a group for that, and others go on.
    let (his, _) = ben.rekeying(&group, Some(&first), &same);
    ben.asks_as(4, conversations, his).await.ok();
    let remove = json!({ "participantids": [ben.user] });
    ann.asks(groups, request("removeparticipants", &group, remove))
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn shared_secrets_count_for_who_shares_them_until_they_are_of_no_use() {
    // As long as a secret may be.
    let secret = "s".repeat(4096);
    let world = World::with(|settings| {
        settings.per_user.stored_bytes = 4096;
        settings.timings.purge = Duration::from_millis(20);
    })
    .await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    for person in [&ann, &ben, &cleo] {
        person.has_card().await;
    }
    let (group, first) = ann.creates_group_with_epoch(&[&ben]).await;
    ann.adds_in(&group, 1, &message("x")).await.ok();
    let with_cleo = Roster {
        admins: vec![&ann],
        added: vec![&cleo],
        ..Roster::default()
    };
    let second = ann.rekeys(&group, &first, &with_cleo).await;
    let (before, stored) = counted(&world).await;
    assert_eq!(before, stored);
    let share = json!({ "userid": cleo.user, "secrets": { "1": secret } });
    let share = request("shareepochs", &group, share);
    ann.asks_as(4, "chatconversation", share.clone()).await.ok();
    assert_eq!(counted(&world).await, (before + 4096, before + 4096));
    let shared = format!(
        "shared_secrets where user_id = '{}' and bytes = 4096",
        ann.id()
    );
    assert_eq!(world.count(&shared).await, 1);
    // Sent again it counts nothing, until it is refused.
    eventually("Ann is refused", async || {
        let answer = ann.asks_as(4, "chatconversation", share.clone()).await;
        if answer.status == 200 {
            return false;
        }
        answer.refused(413, "storage_full");
        true
    })
    .await;
    assert_eq!(counted(&world).await, (before + 4096, before + 4096));
    // She can remove somebody all the same.
    let without_ben = Roster {
        admins: vec![&ann],
        removed: vec![&ben],
        ..Roster::default()
    };
    ann.rekeys(&group, &second, &without_ben).await;
    // With the messages of its epoch, a secret is of no use any more.
    ann.does("clear", &group, json!({})).await.ok();
    eventually("the purge", async || {
        world.count("shared_secrets").await == 0
    })
    .await;
    eventually("the count", async || {
        let (all, stored) = counted(&world).await;
        all == stored
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn secrets_of_people_who_are_added_and_who_accept_count_for_who_let_them_in() {
    let secret = |letter: &str| letter.repeat(1000);
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let [cleo, dan] = [world.person("Cleo").await, world.person("Dan").await];
    ann.befriends(&cleo).await;
    for person in [&ann, &ben] {
        person.has_card().await;
    }
    let (group, _) = ann.creates_group_with_epoch(&[&ben]).await;
    let (before, _) = counted(&world).await;
    // Cleo is a friend and added; Dan is invited.
    let add = json!({
        "participantids": [cleo.user, dan.user],
        "secrets": { &cleo.user: secret("c"), &dan.user: secret("d") },
    });
    let add = request("addparticipants", &group, add);
    let added = ann.asks_as(4, "chatconversationgroup", add).await.ok();
    assert_eq!(added["invited"], json!([dan.user]));
    assert_eq!(counted(&world).await, (before + 1000, before + 1000));
    let accept = request("accept", &group, json!({}));
    dan.asks_as(4, "chatconversationgroup", accept).await.ok();
    assert_eq!(counted(&world).await, (before + 2000, before + 2000));
    let shared = format!(
        "shared_secrets where user_id = '{}' and bytes = 2000",
        ann.id()
    );
    assert_eq!(world.count(&shared).await, 1);
    world.end().await;
}
