//! Who is an admin, by the server's list and by what is announced.

use std::collections::BTreeSet;

use parlance_client::{Error, Role, e2ee};

use super::{account::deletes_account, person::Person};
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
    let mut ann = Person::new(&world, "Ann").await;
    let mut ben = Person::new(&world, "Ben").await;
    let mut cleo = Person::new(&world, "Cleo").await;
    for friend in [&ben, &cleo] {
        ann.befriends(friend).await;
    }
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
