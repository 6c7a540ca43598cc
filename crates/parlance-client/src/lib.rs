//! A client of the Ozeki Chat API, as Parlance serves it to version 4 clients.
//!
//! # A tour
//!
//! [`Server`] is a server's address. [`Server::register`] creates a user. [`Server::login`] returns a
//! [`Session`]: a user at a station (a device), who signs every call. [`Session::add`] sends a
//! message, and [`Feed`] reports changes: it keeps a socket open, reconnects when that breaks, and
//! downloads everything that it missed.
//!
//! ```no_run
//! use parlance_client::{Feed, Server, StationId, Update, message};
//!
//! # async fn run() -> Result<(), parlance_client::Error> {
//! let server = Server::new("https://chat.example.org/")?;
//! // Stored by the client: one id for each installation.
//! let station = StationId::random();
//! let session = server.login("ann@example.org", "a long password", station).await?;
//!
//! for conversation in session.list().await? {
//!     println!("{} {}", conversation.id, conversation.displayname);
//! }
//!
//! let mut feed = Feed::open(session).await?;
//! loop {
//!     if let Update::Message { conversation, message, .. } = feed.next().await? {
//!         println!("{conversation}: {}", message.data.as_str());
//!     }
//! }
//! # }
//! ```
//!
//! | module | |
//! | --- | --- |
//! | [`keys`] | a user's key pair, and keys derived from a password |
//! | [`e2ee`] | end-to-end encryption: cards, epochs, messages, the vault, the key log |
//! | [`signing`] | identities, and signed requests for another transport |
//! | [`Server`], [`Session`] | the calls, each with a typed answer |
//! | [`answer`] | the answers of the calls |
//! | [`History`] | the rows of one conversation: the cursor that misses nothing |
//! | [`Feed`] | the changes in all conversations |
//! | `Unlocked` | an account with a vault, which a password or a recovery key opens |
//! | [`Device`] | an encrypted conversation, with keys and state in a file: for services and bots |
//! | [`Socket`] | the socket below the feed, for clients that keep their own rows |
//!
//! # Encryption
//!
//! To the calls, a message's [`Data`], a conversation's secret and its name are opaque text. [`e2ee`]
//! encrypts and decrypts them, and checks everything that a server could have changed (docs/e2ee.md).
//!
//! # Retries
//!
//! A call that the server cannot answer now (429, 503), or whose answer is lost, is repeated after a
//! pause if that does no harm. For example, a message is stored only once however often it is sent,
//! because its id is its idempotency key. See [`Retry`].
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(feature = "e2ee")]
pub mod e2ee;
pub mod keys;
pub mod signing;

#[cfg(feature = "http")]
pub mod answer;
#[cfg(feature = "http")]
mod call;
#[cfg(feature = "http")]
mod device;
#[cfg(feature = "http")]
mod error;
#[cfg(feature = "http")]
mod feed;
#[cfg(feature = "http")]
mod history;
#[cfg(feature = "http")]
mod retry;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod session;
#[cfg(feature = "http")]
mod socket;
#[cfg(all(feature = "http", feature = "password"))]
mod unlocked;

pub use parlance_wire::{
    id::{ConversationId, CredentialId, FileId, MessageId, ReportId, StationId, UserId},
    text::{Color, Data, DisplayName, Instance, Secret},
    time::Timestamp,
    word::{Availability, ChosenAvailability, ReportType, Role, UserRole},
};

#[cfg(all(feature = "http", feature = "password"))]
pub use self::unlocked::{Unlock, Unlocked};
#[cfg(feature = "http")]
pub use self::{
    device::Device,
    error::{Error, ErrorCode, Refusal},
    feed::{Feed, Update},
    history::{Appended, History},
    retry::Retry,
    server::{NewUser, Server},
    session::{
        Draft, Invited, Met, NewMessage, NextEpoch, Reader, Received, Session, ShownName, Upload,
        message,
    },
    socket::{Socket, SocketEnd},
};
