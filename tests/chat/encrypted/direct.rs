//! Direct conversations that older clients began.

use std::collections::BTreeMap;

use parlance_client::{DisplayName, Error, answer::Conversation, e2ee::EpochSecret, message};

use super::person::Person;
use crate::world::World;

/// Ann's conversation with a friend, as a client of version 3 creates it.
async fn published(ann: &mut Person, friend: &Person) -> Conversation {
    let keys = ann.meets(&[ann.user(), friend.user()]).await.unwrap().keys;
    let secret = EpochSecret::generate().unwrap();
    let wrapped = keys
        .iter()
        .map(|(user, key)| (*user, secret.wrap(key).unwrap()));
    let none = DisplayName::parse(String::new()).unwrap();
    let names = BTreeMap::from([(ann.user(), none.clone()), (friend.user(), none)]);
    let created = ann.session.create(friend.user(), wrapped.collect(), names);
    created.await.unwrap()
}

#[tokio::test]
async fn a_conversation_of_older_clients_gets_an_epoch_unless_something_was_written_in_it() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let (mut ben, cleo) = (
        Person::new(&world, "Ben").await,
        Person::new(&world, "Cleo").await,
    );
    ann.befriends(&ben).await;
    ann.befriends(&cleo).await;
    published(&mut ann, &ben).await;
    for _ in 0..2 {
        let (state, sign) = (&mut ann.state, &ann.sign);
        let begun = ann.session.direct(state, sign, ben.user()).await.unwrap();
        assert_eq!(begun.epoch, 1);
    }
    ben.follows().await.unwrap();
    let written = published(&mut ann, &cleo).await;
    let text = message("cHVibGlzaGVk").unwrap();
    ann.session
        .add(written.id, &written.instance, text)
        .await
        .unwrap();
    let (state, sign) = (&mut ann.state, &ann.sign);
    let refused = ann.session.direct(state, sign, cleo.user()).await;
    assert!(matches!(refused, Err(Error::NoEpochs)), "{refused:?}");
    world.end().await;
}
