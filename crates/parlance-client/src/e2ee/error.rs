//! Errors in data from a server, or in what a client is about to send.

use parlance_wire::{
    e2ee::{Epoch, Invalid},
    id::{MessageId, UserId},
};
use thiserror::Error;

use crate::keys::KeyError;

/// The reasons for a refusal. Except in the last group, each means that a server, somebody who
/// controls its database, or a participant did not follow docs/e2ee.md.
#[derive(Debug, Error)]
pub enum Error {
    /// A card, an announcement, a name, a vault or a body is not of the documented form.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A message, a name or a vault is not of the documented form.
    #[error("not of the documented form: {0}")]
    Malformed(&'static str),

    // Messages and names.
    /// It is not of version 4's form: perhaps readable, but not signed.
    #[error("it is not signed")]
    NotSigned,
    /// It is encrypted with another secret.
    #[error("it is encrypted with another secret")]
    OtherSecret,
    /// It was not written under this conversation, instance, id, user, station and type: the
    /// content is damaged, or belongs to another row.
    #[error("it is damaged, or was written under other ids")]
    Relabelled,
    /// None of the sender's cards signed it.
    #[error("the sender did not sign it")]
    WrongSigner,
    /// No card of this user is known.
    #[error("no card of {0} is known")]
    UnknownSigner(UserId),
    /// Its writer had seen another transcript: the two were shown different messages. Or those of a
    /// conversation are not those that were shown before.
    #[error("other messages were shown before, or to its writer")]
    DifferentTranscript,
    /// Earlier messages of this station are missing.
    #[error("messages of this station are missing: {expected} was expected, {found} is here")]
    MissingMessages {
        /// The next expected number.
        expected: u64,
        /// This message's number.
        found: u64,
    },
    /// A message of this station had this number already: the number was used twice, or the message was moved.
    #[error("the number {0} of this station was used before")]
    RepeatedNumber(u64),
    /// The newest message from here, which the server had stored, is not in the transcript any more.
    #[error("message {0}, which the server had stored, is missing")]
    LostMessage(MessageId),
    /// A message in the transcript is not what was written, or one before it is missing.
    #[error("message {0} of the transcript is not what was written, or one before it is missing")]
    BrokenTranscript(i64),
    /// The reader has no secret of this epoch: it was before they joined, or is withheld.
    #[error("the secret of epoch {0} is missing")]
    NoSecret(Epoch),
    /// Its writer had seen another announcement of its epoch.
    #[error("its writer was shown another announcement of epoch {0}")]
    DifferentEpoch(Epoch),
    /// Its writer had seen another key log of that size.
    #[error("its writer was shown another key log")]
    DifferentLog,

    // Files.
    /// A record is damaged, missing, or in another's place, or is of another file.
    #[error("the file is damaged")]
    DamagedFile,
    /// The records are not those that the sender uploaded.
    #[error("it is another file than the sender's")]
    DifferentFile,

    // Cards.
    /// The server offers an older card than the one that is pinned.
    #[error("the card is older than the one that is pinned")]
    OlderCard,
    /// The server offers another card of the same number.
    #[error("another card of this number is pinned")]
    DifferentCard,
    /// Cards are missing between the pinned one and the one that is offered.
    #[error("cards between the pinned one and this one are missing")]
    SkippedCard,
    /// The card is of another server, or of another user.
    #[error("the card belongs to another user or server")]
    ForeignCard,
    /// The card is not the newest one that the key log has of this user.
    #[error("the card is not the newest in the key log")]
    NotLogged,
    /// The user has a new identity that was not accepted yet: nothing is sent to them.
    #[error("{0} has a new identity, which has to be accepted first")]
    NewIdentity(UserId),

    // Epochs.
    /// It was announced before: the server goes back in time.
    #[error("epoch {0} is past")]
    OldEpoch(Epoch),
    /// Announcements before this one are missing.
    #[error("epochs before {0} are missing")]
    SkippedEpoch(Epoch),
    /// It does not follow the known announcement: there are two histories.
    #[error("epoch {0} does not follow what was announced before")]
    ForkedEpoch(Epoch),
    /// Its creator did not take part.
    #[error("{0} did not take part, and cannot announce an epoch")]
    NotAMember(UserId),
    /// Its creator was not an admin, but added someone or changed the admins.
    #[error("{0} is no admin")]
    NotAnAdmin(UserId),
    /// It adds a participant, or removes someone else, or leaves no admin.
    #[error("the changes do not match the previous members")]
    WrongChanges,
    /// The roster does not result from the changes, with the known keys.
    #[error("the roster is not the one that is known")]
    WrongRoster,
    /// The secret does not match its commitment.
    #[error("the secret is not the one that was announced")]
    WrongSecret,
    /// The server lists other participants than the roster: nothing is sent.
    #[error(
        "the server lists others than the roster: {unexpected:?} unexpected, {missing:?} missing"
    )]
    DifferentParticipants {
        /// Users who are listed, but not in the roster.
        unexpected: Vec<UserId>,
        /// Users in the roster who are not listed.
        missing: Vec<UserId>,
    },

    // The key log.
    /// The server's key is not the one that is pinned.
    #[error("the server signs with another key")]
    OtherServerKey,
    /// The log has fewer entries than it had.
    #[error("the key log has shrunk")]
    LogShrank,
    /// The log is not a continuation of the known one.
    #[error("the key log is not the one that was shown before")]
    LogForked,
    /// The log has a card in the user's own name that is not theirs.
    #[error("the key log has card {0} in this user's name, which is not theirs")]
    NotMyCard(u64),
    /// The log numbers a user's cards out of order.
    #[error("the key log numbers a user's cards out of order")]
    LogOrder,

    // The vault.
    /// The password, or the recovery key, is wrong.
    #[error("wrong password or recovery key")]
    WrongPassword,
    /// The vault is older than one that was seen before.
    #[error("the vault has version {found}, and {seen} was seen before")]
    OldVault {
        /// The version that the server handed out.
        found: u64,
        /// The highest version seen.
        seen: u64,
    },
    /// The data to store is too large.
    #[error("too long")]
    TooLong,

    // Faults of the machine.
    /// A key could not be generated or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A primitive failed that should not fail on any input.
    #[error("a cryptographic operation failed")]
    Crypto,
    /// The state file could not be read or written.
    #[error("the store cannot be read or written")]
    Store(#[from] std::io::Error),
    /// Others can read the file with the keys.
    #[error("the store is readable by other users")]
    OpenStore,
    /// The state file is damaged.
    #[error("the store is damaged")]
    DamagedStore(#[source] serde_json::Error),
}

impl Error {
    /// Whether a server whose database was restored from an older backup looks like this. One that
    /// hides what it had does, too, so only its operator can say which it is.
    #[must_use]
    pub fn may_be_restored(&self) -> bool {
        matches!(
            self,
            Self::LogShrank
                | Self::LogForked
                | Self::OldEpoch(_)
                | Self::ForkedEpoch(_)
                | Self::DifferentTranscript
                | Self::LostMessage(_)
        )
    }
}
