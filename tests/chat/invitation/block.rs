//! The effects of blocks on invitations, and what they must not reveal.

use serde_json::json;

use super::{adds, asks_v4, creates, invitations, invited_to, list, sorted, to};
use crate::{
    group::{asks, remove, set_role},
    world::{Changes, World},
};

#[tokio::test]
async fn a_block_is_not_evaded_by_another_admin_or_a_member() {
    let world = World::new().await;
    let (ann, eve, mallory) = (
        world.person("Ann").await,
        world.person("Eve").await,
        world.person("Mallory").await,
    );
    eve.befriends(&mallory).await;
    ann.befriends(&mallory).await;
    ann.blocks(&eve).await.ok();
    ann.listens().await;
    let (conversation, _) = creates(&eve, &[&mallory]).await;
    set_role(&eve, &conversation, &mallory, "admin").await.ok();
    // If a user whom she blocked is an admin, Ann is not even notified.
    assert_eq!(
        adds(&mallory, &conversation, &[&ann]).await,
        json!([ann.user])
    );
    let (with_both, invited) = creates(&mallory, &[&eve, &ann]).await;
    assert_eq!(invited, json!([ann.user]));
    assert_eq!(
        (list(&ann).await, invited_to(&ann).await),
        (vec![], vec![with_both.id.clone()])
    );
    assert_eq!(ann.hears().await.lists, [ann.user.clone()]);
    asks_v4(&ann, "accept", to(&conversation))
        .await
        .refused(404, "conversation_not_found");
    asks_v4(&ann, "decline", to(&conversation))
        .await
        .refused(404, "conversation_not_found");
    // If that user is not an admin, she is invited, and sees who takes part.
    let shown = invitations(&ann).await;
    assert_eq!(shown[0]["participantids"], sorted(&[&eve, &mallory]));
    set_role(&mallory, &conversation, &eve, "member").await.ok();
    adds(&mallory, &conversation, &[&ann]).await;
    assert_eq!(
        (list(&ann).await, invited_to(&ann).await.len()),
        (vec![], 2)
    );
    // It is Ann's own decision.
    asks_v4(&ann, "accept", to(&conversation)).await.ok();
    world.end().await;
}

#[tokio::test]
async fn a_user_who_blocked_the_caller_is_neither_added_nor_invited_and_a_stranger_is_not_told() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    for person in [&ben, &cleo] {
        person.blocks(&ann).await.ok();
        person.listens().await;
    }
    let (conversation, _) = creates(&ann, &[]).await;
    // Ben, her friend, is left out, as if he had to be asked first.
    let (_, invited) = creates(&ann, &[&ben]).await;
    assert_eq!(
        (invited, adds(&ann, &conversation, &[&ben]).await),
        (sorted(&[&ben]), sorted(&[&ben]))
    );
    // To Ann, Cleo, who blocked her, and Dan, who did not, look alike.
    let both = sorted(&[&cleo, &dan]);
    let (other, invited) = creates(&ann, &[&cleo, &dan]).await;
    assert_eq!(
        (invited, adds(&ann, &conversation, &[&cleo, &dan]).await),
        (both.clone(), both)
    );
    remove(&ann, &other, &cleo).await.ok();
    for person in [&ben, &cleo] {
        assert_eq!(
            (
                person.hears().await,
                list(person).await,
                invited_to(person).await
            ),
            (Changes::default(), vec![], vec![])
        );
    }
    for action in ["accept", "decline"] {
        asks_v4(&cleo, action, to(&conversation))
            .await
            .refused(404, "conversation_not_found");
    }
    // A block hides pending invitations.
    dan.blocks(&ann).await.ok();
    assert_eq!(invited_to(&dan).await, Vec::<String>::new());
    asks_v4(&dan, "accept", to(&conversation))
        .await
        .refused(404, "conversation_not_found");
    dan.unblocks(&ann).await.ok();
    asks_v4(&dan, "accept", to(&conversation)).await.ok();
    world.end().await;
}

#[tokio::test]
async fn roles_that_change_several_times_notify_an_invited_user_once() {
    let world = World::new().await;
    let (ann, eve, mallory) = (
        world.person("Ann").await,
        world.person("Eve").await,
        world.person("Mallory").await,
    );
    eve.befriends(&mallory).await;
    let (conversation, _) = creates(&eve, &[&mallory, &ann]).await;
    ann.blocks(&mallory).await.ok();
    ann.listens().await;
    let set = async |role: &str| {
        set_role(&eve, &conversation, &mallory, role).await.ok();
    };
    // A user whom she blocked becomes an admin, which withdraws it.
    set("admin").await;
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![])
    );
    for _ in 0..3 {
        set("member").await;
        set("admin").await;
    }
    assert_eq!(
        (ann.hears().await, invited_to(&ann).await),
        (Changes::default(), vec![])
    );
    // The same happens if he inherits the role.
    set("member").await;
    adds(&eve, &conversation, &[&ann]).await;
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![conversation.id.clone()])
    );
    asks(&eve, "leave", to(&conversation)).await.ok();
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![])
    );
    // An invitation that was hidden because he was an admin appears when he is not one any more,
    // and she is notified.
    let cleo = world.person("Cleo").await;
    mallory.befriends(&cleo).await;
    adds(&mallory, &conversation, &[&cleo]).await;
    set_role(&mallory, &conversation, &cleo, "admin").await.ok();
    assert_eq!(adds(&cleo, &conversation, &[&ann]).await, json!([ann.user]));
    assert_eq!(
        (ann.hears().await, invited_to(&ann).await),
        (Changes::default(), vec![])
    );
    set_role(&cleo, &conversation, &mallory, "member")
        .await
        .ok();
    assert_eq!(
        (ann.hears().await.lists, invited_to(&ann).await),
        (vec![ann.user.clone()], vec![conversation.id.clone()])
    );
    world.end().await;
}

#[tokio::test]
async fn setting_the_present_role_notifies_nobody() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (conversation, _) = creates(&ann, &[&ben]).await;
    let set =
        json!({ "conversationid": conversation.id, "participantid": ben.user, "role": "admin" });
    ben.listens().await;
    asks(&ann, "setrole", set.clone()).await.ok();
    assert_eq!(ben.hears().await.lists, [ben.user.clone()]);
    asks(&ann, "setrole", set).await.ok();
    assert_eq!(ben.hears().await, Changes::default());
    world.end().await;
}

#[tokio::test]
async fn invitations_do_not_reveal_blocks_between_others_unless_both_are_friends() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    ann.befriends(&dan).await;
    for blocked in [&cleo, &dan] {
        ben.blocks(blocked).await.ok();
    }
    // Cleo is a stranger to Ann, and is not added, so Ben does not meet her.
    assert_eq!(creates(&ann, &[&ben, &cleo]).await.1, json!([cleo.user]));
    // Dan is added.
    assert_eq!(creates(&ann, &[&ben, &dan]).await.1, json!([ben.user]));
    world.end().await;
}
