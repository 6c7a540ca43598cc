//! Invalid next epochs are refused, and change nothing.

use parlance_wire::e2ee::Announcement;
use serde_json::{Value, json};

use super::{asks, group, people};
use crate::world::{Hold, Person, Roster, Signer, World};

fn roster<'a>(admins: &[&'a Person], added: &[&'a Person], removed: &[&'a Person]) -> Roster<'a> {
    Roster {
        admins: admins.to_vec(),
        added: added.to_vec(),
        removed: removed.to_vec(),
    }
}

#[tokio::test]
async fn an_epoch_that_clients_would_refuse_is_refused_by_the_server() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    let same = || Roster {
        admins: vec![ann],
        ..Roster::default()
    };
    let (whole, second) = ann.rekeying(&group, Some(&first), &same());
    let with = |field: &str, value: Value| {
        let mut request = whole.clone();
        request[field] = value;
        request
    };
    let (by_ben, _) = ben.rekeying(&group, Some(&first), &same());
    let (skipped, _) = ann.rekeying(&group, Some(&second), &same());
    let (forked, _) = {
        let everyone = roster(&[ann, ben], &[ann, ben, cleo], &[]);
        let (_, other) = ann.rekeying(&group, None, &everyone);
        ann.rekeying(&group, Some(&other), &same())
    };
    let signed_by = |person: &str| {
        let announcement = Announcement::parse(whole["announcement"].as_str().unwrap()).unwrap();
        json!(Signer::of(person, 1).sign(&announcement.signed_text()))
    };
    for (request, status, code) in [
        (with("conversationid", json!("x")), 400, "bad_request"),
        (with("instance", json!(null)), 400, "bad_request"),
        (with("epoch", json!(0)), 400, "bad_request"),
        // Not the announcement's number.
        (with("epoch", json!(3)), 400, "bad_request"),
        (with("announcement", json!("{}")), 400, "bad_request"),
        (with("announcement", json!(null)), 400, "bad_request"),
        (with("signature", json!("x")), 400, "bad_request"),
        (with("signature", signed_by("Ben")), 400, "bad_request"),
        (with("secrets", json!({ "x": "y" })), 400, "bad_request"),
        (
            with("displaynames", json!({ &ann.user: 1 })),
            400,
            "bad_request",
        ),
        (with("addparticipants", json!("x")), 400, "bad_request"),
        (
            with("removeparticipants", json!([&ann.user])),
            400,
            "bad_request",
        ),
        // Someone else's signature.
        (by_ben, 400, "bad_request"),
        (with("instance", json!("AAAAAAAAAA")), 409, "stale_instance"),
        (skipped, 409, "stale_epoch"),
        // The next number, after another history.
        (forked, 409, "stale_epoch"),
        (with("secrets", json!({})), 409, "stale_roster"),
        // In the call, but not in the announcement.
        (
            with("removeparticipants", json!([&cleo.user])),
            409,
            "stale_roster",
        ),
        (
            with("addparticipants", json!([&dan.user])),
            409,
            "stale_roster",
        ),
    ] {
        asks(ann, &request).await.refused(status, code);
    }
    for (add, remove) in [(None, Some(cleo)), (Some(dan), None)] {
        let mut request = whole.clone();
        if let Some(user) = add {
            request["secrets"][&user.user] = "x".into();
        }
        if let Some(user) = remove {
            request["secrets"]
                .as_object_mut()
                .unwrap()
                .remove(&user.user);
        }
        let refusal = asks(ann, &request).await.refused(409, "stale_roster");
        let mut ids = crate::group::ids(&[ann, ben, cleo]);
        ids.sort();
        assert_eq!(refusal["participantids"], json!(ids));
    }
    // For another conversation; and by someone who does not take part.
    let (direct, _) = ann.creates_with_epoch(ben).await;
    asks(ann, &with("conversationid", json!(direct.id)))
        .await
        .refused(400, "bad_request");
    let (by_dan, _) = dan.rekeying(&group, Some(&first), &same());
    for action in ["rekey", "epochs", "shareepochs"] {
        let mut request = by_dan.clone();
        request["action"] = action.into();
        request["userid"] = json!(ann.user);
        if action == "shareepochs" {
            request["secrets"] = json!({ "1": "x" });
        }
        asks(dan, &request)
            .await
            .refused(404, "conversation_not_found");
    }
    assert_eq!(ann.sees_v4(&group).await["epoch"], 1);
    assert_eq!(world.count("epoch_secrets").await, 5);
    asks(ann, &whole).await.ok();
    world.end().await;
}

#[tokio::test]
async fn permissions_follow_from_the_previous_epoch_and_from_the_group() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    ben.befriends(dan).await;
    for (changes, status, code) in [
        // A member makes himself or another member an admin, adds someone, drops someone.
        (roster(&[ann, ben], &[], &[]), 403, "not_allowed"),
        (roster(&[ben], &[], &[]), 403, "not_allowed"),
        (roster(&[ann], &[dan], &[]), 403, "not_allowed"),
        (roster(&[ann], &[], &[cleo]), 403, "not_allowed"),
    ] {
        let (request, _) = ben.rekeying(&group, Some(&first), &changes);
        asks(ben, &request).await.refused(status, code);
    }
    // A group has an admin who takes part.
    for admins in [&[][..], &[dan]] {
        let (request, _) = ann.rekeying(&group, Some(&first), &roster(admins, &[], &[]));
        asks(ann, &request).await.refused(400, "bad_request");
    }
    // An admin of the group who is in no epoch is not yet one for the clients.
    crate::group::set_role(ann, &group, ben, "admin").await.ok();
    let (request, _) = ben.rekeying(&group, Some(&first), &roster(&[ann], &[dan], &[]));
    asks(ben, &request).await.refused(403, "not_allowed");
    let second = ann
        .rekeys(&group, &first, &roster(&[ann, ben], &[], &[]))
        .await;
    // The reverse.
    crate::group::set_role(ann, &group, ben, "member")
        .await
        .ok();
    let (request, _) = ben.rekeying(&group, Some(&second), &roster(&[ann, ben], &[dan], &[]));
    asks(ben, &request).await.refused(403, "not_allowed");
    crate::group::set_role(ann, &group, ben, "admin").await.ok();
    ben.rekeys(&group, &second, &roster(&[ann, ben], &[dan], &[]))
        .await;
    world.end().await;
}

#[tokio::test]
async fn a_direct_conversation_stays_one_and_a_block_stops_it() {
    let world = World::new().await;
    let [ann, ben, cleo] = people(&world, ["Ann", "Ben", "Cleo"]).await;
    let (conversation, first) = ann.creates_with_epoch(&ben).await;
    let adding = Roster {
        added: vec![&cleo],
        ..Roster::default()
    };
    let (request, _) = ann.rekeying(&conversation, Some(&first), &adding);
    asks(&ann, &request).await.refused(403, "not_allowed");
    let with_admin = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    let (request, _) = ann.rekeying(&conversation, Some(&first), &with_admin);
    asks(&ann, &request).await.refused(400, "bad_request");
    ben.blocks(&ann).await.ok();
    let (request, _) = ann.rekeying(&conversation, Some(&first), &Roster::default());
    asks(&ann, &request).await.refused(403, "not_allowed");
    // The blocking user may continue.
    ben.rekeys(&conversation, &first, &Roster::default()).await;
    world.end().await;
}

#[tokio::test]
async fn an_older_client_knows_no_epochs() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let ann = &people[0];
    let same = roster(&[ann], &[], &[]);
    let (rekey, _) = ann.rekeying(&group, Some(&first), &same);
    let share = json!({ "action": "shareepochs", "conversationid": group.id, "userid": ann.user, "secrets": {} });
    let epochs = json!({ "action": "epochs", "conversationid": group.id });
    for request in [rekey, share, epochs] {
        ann.asks_as(3, "chatconversation", request)
            .await
            .refused(404, "unknown_action");
    }
    world.end().await;
}

#[tokio::test]
async fn one_who_is_no_friend_is_refused_before_anyone_is_locked_and_each_attempt_counts() {
    // Three for the friends in the group, two to look for strangers.
    let world = World::with(|settings| settings.per_user.lookups = 5).await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    let eve = world.person("Eve").await;
    let nobody = Person {
        user: "ab".repeat(16),
        ..eve.clone()
    };
    let hold = Hold::by(
        &world,
        &format!(
            "select from users where user_id = '{}' for update",
            eve.user
        ),
    )
    .await;
    let sorted = |people: &[&Person]| {
        let mut ids: Vec<String> = people.iter().map(|one| one.user.clone()).collect();
        ids.sort();
        json!(ids)
    };
    let (rekey, _) = ann.rekeying(&group, Some(&first), &roster(&[ann], &[&eve, dan], &[]));
    let refusal = asks(ann, &rekey).await.refused(409, "stale_roster");
    assert_eq!(refusal["participantids"], sorted(&[ann, ben, cleo, dan]));
    let create = |stranger: &Person| {
        let (request, _) = ann.group_with_epoch(&[ben, stranger]);
        ann.asks_as(4, "chatconversationgroup", request)
    };
    let refusal = create(&nobody).await.refused(409, "stale_roster");
    assert_eq!(refusal["participantids"], sorted(&[ann, ben]));
    for stranger in [&eve, &nobody] {
        create(stranger).await.refused(429, "rate_limited");
        let (rekey, _) = ann.rekeying(&group, Some(&first), &roster(&[ann], &[stranger], &[]));
        asks(ann, &rekey).await.refused(429, "rate_limited");
    }
    hold.ends().await;
    // Those who are no admins learn that, and nothing else.
    let (rekey, _) = ben.rekeying(&group, Some(&first), &roster(&[ann], &[&eve], &[]));
    asks(ben, &rekey).await.refused(403, "not_allowed");
    assert_eq!(world.count("invitations").await, 0);
    world.end().await;
}
