//! A database without room for files, on a disk that the server cannot see.

use serde_json::json;

use crate::world::{Answer, File, RECORD, World, message, request};

/// Has the database say that its disk is full, whenever something is to be stored in this table.
async fn is_full(world: &World, table: &str) {
    world
        .sql(&format!(
            "create function no_room() returns trigger language plpgsql as
                $$ begin raise exception using errcode = '53100', message = 'could not extend file'; end $$;
            create trigger no_room before insert on {table} for each row execute function no_room()"
        ))
        .await;
}

async fn has_room(world: &World) {
    world.sql("drop function no_room cascade").await;
}

#[track_caller]
fn refused(answer: &Answer) {
    let refused = answer.refused(507, "disk_full");
    let sentence = refused["errormessage"].as_str().unwrap();
    assert!(sentence.contains("database has no room"), "{sentence}");
}

#[tokio::test]
async fn records_for_which_the_database_has_no_room_are_refused_with_a_sentence() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let complete = ann.uploads(10, &conversation).await;
    let (begun, other) = (File::new(2 * RECORD), File::new(10));
    ann.begins(&begun, &conversation).await.ok();
    ann.puts(&begun, 0, begun.records(0, 1)).await.ok();
    is_full(&world, "file_records").await;
    refused(&ann.puts(&begun, 1, begun.records(1, 1)).await);
    has_room(&world).await;
    // For a minute nothing is tried.
    refused(&ann.puts(&begun, 1, begun.records(1, 1)).await);
    refused(&ben.begins(&other, &conversation).await);
    // Everything else goes on.
    ann.adds(&conversation, "messages go on").await;
    let status = ann.asks_file("status", &begun.id, json!({})).await.ok();
    assert_eq!(status["have"], json!([[0, 0]]));
    assert!(ben.gets(&complete.id, None).await.bytes == complete.bytes);
    ann.asks_file("delete", &complete.id, json!({})).await.ok();
    world.end().await;
}

#[tokio::test]
async fn a_message_for_which_there_is_no_room_stops_files_until_there_is_some_again() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = File::new(RECORD);
    ann.begins(&file, &conversation).await.ok();
    is_full(&world, "messages").await;
    let add = request(
        "add",
        &conversation,
        json!({ "message": message("no room").to_string() }),
    );
    let answer = ann.asks_as(4, "chatconversation", add.clone()).await;
    // One that is sent again.
    answer.refused(503, "unavailable");
    assert!(answer.headers.contains_key("Retry-After"));
    refused(&ann.puts(&file, 0, &file.bytes).await);
    has_room(&world).await;
    ann.asks_as(4, "chatconversation", add).await.ok();
    // A node to which the minute is over.
    let later = world
        .another_with(|settings| settings.timings.disk_full = std::time::Duration::ZERO)
        .await;
    let ann = crate::world::Person {
        world: later.clone(),
        ..ann
    };
    ann.puts(&file, 0, &file.bytes).await.ok();
    ann.completes(&file).await.ok();
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    later.stop().await;
    world.end().await;
}
