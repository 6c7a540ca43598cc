//! The maximum of pending invitations, and which of them are dropped first.

use serde_json::json;

use super::{adds, creates, invitations, invited_to, to};
use crate::{
    group::{asks, set_role},
    world::{Changes, World},
};

#[tokio::test]
async fn at_most_a_hundred_invitations_wait_and_a_friends_is_the_last_to_go() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let (from_a_friend, _) = creates(&ben, &[&ann]).await;
    asks(&ann, "leave", to(&from_a_friend)).await.ok();
    adds(&ben, &from_a_friend, &[&ann]).await;
    let (oldest, _) = creates(&eve, &[&ann]).await;
    world
        .sql("update invitations set invited_at = invited_at - interval '1 year'")
        .await;
    world
        .sql(&format!(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 98) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, '{eve}', '', '', 'admin', now() from generate_series(1, 98) n;
            insert into invitations (conversation_id, user_id, inviter_id, secret, display_name, invited_at)
            select md5(n::text)::uuid, '{ann}', '{eve}', '', '', now() from generate_series(1, 98) n",
            eve = eve.user,
            ann = ann.user
        ))
        .await;
    assert_eq!(
        (
            invitations(&ann).await.len(),
            invited_to(&ann).await.contains(&oldest.id)
        ),
        (100, true)
    );
    let (newest, invited) = creates(&eve, &[&ann]).await;
    assert_eq!(invited, json!([ann.user]));
    let waiting = invited_to(&ann).await;
    assert_eq!(
        (waiting.len(), world.count("invitations").await, &waiting[0]),
        (100, 100, &newest.id)
    );
    assert!(waiting.contains(&from_a_friend.id) && !waiting.contains(&oldest.id));
    // An invitation by a user whom she blocked takes up no room.
    let mallory = world.person("Mallory").await;
    ann.blocks(&mallory).await.ok();
    assert_eq!(creates(&mallory, &[&ann]).await.1, json!([ann.user]));
    assert_eq!(invited_to(&ann).await, waiting);
    world.end().await;
}

#[tokio::test]
async fn a_friends_invitation_takes_the_place_of_a_strangers() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    eve.befriends(&ben).await;
    let (conversation, _) = creates(&eve, &[&ben, &ann]).await;
    set_role(&eve, &conversation, &ben, "admin").await.ok();
    ann.listens().await;
    // Ben could add Ann, but she would meet a user whom she blocked, and who is not an admin.
    let mallory = world.person("Mallory").await;
    eve.befriends(&mallory).await;
    adds(&eve, &conversation, &[&mallory]).await;
    ann.blocks(&mallory).await.ok();
    ann.hears().await;
    let from = async || invitations(&ann).await[0]["invitername"].clone();
    assert_eq!(from().await, "Eve");
    assert_eq!(adds(&ben, &conversation, &[&ann]).await, json!([ann.user]));
    assert_eq!(
        (from().await, ann.hears().await.lists),
        (json!("Ben"), vec![ann.user.clone()])
    );
    // A stranger's invitation does not displace a friend's, and Ann is not notified again of an
    // unchanged list.
    for admin in [&eve, &ben] {
        adds(admin, &conversation, &[&ann]).await;
    }
    assert_eq!(
        (from().await, ann.hears().await),
        (json!("Ben"), Changes::default())
    );
    world.end().await;
}

#[tokio::test]
async fn hidden_invitations_are_dropped_first() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (eve, mallory) = (world.person("Eve").await, world.person("Mallory").await);
    ben.befriends(&mallory).await;
    ann.blocks(&mallory).await.ok();
    // From a friend, and the newest; but an admin of that group is a user whom she blocked.
    let (oldest, _) = creates(&eve, &[&ann]).await;
    let (hidden, _) = creates(&mallory, &[&ben]).await;
    set_role(&mallory, &hidden, &ben, "admin").await.ok();
    assert_eq!(adds(&ben, &hidden, &[&ann]).await, json!([ann.user]));
    world
        .sql(&format!(
            "update invitations set invited_at = invited_at - interval '1 year' where inviter_id = '{eve}';
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 98) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, '{eve}', '', '', 'admin', now() from generate_series(1, 98) n;
            insert into invitations (conversation_id, user_id, inviter_id, secret, display_name, invited_at)
            select md5(n::text)::uuid, '{ann}', '{eve}', '', '', now() from generate_series(1, 98) n",
            eve = eve.user,
            ann = ann.user
        ))
        .await;
    let (newest, _) = creates(&eve, &[&ann]).await;
    let waiting = invited_to(&ann).await;
    assert_eq!(
        (waiting.len(), world.count("invitations").await),
        (100, 100)
    );
    assert!(waiting.contains(&oldest.id) && waiting.contains(&newest.id));
    world.end().await;
}
