//! Pins in the vault: what other stations of the user's know of contacts, and what this one does.

use std::collections::BTreeMap;

use parlance_wire::{e2ee::Card, id::UserId};

use super::{Mark, Pin, Pins};
use crate::e2ee::VaultPin;

impl VaultPin {
    /// Whether it names this card. For a user without a card, a vault has the hash of the public key
    /// and the number 0.
    pub(crate) fn is_of(&self, card: &Card) -> bool {
        card.hash() == self.0 || self.1 == 0 && card.rsa().as_bytes() == self.0.as_bytes()
    }
}

impl Pin {
    /// Whether it was only seen, and not accepted on this station.
    fn is_first_seen(&self) -> bool {
        self.mark == Mark::Seen && !self.is_accepted
    }

    /// Takes over what another station has written about a contact.
    fn take(&mut self, other: &VaultPin) {
        let is_newest = self.cards.last().is_some_and(|card| other.is_of(card));
        // By the hash of the card: whether a public key has signed an older one, nobody knows.
        let known = self.cards.iter().find(|card| card.hash() == other.0);
        let is_renewed = known
            .zip(self.identity)
            .is_some_and(|(card, first)| first <= card.n());
        match other.2 {
            // Also where this station has a doubt: somebody has compared this very card.
            Mark::Verified if is_newest => self.mark = Mark::Verified,
            // This station's mark was confirmed as well, or is a doubt, which only a confirmation
            // removes: the other one may have seen this card first, and not the identity before.
            _ if !self.is_first_seen() => {}
            Mark::Verified if is_renewed => self.mark = Mark::Verified,
            Mark::Seen if is_newest || is_renewed => {}
            Mark::Seen | Mark::Verified | Mark::Changed => self.doubt(),
        }
    }
}

impl Pins {
    /// Takes over what another station has written into the vault about a contact whose cards this
    /// one has: that somebody has verified the card, also where the newest one only renews its
    /// keys. A contact who was only seen on this station, and has another identity in the vault, is
    /// doubted.
    pub(crate) fn take(&mut self, user: UserId, other: &VaultPin) {
        if let Some(pin) = self.by_user.get_mut(&user) {
            pin.take(other);
        }
    }

    /// Nothing is sent to this contact until somebody accepts their card.
    pub(crate) fn doubt(&mut self, user: UserId) {
        if let Some(pin) = self.by_user.get_mut(&user) {
            pin.doubt();
        }
    }

    /// The pins of a vault, with those of this station, which has taken those of the vault: a later
    /// card counts, and of the same card a doubt more than a first sight.
    pub(crate) fn with_vault(
        &self,
        vault: &BTreeMap<UserId, VaultPin>,
        me: UserId,
    ) -> BTreeMap<UserId, VaultPin> {
        let mut all = vault.clone();
        for (user, pin) in self.by_user.iter().filter(|(user, _)| **user != me) {
            let Some(card) = pin.card() else {
                continue;
            };
            let hash = card.hash();
            let has_doubt = vault
                .get(user)
                .is_some_and(|other| other.0 == hash && other.2 == Mark::Changed);
            let mark = match pin.mark {
                // Accepted here, and not at the other station. It stays as it is, so that the two do
                // not write against each other for ever.
                Mark::Seen if has_doubt => Mark::Changed,
                mark => mark,
            };
            all.insert(*user, VaultPin(hash, card.n(), mark));
        }
        all
    }
}
