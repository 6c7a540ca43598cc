//! Users who are not friends, or who left, join a group only by accepting.

use serde_json::{Value, json};

use super::{
    addition, adds, asks_v4, creates, creation, invitations, invited_to, list, sorted, to,
};
use crate::{
    group::{asks, members, remove, set_role},
    world::{Changes, Socket, World},
};

#[tokio::test]
async fn a_stranger_adds_nobody_to_a_group_but_may_invite() {
    let world = World::new().await;
    let (ann, eve) = (world.person("Ann").await, world.person("Eve").await);
    ann.listens().await;
    let (conversation, invited) = creates(&eve, &[&ann]).await;
    assert_eq!(invited, json!([ann.user]));
    assert_eq!(
        ann.hears().await,
        Changes {
            lists: vec![ann.user.clone()],
            ..Changes::default()
        }
    );
    assert_eq!(
        (list(&ann).await, members(&eve, &conversation).await),
        (vec![], vec!["Eve".to_owned()])
    );
    eve.adds(&conversation, "before").await;
    assert_eq!(ann.hears().await, Changes::default());
    ann.does("download", &conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    let shown = invitations(&ann).await;
    assert_eq!(shown.len(), 1);
    assert!(
        shown[0]["invited"]
            .as_str()
            .is_some_and(|time| time.len() == 19),
        "{shown:?}"
    );
    assert_eq!(
        shown[0],
        json!({
            "conversationid": conversation.id, "inviterid": eve.user, "invitername": "Eve", "secret": "secret for Ann", "displayname": "bmFtZQ==",
            "invited": shown[0]["invited"], "participantids": [],
        })
    );
    eve.hears().await;
    for _ in 0..2 {
        let view = asks_v4(&ann, "accept", to(&conversation)).await.ok()["conversation"].clone();
        assert_eq!(
            (&view["id"], &view["secret"], &view["displayname"]),
            (
                &json!(conversation.id),
                &json!("secret for Ann"),
                &json!("bmFtZQ==")
            )
        );
    }
    assert_eq!(eve.hears().await.lists, [eve.user.clone()]);
    assert_eq!(ann.hears().await.lists, [ann.user.clone()]);
    // Accepting once more notifies only her.
    asks_v4(&ann, "accept", to(&conversation)).await.ok();
    assert_eq!(
        (eve.hears().await, ann.hears().await.lists),
        (Changes::default(), vec![ann.user.clone()])
    );
    assert_eq!(invitations(&ann).await, Vec::<Value>::new());
    // Messages from before.
    assert_eq!(
        ann.reads(&conversation).await["messages"][0]["Data"],
        "before"
    );
    ann.adds(&conversation, "here I am").await;
    assert_eq!(members(&eve, &conversation).await.len(), 2);
    set_role(&ann, &conversation, &ann, "admin")
        .await
        .refused(403, "not_allowed");
    world.end().await;
}

#[tokio::test]
async fn friends_are_added_at_once_and_published_answers_are_unchanged() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    // A friend request alone, in either direction, is not a friendship.
    ann.requests_friendship(&cleo).await.ok();
    dan.requests_friendship(&ann).await.ok();
    let (conversation, invited) = creates(&ann, &[&ben, &cleo, &dan]).await;
    assert_eq!(
        (invited, members(&ann, &conversation).await.len()),
        (sorted(&[&cleo, &dan]), 2)
    );
    assert_eq!(adds(&ann, &conversation, &[&ben]).await, json!([]));
    // Only the reader's friends in it are named.
    assert_eq!(invitations(&cleo).await[0]["participantids"], json!([]));
    cleo.befriends(&ben).await;
    assert_eq!(
        invitations(&cleo).await[0]["participantids"],
        json!([ben.user])
    );
    for (action, request) in [
        ("create", creation(&ann, &[&ben, &cleo])),
        ("addparticipants", addition(&conversation, &[&ben, &dan])),
    ] {
        let answer = asks(&ann, action, request).await.ok();
        let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["conversation", "errormessage", "status"]);
    }
    // A user who becomes a friend is added, and the invitation is gone.
    cleo.requests_friendship(&ann).await.ok();
    assert_eq!(adds(&ann, &conversation, &[&cleo]).await, json!([]));
    assert!(
        !invited_to(&cleo).await.contains(&conversation.id)
            && list(&cleo).await.contains(&conversation.id)
    );
    world.end().await;
}

#[tokio::test]
async fn a_user_who_left_returns_by_accepting_and_a_removed_one_is_added_again() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (conversation, _) = creates(&ann, &[&ben]).await;
    remove(&ann, &conversation, &ben).await.ok();
    assert_eq!(adds(&ann, &conversation, &[&ben]).await, json!([]));
    asks(&ben, "leave", to(&conversation)).await.ok();
    ben.listens().await;
    ann.adds(&conversation, "meanwhile").await;
    assert_eq!(adds(&ann, &conversation, &[&ben]).await, json!([ben.user]));
    assert_eq!(
        (ben.hears().await.lists, list(&ben).await),
        (vec![ben.user.clone()], vec![])
    );
    asks_v4(&ben, "accept", to(&conversation)).await.ok();
    assert_eq!(
        ben.reads(&conversation).await["messages"][0]["Data"],
        "meanwhile"
    );
    // Accepting cancels her earlier leaving.
    remove(&ann, &conversation, &ben).await.ok();
    assert_eq!(adds(&ann, &conversation, &[&ben]).await, json!([]));
    assert_eq!(list(&ben).await, [conversation.id]);
    world.end().await;
}

#[tokio::test]
async fn everyone_in_it_hears_of_one_who_accepts_at_once() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let (conversation, _) = creates(&ann, &[&ben, &cleo]).await;
    let mut sockets = [
        Socket::of(&ann, 4).await,
        Socket::of(&ben, 4).await,
        Socket::of(&cleo, 4).await,
    ];
    asks_v4(&cleo, "accept", to(&conversation)).await.ok();
    for (socket, person) in sockets.iter_mut().zip([&ann, &ben, &cleo]) {
        assert_eq!(
            socket.hears_about("conversationlistchangedof").await,
            json!([person.user])
        );
    }
    world.end().await;
}

#[tokio::test]
async fn malformed_invitations_are_refused_by_field() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    for action in ["accept", "decline"] {
        for wrong in [json!(null), json!("x"), json!(5), json!([])] {
            asks_v4(&ann, action, json!({ "conversationid": wrong }))
                .await
                .refused(400, "bad_request");
        }
        asks_v4(&ann, action, json!({ "conversationid": "0".repeat(32) }))
            .await
            .refused(404, "conversation_not_found");
    }
    // A direct conversation is not a group.
    asks_v4(&ann, "accept", to(&conversation))
        .await
        .refused(403, "not_allowed");
    asks_v4(&ann, "decline", to(&conversation))
        .await
        .refused(404, "conversation_not_found");
    let (group, _) = creates(&ann, &[&ben]).await;
    asks_v4(&ben, "decline", to(&group))
        .await
        .refused(404, "conversation_not_found");
    assert_eq!(members(&ann, &group).await.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn a_new_name_appears_in_open_invitations_and_notifies_nobody() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let (conversation, _) = creates(&ann, &[&ben, &cleo]).await;
    cleo.listens().await;
    let names = json!({ &ann.user: "for Ann", &cleo.user: "for Cleo" });
    asks(
        &ann,
        "rename",
        json!({ "conversationid": conversation.id, "displaynames": names }),
    )
    .await
    .ok();
    assert_eq!(
        (
            invitations(&cleo).await[0]["displayname"].clone(),
            cleo.hears().await
        ),
        (json!("for Cleo"), Changes::default())
    );
    asks_v4(&cleo, "accept", to(&conversation)).await.ok();
    assert_eq!(cleo.sees(&conversation).await["displayname"], "for Cleo");
    world.end().await;
}
