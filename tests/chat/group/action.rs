//! Refusals by field, and who is notified of a change.

use serde_json::{Value, json};

use super::{asks, ids, secrets};
use crate::world::{Changes, Conversation, World};

#[tokio::test]
async fn malformed_groups_are_refused_by_field() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let whole = || json!({ "displayname": "x", "participantids": [ben.user], "secrets": secrets(&[&ann, &ben]) });
    let with = |field: &str, value: Value| {
        let mut request = whole();
        request[field] = value;
        request
    };
    for request in [
        with("displayname", json!(null)),
        with("displayname", json!("x".repeat(4097))),
        with("participantids", json!("x")),
        with("participantids", json!(["x"])),
        with("participantids", json!(null)),
        with("secrets", json!({})),
        with("secrets", secrets(&[&ben])),
        with("secrets", json!({ "x": "y" })),
    ] {
        asks(&ann, "create", request)
            .await
            .refused(400, "bad_request");
    }
    let many: Vec<String> = (0..5001).map(|n| format!("{n:032x}")).collect();
    for (action, fields) in [
        ("create", with("participantids", json!(many))),
        (
            "removeparticipants",
            json!({ "conversationid": many[0], "participantids": many }),
        ),
    ] {
        let refusal = asks(&ann, action, fields).await.refused(400, "bad_request");
        assert_eq!(
            refusal["errormessage"], "participantids must be a list of at most 5000 user ids.",
            "{action}"
        );
    }
    let nobody = "0".repeat(32);
    asks(&ann, "create", json!({ "displayname": "x", "participantids": [nobody], "secrets": { &ann.user: "a", &nobody: "b" } }))
        .await
        .ok();
    ann.befriends(&ben).await;
    ben.blocks(&ann).await.ok();
    asks(&ann, "create", whole()).await.ok();
    asks(&ann, "dance", json!({}))
        .await
        .refused(404, "unknown_action");
    assert_eq!(
        (
            world.count("conversations").await,
            world.count("participants").await
        ),
        (2, 2),
        "Ann alone is in either"
    );
    world.end().await;
}

#[tokio::test]
async fn everyone_in_it_hears_of_a_group_and_of_its_changes_and_nobody_else_does() {
    let world = World::new().await;
    let people = [
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
        world.person("Dan").await,
    ];
    let [ann, ben, cleo, dan] = &people;
    ann.befriends(ben).await;
    ann.befriends(cleo).await;
    for person in &people {
        person.listens().await;
    }
    let hear = async || {
        for person in [ann, ben, cleo] {
            assert_eq!(
                person.hears().await,
                Changes {
                    lists: vec![person.user.clone()],
                    ..Changes::default()
                },
                "{}",
                person.name
            );
        }
        assert_eq!(dan.hears().await, Changes::default());
    };
    let create = json!({ "displayname": "the name", "participantids": ids(&[ben, cleo]), "secrets": secrets(&[ann, ben, cleo]) });
    let conversation = Conversation::of(&asks(ann, "create", create).await.ok()["conversation"]);
    hear().await;
    asks(
        ann,
        "rename",
        json!({ "conversationid": conversation.id, "displaynames": { &ben.user: "another" } }),
    )
    .await
    .ok();
    hear().await;
    asks(
        ann,
        "setrole",
        json!({ "conversationid": conversation.id, "participantid": ben.user, "role": "admin" }),
    )
    .await
    .ok();
    hear().await;
    // A refusal notifies nobody.
    asks(
        cleo,
        "rename",
        json!({ "conversationid": conversation.id, "displaynames": { &ben.user: "x" } }),
    )
    .await
    .refused(403, "not_allowed");
    asks(
        ann,
        "setrole",
        json!({ "conversationid": conversation.id, "participantid": dan.user, "role": "admin" }),
    )
    .await
    .refused(404, "user_not_found");
    assert_eq!(ben.hears().await, Changes::default());
    // A retry of a message is announced to everyone again, as nobody knows who was notified the
    // first time.
    let sent = crate::world::message("twice");
    for _ in 0..2 {
        ben.does("add", &conversation, json!({ "message": sent }))
            .await
            .ok();
        for person in [ann, ben, cleo] {
            assert_eq!(
                person.hears().await,
                Changes {
                    conversations: vec![conversation.id.clone()],
                    ..Changes::default()
                },
                "{}",
                person.name
            );
        }
    }
    assert_eq!(dan.hears().await, Changes::default());
    world.end().await;
}
