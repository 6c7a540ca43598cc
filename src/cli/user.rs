//! `parlance user`: adds, lists and changes users.

mod access;
mod add;
mod end;
mod limits;
mod list;
mod password;
mod who;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use self::who::Known;
pub(super) use self::who::Who;
use super::{Error, Purpose, actor::actor, print_json, say, with_database};
use crate::{settings::Settings, store};
use parlance_wire::{id::CredentialId, time::Timestamp, word::UserRole};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a person; the password is asked for
    Add(add::Add),
    /// Register a person with an invitation's code, as a client does; the password is asked for
    Register(add::Register),
    /// List users, by address
    List(list::List),
    /// Disable a user, at once and on every node; nothing of theirs is deleted
    Disable(Known),
    /// Enable a disabled user again
    Enable(Known),
    /// Make a user an admin of this server, or an ordinary user again
    Role {
        #[command(flatten)]
        who: Known,
        role: Role,
    },
    /// Create an apikey, shown once: for a new service user, or a further one for an existing user
    ///
    /// A new service user's apikey also opens its private key. A further key of an existing user
    /// logs in, but their private key stays under its password.
    Apikey(add::Apikey),
    /// Let a user who has lost their password register again, with the same address
    ///
    /// Shows a link, once. Registering with it creates new keys: the user cannot read earlier
    /// messages, and their contacts see that the keys have changed. Until the link is used,
    /// nothing changes.
    PasswdReset(access::PasswdReset),
    /// List the keys that open a user's login
    Keys(Known),
    /// Revoke one of these keys, and end the stations that logged in with it
    Revoke {
        #[command(flatten)]
        who: Known,
        /// The key's id, as `keys` shows it
        #[arg(value_parser = access::credential)]
        key: CredentialId,
    },
    /// List the stations that a user has logged in from, or forget them, so that they have to log
    /// in again
    Stations(access::Stations),
    /// Show what a user may do and has used up, or allow them more or less than others
    ///
    /// Without a number, nothing changes. A change holds on every node at once.
    Limits(limits::SetLimits),
    /// Write all data of a user into a file
    Export(end::Export),
    /// Delete a user: the address becomes free, keys are deleted, groups are left, and messages are
    /// erased
    Delete(end::Delete),
}

/// A role, as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Role {
    /// Administers the server
    Admin,
    /// Uses it
    User,
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::User => Self::User,
        }
    }
}

/// Runs the command.
pub(super) async fn run(settings: &Settings, command: Command) -> Result<(), Error> {
    match command {
        Command::Add(add) => add::add(settings, &add).await,
        Command::Register(register) => add::register(settings, &register).await,
        Command::List(list) => list::run(settings, &list).await,
        Command::Disable(who) => set_disabled(settings, &who, true).await,
        Command::Enable(who) => set_disabled(settings, &who, false).await,
        Command::Role { who, role } => set_role(settings, &who, role.into()).await,
        Command::Apikey(apikey) => add::apikey(settings, &apikey).await,
        Command::PasswdReset(reset) => access::passwd_reset(settings, &reset).await,
        Command::Keys(who) => access::keys(settings, &who).await,
        Command::Revoke { who, key } => access::revoke(settings, &who, key).await,
        Command::Stations(stations) => access::stations(settings, &stations).await,
        Command::Limits(limits) => limits::run(settings, &limits).await,
        Command::Export(export) => end::export(settings, &export).await,
        Command::Delete(delete) => end::delete(settings, &delete).await,
    }
}

async fn set_disabled(settings: &Settings, known: &Known, disabled: bool) -> Result<(), Error> {
    let who = known.who()?;
    let there = with_database(settings, Purpose::Change, async |db| {
        Ok(store::user::set_disabled(db, who.id, disabled, &actor(), Timestamp::now()).await?)
    })
    .await?;
    if !there {
        return Err(Error::NoSuchUser(who.name));
    }
    if known.json {
        return print_json(&json!({ "userid": who.id, "disabled": disabled }));
    }
    let done = if disabled { "Disabled" } else { "Enabled" };
    say(format_args!("{done} {}.", who.name))
}

async fn set_role(settings: &Settings, known: &Known, role: UserRole) -> Result<(), Error> {
    let who = known.who()?;
    let there = with_database(settings, Purpose::Change, async |db| {
        Ok(store::user::set_role(db, who.id, role, &actor(), Timestamp::now()).await?)
    })
    .await?;
    if !there {
        return Err(Error::NoSuchUser(who.name));
    }
    if known.json {
        return print_json(&json!({ "userid": who.id, "role": role.as_str() }));
    }
    say(format_args!("{} is now: {}.", who.name, role.as_str()))
}
