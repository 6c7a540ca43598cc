//! Fetches, checks and pins people's keys.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{SignedCard, Succession},
    id::UserId,
    key::PublicKey,
    request::keys::MAX_USERS as USERS_PER_CALL,
};

use crate::{
    e2ee::{self, Invalid, Offer, Pins, State},
    error::Error,
    retry::Attempts,
    session::Session,
};

/// The verified keys of people.
#[derive(Debug)]
pub struct Met {
    /// Their public keys, for which secrets are wrapped. A user without one has deleted their
    /// account, is somebody whose keys the user may not see, or has a key that none of their cards
    /// names ([`Offer::Lost`]).
    pub keys: BTreeMap<UserId, PublicKey>,
    /// The result for each user with cards. The user's own are among them if they were requested.
    pub offers: BTreeMap<UserId, Offer>,
}

/// Fetching and verifying the keys of people.
impl Session {
    /// Fetches the keys and cards of people, compares them with the pinned ones, with each other
    /// and with the key log, which is followed, and pins them. An error in one of them is an error
    /// for all, and nothing is pinned.
    ///
    /// # Errors
    /// `Encryption`: as for [`Pins::offer`] and [`KeyLog::follow`](e2ee::KeyLog::follow);
    /// `NotLogged`, `OlderCard`: the server withholds a card, or made one for this user only.
    pub async fn meet(&self, state: &mut State, users: &BTreeSet<UserId>) -> Result<Met, Error> {
        // Published after the cards were fetched, and before the log was.
        let is_late = |error: &Error| matches!(error, Error::Encryption(e2ee::Error::NotLogged));
        let mut attempts = Attempts::default();
        loop {
            let met = self.meet_once(state, users).await;
            if !attempts.goes_on(&met, is_late) {
                return met;
            }
        }
    }

    async fn meet_once(&self, state: &mut State, users: &BTreeSet<UserId>) -> Result<Met, Error> {
        // Cards first: the log, which is read after them, then has each that the server has shown.
        let (mut keys, cards) = self.fetch_keys(&state.pins, users).await?;
        self.follow_own_log(state).await?;
        let (mut pins, mut offers) = (state.pins.clone(), BTreeMap::new());
        for (user, key) in &keys {
            if let Some(cards) = cards.get(user) {
                let offer = match pins.offer(*user, cards, key) {
                    Err(e2ee::Error::Invalid(Invalid::RsaKey)) => {
                        pins.offer_lost(*user, cards)?;
                        Offer::Lost
                    }
                    offer => offer?,
                };
                offers.insert(*user, offer);
            } else if state.pins.get(*user).is_some() {
                // The newest pinned one was requested as well.
                return Err(e2ee::Error::OlderCard.into());
            }
            match pins.cards(*user).last() {
                Some(card) => state.log.check_card(card)?,
                // The log shows whether the server withholds the cards of somebody who has some.
                None if state.log.newest(*user)?.is_none() => {}
                None => return Err(e2ee::Error::NotLogged.into()),
            }
        }
        // Nothing is ever wrapped for a key that no card names.
        keys.retain(|user, _| offers.get(user) != Some(&Offer::Lost));
        state.pins = pins;
        Ok(Met { keys, offers })
    }

    /// Follows the key log. A card in the user's name that this device does not know is taken over
    /// if another device of the user's has published it: it continues the pinned one, and has the
    /// pair that this device logged in with, and the signing key of the vault or, without one, the
    /// same as before.
    pub(super) async fn follow_own_log(&self, state: &mut State) -> Result<(), Error> {
        let followed = self.follow_key_log(&mut state.log, &state.own_cards).await;
        let Err(Error::Encryption(e2ee::Error::NotMyCard(_))) = followed else {
            return followed;
        };
        let me = self.user();
        let (_, cards) = self.fetch_keys(&state.pins, &[me].into()).await?;
        let mut own = state.own_cards.clone();
        let mut newest = state.pins.cards(me).last();
        let mut last = None;
        for one in cards.get(&me).into_iter().flatten() {
            // Without a vault, a new signing key is not taken over: this device could not write with
            // it, and whoever has stolen the old one could have made it.
            if let Some(before) = newest
                && (self.sign.is_some() || one.card.sign() == before.sign())
                && one.verify_sign().is_ok()
                && matches!(one.succeeds(before), Ok(Succession::Renewed))
            {
                own.insert(one.card.n(), one.card.hash());
                (newest, last) = (Some(&one.card), Some(one));
            }
        }
        // Whoever has stolen the signing key can sign a card with keys of their own, for which others
        // would wrap secrets. So both keys of the last one have to be this device's, and to have signed
        // it: then a device of the user's has made it, and those before it. A device whose keys were
        // replaced logs in again before this.
        let pair = e2ee::public_key(&self.identity.pair)?;
        let is_own = |one: &SignedCard| {
            one.verify(&pair).is_ok() && self.sign.is_none_or(|sign| one.card.sign() == sign)
        };
        if let Some(one) = last.filter(|one| !is_own(one)) {
            return Err(e2ee::Error::NotMyCard(one.card.n()).into());
        }
        self.follow_key_log(&mut state.log, &own).await?;
        state.own_cards = own;
        Ok(())
    }

    /// The public keys of users, and the cards of each from the pinned one on.
    async fn fetch_keys(
        &self,
        pins: &Pins,
        users: &BTreeSet<UserId>,
    ) -> Result<
        (
            BTreeMap<UserId, PublicKey>,
            BTreeMap<UserId, Vec<SignedCard>>,
        ),
        Error,
    > {
        let (mut keys, mut cards) = (BTreeMap::new(), BTreeMap::<_, Vec<SignedCard>>::new());
        let users: Vec<UserId> = users.iter().copied().collect();
        for users in users.chunks(USERS_PER_CALL) {
            let users: BTreeSet<UserId> = users.iter().copied().collect();
            let mut after = BTreeMap::new();
            for user in &users {
                if let Some(pinned) = pins.cards(*user).last() {
                    // The pinned card as well: a server that shows another one is found out.
                    after.insert(*user, number(pinned.n().saturating_sub(1))?);
                }
            }
            loop {
                let page = self.cards(users.clone(), after.clone()).await?;
                // A server that promises more and sends none would be asked for ever.
                let is_last = !page.hasmore || page.cards.is_empty();
                let keys_of_page = page.publickeys.into_iter();
                keys.extend(keys_of_page.filter(|(user, _)| users.contains(user)));
                for (user, more) in page.cards {
                    if let Some(last) = more.last() {
                        after.insert(user, number(last.card.n())?);
                    }
                    cards.entry(user).or_default().extend(more);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok((keys, cards))
    }
}

fn number(n: u64) -> Result<u32, Error> {
    u32::try_from(n).map_err(|_| Error::Invalid("the number of a card"))
}
