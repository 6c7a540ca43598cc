//! Why a command failed: one sentence for a person, and its causes.

use std::{io, process::ExitStatus};

use parlance_client::keys::KeyError;
use parlance_wire::id::{ConversationId, InviteId};
use tokio::task::JoinError;

use super::{backup, env_file, program};
use crate::{
    settings,
    store::{self, embedded},
    telemetry,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// The file `.env` is wrong.
    #[error(transparent)]
    EnvFile(#[from] env_file::Error),
    /// `RUST_LOG` is wrong.
    #[error(transparent)]
    Log(#[from] telemetry::Error),
    /// There is no database.
    #[error(transparent)]
    Database(#[from] embedded::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::error::Error),
    /// The database failed, on a connection of the command's own.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A program of PostgreSQL's could not be run.
    #[error(transparent)]
    Program(#[from] program::Error),
    /// There is no backup, or it is not what it was.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// The message of a layer below that has no type for it.
    #[error("{0}")]
    Message(String),
    /// Not an e-mail address.
    #[error("{0:?} is not an e-mail address")]
    NotAnEmail(String),
    /// A name that is too long, or has control characters.
    #[error("{option} must be {must_be}")]
    WrongName {
        /// `--name` or `--nick`.
        option: &'static str,
        /// The required form.
        must_be: &'static str,
    },
    /// Neither an e-mail address nor a user's id.
    #[error("{0:?} is neither an e-mail address nor a user id of 32 hexadecimal digits")]
    NotAUser(String),
    /// There is no such invitation, or it was revoked before.
    #[error("there is no invitation {0} that was not revoked")]
    NoSuchInvite(InviteId),
    /// The invitation is not good for this address.
    #[error("this invitation is not valid for this address, or was used already")]
    NotInvited,
    /// There is no such conversation.
    #[error("there is no conversation {0}")]
    NoSuchConversation(ConversationId),
    /// The user has no such key.
    #[error("{name} has no key {key}")]
    NoSuchKey {
        /// Whose it would be.
        name: String,
        /// Its id.
        key: String,
    },
    /// The user has no such station, or none at all.
    #[error("{0} has no such station")]
    NoSuchStation(String),
    /// Something cannot be undone, and was not confirmed.
    #[error("this cannot be undone: say --yes to do it")]
    NotConfirmed,
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The audit log is not what was written.
    #[error("the audit log is not what was written: {0}")]
    AuditBroken(String),
    /// There is no such user.
    #[error("there is no user {0}")]
    NoSuchUser(String),
    /// The user exists.
    #[error("{0} exists already")]
    UserExists(String),
    /// The password is too short.
    #[error("a password must have at least {0} characters")]
    PasswordTooShort(usize),
    /// The password was typed in two ways.
    #[error("the two passwords differ")]
    PasswordsDiffer,
    /// There is no terminal.
    #[error("there is no terminal to ask for the password; use --password-stdin")]
    NoTerminal,
    /// The terminal, or standard input, failed.
    #[error("standard input cannot be read")]
    Input(#[source] io::Error),
    /// Standard output failed.
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
    /// The lifetime of an invitation is too long.
    #[error("--expires must be less than a few million years")]
    ExpiresTooLate(#[from] chrono::OutOfRangeError),
    /// `psql` failed.
    #[error("psql ended with {0}")]
    Psql(ExitStatus),
    /// The doctor found something.
    #[error("{broken} of {rules} rules do not hold")]
    Unhealthy {
        /// Rules that do not hold.
        broken: usize,
        /// All rules.
        rules: usize,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// A signal ended it.
    #[error("interrupted")]
    Interrupted,
    /// A background task panicked.
    #[error("a background task failed")]
    Task(#[from] JoinError),
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl Error {
    /// The error and its causes, in one line.
    #[must_use]
    pub fn with_causes(&self) -> String {
        telemetry::with_causes(self)
    }
}
