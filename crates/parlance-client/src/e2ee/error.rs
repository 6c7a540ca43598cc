//! What can be wrong with what a server hands out, or with what a client is about to send.

use parlance_wire::{
    e2ee::{Epoch, Invalid},
    id::UserId,
};
use thiserror::Error;

use crate::keys::KeyError;

/// Why something was refused. Except for the last group, each means that a server, or someone who controls what it
/// stores, or a participant did not follow docs/e2ee.md.
#[derive(Debug, Error)]
pub enum Error {
    /// A card, an announcement, a name, a vault or a body is not of the documented form.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A message, a name or a vault is not of the documented form.
    #[error("not of the documented form: {0}")]
    Malformed(&'static str),

    // Messages and names.
    /// It is not of version 4's form: readable perhaps, but nobody has signed it.
    #[error("it is not signed")]
    NotSigned,
    /// It is encrypted with another secret than this one.
    #[error("it is encrypted with another secret")]
    OtherSecret,
    /// It is not what was written under this conversation, instance, id, user, station and type: the content is damaged,
    /// or the row is another one's.
    #[error("it is damaged, or was written under other ids")]
    Relabelled,
    /// None of the sender's cards signed it.
    #[error("the sender did not sign it")]
    WrongSigner,
    /// No card of this user is known.
    #[error("no card of {0} is known")]
    UnknownSigner(UserId),
    /// Its writer had seen another transcript: the two were shown different messages.
    #[error("its writer was shown other messages")]
    DifferentTranscript,
    /// Messages of this station, before this one, are missing.
    #[error("messages of this station are missing: {expected} was expected, {found} is here")]
    MissingMessages {
        /// The number after the last one that was read.
        expected: u64,
        /// This message's number.
        found: u64,
    },
    /// A message of this station had this number already: the number was used twice, or the message was moved.
    #[error("the number {0} of this station was used before")]
    RepeatedNumber(u64),
    /// Its writer had seen another announcement of its epoch.
    #[error("its writer was shown another announcement of epoch {0}")]
    DifferentEpoch(Epoch),
    /// Its writer had seen another key log of that size.
    #[error("its writer was shown another key log")]
    DifferentLog,

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
    /// The user has a new identity, and nobody has looked at it yet: nothing is sent to them.
    #[error("{0} has a new identity, which has to be accepted first")]
    NewIdentity(UserId),

    // Epochs.
    /// It was announced before: the server goes back.
    #[error("epoch {0} is past")]
    OldEpoch(Epoch),
    /// Announcements before this one are missing.
    #[error("epochs before {0} are missing")]
    SkippedEpoch(Epoch),
    /// It does not follow the announcement that is known: there are two histories.
    #[error("epoch {0} does not follow what was announced before")]
    ForkedEpoch(Epoch),
    /// Its maker did not take part.
    #[error("{0} did not take part, and cannot announce an epoch")]
    NotAMember(UserId),
    /// Its maker was no admin, and added someone, or changed who is.
    #[error("{0} is no admin")]
    NotAnAdmin(UserId),
    /// It adds who is there, or removes who is not, or leaves nobody in charge.
    #[error("the changes do not fit who took part")]
    WrongChanges,
    /// The roster is not the one that the changes make, with the keys that are known.
    #[error("the roster is not the one that is known")]
    WrongRoster,
    /// The secret is not the one that was committed to.
    #[error("the secret is not the one that was announced")]
    WrongSecret,
    /// The server lists other participants than the roster has: nothing is sent.
    #[error(
        "the server lists others than the roster: {unexpected:?} unexpected, {missing:?} missing"
    )]
    DifferentParticipants {
        /// Who is listed, and not in the roster.
        unexpected: Vec<UserId>,
        /// Who is in the roster, and not listed.
        missing: Vec<UserId>,
    },

    // The key log.
    /// The server's key is not the one that is pinned.
    #[error("the server signs with another key")]
    OtherServerKey,
    /// The log has fewer entries than it had.
    #[error("the key log has shrunk")]
    LogShrank,
    /// The log is another one than before.
    #[error("the key log is not the one that was shown before")]
    LogForked,
    /// The log has a card in the user's own name that is not theirs.
    #[error("the key log has card {0} in this user's name, which is not theirs")]
    NotMyCard(u64),
    /// The log numbers a user's cards out of order.
    #[error("the key log numbers a user's cards out of order")]
    LogOrder,

    // The vault.
    /// The password, or the recovery key, is another one.
    #[error("another password or recovery key")]
    WrongPassword,
    /// The vault is older than one that was seen.
    #[error("the vault has version {found}, and {seen} was seen before")]
    OldVault {
        /// The version that the server handed out.
        found: u64,
        /// The highest version seen.
        seen: u64,
    },
    /// What is to be kept does not fit.
    #[error("too long")]
    TooLong,

    // Faults of the machine.
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A primitive failed that does not fail on any input.
    #[error("a cryptographic operation failed")]
    Crypto,
    /// The store's file could not be read or written.
    #[error("the store cannot be read or written")]
    Store(#[from] std::io::Error),
    /// The store's file is not one.
    #[error("the store is damaged")]
    DamagedStore(#[source] serde_json::Error),
}
