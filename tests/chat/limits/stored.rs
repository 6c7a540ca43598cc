//! How much a user may have stored.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Answer, Conversation, Person, World, eventually, message};

/// What 200 bytes and their row count for.
const EACH: i64 = 400;

async fn world() -> std::sync::Arc<World> {
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
