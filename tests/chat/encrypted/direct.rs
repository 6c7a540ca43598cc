//! Direct conversations that older clients began.

use std::collections::{BTreeMap, BTreeSet};

use parlance_client::{
    Data, DisplayName, Error, Reader, Received,
    answer::Conversation,
    e2ee::{EpochSecret, Head, Maker, Members, State, first_epoch},
    message,
};
use parlance_wire::chain::Chain;

use super::{
    channel,
    person::{Channel, Person},
    unsigned::seals,
};
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

/// A client of version 3 says something.
async fn says(person: &Person, conversation: &Conversation, text: &str) {
    let pair = &person.session.identity().pair;
    let secret = EpochSecret::unwrap(&conversation.secret, pair).unwrap();
    let mut sent = message("bm90aGluZw==").unwrap();
    sent.data = Data::parse(seals(conversation, sent.id, &secret, text)).unwrap();
    let added = person
        .session
        .add(conversation.id, &conversation.instance, sent);
    added.await.unwrap();
}

/// Reads the only conversation: what is not signed, or `Signed`.
async fn reads(person: &mut Person, reader: &mut Reader) -> Vec<Option<String>> {
    let mut conversation = person.session.list().await.unwrap().remove(0);
    let (session, state) = (&person.session, &mut person.state);
    let read = session.read(state, &mut conversation, reader).await;
    let said = |one: Received| match one.content {
        Ok(_) => Some("Signed".to_owned()),
        Err(_) => one.unsigned,
    };
    read.unwrap().into_iter().map(said).collect()
}

#[tokio::test]
async fn a_conversation_of_older_clients_is_read_before_and_after_its_first_epoch() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let mut ben = Person::new(&world, "Ben").await;
    ann.befriends(&ben).await;
    let conversation = published(&mut ann, &ben).await;
    says(&ann, &conversation, "One").await;
    let mut reader = Reader::new();
    let before = [Some("One".to_owned())];
    assert_eq!(reads(&mut ben, &mut reader).await, before);
    let bens = ben.session.list().await.unwrap().remove(0);
    says(&ben, &bens, "Two").await;
    assert_eq!(reads(&mut ben, &mut reader).await, [Some("Two".to_owned())]);

    // Another client begins the first epoch, and keeps the secret of before.
    let listed = ann.session.list().await.unwrap().remove(0);
    let users = [ann.user(), ben.user()];
    let met = ann.meets(&users).await.unwrap();
    let member = |user| (user, ann.state.pins.member(user, None).unwrap());
    let members = Members::from_iter(users.map(member));
    let maker = Maker {
        user: ann.user(),
        key: &ann.sign,
    };
    let head = Head {
        seq: 2,
        chain: Chain::parse(&listed.chain),
    };
    let epoch = first_epoch(maker, listed.id, members, BTreeSet::new(), head).unwrap();
    let (names, nobody) = (BTreeMap::new(), BTreeSet::new());
    let announced = ann
        .session
        .announce(&listed.instance, &epoch, &met.keys, names, nobody);
    let conversation = announced.await.unwrap();
    ann.state.epochs.insert(listed.id, epoch.accepted());
    let mut anns = Channel {
        conversation,
        secret: epoch.secret,
    };
    ann.says("Three", &mut anns).await.unwrap();

    assert_eq!(
        reads(&mut ben, &mut reader).await,
        [Some("Signed".to_owned())]
    );
    // So does a later start of the same device, from its file; a new device does not have it.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.json");
    ben.state.save(&file).unwrap();
    ben.state = State::load(&file).unwrap().unwrap();
    let all = ["One", "Two", "Signed"].map(|text| Some(text.to_owned()));
    assert_eq!(reads(&mut ben, &mut Reader::new()).await, all);
    ben.state = ben.session.begin_key_log().await.unwrap();
    let last = [None, None, Some("Signed".to_owned())];
    assert_eq!(reads(&mut ben, &mut Reader::new()).await, last);
    world.end().await;
}

#[tokio::test]
async fn a_server_cannot_take_back_that_there_are_epochs() {
    let (world, [mut ann, mut ben], [mut anns, mut bens]) = channel().await;
    ann.says("Signed", &mut anns).await.unwrap();
    let mut reader = Reader::new();
    let all = [Some("Signed".to_owned())];
    assert_eq!(reads(&mut ben, &mut reader).await, all);
    bens.conversation.epoch = 0;
    world
        .sql("delete from epoch_secrets; update conversations set epoch = 0; delete from epochs")
        .await;
    let (session, state) = (&ben.session, &mut ben.state);
    let read = session.read(state, &mut bens.conversation, &mut reader);
    assert!(matches!(read.await, Err(Error::Invalid(_))));
    world.stop().await;
}
