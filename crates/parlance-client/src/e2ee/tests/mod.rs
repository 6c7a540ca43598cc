//! Ann, Ben and Eve use all of it like their clients. Single tampered pieces are in the vectors.

mod epochs;
mod keeping;
mod messages;
mod pins;
mod timeline;

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

    fn begin(
        &self,
        newest: &SignedAnnouncement,
        older: &[SignedAnnouncement],
    ) -> Result<Epochs, Error> {
        let cards = |user| self.pins.cards(user);
        let keys = |user| self.pins.keys(user, None);
        Epochs::begin(self.conversation, newest, older, cards, keys)
    }

    fn follow(&self, epochs: &mut Epochs, new: &[&NewEpoch]) -> Result<(), Error> {
        let announcements: Vec<SignedAnnouncement> =
            new.iter().map(|one| one.announcement.clone()).collect();
        epochs.follow(
            &announcements,
            |user| self.pins.cards(user),
            |user| self.pins.keys(user, None),
        )
    }
}
