//! The announcement of an epoch: which secret, made by whom, for whom. Its maker signs it.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    AnnouncementHash, Card, Invalid, RosterHash, Signature, canonical, encoding::or_empty,
    hash::hash, label, sha256,
};
use crate::{
    chain::Chain,
    id::{ConversationId, UserId},
    request::conversationgroup::MAX_PARTICIPANTS,
};

/// Maximum bytes of an announcement: three lists of everybody, 35 characters for each user, and what is fixed.
const MAX_ANNOUNCEMENT: usize = 3 * 35 * MAX_PARTICIPANTS + 1024;

/// The number of an epoch of a conversation: the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Epoch(u32);

impl Epoch {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// The epoch of this number. `None`: there is no epoch 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The one after it. `None`: there is none.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl TryFrom<u32> for Epoch {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("expected an epoch, a whole number from 1")
    }
}

impl From<Epoch> for u32 {
    fn from(epoch: Epoch) -> Self {
        epoch.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

hash!(
    /// What an announcement says of its secret: only one secret fits, and it tells nothing of it.
    Commitment
);

/// The commitment to a secret.
#[must_use]
pub fn commitment(secret: &[u8; 32]) -> Commitment {
    Commitment::from_bytes(sha256(&[label::SECRET.as_bytes(), secret]))
}

/// How far its writer has seen the transcript: the newest message's number and hash (docs/transcript.md). Where there is
/// no message yet, the number is 0, and the hash is the chain's beginning; of a conversation that is about to be created,
/// whose instance nobody knows, it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest message's number.
    pub seq: i64,
    /// The hash over all messages up to it.
    pub chain: Option<Chain>,
}

#[derive(Serialize, Deserialize)]
struct HeadPair(i64, #[serde(with = "or_empty")] Option<Chain>);

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        HeadPair(self.seq, self.chain).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let HeadPair(seq, chain) = HeadPair::deserialize(from)?;
        if seq < 0 || (seq > 0 && chain.is_none()) {
            return Err(de::Error::custom("expected a number and its chain"));
        }
        Ok(Self { seq, chain })
    }
}

/// An epoch: its secret, and for whom it is. In JSON it is a string, its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    text: String,
    fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fields {
    v: u32,
    conversation: ConversationId,
    epoch: Epoch,
    #[serde(with = "or_empty")]
    prev: Option<AnnouncementHash>,
    roster: RosterHash,
    admins: BTreeSet<UserId>,
    added: BTreeSet<UserId>,
    removed: BTreeSet<UserId>,
    commit: Commitment,
    by: UserId,
    head: Head,
}

/// What an epoch is for, and what it changes.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The hash over all who take part from now on, with their keys.
    pub roster: RosterHash,
    /// The admins from now on; empty in a direct conversation.
    pub admins: BTreeSet<UserId>,
    /// Who takes part since this epoch. In the first epoch: everyone.
    pub added: BTreeSet<UserId>,
    /// Who did before, and no more.
    pub removed: BTreeSet<UserId>,
    /// The new secret.
    pub commit: Commitment,
    /// Who made it.
    pub by: UserId,
    /// The newest message that they saw.
    pub head: Head,
}

impl Announcement {
    /// The first epoch of a conversation. A new group's id is chosen by who makes it.
    ///
    /// # Errors
    /// `Lists`: someone is removed who was never there, or there are too many.
    pub fn first(conversation: ConversationId, changes: Changes) -> Result<Self, Invalid> {
        Self::new(conversation, Epoch::FIRST, None, changes)
    }

    /// The epoch after this one.
    ///
    /// # Errors
    /// `Lists`, as [`first`](Self::first); `Order`: there are no more numbers.
    pub fn next(&self, changes: Changes) -> Result<Self, Invalid> {
        let epoch = self.fields.epoch.next().ok_or(Invalid::Order)?;
        Self::new(self.fields.conversation, epoch, Some(self.hash()), changes)
    }

    fn new(
        conversation: ConversationId,
        epoch: Epoch,
        prev: Option<AnnouncementHash>,
        changes: Changes,
    ) -> Result<Self, Invalid> {
        let fields = Fields {
            v: 1,
            conversation,
            epoch,
            prev,
            roster: changes.roster,
            admins: changes.admins,
            added: changes.added,
            removed: changes.removed,
            commit: changes.commit,
            by: changes.by,
            head: changes.head,
        };
        Self::checked(canonical::write(&fields)?, fields)
    }

    /// Reads an announcement's text. Its lists are sorted, as ids in hex are.
    ///
    /// # Errors
    /// `TooLong`, `Json`, `Number`, `NotCanonical`, `Version`; `Order`: the first has no predecessor, every other one
    /// has; `Lists`: someone is both added and removed, or is removed and an admin, or a list is too long.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::checked(text.to_owned(), canonical::read(text, MAX_ANNOUNCEMENT)?)
    }

    fn checked(text: String, fields: Fields) -> Result<Self, Invalid> {
        if fields.v != 1 {
            return Err(Invalid::Version(fields.v));
        }
        if (fields.epoch == Epoch::FIRST) != fields.prev.is_none() {
            return Err(Invalid::Order);
        }
        let is_first = fields.prev.is_none();
        let lists = [&fields.admins, &fields.added, &fields.removed];
        let contradicts = lists.iter().any(|list| list.len() > MAX_PARTICIPANTS)
            || !fields.removed.is_disjoint(&fields.added)
            || !fields.removed.is_disjoint(&fields.admins)
            || (is_first && !(fields.removed.is_empty() && fields.added.contains(&fields.by)))
            || (is_first && !fields.admins.is_subset(&fields.added));
        if contradicts {
            return Err(Invalid::Lists);
        }
        Ok(Self { text, fields })
    }

    /// Its canonical JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the next one names as its predecessor, and each message as its epoch.
    #[must_use]
    pub fn hash(&self) -> AnnouncementHash {
        AnnouncementHash::from_bytes(sha256(&[self.text.as_bytes()]))
    }

    /// What is signed.
    #[must_use]
    pub fn signed_text(&self) -> Vec<u8> {
        [label::EPOCH.as_bytes(), self.text.as_bytes()].concat()
    }

    /// The conversation.
    #[must_use]
    pub fn conversation(&self) -> ConversationId {
        self.fields.conversation
    }

    /// Its number.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.fields.epoch
    }

    /// The announcement of the epoch before.
    #[must_use]
    pub fn prev(&self) -> Option<AnnouncementHash> {
        self.fields.prev
    }

    /// The hash over who takes part, with their keys.
    #[must_use]
    pub fn roster(&self) -> RosterHash {
        self.fields.roster
    }

    /// The admins.
    #[must_use]
    pub fn admins(&self) -> &BTreeSet<UserId> {
        &self.fields.admins
    }

    /// Who takes part since this epoch; in the first, everyone.
    #[must_use]
    pub fn added(&self) -> &BTreeSet<UserId> {
        &self.fields.added
    }

    /// Who did before, and no more.
    #[must_use]
    pub fn removed(&self) -> &BTreeSet<UserId> {
        &self.fields.removed
    }

    /// What fits the secret only.
    #[must_use]
    pub fn commit(&self) -> Commitment {
        self.fields.commit
    }

    /// Who made it.
    #[must_use]
    pub fn by(&self) -> UserId {
        self.fields.by
    }

    /// The newest message that its maker saw.
    #[must_use]
    pub fn head(&self) -> Head {
        self.fields.head
    }

    /// Whether it follows that one: the next number of the same conversation, and its hash.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        self.fields.conversation == before.fields.conversation
            && before.fields.epoch.next() == Some(self.fields.epoch)
            && self.fields.prev == Some(before.hash())
    }
}

impl Serialize for Announcement {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Announcement {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text)
            .map_err(|error| de::Error::custom(format_args!("expected an announcement: {error}")))
    }
}

/// An announcement with its maker's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedAnnouncement {
    /// The announcement.
    pub announcement: Announcement,
    /// By the signing key of its maker.
    pub signature: Signature,
}

impl SignedAnnouncement {
    /// Checks the signature. `card` is one of its maker's, the newest or the one of that time.
    ///
    /// # Errors
    /// `Author`: it is another user's card. `Signature`.
    pub fn verify(&self, card: &Card) -> Result<(), Invalid> {
        if card.user() != self.announcement.by() {
            return Err(Invalid::Author);
        }
        let text = self.announcement.signed_text();
        if card.sign().verifies(&text, &self.signature) {
            Ok(())
        } else {
            Err(Invalid::Signature)
        }
    }
}
