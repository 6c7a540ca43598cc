//! Who is an admin, by the server's list and by what is announced.

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
