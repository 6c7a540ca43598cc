//! A conversation is created with its first epoch, or gets one later.

use parlance_wire::id::ConversationId;
use serde_json::{Value, json};

use super::{asks, people, secrets};
use crate::{
    group::ids,
    world::{Conversation, Roster, World, secret},
};

#[tokio::test]
async fn a_direct_conversation_begins_with_an_epoch_and_old_clients_see_its_secret() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (request, epoch) = ann.creation_with_epoch(&ben);
    let created = asks(&ann, &request).await.ok();
    let conversation = Conversation::of(&created["conversation"]);
    for person in [&ann, &ben] {
        let mine = secret(1, &person.user);
        let seen = person.sees_v4(&conversation).await;
        assert_eq!((&seen["epoch"], &seen["secret"]), (&json!(1), &json!(mine)));
        assert_eq!(
            seen["epochs"],
            json!([{ "epoch": 1, "announcement": epoch.announcement.text(), "signature": request["signature"], "secret": mine }])
        );
        let old = person.sees(&conversation).await;
        assert_eq!(old["secret"], mine);
        assert!(old.get("epoch").is_none() && old.get("epochs").is_none());
        assert_eq!(secrets(person, &conversation).await, [(1, mine)]);
    }
    // Creating it again with another epoch returns the existing conversation.
    let again = asks(&ben, &ben.creation_with_epoch(&ann).0).await.ok();
    assert_eq!(
        again["conversation"]["epochs"][0]["announcement"],
        epoch.announcement.text()
    );
    assert_eq!(world.count("epochs").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_group_begins_with_an_epoch_that_gives_it_its_id_and_is_created_once() {
    let world = World::new().await;
    let [ann, ben, cleo] = people(&world, ["Ann", "Ben", "Cleo"]).await;
    let (request, epoch) = ann.group_with_epoch(&[&ben]);
    for _ in 0..2 {
        let created = ann
            .asks_as(4, "chatconversationgroup", request.clone())
            .await
            .ok();
        assert_eq!(
            created["conversation"]["id"],
            epoch.announcement.conversation().to_string()
        );
        assert_eq!(created["invited"], json!([]));
    }
    assert_eq!(world.count("conversations").await, 1);
    let group = Conversation::of(
        &ann.sees_v4(&Conversation {
            id: epoch.announcement.conversation().to_string(),
            instance: String::new(),
        })
        .await,
    );
    assert_eq!(secrets(&ben, &group).await, [(1, secret(1, &ben.user))]);
    // Once more after it has moved on; and another group with the same id.
    ann.rekeys(
        &group,
        &epoch,
        &Roster {
            admins: vec![&ann],
            ..Roster::default()
        },
    )
    .await;
    ann.asks_as(4, "chatconversationgroup", request.clone())
        .await
        .ok();
    ann.befriends(&cleo).await;
    let hers = Roster {
        admins: vec![&cleo],
        added: vec![&cleo, &ann],
        removed: vec![],
    };
    let (mut taken, _) = cleo.rekeying(&group, None, &hers);
    taken["action"] = "create".into();
    taken["displayname"] = "x".into();
    taken["participantids"] = json!([ann.user]);
    cleo.asks_as(4, "chatconversationgroup", taken)
        .await
        .refused(409, "already_exists");
    assert_eq!(world.count("conversations").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_group_with_an_epoch_has_exactly_those_whom_it_names_or_is_not_created() {
    let world = World::new().await;
    let [ann, ben, cleo] = people(&world, ["Ann", "Ben", "Cleo"]).await;
    let asks = async |request: Value| ann.asks_as(4, "chatconversationgroup", request).await;
    // A stranger can only be invited.
    let dan = world.person("Dan").await;
    let (with_stranger, _) = ann.group_with_epoch(&[&ben, &dan]);
    let refusal = asks(with_stranger).await.refused(409, "stale_roster");
    let mut both = ids(&[&ann, &ben]);
    both.sort();
    assert_eq!(refusal["participantids"], json!(both));
    // Users other than those to be added.
    let (mut fewer, _) = ann.group_with_epoch(&[&ben, &cleo]);
    fewer["participantids"] = json!([ben.user]);
    asks(fewer).await.refused(409, "stale_roster");
    let (mut without_secret, _) = ann.group_with_epoch(&[&ben]);
    without_secret["secrets"][&cleo.user] = "x".into();
    asks(without_secret).await.refused(409, "stale_roster");
    // Half an epoch, one by another client, and one of a direct conversation.
    for field in ["announcement", "signature"] {
        let (mut half, _) = ann.group_with_epoch(&[&ben]);
        half.as_object_mut().unwrap().remove(field);
        asks(half).await.refused(400, "bad_request");
    }
    let (direct, _) = ann.creation_with_epoch(&ben);
    let (mut request, _) = ann.group_with_epoch(&[&ben]);
    request["announcement"] = direct["announcement"].clone();
    request["signature"] = direct["signature"].clone();
    asks(request).await.refused(400, "bad_request");
    // A version 3 client knows no epochs, so these fields are ignored.
    let (request, _) = ann.group_with_epoch(&[&ben]);
    ann.asks("chatconversationgroup", request).await.ok();
    assert_eq!(
        (
            world.count("conversations").await,
            world.count("epochs").await
        ),
        (1, 0)
    );
    world.end().await;
}

#[tokio::test]
async fn the_id_of_a_group_cannot_be_that_of_a_direct_conversation_of_others() {
    let world = World::new().await;
    let [ann, ben, cleo] = people(&world, ["Ann", "Ben", "Cleo"]).await;
    // The id that Ben and Cleo will need.
    let taken = ConversationId::between(ben.id(), cleo.id());
    assert!(!taken.may_be_group() && ConversationId::random().may_be_group());
    let conversation = Conversation {
        id: taken.to_string(),
        instance: String::new(),
    };
    let everyone = Roster {
        admins: vec![&ann],
        added: vec![&ann, &ben],
        removed: vec![],
    };
    let (mut request, _) = ann.rekeying(&conversation, None, &everyone);
    request["action"] = "create".into();
    request["displayname"] = "x".into();
    request["participantids"] = json!([ben.user]);
    let refusal = ann
        .asks_as(4, "chatconversationgroup", request)
        .await
        .refused(400, "bad_request");
    assert_eq!(
        refusal["errormessage"],
        "announcement.conversation must begin with 8 zeros."
    );
    world.end().await;
}

#[tokio::test]
async fn a_conversation_without_an_epoch_gets_its_first_one() {
    let world = World::new().await;
    let [ann, ben, cleo] = people(&world, ["Ann", "Ben", "Cleo"]).await;
    let direct = ann.creates(&ben).await;
    assert!(secrets(&ann, &direct).await.is_empty());
    assert_eq!(ann.sees_v4(&direct).await["epoch"], 0);
    let both = || Roster {
        added: vec![&ann, &ben],
        ..Roster::default()
    };
    let (request, _) = ben.rekeying(&direct, None, &both());
    asks(&ben, &request).await.ok();
    assert_eq!(ann.sees(&direct).await["secret"], secret(1, &ann.user));
    // In a group any member may make it, but its admins have to be the group's.
    let (old, _) = ann.group_with_epoch(&[&ben, &cleo]);
    let old = ann.asks("chatconversationgroup", old).await.ok();
    let old = Conversation::of(&old["conversation"]);
    let of = |admin| Roster {
        admins: vec![admin],
        added: vec![&ann, &ben, &cleo],
        removed: vec![],
    };
    let (request, _) = ben.rekeying(&old, None, &of(&ben));
    asks(&ben, &request).await.refused(403, "not_allowed");
    let (request, _) = ben.rekeying(&old, None, &both());
    asks(&ben, &request).await.refused(400, "bad_request");
    let (request, _) = ben.rekeying(&old, None, &of(&ann));
    asks(&ben, &request).await.ok();
    assert_eq!(cleo.sees(&old).await["secret"], secret(1, &cleo.user));
    world.end().await;
}

#[tokio::test]
async fn announcing_an_epoch_requires_a_card() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let (direct, _) = ann.creation_with_epoch(&ben);
    asks(&ann, &direct).await.refused(403, "not_allowed");
    let (of_group, _) = ann.group_with_epoch(&[&ben]);
    ann.asks_as(4, "chatconversationgroup", of_group)
        .await
        .refused(403, "not_allowed");
    // The rosters name cards.
    ann.has_card().await;
    let (direct, _) = ann.creation_with_epoch(&ben);
    asks(&ann, &direct).await.ok();
    let (of_group, _) = ann.group_with_epoch(&[&ben]);
    ann.asks_as(4, "chatconversationgroup", of_group).await.ok();
    world.end().await;
}
