//! Ann, Ben and Eve through all of it, as their clients would do it. Single tampered pieces are in the vectors.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    chain::{Chain, DataHash},
    id::{ConversationId, MessageId, StationId, UserId},
    key::PublicKey,
    text::{Email, Instance},
    time::Timestamp,
};

use super::*;
use crate::keys::KeyPair;

struct Person {
    user: UserId,
    sign: SigningKey,
    rsa: KeyPair,
    card: SignedCard,
    station: StationId,
}

impl Person {
    fn new(name: &str, server: ServerId) -> Self {
        let email = Email::parse(&format!("{name}@example.org")).unwrap();
        let (sign, rsa) = (
            SigningKey::generate().unwrap(),
            KeyPair::generate().unwrap(),
        );
        Self {
            user: UserId::of(&email),
            card: first_card(email, server, &sign, &rsa, None).unwrap(),
            sign,
            rsa,
            station: StationId::random(),
        }
    }

    fn public(&self) -> PublicKey {
        PublicKey::parse(self.rsa.public_key()).unwrap()
    }

    fn maker(&self) -> Maker<'_> {
        Maker {
            user: self.user,
            key: &self.sign,
        }
    }
}

struct World {
    conversation: ConversationId,
    instance: Instance,
    people: [Person; 3],
    pins: Pins,
}

impl World {
    fn new() -> Self {
        let server = ServerId::random();
        let people = ["ann", "ben", "eve"].map(|name| Person::new(name, server));
        let mut pins = Pins::new(server);
        for person in &people {
            let cards = [person.card.clone()];
            let offer = pins.offer(person.user, &cards, &person.public());
            assert_eq!(offer.unwrap(), Offer::New);
        }
        Self {
            conversation: ConversationId::random(),
            instance: Instance::random(),
            people,
            pins,
        }
    }

    fn members(&self, people: &[&Person]) -> Members {
        let member = |user| self.pins.member(user, None).unwrap();
        people
            .iter()
            .map(|person| (person.user, member(person.user)))
            .collect()
    }

    fn keys(&self) -> BTreeMap<UserId, PublicKey> {
        let people = self.people.iter();
        people.map(|one| (one.user, one.public())).collect()
    }

    fn head(&self) -> Head {
        Head {
            seq: 0,
            chain: Some(Chain::beginning(self.conversation, &self.instance)),
        }
    }

    fn follow(&self, epochs: &mut Epochs, new: &[&NewEpoch]) -> Result<(), Error> {
        let announcements: Vec<SignedAnnouncement> =
            new.iter().map(|one| one.announcement.clone()).collect();
        epochs.follow(
            &announcements,
            |user| self.pins.cards(user),
            |user| self.pins.member(user, None),
        )
    }
}

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

    // Ben begins with what the server lists, and gets the secret.
    let mut bens = Epochs::begin(world.conversation, &first.announcement, all, |user| {
        world.pins.cards(user)
    })
    .unwrap();
    assert_eq!(bens, first.accepted());
    let secret = bens.secret(wrapped[&ben.user].as_str(), &ben.rsa).unwrap();
    assert_eq!(secret.as_bytes(), first.secret.as_bytes());
    // Not Ann's copy, and not a secret that someone else made for him.
    assert!(bens.secret(wrapped[&ann.user].as_str(), &ben.rsa).is_err());
    let other = EpochSecret::generate()
        .unwrap()
        .wrap(&ben.public())
        .unwrap();
    assert!(matches!(
        bens.secret(other.as_str(), &ben.rsa),
        Err(Error::WrongSecret)
    ));

    // Ben removes Eve. Her copy is not made.
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

    // Ben may not add her again; Ann may. Two announce at once: one of them goes on.
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
    // Someone who comes late follows the hashes back.
    let (second, first) = (second.announcement, first.announcement);
    check_older(bens.newest(), &[second.clone(), first.clone()]).unwrap();
    assert!(check_older(bens.newest(), &[first]).is_err());
    assert!(check_older(bens.newest(), &[lost.announcement]).is_err());
}

#[test]
fn a_message_is_decrypted_with_the_secret_and_gaps_are_reported_once() {
    let world = World::new();
    let [ann, ben, _] = &world.people;
    let epoch = first_epoch(
        ann.maker(),
        world.conversation,
        world.members(&[ann, ben]),
        BTreeSet::new(),
        world.head(),
    )
    .unwrap();
    let announcement = &epoch.announcement.announcement;
    let log = KeyLog::new(world.pins.server(), ann.sign.public());
    let mut chain = Chain::beginning(world.conversation, &world.instance);
    let mut chains = BTreeMap::from([(0, chain)]);
    let mut reading = Reading::default();
    for (seq, n) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
        let (before, head) = chains.last_key_value().unwrap();
        let body = Body {
            at: Timestamp::parse("2026-11-24 12:00:00").unwrap(),
            until: None,
            n,
            head: Head {
                seq: *before,
                chain: Some(*head),
            },
            ep: Some(announcement.hash()),
            log: Some(log.mark()),
            content: Content::Known(Kind::Text {
                text: format!("Hello {n}"),
                reply: None,
                mentions: vec![ben.user],
            }),
        };
        let envelope = Envelope {
            conversation: world.conversation,
            instance: &world.instance,
            id: MessageId::random(),
            user: ann.user,
            station: ann.station,
            r#type: "Message",
        };
        let data = seal(
            &envelope,
            announcement.epoch(),
            &epoch.secret,
            &ann.sign,
            &body,
        )
        .unwrap();
        let update = Envelope {
            r#type: "Update",
            ..envelope
        };
        assert!(
            seal(
                &update,
                announcement.epoch(),
                &epoch.secret,
                &ann.sign,
                &body
            )
            .is_err()
        );
        let opened = Sealed::message(data.as_str())
            .unwrap()
            .open(&envelope, &epoch.secret, world.pins.cards(ann.user))
            .unwrap();
        assert_eq!(opened.body, body);
        let checked = reading.check(
            &envelope,
            &opened,
            &View {
                seq,
                chain_at: &|seq| chains.get(&seq).copied(),
                announcement,
                log: &log,
                has_all: true,
            },
        );
        match n {
            4 => assert!(matches!(
                checked,
                Err(Error::MissingMessages {
                    expected: 3,
                    found: 4
                })
            )),
            _ => checked.unwrap(),
        }
        chain = chain.link(seq, envelope.id, DataHash::of(data.as_str()));
        chains.insert(seq, chain);
    }
    assert_eq!(reading.next_number(ann.user, ann.station), 6);
}

#[test]
fn each_kind_comes_back_as_it_was() {
    let user = |email| UserId::of(&Email::parse(email).unwrap());
    let (user, other) = (user("ann@example.org"), user("ben@example.org"));
    let id = MessageId::random();
    let file = FileReference {
        id,
        name: "a.jpg".into(),
        mime: "image/jpeg".into(),
        size: 5,
        records: 1,
        key: "a2V5".into(),
        digest: "00".into(),
        w: Some(640),
        h: Some(480),
        ms: None,
        thumb: None,
        wave: None,
    };
    let settings = [("drafts".to_owned(), serde_json::json!({ "a": [1] }))];
    for kind in [
        Kind::Text {
            text: "*Hello*".into(),
            reply: Some(Reply {
                id,
                user,
                quote: "Hi".into(),
            }),
            mentions: vec![],
        },
        Kind::File {
            files: vec![file],
            text: String::new(),
        },
        Kind::Edit {
            of: id,
            text: "Hallo".into(),
            mentions: vec![user],
        },
        Kind::Delete { of: vec![id] },
        Kind::Reaction {
            of: id,
            emoji: "👍".into(),
            off: true,
        },
        Kind::Pin { of: id, off: false },
        Kind::Verify { mac: "00".into() },
        Kind::Settings(settings.into()),
    ] {
        let body = Body {
            at: Timestamp::parse("2026-11-24 12:00:00").unwrap(),
            until: Some(Timestamp::parse("2026-12-24 12:00:00").unwrap()),
            n: 1,
            head: Head {
                seq: 0,
                chain: None,
            },
            ep: None,
            log: None,
            content: Content::Known(kind.clone()),
        };
        assert_eq!(Body::parse(&body.to_text().unwrap()).unwrap(), body);
        assert!(!kind.may_change(user, other, false) || matches!(kind, Kind::Reaction { .. }));
        assert_eq!(
            kind.may_change(user, other, true),
            matches!(
                kind,
                Kind::Delete { .. } | Kind::Pin { .. } | Kind::Reaction { .. }
            )
        );
    }
}

#[test]
fn a_new_password_and_a_new_recovery_key_replace_the_old_ones() {
    let world = World::new();
    let [ann, ..] = world.people;
    let owner = Owner {
        server: world.pins.server(),
        user: ann.user,
    };
    let roots = [1, 2, 3, 4].map(|byte| Root::from_bytes(&[byte; 32]));
    let [password, recovery, new_password, new_recovery] = &roots;
    let master = Master::generate().unwrap();
    let contents = Contents {
        rsa: ann.rsa,
        sign: ann.sign,
        pins: BTreeMap::new(),
        heads: BTreeMap::new(),
    };
    let first = Vault::new(&owner, &master, password, recovery, &contents).unwrap();
    let opens = |vault: &Vault, slot, root: &Root| {
        let vault = Vault::parse(&vault.to_key().unwrap()).unwrap();
        let master = vault.master(&owner, slot, root)?;
        let contents = vault.open(&owner, &master, 0)?;
        assert_eq!(contents.sign.public(), ann.card.card.sign());
        Ok::<_, Error>(())
    };
    opens(&first, Slot::Password, password).unwrap();
    opens(&first, Slot::Recovery, recovery).unwrap();
    let second = first
        .replace(&owner, &master, Slot::Password, new_password, &contents)
        .unwrap();
    let third = second
        .replace(&owner, &master, Slot::Recovery, new_recovery, &contents)
        .unwrap();
    assert_eq!((second.version(), third.version()), (2, 3));
    opens(&third, Slot::Password, new_password).unwrap();
    opens(&third, Slot::Recovery, new_recovery).unwrap();
    for (slot, root) in [
        (Slot::Password, password),
        (Slot::Recovery, recovery),
        (Slot::Password, new_recovery),
        (Slot::Recovery, new_password),
    ] {
        assert!(matches!(
            opens(&third, slot, root),
            Err(Error::WrongPassword)
        ));
    }
    assert!(matches!(
        second.open(&owner, &master, 3),
        Err(Error::OldVault { found: 2, seen: 3 })
    ));
    let key = RecoveryKey::generate().unwrap();
    let again = RecoveryKey::parse(&key.to_text().to_lowercase()).unwrap();
    assert_eq!(*again.to_text(), *key.to_text());
}

#[test]
fn a_clients_state_survives_in_its_file() {
    let world = World::new();
    let [ann, ben, _] = &world.people;
    let mut state = State::new(KeyLog::new(world.pins.server(), ann.sign.public()));
    state.pins = world.pins.clone();
    state.own_cards.insert(1, ann.card.card.hash());
    let epoch = first_epoch(
        ann.maker(),
        world.conversation,
        world.members(&[ann, ben]),
        BTreeSet::new(),
        world.head(),
    )
    .unwrap();
    state.epochs.insert(world.conversation, epoch.accepted());
    state.reading(world.conversation, &world.instance);
    state.vault_version = 7;
    let path = std::env::temp_dir().join(format!("parlance-state-{}", StationId::random()));
    assert!(State::load(&path).unwrap().is_none());
    state.save(&path).unwrap();
    assert_eq!(State::load(&path).unwrap().as_ref(), Some(&state));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(State::load(&path), Err(Error::DamagedStore(_))));
    std::fs::remove_file(&path).unwrap();
}
