//! Who may not see a file: for them it is not there.

use serde_json::json;

use super::{is_same, rows};
use crate::{
    group::{asks, ids, secrets},
    world::{Answer, Conversation, File, Kind, Person, RECORD},
};

/// All that somebody can try with a file: the answers.
async fn tries(person: &Person, file: &File) -> Vec<Answer> {
    vec![
        person.gets(&file.id, None).await.answer(),
        person.gets(&file.id, Some("bytes=0-0")).await.answer(),
        person.asks_file("status", &file.id, json!({})).await,
        person.puts(file, 0, file.records(0, 1)).await,
        person.completes(file).await,
        person.asks_file("delete", &file.id, json!({})).await,
    ]
}

/// Asserts that a file is not there for somebody, exactly as one that never was.
async fn is_not_there(person: &Person, file: &File) {
    let never = File {
        id: File::new(1).id,
        ..file.clone()
    };
    let (tried, expected) = (tries(person, file).await, tries(person, &never).await);
    for (one, other) in tried.iter().zip(&expected) {
        one.refused(404, "file_not_found");
        is_same(one, other);
    }
}

async fn strangers_removed_and_blocked_people_find_nothing(kind: Kind) {
    let world = kind.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let group = json!({ "displayname": "the name", "participantids": ids(&[&ben, &cleo]), "secrets": secrets(&[&ann, &ben, &cleo]) });
    ann.befriends(&ben).await;
    let group = Conversation::of(&asks(&ann, "create", group).await.ok()["conversation"]);
    let direct = ann.uploads(RECORD + 1, &conversation).await;
    let shared = ben.uploads(RECORD + 1, &group).await;
    let unfinished = File::new(RECORD + 1);
    ann.begins(&unfinished, &conversation).await.ok();
    // A stranger, and what is not complete yet.
    is_not_there(&cleo, &direct).await;
    is_not_there(&ben, &unfinished).await;
    // Who may not begin one there.
    cleo.begins(&File::new(1), &conversation)
        .await
        .refused(404, "conversation_not_found");
    let stale = Conversation {
        instance: "AAAAAAAAAA".into(),
        ..conversation.clone()
    };
    let refused = ann
        .begins(&File::new(1), &stale)
        .await
        .refused(409, "stale_instance");
    assert_eq!(refused["instance"], conversation.instance.as_str());
    // A member reads, and cannot delete others' files or go on with them.
    assert!(cleo.gets(&shared.id, None).await.bytes == shared.bytes);
    cleo.asks_file("delete", &shared.id, json!({}))
        .await
        .refused(403, "not_allowed");
    cleo.puts(&shared, 0, shared.records(0, 1))
        .await
        .refused(404, "file_not_found");
    // The same id of somebody else's is another file, of which no one learns.
    let same = File {
        bytes: vec![7; 10],
        ..shared.clone()
    };
    cleo.begins(&same, &group).await.ok();
    cleo.puts(&same, 0, &same.bytes).await.ok();
    cleo.completes(&same).await.ok();
    for reader in [&ann, &ben, &cleo] {
        assert!(reader.gets(&shared.id, None).await.bytes == shared.bytes);
    }
    cleo.asks_file("delete", &same.id, json!({})).await.ok();
    // Who is removed, and who leaves: the files of those who stay, and of those who left, stay.
    let left = cleo.uploads(10, &group).await;
    let removed = json!({ "conversationid": group.id, "participantids": [cleo.user] });
    asks(&ann, "removeparticipants", removed).await.ok();
    is_not_there(&cleo, &shared).await;
    is_not_there(&cleo, &left).await;
    cleo.begins(&left, &group)
        .await
        .refused(404, "conversation_not_found");
    assert!(ben.gets(&left.id, None).await.bytes == left.bytes);
    // An admin may delete others' files.
    ann.asks_file("delete", &left.id, json!({})).await.ok();
    ann.asks_file("delete", &left.id, json!({}))
        .await
        .refused(404, "file_not_found");
    asks(&ben, "leave", json!({ "conversationid": group.id }))
        .await
        .ok();
    is_not_there(&ben, &shared).await;
    assert!(ann.gets(&shared.id, None).await.bytes == shared.bytes);
    // Whoever is blocked in a direct conversation.
    let of_ben = ben.uploads(10, &conversation).await;
    ann.blocks(&ben).await.ok();
    is_not_there(&ben, &direct).await;
    is_not_there(&ben, &of_ben).await;
    ben.begins(&File::new(1), &conversation)
        .await
        .refused(403, "not_allowed");
    assert!(ann.gets(&of_ben.id, None).await.bytes == of_ben.bytes);
    ann.unblocks(&ben).await.ok();
    assert!(ben.gets(&direct.id, None).await.bytes == direct.bytes);
    // After a clear, nobody.
    ann.does("clear", &conversation, json!({})).await.ok();
    is_not_there(&ann, &direct).await;
    is_not_there(&ben, &of_ben).await;
    is_not_there(&ann, &unfinished).await;
    assert!(rows(&world).await[0] > 0);
    world.end().await;
}

in_each_store!(strangers_removed_and_blocked_people_find_nothing);
