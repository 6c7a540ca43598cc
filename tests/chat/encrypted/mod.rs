//! End-to-end encryption from client to client through a real server, and through one that tampers
//! with its data.

mod account;
mod bot;
mod device;
mod direct;
mod epoch_age;
mod erased;
mod files;
mod group;
mod invited;
mod late;
mod lost;
mod outside;
mod pages;
pub(crate) mod person;
mod race;
mod reader;
pub(crate) mod restored;
mod roles;
mod saved;
mod stations;
mod tampered;
mod unsigned;
mod vault;

use std::sync::Arc;

use parlance_client::{
    Error, ErrorCode, Server,
    e2ee::{self, EpochSecret, Error as Wrong},
};

use self::person::{Channel, PASSWORD, Person};
use crate::world::World;

/// Ann and Ben, friends with a conversation that Ann created.
async fn channel() -> (Arc<World>, [Person; 2], [Channel; 2]) {
    let world = World::new().await;
    let (mut ann, mut ben) = (
        Person::new(&world, "Ann").await,
        Person::new(&world, "Ben").await,
    );
    ann.befriends(&ben).await;
    let anns = ann.creates(ben.user()).await;
    let bens = ben.follows().await.unwrap();
    (world, [ann, ben], [anns, bens])
}

/// Ann, with two friends.
async fn trio(world: &World) -> [Person; 3] {
    let ann = Person::new(world, "Ann").await;
    let ben = Person::new(world, "Ben").await;
    let cleo = Person::new(world, "Cleo").await;
    for friend in [&ben, &cleo] {
        ann.befriends(friend).await;
    }
    [ann, ben, cleo]
}

fn wrong<T>(result: Result<T, Error>) -> Wrong {
    match result {
        Err(Error::Encryption(wrong)) => wrong,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was believed"),
    }
}

#[tokio::test]
async fn messages_can_be_read_across_epochs_and_cards() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    ann.says("Hello", &mut anns).await.unwrap();
    ben.says("Hi", &mut bens).await.unwrap();
    ann.says("How are you?", &mut anns).await.unwrap();

    // Ben renews his key. Ann sees it, and begins the next epoch.
    ben.renews().await;
    let met = ann.meets(&[ben.user()]).await.unwrap();
    assert_eq!(met.offers[&ben.user()], e2ee::Offer::Renewed);
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    assert_eq!(anns.conversation.epoch, 2);

    // A message that Ben seals with the old secret is not stored: he follows, and seals it again,
    // under the same id.
    let old = bens.secret.commitment();
    ben.says("In time", &mut bens).await.unwrap();
    assert_ne!(bens.secret.commitment(), old);
    assert_eq!(bens.conversation.epoch, 2);
    let all = ["Hello", "Hi", "How are you?", "In time"];
    for (person, channel) in [(&ann, &anns), (&ben, &bens)] {
        assert_eq!(person.hears(channel).await.unwrap(), all);
    }
    world.end().await;
}

#[tokio::test]
async fn a_member_without_all_friendships_rekeys_and_a_removed_member_reads_no_more() {
    let world = World::new().await;
    let [mut ann, mut ben, mut cleo] = trio(&world).await;
    let mut anns = ann.creates_group(&[ben.user(), cleo.user()]).await;
    let (mut bens, mut cleos) = (ben.follows().await.unwrap(), cleo.follows().await.unwrap());
    cleo.says("one", &mut cleos).await.unwrap();
    // Only Ben has met Cleo here.
    ben.rekeys(&mut bens, &[], &[]).await.unwrap();
    cleo.says("two", &mut cleos).await.unwrap();
    // He is not an admin: clients do not follow his announcement, and the server refuses it.
    let dan = Person::new(&world, "Dan").await;
    ben.befriends(&dan).await;
    let refused = wrong(ben.rekeys(&mut bens, &[dan.user()], &[]).await);
    assert!(matches!(refused, Wrong::NotAnAdmin(_)), "{refused}");
    let refused = ben.rekeys(&mut bens, &[], &[cleo.user()]).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NotAllowed));
    ann.rekeys(&mut anns, &[], &[cleo.user()]).await.unwrap();
    ben.says("three", &mut bens).await.unwrap();
    let all = ["one", "two", "three"];
    for (person, channel) in [(&ann, &anns), (&ben, &bens)] {
        assert_eq!(person.hears(channel).await.unwrap(), all);
    }
    let refused = cleo.says("four", &mut cleos).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::ConversationNotFound));
    let last = ann.reads(&anns).await.unwrap().pop().unwrap();
    assert_ne!(last.sealed.kid(), cleos.secret.kid());
    world.end().await;
}

#[tokio::test]
async fn a_member_who_left_is_excluded_by_the_next_epoch_and_nothing_is_sent_before_it() {
    let world = World::new().await;
    let [mut ann, mut ben, mut cleo] = trio(&world).await;
    let mut anns = ann.creates_group(&[ben.user(), cleo.user()]).await;
    let mut bens = ben.follows().await.unwrap();
    let cleos = cleo.follows().await.unwrap();
    cleo.session.leave(cleos.conversation.id).await.unwrap();
    let mut now = ben.session.list().await.unwrap();
    bens.conversation = now.remove(0);
    let refused = wrong(ben.says("Is she gone?", &mut bens).await);
    assert!(
        matches!(&refused, Wrong::DifferentParticipants { missing, .. } if *missing == [cleo.user()]),
        "{refused}"
    );
    ben.rekeys(&mut bens, &[], &[]).await.unwrap();
    ben.says("She is gone.", &mut bens).await.unwrap();
    ann.says("She is.", &mut anns).await.unwrap();
    assert_eq!(ann.hears(&anns).await.unwrap(), ["She is gone.", "She is."]);
    world.end().await;
}

#[tokio::test]
async fn a_server_that_tampers_with_its_data_is_detected() {
    let (world, [mut ann, mut ben], [mut anns, bens]) = channel().await;
    ann.says("One", &mut anns).await.unwrap();
    ann.says("Two", &mut anns).await.unwrap();
    assert_eq!(ben.hears(&bens).await.unwrap(), ["One", "Two"]);

    // A secret of the server's own in place of Ann's.
    let key = ann.meets(&[ben.user()]).await.unwrap().keys;
    let bens_key = &key[&ben.user()];
    let other = EpochSecret::generate().unwrap().wrap(bens_key).unwrap();
    let anns_own = anns.secret.wrap(bens_key).unwrap();
    let of_ben = format!("user_id = '{}'", ben.user());
    let put = async |secret: &str| {
        let update = format!("update epoch_secrets set secret = '{secret}' where {of_ben}");
        world.sql(&update).await;
    };
    put(other.as_str()).await;
    assert!(matches!(wrong(ben.follows().await), Wrong::WrongSecret));
    put(anns_own.as_str()).await;
    ben.follows().await.unwrap();

    // A key of the server's own in place of Ann's; and no card of hers.
    let eve = Person::new(&world, "Eve").await;
    let eves = eve.session.identity().pair.public_key().to_owned();
    let anns_key = ann.session.identity().pair.public_key().to_owned();
    let of_ann = format!("where user_id = '{}'", ann.user());
    let put = async |key: &str| {
        let update = format!("update users set public_key = '{key}' {of_ann}");
        world.sql(&update).await;
    };
    put(&eves).await;
    let met = ben.meets(&[ann.user()]).await.unwrap();
    assert_eq!(met.offers[&ann.user()], e2ee::Offer::Lost);
    assert!(met.keys.is_empty());
    put(&anns_key).await;
    ben.meets(&[ann.user()]).await.unwrap();
    world.sql(&format!("delete from cards {of_ann}")).await;
    assert!(matches!(
        wrong(ben.meets(&[ann.user()]).await),
        Wrong::OlderCard
    ));
    // Somebody who has not met her finds her in the key log.
    let mut fay = Person::new(&world, "Fay").await;
    fay.befriends(&ann).await;
    assert!(matches!(
        wrong(fay.meets(&[ann.user()]).await),
        Wrong::NotLogged
    ));

    // Ann's second message in Ben's name.
    let row = format!(
        "update messages set user_id = '{}' where seq = 2",
        ben.user()
    );
    world.sql(&row).await;
    // Pages may be cached, but another node has read nothing yet.
    let node = world.another().await;
    let server = Server::new(&node.url).unwrap();
    let station = ben.session.identity().station;
    let session = server.login(&ben.email, PASSWORD, station).await;
    ben.session = session.unwrap();
    assert!(matches!(wrong(ben.hears(&bens).await), Wrong::Relabelled));
    node.stop().await;
    world.stop().await;
}
