//! Cards, which state users' keys, and the key log, which makes each card visible to everyone.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Invalid, LOG_ENTRY_LEN, LogHead, SignedCard, SignedLogHead},
    id::UserId,
    key::PublicKey,
    request::login::Register,
};

use super::{Call, Services, error::Error, rates};
use crate::notify::event::Event;
use crate::store::{
    self,
    card::{NewCard, Published},
    rows::KeysRow,
};

/// Maximum cards that a user publishes within 24 hours: each stays in the key log for ever, and
/// everyone reads it.
const MAX_CARDS_PER_DAY: u32 = 20;
/// Maximum cards of an answer; a user without one counts as one. With a signature by the largest key, a card has about
/// 2.5 KB.
const MAX_CARDS: usize = 2000;
/// Maximum entries of the key log in an answer.
const MAX_LOG_ENTRIES: usize = 10_000;

/// Publishes the caller's next card. Idempotent. The caller's friends are notified.
///
/// # Errors
/// `BadRequest`: it is not the caller's, for another server, or not properly signed; `StaleCard`;
/// `UsedUp`; `UserNotFound`.
pub(crate) async fn publish(call: &mut Call<'_>, signed: &SignedCard) -> Result<(), Error> {
    rates::count_change(call)?;
    let (public_key, friends) = store::card::owner(&call.services.db, call.user)
        .await?
        .ok_or(Error::UserNotFound)?;
    let public_key = PublicKey::parse(&public_key)
        .ok_or_else(|| Error::Internal("a user's public key does not parse".into()))?;
    let new = checked(call.services, call.user, &public_key, signed)?;
    // Friends are notified even if the card was known: the request that stored it may have lost the
    // answer and notified nobody.
    published(store::card::publish(&call.services.db, new, call.now).await?)?;
    call.outbox.push(Event::FriendChanged {
        friend: call.user,
        seen_by: friends.into_iter().chain([call.user]).collect(),
    });
    Ok(())
}

/// A card that a user may publish, if it follows their newest one. `public_key` is, or is about to
/// be, the user's.
///
/// # Errors
/// `BadRequest`: it belongs to another user or server, or is not signed properly.
pub(super) fn checked<'a>(
    services: &Services,
    user: UserId,
    public_key: &PublicKey,
    signed: &'a SignedCard,
) -> Result<NewCard<'a>, Error> {
    let (card, identity) = (&signed.card, &services.identity);
    if card.user() != user {
        return Err(Error::BadRequest("card must be your own.".into()));
    }
    if card.server() != identity.id {
        return Err(Error::BadRequest(format!(
            "card.server must be the id of this server, {}.",
            identity.id
        )));
    }
    signed
        .verify(public_key)
        .map_err(|invalid| not_valid(&invalid))?;
    Ok(NewCard {
        server: identity.id,
        signed,
        max_per_day: MAX_CARDS_PER_DAY,
    })
}

/// The card that a new user publishes, if there is one.
///
/// # Errors
/// As for [`checked`].
pub(crate) fn first<'a>(
    services: &Services,
    new: &'a Register,
) -> Result<Option<NewCard<'a>>, Error> {
    let user = UserId::of(&new.email);
    let card = new.card.as_ref();
    card.map(|card| checked(services, user, &new.publickey, card))
        .transpose()
}

/// The error for a card that was not published.
///
/// # Errors
/// `StaleCard`; `BadRequest`: it does not follow the newest one; `UsedUp`; `UserNotFound`.
pub(super) fn published(published: Published) -> Result<(), Error> {
    match published {
        Published::New | Published::Known => Ok(()),
        Published::Stale(newest) => Err(Error::StaleCard(newest)),
        Published::Invalid(invalid) => Err(not_valid(&invalid)),
        Published::TooMany(wait) => Err(Error::UsedUp(
            format!("You can publish at most {MAX_CARDS_PER_DAY} cards in 24 hours."),
            wait,
        )),
        Published::NoUser => Err(Error::UserNotFound),
    }
}

fn not_valid(invalid: &Invalid) -> Error {
    Error::BadRequest(format!("card is not valid: {invalid}."))
}

/// The keys of users, with the cards after those that the caller has; and `true` if there are more.
/// Users whom the caller may not see are missing.
pub(crate) async fn seen(
    call: &Call<'_>,
    users: &BTreeSet<UserId>,
    after: &BTreeMap<UserId, u32>,
) -> Result<(Vec<KeysRow>, bool), Error> {
    let users: Vec<(UserId, i64)> = users
        .iter()
        .map(|user| (*user, after.get(user).copied().map_or(0, i64::from)))
        .collect();
    Ok(store::card::seen_by(&call.services.db, call.user, &users, MAX_CARDS).await?)
}

/// A part of the key log.
#[derive(Debug)]
pub(crate) struct LogPage {
    /// The signed head of the whole log.
    pub head: SignedLogHead,
    /// The entries, concatenated.
    pub entries: Vec<u8>,
    /// Whether there are more entries.
    pub has_more: bool,
}

/// The key log's head, and its entries after the first `after`.
pub(crate) async fn log(call: &Call<'_>, after: u32) -> Result<LogPage, Error> {
    let limit = i64::try_from(MAX_LOG_ENTRIES).map_err(|error| Error::Internal(error.into()))?;
    let (tree, entries) = store::key_log::page(&call.services.db, after, limit).await?;
    let identity = &call.services.identity;
    let head = LogHead::new(identity.id, &tree, call.now.whole_seconds())
        .map_err(|error| Error::Internal(error.into()))?;
    let sent = u64::from(after) + u64::try_from(entries.len() / LOG_ENTRY_LEN).unwrap_or(u64::MAX);
    Ok(LogPage {
        has_more: sent < tree.size(),
        head: identity.sign(head)?,
        entries,
    })
}
