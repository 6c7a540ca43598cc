//! Devices that were away, or are new, while people renewed their keys, left, or lost everything.

use std::sync::Arc;

use parlance_client::e2ee::{EpochSecret, Error as Wrong};

use super::{
    account::deletes_account,
    channel,
    person::{Channel, Person},
    wrong,
};
use crate::world::World;

/// A group of Ann, its admin, Ben, Cleo and Dan, in its first epoch, which all follow.
async fn group() -> (Arc<World>, [Person; 4], Channel) {
    let world = World::new().await;
    let mut people = vec![];
    for name in ["Ann", "Ben", "Cleo", "Dan"] {
        people.push(Person::new(&world, name).await);
    }
    let people: [Person; 4] = people.try_into().ok().unwrap();
    let [mut ann, mut ben, mut cleo, mut dan] = people;
    for friend in [&ben, &cleo, &dan] {
        ann.befriends(friend).await;
    }
    let channel = ann
        .creates_group(&[ben.user(), cleo.user(), dan.user()])
        .await;
    for member in [&mut ben, &mut cleo, &mut dan] {
        member.follows().await.unwrap();
    }
    (world, [ann, ben, cleo, dan], channel)
}

/// A new device of somebody, which knows nobody.
async fn new_device(world: &World, of: &Person) -> Person {
    let mut device = of.second_device(world).await;
    device.state = device.session.begin_key_log().await.unwrap();
    device
}

#[tokio::test]
async fn who_was_away_follows_an_epoch_between_two_renewals() {
    let (world, [mut ann, mut ben, mut cleo, mut dan], mut anns) = group().await;
    ben.renews().await;
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    cleo.renews().await;
    ann.says("Hello", &mut anns).await.unwrap();
    // Its roster has Ben's second card, and Cleo's first one.
    let dans = dan.follows().await.unwrap();
    assert_eq!(dan.hears(&dans).await.unwrap(), ["Hello"]);
    let mut device = new_device(&world, &dan).await;
    let known = device.follows().await.unwrap();
    assert_eq!(device.hears(&known).await.unwrap(), ["Hello"]);
    world.end().await;
}

#[tokio::test]
async fn a_new_device_reads_and_rekeys_after_changes_that_nobody_has_announced() {
    let (world, [mut ann, mut ben, cleo, dan], mut anns) = group().await;
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    ann.says("Hello", &mut anns).await.unwrap();
    // Dan leaves, Cleo's account is gone along with her card, and Ben has a new card.
    dan.session.leave(anns.conversation.id).await.unwrap();
    deletes_account(&cleo).await;
    ben.renews().await;
    let mut device = new_device(&world, &ben).await;
    let mut bens = device.follows().await.unwrap();
    assert_eq!(device.hears(&bens).await.unwrap(), ["Hello"]);
    let refused = wrong(device.says("Too early", &mut bens).await);
    assert!(
        matches!(&refused, Wrong::DifferentParticipants { missing, .. } if missing.len() == 2),
        "{refused}"
    );
    device.rekeys(&mut bens, &[], &[]).await.unwrap();
    assert_eq!(bens.conversation.epoch, 3);
    device.says("Hi", &mut bens).await.unwrap();
    let anns = ann.follows().await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["Hello", "Hi"]);
    world.end().await;
}

#[tokio::test]
async fn who_has_lost_everything_begins_the_next_epoch_on_a_new_device() {
    let (world, [mut ann, ben], [mut anns, _]) = channel().await;
    ann.says("Hello", &mut anns).await.unwrap();
    let mut again = ben.resets(&world).await;
    again.publishes_first_card().await;
    // His new keys open nothing.
    assert!(again.follows().await.is_err());
    let conversation = again.session.list().await.unwrap().remove(0);
    let mut agains = Channel {
        conversation,
        secret: EpochSecret::generate().unwrap(),
    };
    again.rekeys(&mut agains, &[], &[]).await.unwrap();
    again.says("It is me", &mut agains).await.unwrap();
    let user = again.user();
    ann.meets(&[user]).await.unwrap();
    let card = ann.state.pins.cards(user).last().unwrap().hash();
    ann.state.pins.accept(user, card).unwrap();
    let anns = ann.follows().await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["Hello", "It is me"]);
    world.end().await;
}

#[tokio::test]
async fn a_useless_copy_of_a_secret_is_healed_by_the_next_epoch() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    let keys = ann.meets(&[ben.user()]).await.unwrap().keys;
    let other = EpochSecret::generate().unwrap();
    let other = other.wrap(&keys[&ben.user()]).unwrap();
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    world
        .sql(&format!(
            "update epoch_secrets set secret = '{}' where epoch = 2 and user_id = '{}'",
            other.as_str(),
            ben.user()
        ))
        .await;
    assert!(matches!(wrong(ben.follows().await), Wrong::WrongSecret));
    ben.rekeys(&mut bens, &[], &[]).await.unwrap();
    ben.says("Well again", &mut bens).await.unwrap();
    let anns = ann.follows().await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["Well again"]);
    world.end().await;
}
