//! Members change together with the secret, in one step.

use serde_json::json;

use super::{asks, group, secrets};
use crate::{
    group::asks as asks_group,
    world::{Changes, Roster, World, message, secret},
};

#[tokio::test]
async fn a_removed_member_reads_nothing_later_and_a_new_one_nothing_earlier() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    ann.adds_in(&group, 1, &message("one")).await.ok();
    for person in &people {
        person.listens().await;
    }
    let changes = Roster {
        admins: vec![ann],
        added: vec![dan],
        removed: vec![ben],
    };
    let second = ann.rekeys(&group, &first, &changes).await;
    for person in &people {
        let heard = Changes {
            lists: vec![person.user.clone()],
            ..Changes::default()
        };
        assert_eq!(person.hears().await, heard, "{}", person.name);
    }
    for action in ["epochs", "download"] {
        let request = crate::world::request(action, &group, json!({}));
        asks(ben, &request)
            .await
            .refused(404, "conversation_not_found");
    }
    ben.adds_in(&group, 2, &message("x"))
        .await
        .refused(404, "conversation_not_found");
    assert_eq!(
        secrets(dan, &group).await,
        [(2, secret(2, &dan.user)), (1, String::new())]
    );
    assert_eq!(
        secrets(cleo, &group).await,
        [(2, secret(2, &cleo.user)), (1, secret(1, &cleo.user))]
    );
    assert_eq!(dan.sees(&group).await["secret"], secret(2, &dan.user));
    // When he is back, he has the newest secret, and not his earlier ones.
    let back = Roster {
        admins: vec![ann],
        added: vec![ben],
        removed: vec![],
    };
    ann.rekeys(&group, &second, &back).await;
    assert_eq!(
        secrets(ben, &group).await,
        [
            (3, secret(3, &ben.user)),
            (2, String::new()),
            (1, String::new())
        ]
    );
    world.end().await;
}

#[tokio::test]
async fn a_user_who_can_only_be_invited_is_not_added_and_nothing_else_is_done() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, _] = &people;
    let eve = world.person("Eve").await;
    let changes = Roster {
        admins: vec![ann],
        added: vec![&eve],
        removed: vec![ben],
    };
    let (request, _) = ann.rekeying(&group, Some(&first), &changes);
    let refusal = asks(ann, &request).await.refused(409, "stale_roster");
    let mut left = crate::group::ids(&[ann, cleo]);
    left.sort();
    assert_eq!(refusal["participantids"], json!(left));
    assert_eq!(ben.sees_v4(&group).await["epoch"], 1);
    assert_eq!(world.count("invitations").await, 0);
    // A user who does not exist.
    let nobody = crate::world::Person {
        user: "0".repeat(32),
        ..eve.clone()
    };
    let changes = Roster {
        admins: vec![ann],
        added: vec![&nobody],
        removed: vec![],
    };
    let (request, _) = ann.rekeying(&group, Some(&first), &changes);
    asks(ann, &request).await.refused(409, "stale_roster");
    world.end().await;
}

#[tokio::test]
async fn an_invitation_of_an_epoch_before_gives_no_secret_until_the_next_one() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ..] = &people;
    let (eve, fay) = (world.person("Eve").await, world.person("Fay").await);
    let invite = |whom: &crate::world::Person, text: &str| json!({ "conversationid": group.id, "participantids": [whom.user], "secrets": { &whom.user: text } });
    asks_group(ann, "addparticipants", invite(&eve, "old"))
        .await
        .ok();
    let same = Roster {
        admins: vec![ann],
        ..Roster::default()
    };
    let second = ann.rekeys(&group, &first, &same).await;
    asks_group(ann, "addparticipants", invite(&fay, "present"))
        .await
        .ok();
    for (person, expected) in [(&eve, ""), (&fay, "present")] {
        let accept = json!({ "conversationid": group.id });
        asks_group(person, "accept", accept).await.ok();
        assert_eq!(person.sees(&group).await["secret"], expected);
    }
    // They take part although no epoch says so: a rekeying without them is refused, and so is one
    // by them.
    let (request, _) = ann.rekeying(&group, Some(&second), &same);
    asks(ann, &request).await.refused(409, "stale_roster");
    let with_both = Roster {
        admins: vec![ann],
        added: vec![&eve, &fay],
        removed: vec![],
    };
    eve.has_card().await;
    let (request, _) = eve.rekeying(&group, Some(&second), &with_both);
    asks(&eve, &request).await.refused(403, "not_allowed");
    let (mut request, _) = ann.rekeying(&group, Some(&second), &with_both);
    request["addparticipants"] = json!([]);
    asks(ann, &request).await.ok();
    for person in [&eve, &fay] {
        assert_eq!(person.sees(&group).await["secret"], secret(3, &person.user));
    }
    world.end().await;
}

#[tokio::test]
async fn published_clients_add_and_remove_in_a_group_with_epochs_as_ever() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    let add = json!({ "action": "addparticipants", "conversationid": group.id, "participantids": [dan.user], "secrets": { &dan.user: "wrapped" } });
    ann.asks("chatconversationgroup", add).await.ok();
    assert_eq!(dan.sees(&group).await["secret"], "wrapped");
    assert_eq!(secrets(dan, &group).await, [(1, "wrapped".to_owned())]);
    let remove = json!({ "action": "removeparticipants", "conversationid": group.id, "participantids": [ben.user] });
    ann.asks("chatconversationgroup", remove).await.ok();
    let leave = json!({ "action": "leave", "conversationid": group.id });
    ann.asks("chatconversationgroup", leave).await.ok();
    // The epoch's only admin is gone: the next epoch has to name another one, and only then can
    // anyone be added.
    let gone = Roster {
        admins: vec![cleo],
        added: vec![],
        removed: vec![ann, ben],
    };
    let (mut request, _) = cleo.rekeying(&group, Some(&first), &gone);
    request["removeparticipants"] = json!([]);
    asks(cleo, &request).await.refused(409, "stale_roster");
    let remove = json!({ "action": "removeparticipants", "conversationid": group.id, "participantids": [dan.user] });
    cleo.asks("chatconversationgroup", remove).await.ok();
    asks(cleo, &request).await.ok();
    assert_eq!(secrets(cleo, &group).await[0], (2, secret(2, &cleo.user)));
    world.end().await;
}

#[tokio::test]
async fn who_succeeds_the_last_admin_is_told_and_has_to_be_announced() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    let admins =
        async |person: &crate::world::Person| person.sees_v4(&group).await["admins"].clone();
    assert_eq!(admins(ben).await, json!([ann.user]));
    let role = json!({ "conversationid": group.id, "participantid": ben.user, "role": "admin" });
    asks_group(ann, "setrole", role).await.ok();
    let mut both = [ann.user.clone(), ben.user.clone()];
    both.sort();
    assert_eq!(admins(cleo).await, json!(both));
    let leave = json!({ "conversationid": group.id });
    asks_group(ann, "leave", leave).await.ok();
    assert_eq!(admins(cleo).await, json!([ben.user]));
    // Neither Cleo herself nor anybody else.
    for admin in [cleo, ben] {
        let gone = Roster {
            admins: vec![admin],
            added: vec![],
            removed: vec![ann],
        };
        let (mut request, _) = cleo.rekeying(&group, Some(&first), &gone);
        request["removeparticipants"] = json!([]);
        let answer = asks(cleo, &request).await;
        if admin.user == ben.user {
            answer.ok();
        } else {
            answer.refused(409, "stale_roster");
        }
    }
    // A published client's answer has the published keys.
    let listed = cleo.lists().await.ok();
    assert!(listed["conversations"][0].get("admins").is_none());
    // A direct conversation has none.
    ann.befriends(dan).await;
    let direct = ann.creates(dan).await;
    assert_eq!(ann.sees_v4(&direct).await["admins"], json!([]));
    world.end().await;
}
