//! The announcement of an epoch: its secret's commitment, its creator, and its participants. Signed
//! by the creator.

mod epoch;
mod head;

pub use self::{
    epoch::{Commitment, Epoch, commitment},
    head::Head,
};

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    AnnouncementHash, Card, Invalid, RosterHash, Signature, canonical, encoding::or_empty, label,
    sha256,
};
use crate::{
    id::{ConversationId, UserId},
    request::conversationgroup::MAX_PARTICIPANTS,
};

/// Maximum size of an announcement: three lists of all participants with 35 bytes per user, and the
/// fixed part.
// 35: an id has 32 hex digits, two quotes and a comma.
const MAX_ANNOUNCEMENT: usize = 3 * 35 * MAX_PARTICIPANTS + 1024;

/// An epoch's announcement. In JSON it is a string with the canonical text.
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

/// The contents of an announcement that the creator of an epoch chooses.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The hash over all participants of the epoch, with their keys.
    pub roster: RosterHash,
    /// The admins; empty in a direct conversation.
    pub admins: BTreeSet<UserId>,
    /// Participants who join with this epoch; in the first epoch, all of them.
    pub added: BTreeSet<UserId>,
    /// Participants who leave with this epoch.
    pub removed: BTreeSet<UserId>,
    /// The commitment to the new secret.
    pub commit: Commitment,
    /// The user who announces the epoch and signs the announcement.
    pub by: UserId,
    /// The newest message that the creator saw.
    pub head: Head,
}

impl Announcement {
    /// The first epoch of a conversation. The id of a new group is chosen by its creator.
    ///
    /// # Errors
    /// `Lists`: a removed user never took part, or there are too many.
    pub fn first(conversation: ConversationId, changes: Changes) -> Result<Self, Invalid> {
        Self::new(conversation, Epoch::FIRST, None, changes)
    }

    /// The epoch after this one.
    ///
    /// # Errors
    /// `Lists`, as for [`first`](Self::first); `Order`: there are no more numbers.
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

    /// Parses an announcement. Its lists are sorted by the ids in hex.
    ///
    /// # Errors
    /// `TooLong`, `Json`, `Number`, `NotCanonical`, `Version`; `Order`: the first has no
    /// predecessor, every other one has; `Lists`: a user is both added and removed, or both removed
    /// and an admin, or a list is too long.
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
        // Only what an announcement shows by itself. Whether its changes match the previous
        // participants can be checked only with the previous announcement.
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

    /// The hash that the next announcement, and each message of the epoch, refers to.
    #[must_use]
    pub fn hash(&self) -> AnnouncementHash {
        AnnouncementHash::from_bytes(sha256(&[self.text.as_bytes()]))
    }

    /// The text that is signed.
    #[must_use]
    pub fn signed_text(&self) -> Vec<u8> {
        [label::EPOCH.as_bytes(), self.text.as_bytes()].concat()
    }

    /// The conversation to which it belongs.
    #[must_use]
    pub fn conversation(&self) -> ConversationId {
        self.fields.conversation
    }

    /// Its number, one more than that of the epoch before.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.fields.epoch
    }

    /// The hash of the previous announcement.
    #[must_use]
    pub fn prev(&self) -> Option<AnnouncementHash> {
        self.fields.prev
    }

    /// The hash over the participants and their keys.
    #[must_use]
    pub fn roster(&self) -> RosterHash {
        self.fields.roster
    }

    /// The admins from this epoch on, who may add people; empty in a direct conversation.
    #[must_use]
    pub fn admins(&self) -> &BTreeSet<UserId> {
        &self.fields.admins
    }

    /// Participants who join with this epoch; in the first epoch, all of them.
    #[must_use]
    pub fn added(&self) -> &BTreeSet<UserId> {
        &self.fields.added
    }

    /// Participants who leave with this epoch.
    #[must_use]
    pub fn removed(&self) -> &BTreeSet<UserId> {
        &self.fields.removed
    }

    /// The commitment to the secret.
    #[must_use]
    pub fn commit(&self) -> Commitment {
        self.fields.commit
    }

    /// The user who announced it.
    #[must_use]
    pub fn by(&self) -> UserId {
        self.fields.by
    }

    /// The newest message that the creator saw.
    #[must_use]
    pub fn head(&self) -> Head {
        self.fields.head
    }

    /// Returns `true` if it follows `before`: the same conversation, the next number, and the right
    /// hash.
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

/// An announcement with its creator's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct SignedAnnouncement {
    /// The announcement that was signed.
    pub announcement: Announcement,
    /// The signature by the creator's signing key.
    pub signature: Signature,
}

impl SignedAnnouncement {
    /// Checks the signature. `card` is the creator's, either the newest or the one at that time.
    ///
    /// # Errors
    /// `Author`: the card is another user's. `Signature`.
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
