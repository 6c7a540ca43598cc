//! The ends of files: nothing of them is left.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use parlance::store;
use parlance_wire::time::Timestamp;
use serde_json::{Value, json};

use super::{counted, rows};
use crate::world::{
    Conversation, File, Hold, Kind, Person, RECORD, World, at, eventually, lying, message,
    operator, request, stores,
};

/// Waits until nothing is left of any file.
async fn nothing_is_left(world: &World) {
    eventually("the end of the files", async || {
        rows(world).await == [0, 0, 0]
            && world.count("file_usage").await == 0
            && lying(world).await.is_empty()
    })
    .await;
}

/// A message with a file of two records.
async fn sends(person: &Person, conversation: &Conversation) -> (File, Value) {
    let file = person.uploads(RECORD + 1, conversation).await;
    let message = message("a file");
    person
        .adds_files(conversation, &message, &[&file])
        .await
        .ok();
    (file, message)
}

/// A world whose background tasks run all the time.
async fn busy(kind: Kind) -> Arc<World> {
    kind.world_with(|settings| settings.timings.purge = Duration::from_millis(50))
        .await
}

#[tokio::test]
async fn files_that_are_purged_after_their_messages_are_no_finding_of_the_doctor() {
    let world = busy(Kind::Postgres).await;
    let (ann, _ben, conversation) = world.conversation().await;
    sends(&ann, &conversation).await;
    let held = Hold::by(&world, "select from files for update").await;
    ann.does("clear", &conversation, json!({})).await.ok();
    held.is_waited_for(1).await;
    assert_eq!(world.count("messages").await, 0);
    let found = store::doctor::examine(&world.store).await.unwrap();
    assert!(found.is_empty(), "{found:#?}");
    held.ends().await;
    nothing_is_left(&world).await;
    world.end().await;
}

async fn files_end_with_their_message(kind: Kind) {
    let world = kind.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    // Erased: at once, for everyone.
    let (file, message) = sends(&ann, &conversation).await;
    let (kept, _) = sends(&ben, &conversation).await;
    let erase = json!({ "messageids": [message["ID"]] });
    let erase = request("erase", &conversation, erase);
    ann.asks_as(4, "chatconversation", erase).await.ok();
    ben.gets(&file.id, None)
        .await
        .answer()
        .refused(404, "file_not_found");
    ann.gets(&file.id, None)
        .await
        .answer()
        .refused(404, "file_not_found");
    eventually("the records to go", async || {
        rows(&world).await == [1, 2, 0]
    })
    .await;
    assert!(ann.gets(&kept.id, None).await.bytes == kept.bytes);
    // A retry is still the same message: it stores nothing, and needs no file.
    for files in [&[&file][..], &[]] {
        ann.adds_files(&conversation, &message, files).await.ok();
    }
    assert_eq!(
        (world.count("messages").await, rows(&world).await),
        (1, [1, 2, 0])
    );
    // Expired.
    world.sql("update messages set stored_at = now() - interval '9 days', valid_until = now() - interval '9 days'").await;
    store::purge::expired(&world.store, Timestamp::now().plus(-TimeDelta::days(8)))
        .await
        .unwrap();
    ann.gets(&kept.id, None)
        .await
        .answer()
        .refused(404, "file_not_found");
    let unfinished = Duration::from_mins(15);
    store::file::drain(&world.store, &stores(), unfinished)
        .await
        .unwrap();
    nothing_is_left(&world).await;
    world.end().await;
}

async fn cleared_conversations_and_deleted_accounts_leave_no_files(kind: Kind) {
    let world = busy(kind).await;
    let (ann, ben, conversation) = world.conversation().await;
    // Cleared, with an upload that has no message.
    sends(&ann, &conversation).await;
    sends(&ben, &conversation).await;
    ben.uploads(10, &conversation).await;
    ann.begins(&File::new(10), &conversation).await.ok();
    let cleared = ann.does("clear", &conversation, json!({})).await.ok();
    let conversation = Conversation::of(&cleared["conversation"]);
    nothing_is_left(&world).await;
    // An account: its files, also those without a message; others' stay.
    sends(&ann, &conversation).await;
    let (of_ben, _) = sends(&ben, &conversation).await;
    ann.begins(&File::new(10), &conversation).await.ok();
    ben.begins(&File::new(10), &conversation).await.ok();
    let delete = json!({ "action": "delete", "apikey": "the apikey of Ann" });
    ann.asks_as(4, "chatlogin", delete).await.ok();
    eventually("her files to go", async || rows(&world).await == [2, 2, 0]).await;
    assert!(ben.gets(&of_ben.id, None).await.bytes == of_ben.bytes);
    ben.begins(&File::new(10), &conversation)
        .await
        .refused(403, "not_friends");
    // A conversation that the operator deletes.
    let id = parlance_wire::id::ConversationId::parse(&conversation.id).unwrap();
    store::oversight::delete(&world.store, id, &operator(), Timestamp::now())
        .await
        .unwrap();
    nothing_is_left(&world).await;
    world.end().await;
}

async fn what_no_message_has_goes_after_a_day_and_one_that_leaves_takes_no_files_along(kind: Kind) {
    let world = busy(kind).await;
    let (ann, _, conversation) = world.conversation().await;
    let (kept, _) = sends(&ann, &conversation).await;
    ann.uploads(10, &conversation).await;
    ann.begins(&File::new(10), &conversation).await.ok();
    // One whose message was expected to end earlier.
    let brief = json!({
        "conversationid": conversation.id, "instance": conversation.instance, "size": 10, "validuntil": at(TimeDelta::hours(1))
    });
    ann.asks_file("create", &File::new(1).id, brief).await.ok();
    world.clock.advance(Duration::from_hours(2));
    eventually("the brief one to go", async || {
        rows(&world).await == [3, 3, 0]
    })
    .await;
    world.clock.advance(Duration::from_hours(21));
    world.clock.advance(Duration::from_mins(90));
    eventually("the others to go", async || rows(&world).await == [1, 2, 0]).await;
    assert_eq!(counted(&world).await, 262_145);
    // What a message has can be read; by clients of that time.
    let request = json!({
        "action": "get", "fileid": kept.id, "clientversioncode": 4, "timestamp": at(TimeDelta::minutes(24 * 60 + 30))
    });
    let read = ann.gets_with(&kept.id, &request.to_string(), None).await;
    assert!(read.bytes == kept.bytes);
    world.end().await;
}

/// Deletes files of messages in one of the ways in which several are at once.
async fn locks_files_by_key(world: &Arc<World>, deleted: impl Future<Output = u64>) {
    let first = "select from files where file_key = (select min(file_key) from files) for update";
    let held = Hold::by(world, first).await;
    let watched = async {
        held.is_waited_for(1).await;
        let others = "select from files where file_key > (select min(file_key) from files) for update skip locked";
        let free = sqlx::query(others).fetch_all(&world.db).await.unwrap();
        assert_eq!(free.len(), 1);
        held.ends().await;
    };
    let (deleted, ()) = tokio::join!(deleted, watched);
    assert_eq!(deleted, 2);
}

#[tokio::test]
async fn whoever_deletes_files_locks_them_in_one_order() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    // Two files, whose messages have the other order.
    let send_two = async || {
        let files = [
            ann.uploads(10, &conversation).await,
            ann.uploads(10, &conversation).await,
        ];
        for file in [&files[1], &files[0]] {
            let message = message("a file");
            ann.adds_files(&conversation, &message, &[file]).await.ok();
        }
    };
    send_two().await;
    world.sql("update messages set stored_at = now() - interval '9 days', valid_until = now() - interval '9 days'").await;
    let before = Timestamp::now().plus(-TimeDelta::days(8));
    let expired = async { store::purge::expired(&world.store, before).await.unwrap() };
    locks_files_by_key(&world, expired).await;
    send_two().await;
    ann.does("clear", &conversation, json!({})).await.ok();
    let cleared = async {
        // Messages, files, and the links of the expired messages.
        store::purge::cleared(&world.store).await.unwrap() - 4
    };
    locks_files_by_key(&world, cleared).await;
    world.end().await;
}

in_each_store!(
    files_end_with_their_message,
    cleared_conversations_and_deleted_accounts_leave_no_files,
    what_no_message_has_goes_after_a_day_and_one_that_leaves_takes_no_files_along
);
