//! The command line. Output for people on stdout, as JSON for scripts with `--json`; a problem is one
//! sentence on stderr, and exit code 1 (2: the command line itself is wrong).

mod account;
mod archive;
mod backup;
mod doctor;
mod invite;
mod program;
mod psql;
mod serve;
mod user;

use std::{io::Write, net::SocketAddr, path::Path};

use clap::{Parser, Subcommand};

use crate::{
    bench::{self, Bench},
    selftest,
    settings::Settings,
    store::{self, Db},
    telemetry,
};

/// A self-hosted chat server that speaks the public Ozeki Chat API.
///
/// Settings are environment variables, or lines of a file `.env`; `.env.example` describes each.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (the default)
    Serve,
    /// Bring the database to what this version needs, and end
    Migrate,
    /// Manage users
    #[command(subcommand)]
    User(user::Command),
    /// Make an invitation, with which one person can register; it is shown once
    Invite(invite::Invite),
    /// Open psql on the database
    Psql {
        /// What psql is to take, as -c 'select 1'
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check that the tables hold what they must; exit code 1 if they do not
    ///
    /// Looks at one snapshot of the whole database, beside a running server.
    Doctor(doctor::Doctor),
    /// Back everything up into one file, while the server runs
    ///
    /// The file is a tar archive of a dump (pg_dump's custom format) and a manifest: what each table held at that
    /// moment. Messages are in it as clients encrypted them; keep it as safe as the database.
    Backup(backup::Backup),
    /// Restore a backup into an empty database, and compare each table with what was backed up
    Restore(backup::Restore),
    /// Measure how much a server does, and what each operation costs
    ///
    /// Starts a scratch server with a database of its own, and removes both in the end. CPU time (server,
    /// postgres, client) is in microseconds for each operation. BENCHMARKS.md says how to read the figures.
    Bench(Box<Bench>),
    /// Prove on this machine that no message is lost, doubled, reordered or under-notified
    ///
    /// Starts a scratch server with a database of its own, kills both again and again while clients write and
    /// read, and looks for everything that was answered OK. Exit code 1 if a promise was broken.
    #[command(subcommand)]
    Selftest(selftest::Command),
    /// The endpoint that bench measures against
    #[command(hide = true)]
    BenchEndpoint { address: SocketAddr },
}

/// Does what the command line says.
///
/// # Errors
/// One sentence for a person.
pub async fn run(cli: Cli) -> Result<(), String> {
    read_env_file(Path::new(".env"))?;
    let settings = Settings::from_env()?;
    telemetry::start(settings.log_format);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(settings).await,
        Command::Migrate => {
            with_database(&settings, async |_| Ok(())).await?;
            say(format_args!("The database is up to date."))
        }
        Command::User(command) => user::run(&settings, command).await,
        Command::Invite(invite) => invite::run(&settings, &invite).await,
        Command::Psql { arguments } => psql::run(&settings, &arguments).await,
        Command::Doctor(doctor) => doctor::run(&settings, &doctor).await,
        Command::Backup(backup) => backup::run(&settings, backup).await,
        Command::Restore(file) => backup::restore(&settings, file).await,
        Command::Bench(bench) => {
            bench::run(&bench, &settings, |line| say(format_args!("{line}"))).await
        }
        Command::Selftest(command) => {
            selftest::run(&settings, &command, |text| say(format_args!("{text}"))).await
        }
        Command::BenchEndpoint { address } => bench::floor::serve(address, settings.workers).await,
    }
}

/// Settings that stand in a file of this directory. One in a directory above is another program's.
fn read_env_file(file: &Path) -> Result<(), String> {
    match dotenvy::from_path(file) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // What is wrong may be a password: the sentence has the line's number, and the name of the setting.
        Err(dotenvy::Error::LineParse(wrong, _)) => {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let place =
                place_in_env_file(&text, &wrong).map_or_else(String::new, |(number, name)| {
                    format!(
                        " at line {number}{}",
                        name.map_or_else(String::new, |name| format!(" ({name})"))
                    )
                });
            Err(format!(
                "the file .env cannot be read{place}; a value with spaces stands in quotes"
            ))
        }
        Err(error) => Err(format!("the file .env cannot be read: {error}")),
    }
}

/// Where what could not be read begins, a line or its value: the line's number, and the name of the setting, if it is one.
fn place_in_env_file<'a>(text: &'a str, wrong: &str) -> Option<(usize, Option<&'a str>)> {
    // A quote that is not closed takes all the lines that follow.
    let wrong = wrong.trim().lines().next()?.trim_end();
    let is_it = |part: &str| {
        let rest = part.trim().strip_prefix(wrong).map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    let (line, number) = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim_start().starts_with('#'))
        .find(|(line, _)| {
            is_it(line) || line.split_once('=').is_some_and(|(_, value)| is_it(value))
        })?;
    let name = line
        .split_once('=')
        .map(|(name, _)| name.trim())
        .map(|name| name.strip_prefix("export ").unwrap_or(name).trim());
    Some((
        number,
        name.filter(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        }),
    ))
}

/// Works on the database, brought up to date: the operator's, a running server's, or ours, started
/// for as long as the work takes.
async fn with_database<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&Db) -> Result<T, String>,
) -> Result<T, String> {
    let joined = store::embedded::join(settings).await?;
    let result = match store::migrate(&joined.db).await {
        Ok(()) => work(&joined.db).await,
        Err(sentence) => Err(sentence),
    };
    joined.leave().await;
    result
}

/// A line on stdout. Whoever reads no further, as `head` does, is not a problem.
fn say(line: std::fmt::Arguments<'_>) -> Result<(), String> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// A value as a line of JSON on stdout.
fn print_json(value: &impl serde::Serialize) -> Result<(), String> {
    say(format_args!(
        "{}",
        serde_json::to_string(value).map_err(|error| error.to_string())?
    ))
}
