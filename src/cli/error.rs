//! Errors of the command line: one sentence for a person, and its causes.

use std::{io, process::ExitStatus};

use parlance_client::{e2ee, keys::KeyError};
use parlance_wire::{
    id::{ConversationId, InviteId, MessageId},
    request::file::MAX_FILES,
};
use tokio::task::JoinError;

use super::{backup, env_file, program};
use crate::{
    server::{FirstLinkError, StartError},
    settings,
    store::{self, MigrationError, embedded},
    telemetry,
};

/// The reasons why a command fails.
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
    /// No database is available.
    #[error(transparent)]
    Database(#[from] embedded::Error),
    /// The database cannot be brought to this release's schema.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The server cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no link for the first user.
    #[error(transparent)]
    FirstLink(#[from] FirstLinkError),
    /// No Parlance has used the database that `DATABASE_URL` names.
    #[error(
        "no Parlance has used this database: check DATABASE_URL, or start the server on it first"
    )]
    NoTables,
    /// The tables are of an earlier release, and the command must not change them.
    #[error(
        "the database has the tables of an earlier version: run `parlance migrate` first, or use that version"
    )]
    OlderTables,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::error::Error),
    /// The database failed, on a connection that the command opened for itself.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A server refused a call, or could not be reached.
    #[error(transparent)]
    Client(#[from] parlance_client::Error),
    /// There is no home directory for the keys of services.
    #[error("there is no home directory; name one for the keys with --keys")]
    NoHome,
    /// Standard input is empty.
    #[error("there is no text on standard input")]
    NothingToSend,
    /// The apikey of a service is nowhere.
    #[error(
        "put the apikey of {service} into PARLANCE_APIKEY, or into {path}, readable by its owner alone"
    )]
    NoApikey {
        /// Its address.
        service: String,
        /// The file where it was looked for.
        path: String,
    },
    /// `PARLANCE_APIKEY` is no text.
    #[error("PARLANCE_APIKEY must be an apikey, as `parlance user apikey` prints it")]
    NotAnApikey,
    /// Others can read an apikey.
    #[error("others can read {0}; run chmod 600 on it")]
    OpenApikey(String),
    /// The person has not accepted the service yet.
    #[error(
        "{to} has not accepted {service} as a contact yet: a friend request was sent, if there is such a user"
    )]
    NotAFriend {
        /// Its address.
        service: String,
        /// Who has to accept.
        to: String,
    },
    /// The person has other keys than before.
    #[error(
        "the keys of {0} have changed; ask them whether that is so, and then pass --accept-new-keys"
    )]
    NewKeys(String),
    /// The server does not have what it had.
    #[error(
        "the server does not show what it has shown before ({0}); if its database was restored from a backup, pass --accept-restored"
    )]
    Lost(e2ee::Error),
    /// More files than one message has.
    #[error(
        "a message can have at most {} files; send the others with another message",
        MAX_FILES
    )]
    TooManyFiles,
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file's path.
        path: String,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The id names a message with another text or other files, or of somebody else.
    #[error("another message already has the id {0}; choose another one")]
    OtherMessage(MessageId),
    /// A PostgreSQL program (`psql`, `pg_dump`) could not be run.
    #[error(transparent)]
    Program(#[from] program::Error),
    /// A backup could not be taken, verified or restored.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// Another command moves files.
    #[error("another command is moving files already; wait until it has ended")]
    FilesAreMoved,
    /// Root would make a directory that the server cannot read.
    #[error(
        "create {0} first, owned by the user that the server runs as, and run this command as that user: the server could not read what root creates"
    )]
    DirectoryOfRoot(String),
    /// Bytes of files are missing or damaged.
    #[error(
        "{count} pieces of files stay where they were, because their bytes are missing or damaged, for example those of {example}; run `parlance doctor`"
    )]
    FilesUnreadable {
        /// How many pieces.
        count: u64,
        /// One of the files.
        example: String,
    },
    /// An error of `bench` or `selftest`, which have nothing but sentences: nobody handles them.
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
    /// There is no such invitation, or it is revoked already.
    #[error("there is no invitation {0}, or it is revoked already")]
    NoSuchInvite(InviteId),
    /// The invitation is not valid for this address.
    #[error("this invitation is not valid for this address, or was used already")]
    NotInvited,
    /// There is no such conversation.
    #[error("there is no conversation {0}")]
    NoSuchConversation(ConversationId),
    /// The user has no such key.
    #[error("{name} has no key {key}")]
    NoSuchKey {
        /// The user, as named in the command.
        name: String,
        /// The key's id.
        key: String,
    },
    /// The user has no such station, or no station at all.
    #[error("{0} has no such station")]
    NoSuchStation(String),
    /// `--yes` is missing for something that cannot be undone.
    #[error("this cannot be undone; pass --yes to confirm")]
    NotConfirmed,
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    File {
        /// The file's path.
        path: String,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The audit log was tampered with.
    #[error("the audit log was changed: {0}")]
    AuditBroken(String),
    /// There is no such user.
    #[error("there is no user {0}")]
    NoSuchUser(String),
    /// A user with this address exists.
    #[error("{0} exists already")]
    UserExists(String),
    /// The password is too short.
    #[error("a password must have at least {0} characters")]
    PasswordTooShort(usize),
    /// The password is one of the commonest.
    #[error(
        "this password is one of the 10,000 commonest, which attackers try first: choose another one"
    )]
    CommonPassword,
    /// The password was not repeated correctly.
    #[error("the two passwords differ")]
    PasswordsDiffer,
    /// Standard input is not a terminal.
    #[error("there is no terminal to ask for the password; use --password-stdin")]
    NoTerminal,
    /// Reading from the terminal or standard input failed.
    #[error("standard input cannot be read")]
    Input(#[source] io::Error),
    /// Writing to standard output failed.
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
    /// `psql` failed.
    #[error("psql ended with {0}")]
    Psql(ExitStatus),
    /// The doctor has findings.
    #[error("{broken} of {rules} rules are broken")]
    Unhealthy {
        /// Number of rules that are broken.
        broken: usize,
        /// Number of rules that were checked.
        rules: usize,
    },
    /// Signal handlers cannot be installed.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// A signal interrupted the command.
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
    /// The error and its causes in one line.
    #[must_use]
    pub fn with_causes(&self) -> String {
        telemetry::with_causes(self)
    }
}
