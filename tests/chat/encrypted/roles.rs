//! Who is an admin, by the server's list and by what is announced.

use std::collections::BTreeSet;

use parlance_client::{
    Error, MessageId, NewMessage, Reader, Role, Timestamp,
    e2ee::{self, Kind, timeline::Timeline},
};

use super::{account::deletes_account, person::Person, trio};
use crate::world::World;

#[tokio::test]
async fn the_servers_choice_of_an_admin_is_announced_by_whoever_begins_the_next_epoch() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let (mut ben, mut cleo) = (
        Person::new(&world, "Ben").await,
        Person::new(&world, "Cleo").await,
    );
    let (mut dan, eve) = (
        Person::new(&world, "Dan").await,
        Person::new(&world, "Eve").await,
    );
    for friend in [&ben, &cleo, &dan] {
        ann.befriends(friend).await;
        friend.befriends(&eve).await;
    }
    let users = [ben.user(), cleo.user(), dan.user()];
    ann.creates_group(&users).await;
    for member in [&mut ben, &mut cleo, &mut dan] {
        member.follows().await.unwrap();
    }
    deletes_account(&ann).await;
    // All joined at the same moment: the one with the smallest id.
    let mut heirs = [cleo, dan];
    heirs.sort_by_key(Person::user);
    let [first, _] = &heirs;
    let heir = first.user().min(ben.user());
    let mut bens = ben.follows().await.unwrap();
    assert_eq!(bens.conversation.admins, [heir]);
    ben.rekeys(&mut bens, &[], &[]).await.unwrap();
    let announced = ben.state.epochs[&bens.conversation.id].newest();
    assert!(announced.admins().iter().eq([&heir]));
    // That one can do what an admin does, and everybody follows.
    let [first, other] = heirs;
    let (mut heir, mut other) = if heir == ben.user() {
        (ben, first)
    } else {
        (first, other)
    };
    let mut heirs = heir.follows().await.unwrap();
    heir.rekeys(&mut heirs, &[eve.user()], &[]).await.unwrap();
    heir.says("Welcome, Eve", &mut heirs).await.unwrap();
    let others = other.follows().await.unwrap();
    assert_eq!(other.hears(&others).await.unwrap(), ["Welcome, Eve"]);
    world.end().await;
}

#[tokio::test]
async fn an_admin_appoints_others_with_the_next_epoch() {
    let world = World::new().await;
    let [mut ann, mut ben, mut cleo] = trio(&world).await;
    ben.befriends(&cleo).await;
    ann.creates_group(&[ben.user()]).await;
    let mut anns = ann.follows().await.unwrap();
    let mut bens = ben.follows().await.unwrap();
    let both = [ann.user(), ben.user()];
    // A member cannot, whatever their client says.
    let refused = ben.appoints(&mut bens, &both).await.unwrap_err();
    assert!(
        matches!(refused, Error::Encryption(e2ee::Error::NotAnAdmin(user)) if user == ben.user()),
        "{refused:?}"
    );
    let id = anns.conversation.id;
    ann.session
        .set_role(id, ben.user(), Role::Admin)
        .await
        .unwrap();
    ann.appoints(&mut anns, &both).await.unwrap();
    let announced = ann.state.epochs[&id].newest();
    assert!(announced.admins().iter().eq(&BTreeSet::from(both)));
    // Who was appointed does what admins do, and stays one in the next epoch.
    let mut bens = ben.follows().await.unwrap();
    ben.rekeys(&mut bens, &[cleo.user()], &[]).await.unwrap();
    let announced = ben.state.epochs[&id].newest();
    assert!(announced.admins().iter().eq(&BTreeSet::from(both)));
    ben.says("Welcome, Cleo", &mut bens).await.unwrap();
    let cleos = cleo.follows().await.unwrap();
    assert_eq!(cleo.hears(&cleos).await.unwrap(), ["Welcome, Cleo"]);
    world.end().await;
}

/// Reads the only conversation, and deletes a message in it, whoever may.
async fn deletes(person: &mut Person, of: MessageId) {
    let mut conversation = person.session.list().await.unwrap().remove(0);
    let mut reader = Reader::new();
    let (session, state) = (&person.session, &mut person.state);
    let read = session.read(state, &mut conversation, &mut reader);
    read.await.unwrap();
    let message = NewMessage::new(Kind::Delete { of: vec![of] });
    let said = session.say(state, &person.sign, &mut conversation, &reader, message);
    said.await.unwrap();
}

#[tokio::test]
async fn a_deletion_counts_by_who_was_an_admin_when_it_was_written() {
    let world = World::new().await;
    let [mut ann, mut ben, mut cleo] = trio(&world).await;
    let mut anns = ann.creates_group(&[ben.user(), cleo.user()]).await;
    let mut bens = ben.follows().await.unwrap();
    let of_ann = ann.says("By Ann", &mut anns).await.unwrap();
    let of_ben = ben.says("By Ben", &mut bens).await.unwrap();
    // Ann is an admin, and Ben is none.
    deletes(&mut ann, of_ben).await;
    deletes(&mut ben, of_ann).await;
    // They change places.
    let id = anns.conversation.id;
    let appointed = ann.session.set_role(id, ben.user(), Role::Admin).await;
    appointed.unwrap();
    let both = [ann.user(), ben.user()];
    ann.appoints(&mut anns, &both).await.unwrap();
    let mut bens = ben.follows().await.unwrap();
    let dismissed = ben.session.set_role(id, ann.user(), Role::Member).await;
    dismissed.unwrap();
    let alone = [ben.user()];
    ben.appoints(&mut bens, &alone).await.unwrap();

    let mut conversation = cleo.session.list().await.unwrap().remove(0);
    let mut reader = Reader::new();
    let (session, state) = (&cleo.session, &mut cleo.state);
    let read = session.read(state, &mut conversation, &mut reader).await;
    let mut timeline = Timeline::new(cleo.user());
    for received in read.unwrap() {
        timeline.add(received.row());
    }
    let shown = timeline.entries(Timestamp::now());
    let shown: Vec<_> = shown
        .iter()
        .map(|one| (&*one.text, one.is_deleted))
        .collect();
    assert_eq!(shown, [("By Ann", false), ("", true)]);
    world.end().await;
}
