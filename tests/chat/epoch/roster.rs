//! An announced roster is that of the members with their newest cards. Any other one would lock
//! everybody's clients out, and nobody could begin the next epoch.

use parlance_wire::e2ee::{MemberKey, RsaKeyHash};
use serde_json::json;

use super::{asks, group, people};
use crate::world::{Person, Roster, World};

fn made_up() -> MemberKey {
    MemberKey::Rsa(RsaKeyHash::of_der(b"made up"))
}

fn of(person: &Person) -> MemberKey {
    MemberKey::Rsa(person.rsa())
}

#[tokio::test]
async fn a_made_up_roster_is_refused_and_nobody_is_locked_out() {
    let world = World::new().await;
    let (people, group, first) = group(&world).await;
    let [ann, ben, cleo, dan] = &people;
    let card = MemberKey::Card(ben.first_card(ann.server_id().await).card.hash());
    let same = || Roster {
        admins: vec![ann],
        ..Roster::default()
    };
    // By any member; also with the key of somebody who has a card.
    for key in [made_up(), of(ben)] {
        ben.stands_for(key);
        let (request, _) = cleo.rekeying(&group, Some(&first), &same());
        let refusal = asks(cleo, &request).await.refused(409, "stale_roster");
        let mut ids = crate::group::ids(&[ann, ben, cleo]);
        ids.sort();
        assert_eq!(refusal["participantids"], json!(ids));
        let (request, _) = ann.creation_with_epoch(ben);
        asks(ann, &request).await.refused(409, "stale_roster");
        let (request, _) = ann.group_with_epoch(&[ben, dan]);
        ann.asks_as(4, "chatconversationgroup", request)
            .await
            .refused(409, "stale_roster");
    }
    assert_eq!(world.count("conversations").await, 1);
    assert_eq!(world.count("epoch_secrets").await, 3);
    ben.stands_for(card);
    cleo.rekeys(&group, &first, &same()).await;
    ann.creates_with_epoch(ben).await;
    ann.creates_group_with_epoch(&[ben, dan]).await;
    world.end().await;
}

#[tokio::test]
async fn whoever_does_not_know_of_a_new_card_is_refused_and_tries_again_with_it() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (group, first) = ann.creates_group_with_epoch(&[&ben]).await;
    let same = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    let (before, _) = ann.rekeying(&group, Some(&first), &same);
    let card = ben.first_card(ann.server_id().await).card;
    ben.publishes(&ben.next_card(&card, 2, Some(1))).await.ok();
    asks(&ann, &before).await.refused(409, "stale_roster");
    ann.rekeys(&group, &first, &same).await;
    world.end().await;
}

#[tokio::test]
async fn the_key_of_somebody_without_a_card_counts() {
    let world = World::new().await;
    let [ann] = people(&world, ["Ann"]).await;
    let ben = world.person("Ben").await;
    ann.befriends(&ben).await;
    ben.stands_for(made_up());
    let (request, _) = ann.creation_with_epoch(&ben);
    asks(&ann, &request).await.refused(409, "stale_roster");
    ben.stands_for(of(&ben));
    ann.creates_with_epoch(&ben).await;
    world.end().await;
}
