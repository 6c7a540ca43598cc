//! A group always has at least one admin.

use serde_json::json;

use super::{asks, group, members, remove, secrets, set_role};
use crate::world::{Person, World, eventually};

async fn role(world: &World, person: &Person) -> String {
    sqlx::query_scalar("select role from participants where user_id = $1::uuid")
        .bind(&person.user)
        .fetch_one(&world.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn only_an_admin_runs_a_group_and_strangers_do_not_see_it() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    let id = json!(conversation.id);
    let requests = [
        (
            "rename",
            json!({ "conversationid": id, "displaynames": { &ben.user: "another" } }),
        ),
        (
            "addparticipants",
            json!({ "conversationid": id, "participantids": [dan.user], "secrets": secrets(&[&dan]) }),
        ),
        (
            "removeparticipants",
            json!({ "conversationid": id, "participantids": [cleo.user] }),
        ),
        (
            "setrole",
            json!({ "conversationid": id, "participantid": ben.user, "role": "admin" }),
        ),
    ];
    for (action, fields) in &requests {
        asks(&ben, action, fields.clone())
            .await
            .refused(403, "not_allowed");
        asks(&dan, action, fields.clone())
            .await
            .refused(404, "conversation_not_found");
    }
    asks(&dan, "leave", json!({ "conversationid": id }))
        .await
        .refused(404, "conversation_not_found");
    assert_eq!(members(&ann, &conversation).await.len(), 3);
    // A direct conversation is not a group.
    let direct = ann.creates(&ben).await;
    for (action, mut fields) in requests.into_iter().chain([("leave", json!({}))]) {
        fields["conversationid"] = direct.id.clone().into();
        asks(&ann, action, fields).await.refused(403, "not_allowed");
    }
    world.end().await;
}

#[tokio::test]
async fn a_group_always_has_an_admin() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    let set = |person: &Person, role: &str| json!({ "conversationid": conversation.id, "participantid": person.user, "role": role });
    asks(&ann, "setrole", set(&ann, "member"))
        .await
        .refused(403, "not_allowed");
    asks(&ann, "setrole", set(&dan, "admin"))
        .await
        .refused(404, "user_not_found");
    asks(&ann, "setrole", set(&ben, "owner"))
        .await
        .refused(400, "bad_request");
    remove(&ann, &conversation, &ann)
        .await
        .refused(400, "bad_request");
    for _ in 0..2 {
        asks(&ann, "setrole", set(&ben, "admin")).await.ok();
    }
    asks(&ben, "setrole", set(&ann, "member")).await.ok();
    asks(&ann, "setrole", set(&ann, "admin"))
        .await
        .refused(403, "not_allowed");
    // The last admin hands over to the longest-standing member.
    world
        .sql(&format!(
            "update participants set joined_at = joined_at - interval '1 day' where user_id = '{}'",
            cleo.user
        ))
        .await;
    asks(&ben, "leave", json!({ "conversationid": conversation.id }))
        .await
        .ok();
    assert_eq!(
        (
            role(&world, &cleo).await.as_str(),
            role(&world, &ann).await.as_str()
        ),
        ("admin", "member")
    );
    asks(&ben, "leave", json!({ "conversationid": conversation.id }))
        .await
        .refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn two_admins_who_leave_at_once_leave_a_group_with_an_admin() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    for _ in 0..5 {
        let ([ann, ben, cleo, _], conversation) = group(&world).await;
        set_role(&ann, &conversation, &ben, "admin").await.ok();
        let leave = || json!({ "conversationid": conversation.id });
        let (one, other) = tokio::join!(asks(&ann, "leave", leave()), asks(&ben, "leave", leave()));
        one.ok();
        other.ok();
        assert_eq!(role(&world, &cleo).await, "admin");
        // The last member to leave takes the conversation with them.
        cleo.adds(&conversation, "alone").await;
        asks(&cleo, "leave", leave()).await.ok();
        assert_eq!(
            parlance::store::purge::cleared(&world.store).await.unwrap(),
            1
        );
        world.sql("delete from participants").await;
    }
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn roles_change_only_by_setrole_and_by_the_last_admins_leaving() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    set_role(&ann, &conversation, &ben, "admin").await.ok();
    // Adding a participant again changes nothing: he stays an admin, with his own secret.
    let again = json!({ "conversationid": conversation.id, "participantids": [ben.user], "secrets": { &ben.user: "another secret" }, "displaynames": { &ben.user: "x" } });
    asks(&ann, "addparticipants", again).await.ok();
    assert_eq!(role(&world, &ben).await, "admin");
    let seen = ben.sees(&conversation).await;
    assert_eq!(
        (&seen["secret"], &seen["displayname"]),
        (&json!("secret for Ben"), &json!("the name"))
    );
    // A user who is added without a name has none yet, as the group's name is encrypted for others.
    let add = json!({ "conversationid": conversation.id, "participantids": [dan.user], "secrets": secrets(&[&dan]) });
    asks(&ann, "addparticipants", add).await.ok();
    assert_eq!(
        (
            dan.sees(&conversation).await["displayname"].clone(),
            role(&world, &dan).await.as_str()
        ),
        (json!(""), "member")
    );
    // While there is another admin, leaving promotes nobody, not even the longest-standing member.
    world
        .sql(&format!(
            "update participants set joined_at = joined_at - interval '1 day' where user_id = '{}'",
            cleo.user
        ))
        .await;
    asks(&ann, "leave", json!({ "conversationid": conversation.id }))
        .await
        .ok();
    assert_eq!(
        (
            role(&world, &ben).await.as_str(),
            role(&world, &cleo).await.as_str()
        ),
        ("admin", "member")
    );
    world.end().await;
}

#[tokio::test]
async fn the_longest_member_becomes_an_admin_at_once_when_no_admin_can_act() {
    let world = World::new().await;
    let ([ann, ben, cleo, dan], conversation) = group(&world).await;
    drop(dan);
    world
        .sql(&format!(
            "update participants set joined_at = joined_at - interval '1 day' where user_id = '{}'",
            cleo.user
        ))
        .await;
    let set = |person: &Person, role: &str| json!({ "conversationid": conversation.id, "participantid": person.user, "role": role });
    ben.listens().await;
    assert!(world.sets_disabled(&ann, true).await);
    assert_eq!(
        (
            role(&world, &cleo).await.as_str(),
            role(&world, &ben).await.as_str()
        ),
        ("admin", "member")
    );
    eventually("Ben is told", async || {
        ben.hears().await.lists == [ben.user.clone()]
    })
    .await;
    // She is the only one who can act, and keeps the role; the disabled one counts as none.
    asks(&cleo, "setrole", set(&cleo, "member"))
        .await
        .refused(403, "not_allowed");
    // Where everybody is disabled, nobody new is an admin, until somebody is enabled.
    for person in [&cleo, &ben] {
        assert!(world.sets_disabled(person, true).await);
    }
    assert_eq!(
        role(&world, &ben).await,
        "admin",
        "he was the last one who could act"
    );
    world
        .sql("update participants set role = 'member' where role = 'admin' and user_id <> (select user_id from users where nick = 'Ann')")
        .await;
    assert!(world.sets_disabled(&ben, false).await);
    assert_eq!(
        (
            role(&world, &ben).await.as_str(),
            role(&world, &cleo).await.as_str()
        ),
        ("admin", "member")
    );
    // Who is enabled again is what they were.
    assert!(world.sets_disabled(&ann, false).await);
    asks(&ann, "setrole", set(&ben, "member")).await.ok();
    // A disabled member does not succeed whoever leaves.
    assert!(world.sets_disabled(&cleo, true).await);
    asks(&ann, "leave", json!({ "conversationid": conversation.id }))
        .await
        .ok();
    assert_eq!(
        (
            role(&world, &ben).await.as_str(),
            role(&world, &cleo).await.as_str()
        ),
        ("admin", "member")
    );
    world.end().await;
}
