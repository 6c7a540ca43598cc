//! What a group is called, and what was written in it before somebody joined.

use parlance_client::{
    DisplayName, Error, ErrorCode, Reader, ShownName,
    e2ee::{Epoch, Error as Wrong, SigningKey, seal_name},
};

use super::{person::Person, trio};
use crate::world::World;

/// The only conversation's name, as somebody is shown it.
async fn name(person: &mut Person) -> Option<ShownName> {
    let mut conversation = person.session.list().await.unwrap().remove(0);
    let (session, state) = (&person.session, &mut person.state);
    session.name(state, &mut conversation).await.unwrap()
}

#[tokio::test]
async fn a_group_is_renamed_and_a_name_that_nobody_has_signed_is_shown_as_such() {
    let world = World::new().await;
    let mut ann = Person::new(&world, "Ann").await;
    let mut ben = Person::new(&world, "Ben").await;
    ann.befriends(&ben).await;
    let mut anns = ann.creates_group(&[ben.user()]).await;
    let given = |name: &str, by| {
        Some(ShownName {
            name: name.to_owned(),
            by,
        })
    };
    assert_eq!(name(&mut ben).await, given("A group", Some(ann.user())));
    // Under the first secret, with a key that he has not seen.
    ann.renews().await;
    let (state, sign) = (&mut ann.state, &ann.sign);
    let group = &mut anns.conversation;
    let renamed = ann.session.rename_encrypted(state, sign, group, "Skiers");
    renamed.await.unwrap();
    assert_eq!(name(&mut ben).await, given("Skiers", Some(ann.user())));
    // In an epoch that begins before she knows it.
    let mut bens = ben.follows().await.unwrap();
    ben.rekeys(&mut bens, &[], &[]).await.unwrap();
    let (state, sign) = (&mut ann.state, &ann.sign);
    let group = &mut anns.conversation;
    let renamed = ann.session.rename_encrypted(state, sign, group, "Sailors");
    renamed.await.unwrap();
    assert_eq!(group.epoch, 2);
    assert_eq!(name(&mut ben).await, given("Sailors", Some(ann.user())));

    // Somebody with the secret, in Ann's name.
    let (id, by) = (anns.conversation.id, SigningKey::generate().unwrap());
    let (epoch, by) = (Epoch::new(2).unwrap(), (ann.user(), &by));
    let forged = seal_name(id, epoch, &bens.secret, by, "Fools").unwrap();
    let names = [(ben.user(), forged)].into();
    ann.session.rename(id, names).await.unwrap();
    assert_eq!(name(&mut ben).await, given("Fools", None));
    let plain = DisplayName::parse("cGxhaW4=".to_owned()).unwrap();
    let names = [(ben.user(), plain)].into();
    ann.session.rename(id, names).await.unwrap();
    assert_eq!(name(&mut ben).await, None);
    world.end().await;
}

#[tokio::test]
async fn an_admin_shares_what_was_written_before_somebody_joined() {
    let world = World::new().await;
    let [mut ann, mut ben, mut cleo] = trio(&world).await;
    let mut anns = ann.creates_group(&[ben.user()]).await;
    ann.says("One", &mut anns).await.unwrap();
    ann.rekeys(&mut anns, &[], &[]).await.unwrap();
    ann.says("Two", &mut anns).await.unwrap();
    let group = &mut anns.conversation;
    let early = ann
        .session
        .share_history(&mut ann.state, group, cleo.user())
        .await;
    assert!(
        matches!(early, Err(Error::Encryption(Wrong::NotAMember(user))) if user == cleo.user()),
        "{early:?}"
    );
    ann.rekeys(&mut anns, &[cleo.user()], &[]).await.unwrap();
    ann.says("Three", &mut anns).await.unwrap();

    let mut bens = ben.follows().await.unwrap().conversation;
    let (session, state) = (&ben.session, &mut ben.state);
    let refused = session.share_history(state, &mut bens, cleo.user()).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NotAllowed));
    let mut read = Vec::new();
    for shared in [None, Some(2)] {
        if let Some(epochs) = shared {
            let (session, state) = (&ann.session, &mut ann.state);
            let group = &mut anns.conversation;
            let given = session.share_history(state, group, cleo.user()).await;
            assert_eq!(given.unwrap(), epochs);
        }
        let mut cleos = cleo.session.list().await.unwrap().remove(0);
        let (session, state) = (&cleo.session, &mut cleo.state);
        let all = session.read(state, &mut cleos, &mut Reader::new()).await;
        let opened = all.unwrap().iter().map(|one| one.content.is_ok()).collect();
        read.push(opened);
    }
    let read: [Vec<bool>; 2] = read.try_into().unwrap();
    assert_eq!(read, [vec![false, false, true], vec![true, true, true]]);
    world.end().await;
}
