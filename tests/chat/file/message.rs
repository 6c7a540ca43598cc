//! Files of messages.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{Conversation, File, Kind, Person, World, message, request};

/// The numbers of the messages that have files, by file.
async fn tied(world: &World) -> Vec<Option<i64>> {
    sqlx::query_scalar("select message_seq from files order by file_key")
        .fetch_all(&world.db)
        .await
        .unwrap()
}

async fn a_message_has_its_senders_complete_files_and_each_file_one_message(kind: Kind) {
    let world = kind.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    let files = [
        ann.uploads(10, &conversation).await,
        ann.uploads(20, &conversation).await,
    ];
    let of_ben = ben.uploads(10, &conversation).await;
    let elsewhere = ann.uploads(10, &other).await;
    let unfinished = File::new(10);
    ann.begins(&unfinished, &conversation).await.ok();
    let unknown = File::new(10);
    let sent = message("files");
    for wrong in [&of_ben, &elsewhere, &unfinished, &unknown] {
        ann.adds_files(&conversation, &sent, &[&files[0], wrong])
            .await
            .refused(404, "file_not_found");
    }
    assert_eq!(world.count("messages").await, 0);
    // Other refusals come first.
    cleo.adds_files(&conversation, &sent, &[&unknown])
        .await
        .refused(404, "conversation_not_found");
    let stale = Conversation {
        instance: "AAAAAAAAAA".into(),
        ..conversation.clone()
    };
    ann.adds_files(&stale, &sent, &[&unknown])
        .await
        .refused(409, "stale_instance");
    ann.adds_files(&conversation, &sent, &[&files[0], &files[1]])
        .await
        .ok();
    // A retry is the same message, whatever its files are by then.
    for again in [&[&files[0], &files[1]][..], &[], &[&unknown]] {
        ann.adds_files(&conversation, &sent, again).await.ok();
    }
    assert_eq!(tied(&world).await, [Some(1), Some(1), None, None, None]);
    ann.adds_files(&conversation, &message("again"), &[&files[0]])
        .await
        .refused(404, "file_not_found");
    // A field of this name from a client of version 3 is unknown.
    let fields = json!({ "message": message("old").to_string(), "files": [unknown.id] });
    ann.does("add", &conversation, fields).await.ok();
    let many: Vec<String> = (0..33).map(|_| File::new(1).id).collect();
    let many = json!({ "message": message("many").to_string(), "files": many });
    ann.asks_as(4, "chatconversation", request("add", &conversation, many))
        .await
        .refused(400, "bad_request");
    ben.adds_files(&conversation, &message("mine"), &[&of_ben])
        .await
        .ok();
    assert_eq!(tied(&world).await, [Some(1), Some(1), Some(3), None, None]);
    world.end().await;
}

async fn of_messages_at_once_one_has_the_file_on_two_nodes(kind: Kind) {
    let world = kind.world().await;
    let other_node = world.another().await;
    let (ann, ben, conversation) = world.conversation().await;
    let there = Person {
        world: other_node.clone(),
        ..ann.clone()
    };
    for _ in 0..4 {
        let file = ann.uploads(10, &conversation).await;
        let named = [&file];
        let same = message("the same, sent twice");
        let others: Vec<Value> = (0..4).map(|n| message(&n.to_string())).collect();
        let here = others.iter().chain([&same]);
        let sent = here.map(|message| ann.adds_files(&conversation, message, &named));
        let plain = (0..4).map(|_| ben.adds(&conversation, "without"));
        let (answers, again, _) = tokio::join!(
            join_all(sent),
            there.adds_files(&conversation, &same, &named),
            join_all(plain)
        );
        let stored = answers[..4]
            .iter()
            .filter(|answer| answer.status == 200)
            .count();
        assert_eq!(answers[4].status, again.status, "{answers:?} {again:?}");
        assert_eq!(stored + usize::from(again.status == 200), 1, "{answers:?}");
    }
    assert!(tied(&world).await.iter().all(Option::is_some));
    other_node.stop().await;
    world.end().await;
}

in_each_store!(
    a_message_has_its_senders_complete_files_and_each_file_one_message,
    of_messages_at_once_one_has_the_file_on_two_nodes
);
