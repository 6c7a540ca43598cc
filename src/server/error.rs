//! The reasons why a server does not start, each with a sentence for the operator.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use parlance_client::keys::KeyError;
use rustls::pki_types::pem;

pub use crate::notify::bus::CredentialsError;
use crate::store::{self, MigrationError, embedded};

/// The reasons why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no database.
    #[error(transparent)]
    Database(#[from] embedded::Error),
    /// The database cannot be brought to this release's schema.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] store::error::Error),
    /// The server's id and key cannot be read.
    #[error("the server's identity cannot be read")]
    Identity(#[source] Box<dyn Error + Send + Sync>),
    /// An address is in use, or not this machine's.
    #[error("{address} cannot be listened on")]
    Listen {
        /// `LISTEN_ADDR` or `METRICS_ADDR`.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The HTTP server cannot be set up.
    #[error("the server cannot be set up")]
    Http(#[source] io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What logs in to NATS cannot be used.
    #[error(transparent)]
    Nats(#[from] CredentialsError),
    /// Pushes are on, and no push service can be trusted.
    #[error(
        "PUSH_CONTACT is set, but this system has no certificates to trust: install ca-certificates"
    )]
    NothingToTrust,
    /// The TLS library refuses its own defaults, or a certificate that settings name.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The key that stands in for those of absent users is not one.
    #[error("{0}")]
    StandIn(&'static str),
}

/// The reasons why a certificate cannot be used. The one before, if any, stays in use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{setting} {}", .path.display())]
    File {
        /// `TLS_CERT` or `TLS_KEY`.
        setting: &'static str,
        /// The file's path.
        path: PathBuf,
        /// The reason why it cannot be used.
        #[source]
        source: pem::Error,
    },
    /// The two files do not fit together.
    #[error("TLS_CERT and TLS_KEY")]
    Pair(#[source] rustls::Error),
}

/// The reasons why there is no link for the first user.
#[derive(Debug, thiserror::Error)]
pub enum FirstLinkError {
    /// The system has no random numbers.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::error::Error),
}
