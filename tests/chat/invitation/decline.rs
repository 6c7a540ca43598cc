//! Declining invitations, and inviting again and again.

use serde_json::json;

use super::{addition, adds, asks_v4, creates, invited_to, list, sorted, to};
use crate::{
    group::{asks, remove, set_role},
    world::{Changes, Conversation, World},
};

#[tokio::test]
async fn a_group_cannot_invite_a_user_for_a_day_after_they_declined() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let (conversation, _) = creates(&eve, &[&ann, &ben]).await;
    ann.listens().await;
    asks_v4(&ann, "decline", to(&conversation)).await.ok();
    assert_eq!(ann.hears().await.lists, [ann.user.clone()]);
    // Declining again gets the same answer, as the first one may have been lost.
    asks_v4(&ann, "decline", to(&conversation)).await.ok();
    asks_v4(&ann, "accept", to(&conversation))
        .await
        .refused(404, "conversation_not_found");
    assert_eq!(ann.hears().await, Changes::default());
    // A repeated call gets the same answer.
    assert_eq!(
        adds(&eve, &conversation, &[&ann, &ben]).await,
        sorted(&[&ann, &ben])
    );
    assert_eq!(
        (
            ann.hears().await,
            invited_to(&ann).await,
            invited_to(&ben).await
        ),
        (Changes::default(), vec![], vec![conversation.id.clone()])
    );
    // Becoming a friend does not undo it.
    eve.befriends(&ann).await;
    assert_eq!(adds(&eve, &conversation, &[&ann]).await, json!([ann.user]));
    assert_eq!((invited_to(&ann).await, list(&ann).await), (vec![], vec![]));
    world
        .sql("update departures set departed_at = departed_at - interval '1 day'")
        .await;
    assert_eq!(adds(&eve, &conversation, &[&ann]).await, json!([ann.user]));
    assert_eq!(invited_to(&ann).await, [conversation.id.clone()]);
    asks_v4(&ann, "accept", to(&conversation)).await.ok();
    world.end().await;
}

#[tokio::test]
async fn adding_again_and_again_changes_nothing_and_ends_for_the_day() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (conversation, _) = creates(&ann, &[&ben]).await;
    asks(&ben, "leave", to(&conversation)).await.ok();
    ben.listens().await;
    adds(&ann, &conversation, &[&ben]).await;
    ben.hears().await;
    let mut refused = 0;
    for n in 0..120 {
        let answer = asks_v4(&ann, "addparticipants", addition(&conversation, &[&ben])).await;
        if n < 99 {
            assert_eq!(answer.ok()["invited"], json!([ben.user]), "{n}");
        } else {
            answer.refused(429, "rate_limited");
            let wait: u64 = answer.headers["Retry-After"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((1..=86_400).contains(&wait), "{wait}");
            refused += 1;
        }
    }
    assert_eq!(refused, 21);
    assert_eq!(
        (ben.hears().await, list(&ben).await, invited_to(&ben).await),
        (Changes::default(), vec![], vec![conversation.id.clone()])
    );
    // A friend is added nevertheless, and the limit ends tomorrow.
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    assert_eq!(adds(&ann, &conversation, &[&cleo]).await, json!([]));
    world.sql("update quotas set day = day - 1").await;
    adds(&ann, &conversation, &[&ben]).await;
    world.end().await;
}

#[tokio::test]
async fn an_invitation_ends_when_it_is_withdrawn_or_its_inviter_removed_or_its_group_empty() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let gone = async |conversation: &Conversation| {
        assert_eq!(cleo.hears().await.lists, [cleo.user.clone()]);
        assert_eq!(invited_to(&cleo).await, Vec::<String>::new());
        asks_v4(&cleo, "accept", to(conversation))
            .await
            .refused(404, "conversation_not_found");
    };
    cleo.listens().await;
    // It is withdrawn, which is not a decision of Cleo's.
    let (conversation, _) = creates(&ann, &[&ben, &cleo]).await;
    cleo.hears().await;
    remove(&ann, &conversation, &cleo).await.ok();
    gone(&conversation).await;
    // Its inviter was removed. An inviter who leaves, or loses the role, leaves the invitations as
    // they are.
    set_role(&ann, &conversation, &ben, "admin").await.ok();
    adds(&ben, &conversation, &[&cleo]).await;
    cleo.hears().await;
    set_role(&ann, &conversation, &ben, "member").await.ok();
    assert_eq!(invited_to(&cleo).await, [conversation.id.clone()]);
    remove(&ann, &conversation, &ben).await.ok();
    gone(&conversation).await;
    // A clear changes nothing; the last participant's leaving does.
    adds(&ann, &conversation, &[&cleo]).await;
    cleo.hears().await;
    ann.does("clear", &conversation, json!({})).await.ok();
    assert_eq!(invited_to(&cleo).await, [conversation.id.clone()]);
    asks(&ann, "leave", to(&conversation)).await.ok();
    gone(&conversation).await;
    assert_eq!(
        (
            world.count("invitations").await,
            world.count("departures").await
        ),
        (0, 0)
    );
    world.end().await;
}
