//! Errors of the embedded PostgreSQL, or of connecting to the operator's: one sentence each for a
//! person.

use std::{io, path::PathBuf, process::ExitStatus};

use tokio::task::JoinError;

/// The reasons why there is no database to work on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator's database cannot be reached.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// A pooler is in between.
    #[error(
        "DATABASE_URL leads to a pooler that drops the settings of sessions, such as PgBouncer: connect to PostgreSQL itself. Parlance shares its few connections (DATABASE_CONNECTIONS) among all users"
    )]
    Pooler,
    /// The database allows fewer connections than a server needs.
    #[error(
        "the database allows {limit} connection{} to this role, and a server needs at least 2: raise the limit of the role (alter role ... connection limit), of the database or of the server",
        if *.limit == 1 { "" } else { "s" }
    )]
    TooFewConnections {
        /// Number of connections that it allows.
        limit: u32,
    },
    /// There is no embedded database, and the command does not create one.
    #[error(
        "there is no database under {}: start the server there first, or name another directory in DATA_DIR, or a database in DATABASE_URL",
        .data_dir.display()
    )]
    NoDatabase {
        /// `DATA_DIR`.
        data_dir: PathBuf,
    },
    /// Another process holds the data directory.
    #[error(
        "another server, or a command, runs on {}; stop it first, or give this one another DATA_DIR",
        .data_dir.display()
    )]
    InUse {
        /// `DATA_DIR`.
        data_dir: PathBuf,
    },
    /// A server holds the data directory, but a command cannot connect to its database.
    #[error("a server holds {}, but its database does not answer", .data_dir.display())]
    NotAnswering {
        /// `DATA_DIR`.
        data_dir: PathBuf,
        /// The error of the last attempt to connect, if there was one.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// A file or a directory could not be used.
    #[error("{} cannot be {action}", .path.display())]
    File {
        /// What could not be used.
        path: PathBuf,
        /// The failed action: "created", "read".
        action: &'static str,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The data directory contains other files.
    #[error("{} contains something that is not PostgreSQL data; nothing was touched", .data.display())]
    NotACluster {
        /// The data directory.
        data: PathBuf,
    },
    /// The data and the programs are of different major versions.
    #[error(
        "the data was created by PostgreSQL {data}, and the programs are PostgreSQL {programs}: nothing was touched. Install PostgreSQL {data} (or set PG_BIN to its programs). To leave it: `parlance backup FILE` with PostgreSQL {data}, then `parlance restore FILE` with PostgreSQL {programs} and another DATA_DIR"
    )]
    OtherMajorVersion {
        /// The major version that created the data.
        data: String,
        /// The major version of the programs.
        programs: String,
    },
    /// `PG_BIN` is set to a directory without PostgreSQL's programs.
    #[error("PG_BIN is {}, but PostgreSQL's programs are not there", .dir.display())]
    WrongPgBin {
        /// The value of `PG_BIN`.
        dir: PathBuf,
    },
    /// PostgreSQL is not installed.
    #[error(
        "PostgreSQL's programs were not found. Install them (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), or set PG_BIN to their directory, or set DATABASE_URL to use a running server"
    )]
    NotInstalled,
    /// `initdb` failed.
    #[error("initdb failed: {cause}")]
    Initdb {
        /// What it said.
        cause: String,
    },
    /// The database inside the cluster could not be created.
    #[error("the database cannot be created")]
    CreateDatabase(#[source] sqlx::Error),
    /// A PostgreSQL that we did not start runs on the data.
    #[error("another PostgreSQL (process {pid}) runs on {}; nothing was touched", .data.display())]
    OtherPostgres {
        /// Its process id.
        pid: i32,
        /// The data directory.
        data: PathBuf,
    },
    /// A process that may be a PostgreSQL on the data cannot be inspected.
    #[error(
        "cannot tell whether process {pid} is a PostgreSQL on {}; nothing was touched. If it is not, remove postmaster.pid there",
        .data.display()
    )]
    Inspect {
        /// The process id in PostgreSQL's lock file.
        pid: i32,
        /// The data directory.
        data: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The shell that runs PostgreSQL could not be started.
    #[error("PostgreSQL cannot be started")]
    Spawn(#[source] io::Error),
    /// PostgreSQL said why it cannot run, as on a full disk.
    #[error("PostgreSQL cannot start: {cause}")]
    RefusedToStart {
        /// What it said.
        cause: String,
    },
    /// PostgreSQL exited before it accepted a connection, and did not say why.
    #[error("PostgreSQL exited while starting ({status}); the lines above say why")]
    ExitedEarly {
        /// Its exit status.
        status: ExitStatus,
    },
    /// The socket's directory belongs to another user, or is accessible to others.
    #[error("{} is not a private directory of the user that runs PostgreSQL", .dir.display())]
    NotPrivate {
        /// The socket's directory.
        dir: PathBuf,
    },
    /// PostgreSQL's user cannot traverse the directories above the data.
    #[error(
        "PostgreSQL does not run as root, and the user {user} cannot reach {}; set DATA_DIR to a directory that it can reach, such as /var/lib/parlance",
        .data.display()
    )]
    OutOfReach {
        /// The user that PostgreSQL would run as.
        user: String,
        /// The data directory.
        data: PathBuf,
    },
    /// The data belongs to a user id without a user name.
    #[error("{} belongs to user id {uid}, which has no name on this machine", .path.display())]
    UnknownOwner {
        /// The file or directory.
        path: PathBuf,
        /// The user id.
        uid: u32,
    },
    /// Root started the server, and there is no other user to run PostgreSQL as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as"
    )]
    NoUser,
    /// A background task panicked.
    #[error("a background task failed")]
    Task(#[from] JoinError),
}

impl Error {
    /// For `map_err`: adds the path and the failed action to an I/O error.
    pub(super) fn file(
        path: impl Into<PathBuf>,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            path,
            action,
            source,
        }
    }
}
