//! Pins: each contact's known card, and whether it was compared.

#[cfg(any(test, all(feature = "http", feature = "password")))]
mod vault;

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::{Card, CardHash, MemberKey, RsaKeyHash, ServerId, SignedCard, Succession},
    id::UserId,
    key::PublicKey,
};
use serde::{Deserialize, Serialize};

use super::{Error, Invitation, KeyLog};

/// How well a contact's card is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// It was pinned when it was first seen.
    Seen,
    /// Numbers were compared, or proven by an invitation.
    Verified,
    /// A new identity that was not accepted yet. Nothing is sent to such a contact.
    Changed,
}

/// A contact's cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// All verified cards, each the successor of the previous one, so that content signed with an
    /// old one stays readable.
    cards: Vec<Card>,
    mark: Mark,
    /// The number of the first card of the present identity: each later one is signed by the one
    /// before. `None` if that is not known.
    // Files of earlier versions have none.
    #[serde(default)]
    identity: Option<u64>,
    /// Whether the present identity was accepted here, and not only seen first.
    #[serde(default)]
    is_accepted: bool,
}

/// The result of cards that a server offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// An unknown contact, which is pinned.
    New,
    /// The pinned card, again.
    Same,
    /// The contact has renewed their keys: pinned, and the mark stays. Shown as a line in the
    /// conversation.
    Renewed,
    /// Not signed with the previous keys: pinned, the mark is removed, and sending stops until
    /// [`Pins::accept`]. Shown prominently, in groups too.
    NewIdentity,
    /// None of the cards names the user's present public key: an operator's reset gave them a new
    /// one, and they have not published a card for it, or the server put it there. The cards are
    /// pinned; nothing is encrypted for the key, and sending stops as for a new identity.
    Lost,
}

/// The cards of all contacts, on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    server: ServerId,
    by_user: BTreeMap<UserId, Pin>,
}

impl Pin {
    /// The newest card.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        self.cards.last()
    }

    /// All cards, the newest last.
    #[must_use]
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// How well it is known.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Nothing is sent to this contact until somebody accepts them.
    fn doubt(&mut self) {
        self.mark = Mark::Changed;
        self.is_accepted = false;
    }
}

impl Pins {
    /// Pins without any contact.
    #[must_use]
    pub fn new(server: ServerId) -> Self {
        Self {
            server,
            by_user: BTreeMap::new(),
        }
    }

    /// The server whose cards these are.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// The users whose cards are known.
    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.by_user.keys().copied()
    }

    /// A contact's pin.
    #[must_use]
    pub fn get(&self, user: UserId) -> Option<&Pin> {
        self.by_user.get(&user)
    }

    /// A contact's cards, newest last; empty if none is known.
    #[must_use]
    pub fn cards(&self, user: UserId) -> &[Card] {
        self.by_user.get(&user).map_or(&[], Pin::cards)
    }

    /// A contact's entry in a roster: their newest card or, for a user without one, their RSA key.
    /// A user with a pin has a card, so a server that withholds it achieves nothing.
    #[must_use]
    pub fn member(&self, user: UserId, rsa: Option<RsaKeyHash>) -> Option<MemberKey> {
        match self.by_user.get(&user).and_then(Pin::card) {
            Some(card) => Some(MemberKey::Card(card.hash())),
            None => rsa.map(MemberKey::Rsa),
        }
    }

    /// The keys that have stood for a user in rosters, newest first: their cards and, before the
    /// first one or without one, their RSA key.
    #[must_use]
    pub fn keys(&self, user: UserId, rsa: Option<RsaKeyHash>) -> Vec<MemberKey> {
        let cards = self.cards(user);
        let before = match cards.first() {
            // The RSA key stood in rosters before card 1 only, which need not be the first here.
            Some(first) => Some(first.rsa()).filter(|_| first.n() == 1),
            None => rsa,
        };
        let cards = cards.iter().rev().map(|card| MemberKey::Card(card.hash()));
        cards.chain(before.map(MemberKey::Rsa)).collect()
    }

    /// Takes the cards that the server offers of a user: all from the pinned one on, or all there
    /// are, oldest first. `rsa` is the user's present public key according to the server: secrets
    /// are wrapped for it, so it must be that of the newest card.
    ///
    /// # Errors
    /// `Invalid`: a signature or form is wrong. `ForeignCard`: of another user or server.
    /// `OlderCard`, `DifferentCard`, `SkippedCard`: they do not continue the pinned ones. On an
    /// error, nothing is changed.
    pub fn offer(
        &mut self,
        user: UserId,
        offered: &[SignedCard],
        rsa: &PublicKey,
    ) -> Result<Offer, Error> {
        let newest = self.newest_of(user, offered)?;
        // Only the newest: the RSA keys of older cards are not available any more.
        newest.verify(rsa)?;
        let (pin, outcome) = self.continued(user, offered, newest)?;
        self.by_user.insert(user, pin);
        Ok(outcome)
    }

    /// Takes the cards that the server offers of a user whose present public key none of them
    /// names ([`Offer::Lost`]). The contact is marked as changed.
    ///
    /// # Errors
    /// As for [`offer`](Self::offer).
    pub fn offer_lost(&mut self, user: UserId, offered: &[SignedCard]) -> Result<(), Error> {
        let newest = self.newest_of(user, offered)?;
        let (mut pin, _) = self.continued(user, offered, newest)?;
        pin.doubt();
        self.by_user.insert(user, pin);
        Ok(())
    }

    /// The newest of the cards, which are all of this user and server, and signed.
    fn newest_of<'a>(
        &self,
        user: UserId,
        offered: &'a [SignedCard],
    ) -> Result<&'a SignedCard, Error> {
        let newest = offered.last().ok_or(Error::UnknownSigner(user))?;
        if offered
            .iter()
            .any(|one| one.card.user() != user || one.card.server() != self.server)
        {
            return Err(Error::ForeignCard);
        }
        // Each of them, as old cards verify old messages.
        for one in offered {
            one.verify_sign()?;
        }
        Ok(newest)
    }

    /// The user's pin, continued by these cards.
    fn continued(
        &self,
        user: UserId,
        offered: &[SignedCard],
        newest: &SignedCard,
    ) -> Result<(Pin, Offer), Error> {
        let mut pin = self.by_user.get(&user).cloned();
        let mut outcome = if pin.is_some() {
            Offer::Same
        } else {
            Offer::New
        };
        for one in offered {
            let Some(pin) = &mut pin else {
                // Earlier cards do not matter: the first one that is seen is trusted as it is.
                pin = Some(Pin {
                    cards: vec![one.card.clone()],
                    mark: Mark::Seen,
                    identity: Some(one.card.n()),
                    is_accepted: false,
                });
                continue;
            };
            match place(pin, &one.card)? {
                Place::Known => {}
                Place::Next(before) => {
                    let succession = one.succeeds(before)?;
                    pin.cards.push(one.card.clone());
                    // For a contact who is first seen now, nothing has changed.
                    if outcome != Offer::New {
                        outcome = worse(outcome, succession);
                    }
                    if succession == Succession::NewIdentity {
                        pin.identity = Some(one.card.n());
                        if outcome != Offer::New {
                            pin.doubt();
                        }
                    }
                }
            }
        }
        let Some(pin) = pin else {
            return Err(Error::UnknownSigner(user));
        };
        if pin.card() != Some(&newest.card) {
            return Err(Error::OlderCard);
        }
        Ok((pin, outcome))
    }

    /// Marks a contact's card as verified, because numbers were compared, or an invitation's link
    /// or proof contains it.
    ///
    /// # Errors
    /// `DifferentCard`: it is not the pinned card. `UnknownSigner`: none is pinned.
    pub fn verify(&mut self, user: UserId, card: CardHash) -> Result<(), Error> {
        let pin = self.pinned(user, card)?;
        pin.mark = Mark::Verified;
        Ok(())
    }

    /// Verifies a newcomer's card by the `mac` of their message of kind `verify`, which proves that they
    /// had the link of this invitation. Returns `false` if it does not, or if their identity has changed.
    ///
    /// # Errors
    /// `UnknownSigner`: none is pinned.
    pub fn prove(
        &mut self,
        newcomer: UserId,
        invitation: &Invitation,
        mac: &str,
    ) -> Result<bool, Error> {
        let pin = self.by_user.get_mut(&newcomer);
        let pin = pin.ok_or(Error::UnknownSigner(newcomer))?;
        let card = pin.card().ok_or(Error::UnknownSigner(newcomer))?;
        if pin.mark == Mark::Changed || !invitation.is_proof(card.hash(), mac) {
            return Ok(false);
        }
        pin.mark = Mark::Verified;
        Ok(true)
    }

    /// Forgets the cards that the log of a restored server no longer has. A contact who has lost
    /// some is marked as changed.
    pub(super) fn keep_logged(&mut self, log: &KeyLog) {
        self.by_user.retain(|user, pin| {
            let logged = log.cards(*user).unwrap_or_default();
            let before = pin.cards.len();
            pin.cards.retain(|card| logged.contains(&card.hash()));
            if pin.cards.len() < before {
                pin.doubt();
                pin.identity = None;
            }
            !pin.cards.is_empty()
        });
    }

    /// The contact whose pinned card is this one.
    fn pinned(&mut self, user: UserId, card: CardHash) -> Result<&mut Pin, Error> {
        let pin = self
            .by_user
            .get_mut(&user)
            .ok_or(Error::UnknownSigner(user))?;
        if pin.card().map(Card::hash) != Some(card) {
            return Err(Error::DifferentCard);
        }
        Ok(pin)
    }

    /// Accepts a contact's new identity, which does not verify it.
    ///
    /// # Errors
    /// `DifferentCard`: it is not the pinned card any more. `UnknownSigner`: none is pinned.
    pub fn accept(&mut self, user: UserId, card: CardHash) -> Result<(), Error> {
        let pin = self.pinned(user, card)?;
        // A verified contact stays verified.
        if pin.mark == Mark::Changed {
            pin.mark = Mark::Seen;
        }
        pin.is_accepted = true;
        Ok(())
    }

    /// Checks that messages may be sent to these users, as far as their cards are concerned.
    ///
    /// # Errors
    /// `NewIdentity`: of the first user with one that was not accepted.
    pub fn may_send(&self, users: impl IntoIterator<Item = UserId>) -> Result<(), Error> {
        let changed = users.into_iter().find(|user| {
            self.by_user
                .get(user)
                .is_some_and(|pin| pin.mark == Mark::Changed)
        });
        changed.map_or(Ok(()), |user| Err(Error::NewIdentity(user)))
    }
}

enum Place<'a> {
    Known,
    Next(&'a Card),
}

/// The place of a card among those of a pin.
fn place<'a>(pin: &'a Pin, card: &Card) -> Result<Place<'a>, Error> {
    let (Some(first), Some(last)) = (pin.cards.first(), pin.cards.last()) else {
        return Err(Error::SkippedCard);
    };
    if card.n() > last.n() {
        return if card.n() - last.n() == 1 {
            Ok(Place::Next(last))
        } else {
            Err(Error::SkippedCard)
        };
    }
    // From before this contact was first seen: there is nothing to compare it with.
    if card.n() < first.n() {
        return Ok(Place::Known);
    }
    if pin.cards.contains(card) {
        Ok(Place::Known)
    } else {
        Err(Error::DifferentCard)
    }
}

fn worse(outcome: Offer, succession: Succession) -> Offer {
    match (outcome, succession) {
        (Offer::NewIdentity, _) | (_, Succession::NewIdentity) => Offer::NewIdentity,
        (_, Succession::Renewed) => Offer::Renewed,
    }
}
