//! End-to-end encryption (docs/e2ee.md): the client's side, with its checks of everything from the
//! server.
//!
//! | for | see |
//! | --- | --- |
//! | keys and cards | [`SigningKey`], [`first_card`], [`next_card`], [`Pins`] |
//! | epochs | [`first_epoch`], [`Epochs`], [`EpochSecret`] |
//! | messages and names | [`seal`], [`Sealed`], [`Body`], [`Reading`] |
//! | comparing keys | [`safety_number`], [`Code`], [`Invitation`] |
//! | files | [`file::Sealer`], [`file::Opener`] |
//! | what a conversation shows | [`timeline::Timeline`] |
//! | passwords, and recovery | [`Vault`], [`Root`], [`RecoveryKey`] |
//! | the key log | [`KeyLog`] |
//! | state between two starts | [`State`] |
//!
//! Nothing here calls a server. All input may be a server's lie and is checked; [`Error`] lists what
//! can be wrong.

mod body;
mod cipher;
mod epochs;
mod error;
pub mod file;
mod invitation;
mod keys;
mod log;
mod message;
mod number;
#[cfg(feature = "password")]
mod password;
mod pins;
pub(crate) mod private_file;
mod reading;
mod recovery;
mod secret;
mod state;
#[cfg(test)]
mod tests;
pub mod timeline;
mod vault;
#[cfg(all(test, feature = "password"))]
mod vectors;

pub use parlance_wire::e2ee::{
    Announcement, AnnouncementHash, Card, CardHash, CardSignatures, Epoch, Head, Invalid, LogRoot,
    MemberKey, ServerId, SignKey, Signature, SignedAnnouncement, SignedCard, SignedLogHead,
};

#[cfg(feature = "http")]
pub(crate) use self::keys::public_key;
#[cfg(feature = "password")]
pub use self::password::Kdf;
pub use self::{
    body::{Body, Content, FileReference, Kind, LogMark, MAX_BODY, Reply, WireType},
    epochs::{Epochs, Maker, Members, NewEpoch, check_older, first_epoch, open_secret},
    error::Error,
    invitation::Invitation,
    keys::{SigningKey, first_card, next_card},
    log::{KeyLog, OwnCards},
    message::{Envelope, Name, Opened, Sealed, open_published, seal, seal_name},
    number::{Code, safety_number},
    pins::{Mark, Offer, Pin, Pins},
    reading::{Reading, View},
    recovery::RecoveryKey,
    secret::{EpochSecret, Kid},
    state::State,
    vault::{Contents, Master, Owner, Root, Slot, Vault, VaultPin},
};
