//! The members of an epoch get its secret, and nobody else does.

use super::*;

#[test]
fn a_removed_member_gets_no_later_secret_and_nobody_is_locked_out() {
    let world = World::new();
    let [ann, ben, eve] = &world.people;
    let all = world.members(&[ann, ben, eve]);
    let admins = BTreeSet::from([ann.user]);
    let first = first_epoch(
        ann.maker(),
        world.conversation,
        all.clone(),
        admins.clone(),
        world.head(),
    );
    let first = first.unwrap();
    let wrapped = first.wrap(&world.keys()).unwrap();
    assert_eq!(wrapped.len(), 3);

    // Ben starts with the first one, and gets the secret.
    let mut bens = world.begin(&first.announcement, &[]).unwrap();
    assert_eq!(bens, first.accepted());
    let secret = bens.secret(wrapped[&ben.user].as_str(), &ben.rsa).unwrap();
    assert_eq!(secret.as_bytes(), first.secret.as_bytes());
    // Neither Ann's copy, nor a secret that someone else made for him.
    assert!(bens.secret(wrapped[&ann.user].as_str(), &ben.rsa).is_err());
    let other = EpochSecret::generate()
        .unwrap()
        .wrap(&ben.public())
        .unwrap();
    assert!(matches!(
        bens.secret(other.as_str(), &ben.rsa),
        Err(Error::WrongSecret)
    ));

    // Ben removes Eve, who gets no copy.
    let both = world.members(&[ann, ben]);
    let second = bens
        .rekey(ben.maker(), both.clone(), admins.clone(), world.head())
        .unwrap();
    let wrapped = second.wrap(&world.keys()).unwrap();
    assert!(!wrapped.contains_key(&eve.user) && wrapped.len() == 2);
    let listed = |people: &[&Person]| people.iter().map(|one| one.user).collect();
    assert!(bens.check_participants(&listed(&[ann, ben])).is_err());
    world.follow(&mut bens, &[&second]).unwrap();
    bens.check_participants(&listed(&[ann, ben])).unwrap();

    // Ben may not add her again; Ann may. Two announcements at once: one of them is followed.
    let three = world.members(&[ann, ben, eve]);
    let by_ben = bens.rekey(ben.maker(), three.clone(), admins.clone(), world.head());
    assert!(matches!(by_ben, Err(Error::NotAnAdmin(user)) if user == ben.user));
    let by_eve = bens.rekey(eve.maker(), three.clone(), admins.clone(), world.head());
    assert!(matches!(by_eve, Err(Error::NotAMember(_))));
    let anns = bens.clone();
    let third = anns
        .rekey(ann.maker(), three, admins.clone(), world.head())
        .unwrap();
    let lost = anns.rekey(ben.maker(), both, admins, world.head()).unwrap();
    world.follow(&mut bens, &[&third]).unwrap();
    assert!(matches!(
        world.follow(&mut bens, &[&lost]),
        Err(Error::ForkedEpoch(_))
    ));
    // Someone who was away follows both at once.
    let mut late = first.accepted();
    world.follow(&mut late, &[&second, &third]).unwrap();
    assert_eq!(late, bens);
    // A newcomer follows the hashes back.
    let (second, first) = (second.announcement, first.announcement);
    check_older(bens.newest(), &[second.clone(), first.clone()]).unwrap();
    assert_eq!(
        world
            .begin(&third.announcement, &[second.clone(), first.clone()])
            .unwrap(),
        bens
    );
    assert!(matches!(
        world.begin(&third.announcement, &[second]),
        Err(Error::WrongRoster)
    ));
    assert!(check_older(bens.newest(), &[first]).is_err());
    assert!(check_older(bens.newest(), &[lost.announcement]).is_err());
}
