//! Invitations to the server: the people whom they admit, for how long, how often, and who may
//! create them.

use chrono::TimeDelta;
use parlance::{
    settings::{Invites, Registration, Settings},
    store::registration::{self, NewUser},
};
use parlance_wire::{
    kdf::Kdf,
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
    time::Timestamp,
    word::{CredentialKind, UserRole},
};
use serde_json::{Value, json};

use super::register;
use crate::world::{Person, World, at, key, operator, public_key};

/// A world in which registering needs an invitation, with Ann as an existing user.
// An operator adds her. If she registered at another node, its end would make her station resync at
// some later moment, in place of what a test expects to hear.
async fn by_invitation(change: impl FnOnce(&mut Settings)) -> (std::sync::Arc<World>, Person) {
    let world = World::with(|settings| {
        settings.registration = Registration::Invite;
        change(settings);
    })
    .await;
    let ann = NewUser {
        email: &Email::parse("ann@example.org").unwrap(),
        full_name: &FullName::parse("Ann Example").unwrap(),
        nick: &Nick::parse("Ann").unwrap(),
        key_hash: &SecretHash::of("the apikey of Ann"),
        kind: CredentialKind::Password,
        label: "password",
        kdf: &Kdf::Pbkdf2,
        recovery: None,
        public_key: &PublicKey::parse(&public_key(&key("Ann"))).unwrap(),
        encrypted_private_key: &EncryptedKey::parse("opaque").unwrap(),
        card: None,
    };
    let now = Timestamp::now();
    let added = registration::insert(&world.store, &ann, UserRole::User, &operator(), now).await;
    assert!(added.unwrap());
    let ann = world.returning("Ann").await;
    (world, ann)
}

async fn list(person: &Person) -> Vec<Value> {
    let answer = person.account(json!({ "action": "invites" })).await.ok();
    answer["invites"].as_array().unwrap().clone()
}

#[tokio::test]
async fn registering_with_an_invitation_makes_a_friend_of_its_inviter() {
    let (world, ann) = by_invitation(|_| ()).await;
    let invite = ann.invites(json!({})).await.ok();
    let code = invite["invite"].as_str().unwrap();
    assert_eq!(invite["link"], format!("{}/#invite={code}", world.url));
    ann.hears().await;
    register(&world, "Ben", Some(code)).await.ok();
    let ben = world.returning("Ben").await;
    assert_eq!(ann.hears().await.friends, [ben.user.clone()]);
    for (person, friend) in [(&ann, &ben), (&ben, &ann)] {
        let friends = person.lists_friends().await.ok();
        assert_eq!(friends["friends"], json!({ &friend.user: friend.name }));
    }
    // The friendship is complete at once, not only listed.
    ann.creates(&ben).await;
    let [row] = &list(&ann).await[..] else {
        panic!("one invitation")
    };
    assert_eq!(
        (&row["inviteid"], &row["usedby"], &row["open"], &row["uses"]),
        (
            &invite["inviteid"],
            &json!([ben.user]),
            &json!(false),
            &json!(1)
        )
    );
    assert!(!row.to_string().contains(code), "shown once");
    // Users see only their own invitations.
    assert_eq!(list(&ben).await.len(), 0);
    world.end().await;
}

#[tokio::test]
async fn an_invitation_of_one_address_is_for_nobody_else() {
    let (world, ann) = by_invitation(|_| ()).await;
    let invite = ann
        .invites(json!({ "email": " Ben@Example.org" }))
        .await
        .ok();
    let code = invite["invite"].as_str().unwrap();
    register(&world, "Cleo", Some(code))
        .await
        .refused(403, "registration_closed");
    register(&world, "Ben", Some(code)).await.ok();
    assert_eq!(list(&ann).await[0]["email"], "ben@example.org");
    world.end().await;
}

#[tokio::test]
async fn an_invitation_lets_in_as_many_as_it_says_however_many_come_at_once() {
    let (world, ann) = by_invitation(|_| ()).await;
    let invite = ann.invites(json!({ "uses": 2 })).await.ok();
    let code = invite["invite"].as_str();
    let names = ["Ben", "Cleo", "Dan", "Eve", "Fay"];
    let answers =
        futures_util::future::join_all(names.iter().map(|name| register(&world, name, code))).await;
    let registered = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(registered, 2, "{answers:?}");
    assert_eq!(world.count("users").await, 3);
    // An existing user uses nothing up.
    let again = ann.invites(json!({ "uses": 2 })).await.ok();
    let code = again["invite"].as_str();
    register(&world, "Ann", code)
        .await
        .refused(409, "already_exists");
    assert_eq!(list(&ann).await[0]["usedby"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn a_revoked_invitation_lets_nobody_in_and_only_its_inviter_revokes_it() {
    let (world, ann) = by_invitation(|_| ()).await;
    register(&world, "Ben", Some(&ann.code().await)).await.ok();
    let ben = world.returning("Ben").await;
    let invite = ann.invites(json!({})).await.ok();
    let revoke = json!({ "action": "revokeinvite", "inviteid": invite["inviteid"] });
    ben.account(revoke.clone())
        .await
        .refused(403, "not_allowed");
    for _ in 0..2 {
        ann.account(revoke.clone()).await.ok();
    }
    register(&world, "Cleo", invite["invite"].as_str())
        .await
        .refused(403, "registration_closed");
    let unknown = json!({ "action": "revokeinvite", "inviteid": "0".repeat(32) });
    ann.account(unknown).await.refused(403, "not_allowed");
    world.end().await;
}

#[tokio::test]
async fn an_invitation_ends() {
    let (world, ann) = by_invitation(|_| ()).await;
    let expires = at(TimeDelta::hours(1));
    let invite = ann.invites(json!({ "expires": expires })).await.ok();
    assert_eq!(invite["expires"], expires);
    world.clock.advance(std::time::Duration::from_hours(2));
    register(&world, "Ben", invite["invite"].as_str())
        .await
        .refused(403, "registration_closed");
    world.end().await;
}

#[tokio::test]
async fn each_field_of_a_wrong_form_is_refused_by_name() {
    let (world, ann) = by_invitation(|_| ()).await;
    for (field, wrong) in [
        ("email", json!("nobody")),
        ("email", json!(5)),
        ("uses", json!(0)),
        ("uses", json!(101)),
        ("uses", json!("many")),
        ("expires", json!("soon")),
        ("expires", json!(at(TimeDelta::hours(-1)))),
        ("expires", json!(at(TimeDelta::days(91)))),
    ] {
        let refusal = ann
            .invites(json!({ field: wrong }))
            .await
            .refused(400, "bad_request");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(sentence.starts_with(field), "{field} {wrong}: {sentence}");
    }
    ann.invites(json!({ "email": "ben@example.org", "uses": 2 }))
        .await
        .refused(400, "bad_request");
    for wrong in [json!({}), json!({ "inviteid": "1" })] {
        let mut revoke = wrong;
        revoke["action"] = "revokeinvite".into();
        ann.account(revoke).await.refused(400, "bad_request");
    }
    assert_eq!(world.count("invites").await, 0);
    // Unsigned requests are refused.
    let unsigned = json!({ "action": "invite", "clientversioncode": 4 }).to_string();
    world
        .posts("chatserver", "chatlogin", &[], &unsigned)
        .await
        .refused(401, "signature_missing");
    let unknown = json!({ "action": "uninvite" }).to_string();
    world
        .posts("chatserver", "chatlogin", &[], &unknown)
        .await
        .refused(404, "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn a_user_has_twenty_open_invitations_also_if_they_ask_for_more_at_once() {
    let (world, ann) = by_invitation(|_| ()).await;
    register(&world, "Ben", Some(&ann.code().await)).await.ok();
    let ben = world.returning("Ben").await;
    let answers = futures_util::future::join_all((0..30).map(|_| ann.invites(json!({})))).await;
    let made: Vec<Value> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(crate::world::Answer::ok)
        .collect();
    assert_eq!(made.len(), 20);
    ann.invites(json!({})).await.refused(413, "too_large");
    // Other users are not affected, and a revoked invitation makes room for another.
    ben.code().await;
    let revoke = json!({ "action": "revokeinvite", "inviteid": made[0]["inviteid"] });
    ann.account(revoke).await.ok();
    ann.code().await;
    ann.invites(json!({})).await.refused(413, "too_large");
    // So does a used one.
    register(&world, "Cleo", made[1]["invite"].as_str())
        .await
        .ok();
    ann.code().await;
    world.end().await;
}

#[tokio::test]
async fn only_admins_invite_where_that_is_set() {
    let (world, ann) = by_invitation(|settings| settings.invites = Invites::Admins).await;
    ann.invites(json!({})).await.refused(403, "not_allowed");
    world.sql("update users set role = 'admin'").await;
    let code = ann.code().await;
    register(&world, "Ben", Some(&code)).await.ok();
    let ben = world.returning("Ben").await;
    ben.invites(json!({})).await.refused(403, "not_allowed");
    world.end().await;

    let (closed, ann) =
        by_invitation(|settings| settings.registration = Registration::Closed).await;
    ann.invites(json!({}))
        .await
        .refused(403, "registration_closed");
    closed.end().await;
}
