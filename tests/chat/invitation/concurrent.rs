//! Concurrent changes happen in one order or the other.

use futures_util::future::join_all;
use serde_json::json;

use super::{addition, asks_v4, creates, invited_to, to};
use crate::{
    group::{asks, members, remove},
    world::World,
};

#[tokio::test]
async fn concurrent_changes_happen_in_one_order_or_the_other() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    for _ in 0..8 {
        let (conversation, _) = creates(&ann, &[&cleo]).await;
        // Accepting twice at once adds her once.
        let both = join_all([
            asks_v4(&cleo, "accept", to(&conversation)),
            asks_v4(&cleo, "accept", to(&conversation)),
        ])
        .await;
        assert!(
            both.iter()
                .all(|answer| answer.ok()["conversation"]["id"] == conversation.id.as_str())
        );
        assert_eq!(members(&cleo, &conversation).await.len(), 2);
        // Accepted and withdrawn at once: either way she does not take part in the end.
        let (conversation, _) = creates(&ann, &[&cleo]).await;
        let remove = remove(&ann, &conversation, &cleo);
        let (accepted, removed) = tokio::join!(asks_v4(&cleo, "accept", to(&conversation)), remove);
        removed.ok();
        assert!([200, 404].contains(&accepted.status), "{accepted:?}");
        assert_eq!(
            (
                members(&ann, &conversation).await.len(),
                invited_to(&cleo).await.len()
            ),
            (1, 0)
        );
        // Left and added at once: either she had not left yet, or she is invited.
        let (conversation, _) = creates(&ann, &[&ben]).await;
        let (left, added) = tokio::join!(
            asks(&ben, "leave", to(&conversation)),
            asks_v4(&ann, "addparticipants", addition(&conversation, &[&ben]))
        );
        left.ok();
        let invited = added.ok()["invited"] == json!([ben.user]);
        assert_eq!(
            (
                members(&ann, &conversation).await.len(),
                invited_to(&ben).await.contains(&conversation.id)
            ),
            (1, invited)
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_last_leave_concurrent_with_an_accept_leaves_a_group_with_an_admin_or_none_at_all() {
    let world = World::with(|settings| settings.database_connections = 8).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..8 {
        let (conversation, _) = creates(&ann, &[&ben]).await;
        let (left, accepted) = tokio::join!(
            asks(&ann, "leave", to(&conversation)),
            asks_v4(&ben, "accept", to(&conversation))
        );
        left.ok();
        if accepted.status == 200 {
            asks(
                &ben,
                "rename",
                json!({ "conversationid": conversation.id, "displaynames": {} }),
            )
            .await
            .ok();
        } else {
            accepted.refused(404, "conversation_not_found");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_stranger_neither_waits_for_a_group_nor_blocks_it() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let (conversation, _) = creates(&ann, &[&ben]).await;
    let direct = ann.creates(&ben).await;
    let mut held = world.db.begin().await.unwrap();
    sqlx::raw_sql("select from conversations for update")
        .execute(&mut *held)
        .await
        .unwrap();
    for conversation in [&conversation, &direct] {
        for action in ["accept", "decline", "leave"] {
            asks_v4(&eve, action, to(conversation))
                .await
                .refused(404, "conversation_not_found");
        }
        asks(
            &eve,
            "rename",
            json!({ "conversationid": conversation.id, "displaynames": {} }),
        )
        .await
        .refused(404, "conversation_not_found");
        asks_v4(&eve, "addparticipants", addition(conversation, &[&ann]))
            .await
            .refused(404, "conversation_not_found");
    }
    held.rollback().await.unwrap();
    world.end().await;
}
