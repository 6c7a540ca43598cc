//! The command line. Output for people goes to stdout, as JSON with `--json`; an error is one line
//! on stderr and exit code 1 (2 for wrong usage).

mod actor;
mod audit;
mod backup;
mod conversation;
mod doctor;
mod env_file;
mod error;
mod files;
mod invite;
mod output;
mod program;
mod psql;
mod send;
mod serve;
mod user;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chrono::TimeDelta;
use clap::{Parser, Subcommand};

pub use self::error::Error;
use self::output::{print_json, say};
use crate::{
    bench::{self, Bench},
    selftest,
    settings::Settings,
    store::{
        self, Db, Schema,
        embedded::{IfMissing, attach},
    },
    telemetry,
};

/// The longest duration that a command takes.
const MAX_DURATION: TimeDelta = TimeDelta::days(365_250);

/// A self-hosted chat server that speaks the public Ozeki Chat API.
///
/// Settings are environment variables, or lines of a file `.env`; `.env.example` describes each.
#[derive(Debug, Parser)]
#[command(version = env!("PARLANCE_VERSION"), about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (the default)
    Serve,
    /// Apply the database migrations that this version needs, and exit
    Migrate,
    /// Manage users
    #[command(subcommand)]
    User(user::Command),
    /// List, show and delete conversations; their messages are encrypted and cannot be read here
    #[command(subcommand)]
    Conversation(conversation::Command),
    /// Create an invitation with which people can register; list and revoke invitations
    Invite(invite::Invite),
    /// Show the audit log, one line per administrative change, and check that no line was changed
    /// or removed
    ///
    /// Exit code 1 if a line was. Note the newest line's hash elsewhere: with --known, it must
    /// still be in the log.
    Audit(audit::Audit),
    /// Send standard input as a service's message to a person, end-to-end encrypted
    ///
    /// Prints the message's id. The service has an account made with `user apikey`; its apikey is
    /// in PARLANCE_APIKEY or in a file that its owner alone can read.
    Send(send::Sending),
    /// Move the bytes of files to another store
    #[command(subcommand)]
    Files(files::Command),
    /// Open psql on the database
    Psql {
        /// Arguments for psql, as -c 'select 1'
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the invariants of the tables; exit code 1 if one is broken
    ///
    /// Reads one snapshot of the whole database, and all files outside it, next to a
    /// running server.
    Doctor(doctor::Doctor),
    /// Back everything up into one file, while the server runs
    ///
    /// The file is a tar archive of a dump (pg_dump's custom format) and a manifest with the number
    /// of rows and a checksum of each table. Messages are in it as clients encrypted them; keep it
    /// as safe as the database.
    Backup(backup::Backup),
    /// Restore a backup into an empty database, and compare each table with the backup's manifest
    Restore(backup::Restore),
    /// Measure a server's throughput, and what each operation costs
    ///
    /// Starts a scratch server with a database of its own, and removes both in the end. CPU time
    /// (server, postgres, client) is in microseconds per operation. BENCHMARKS.md says how to read
    /// the results.
    Bench(Box<Bench>),
    /// Prove on this machine that no message is lost, duplicated, reordered or under-notified
    ///
    /// Starts a scratch server with a database of its own, kills both again and again while clients
    /// write and read, and looks for everything that was answered OK. Exit code 1 if a promise was
    /// broken.
    #[command(subcommand)]
    Selftest(selftest::Command),
    /// The endpoint that bench measures against
    #[command(hide = true)]
    BenchEndpoint {
        address: SocketAddr,
        /// Where files are written
        files: Option<PathBuf>,
    },
}

/// Runs the command that was given.
///
/// # Errors
/// The command failed; the error says why.
pub async fn run(cli: Cli) -> Result<(), Error> {
    // In this order: LOG_FORMAT may be set in the file. Errors before the log has started are
    // reported by `main` on stderr.
    let file = Path::new(".env");
    env_file::read(file)?;
    let (settings, names) = Settings::from_env()?;
    telemetry::start(settings.log_format)?;
    for name in env_file::unknown_names(file, &names) {
        tracing::warn!("{name} in .env is not a setting of Parlance; .env.example lists them");
    }
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(settings).await,
        Command::Migrate => {
            with_database(&settings, Purpose::Begin, async |_| Ok(())).await?;
            say(format_args!("The database is up to date."))
        }
        Command::User(command) => user::run(&settings, command).await,
        Command::Conversation(command) => conversation::run(&settings, command).await,
        Command::Invite(invite) => invite::run(&settings, invite).await,
        Command::Audit(audit) => audit::run(&settings, &audit).await,
        Command::Send(send) => send::run(&settings, &send).await,
        Command::Files(command) => files::run(&settings, command).await,
        Command::Psql { arguments } => psql::run(&settings, &arguments).await,
        Command::Doctor(doctor) => doctor::run(&settings, &doctor).await,
        Command::Backup(backup) => backup::run(&settings, backup).await,
        Command::Restore(file) => backup::restore(&settings, file).await,
        Command::Bench(bench) => {
            bench::run(&bench, &settings, print).await?;
            Ok(())
        }
        Command::Selftest(command) => {
            selftest::run(&settings, &command, print).await?;
            Ok(())
        }
        Command::BenchEndpoint { address, files } => {
            bench::floor::serve(address, settings.workers, files).await?;
            Ok(())
        }
    }
}

/// Prints for `bench` and `selftest`, whose errors are strings.
fn print(line: &str) -> Result<(), String> {
    say(format_args!("{line}")).map_err(|error| error.with_causes())
}

/// Parses a duration of the command line, at most 1000 years, as in the settings: so that its end
/// can be written on the wire.
fn duration(text: &str) -> Result<TimeDelta, String> {
    humantime::parse_duration(text)
        .ok()
        .and_then(|length| TimeDelta::from_std(length).ok())
        .filter(|length| *length <= MAX_DURATION)
        .ok_or_else(|| "must be a duration up to 1000years, as 7days or 12h".to_owned())
}

/// How a command uses the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Only reads: nothing is created, and nothing migrated.
    Look,
    /// Changes the contents. The database is migrated, but not created.
    Change,
    /// Does what a new server needs: the database is created if there is none.
    Begin,
}

/// Runs work on the database: the operator's, a running server's, or an embedded one that is
/// started for as long as the work takes.
async fn with_database<T>(
    settings: &Settings,
    purpose: Purpose,
    work: impl AsyncFnOnce(&Db) -> Result<T, Error>,
) -> Result<T, Error> {
    let if_missing = match purpose {
        Purpose::Look | Purpose::Change => IfMissing::Fail,
        Purpose::Begin => IfMissing::Create,
    };
    let attached = attach(settings, if_missing).await?;
    let result = match prepare(&attached.db, purpose).await {
        Ok(()) => work(&attached.db).await,
        Err(error) => Err(error),
    };
    // Whether or not the work succeeded: commands that wait for this lock, and a PostgreSQL started
    // here, depend on it.
    attached.detach().await;
    result
}

/// Brings the tables up to date, or only checks that they are.
async fn prepare(db: &Db, purpose: Purpose) -> Result<(), Error> {
    let schema = match purpose {
        Purpose::Begin => None,
        Purpose::Look | Purpose::Change => Some(store::schema(db).await?),
    };
    match (purpose, schema) {
        (_, Some(Schema::Missing)) => Err(Error::NoTables),
        (Purpose::Look, Some(Schema::Older)) => Err(Error::OlderTables),
        (Purpose::Look, Some(Schema::Current)) => Ok(()),
        // `migrate` refuses a newer schema.
        (_, None | Some(Schema::Older | Schema::Current | Schema::Newer)) => {
            Ok(store::migrate(db).await?)
        }
    }
}
