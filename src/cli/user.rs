//! `parlance user`: adds users, lists them, disables and enables them, and makes apikeys.

use std::io::{IsTerminal, Read};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Error, print_json, say, with_database};
use crate::{
    settings::Settings,
    store::{self, user::NewUser},
};
use parlance_client::keys::{self, Account, KeyError};
use parlance_wire::{
    id::UserId,
    key::{PublicKey, SecretHash},
    text::{Email, FullName, Nick},
    time::Timestamp,
    word::CredentialKind,
};

/// Minimum characters of a password.
const MIN_PASSWORD: usize = 8;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a person; the password is asked for
    Add(Add),
    /// List all users
    List {
        /// For scripts: one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Disable a user, at once and on every node; nothing of theirs is deleted
    Disable(Known),
    /// Enable a disabled user again
    Enable(Known),
    /// Make an apikey, shown once: of a new service user, or one more for a user who exists
    ///
    /// A new service user's apikey also opens its private key. A further key of an existing user logs
    /// in, but their private key stays under the password it was made with.
    Apikey {
        #[command(flatten)]
        who: Known,
        /// The service's name, as others see it
        #[arg(long)]
        name: Option<String>,
        /// What the key is for
        #[arg(long, default_value = "service")]
        label: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    who: Known,
    /// The full name; the part of the address before the @, if not given
    #[arg(long)]
    name: Option<String>,
    /// The name that others see; the full name, if not given
    #[arg(long)]
    nick: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct Known {
    /// The e-mail address
    email: String,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

impl Known {
    fn email(&self) -> Result<Email, Error> {
        Email::parse(&self.email).ok_or_else(|| Error::NotAnEmail(self.email.clone()))
    }
}

/// Does what the command says.
pub(super) async fn run(settings: &Settings, command: Command) -> Result<(), Error> {
    match command {
        Command::Add(add) => self::add(settings, &add).await,
        Command::List { json } => list(settings, json).await,
        Command::Disable(who) => set_disabled(settings, &who, true).await,
        Command::Enable(who) => set_disabled(settings, &who, false).await,
        Command::Apikey { who, name, label } => {
            apikey(settings, &who, name.as_deref(), &label).await
        }
    }
}

async fn add(settings: &Settings, add: &Add) -> Result<(), Error> {
    let email = add.who.email()?;
    let (full_name, nick) = names(&email, add.name.as_deref(), add.nick.as_deref())?;
    let password = password(add.password_stdin)?;
    let account = Account::of_person(&email, &password)?;
    let label = (CredentialKind::Password, "password");
    insert(settings, &email, &full_name, &nick, &account, label).await?;
    if add.who.json {
        print_json(&json!({ "userid": UserId::of(&email), "email": email.as_str(), "nick": nick }))
    } else {
        say(format_args!(
            "Added {} as {nick}, user id {}.",
            email.as_str(),
            UserId::of(&email)
        ))
    }
}

async fn list(settings: &Settings, json: bool) -> Result<(), Error> {
    let users = with_database(settings, async |db| Ok(store::user::list(db).await?)).await?;
    if json {
        let users: Vec<_> = users
            .iter()
            .map(|user| {
                json!({
                    "userid": user.user_id, "email": user.email, "fullname": user.full_name, "nick": user.nick,
                    "created": user.created_at, "disabled": user.disabled_at,
                })
            })
            .collect();
        return print_json(&users);
    }
    for user in &users {
        let disabled = user
            .disabled_at
            .map(|at| format!("  disabled since {at}"))
            .unwrap_or_default();
        say(format_args!(
            "{}  {}  {} ({}){disabled}",
            user.user_id, user.email, user.nick, user.full_name
        ))?;
    }
    if users.is_empty() {
        say(format_args!("There are no users yet."))?;
    }
    Ok(())
}

async fn set_disabled(settings: &Settings, who: &Known, disabled: bool) -> Result<(), Error> {
    let email = who.email()?;
    let at = disabled.then(Timestamp::now);
    let there = with_database(settings, async |db| {
        Ok(store::user::set_disabled(db, UserId::of(&email), at).await?)
    })
    .await?;
    if !there {
        return Err(Error::NoSuchUser(email.as_str().to_owned()));
    }
    if who.json {
        print_json(&json!({ "userid": UserId::of(&email), "disabled": disabled }))
    } else {
        say(format_args!(
            "{} {}.",
            if disabled { "Disabled" } else { "Enabled" },
            email.as_str()
        ))
    }
}

async fn apikey(
    settings: &Settings,
    who: &Known,
    name: Option<&str>,
    label: &str,
) -> Result<(), Error> {
    let email = who.email()?;
    let apikey = keys::random_secret()?;
    // First as one more key of an existing user: who exists is known only then.
    let added = with_database(settings, async |db| {
        let (user, key_hash) = (UserId::of(&email), SecretHash::of(&apikey));
        Ok(store::credential::add(db, user, &key_hash, label, Timestamp::now()).await?)
    })
    .await?;
    let apikey = if added {
        apikey
    } else {
        let (full_name, nick) = names(&email, name, None)?;
        let account = Account::of_service()?;
        let label = (CredentialKind::Apikey, label);
        insert(settings, &email, &full_name, &nick, &account, label).await?;
        account.apikey.reveal().to_owned()
    };
    if who.json {
        print_json(
            &json!({ "userid": UserId::of(&email), "email": email.as_str(), "apikey": apikey, "new": !added }),
        )
    } else {
        let whose = if added {
            "One more apikey of"
        } else {
            "Added the service user"
        };
        say(format_args!(
            "{whose} {}. This is shown once:\n{apikey}",
            email.as_str()
        ))
    }
}

async fn insert(
    settings: &Settings,
    email: &Email,
    full_name: &FullName,
    nick: &Nick,
    account: &Account,
    (kind, label): (CredentialKind, &str),
) -> Result<(), Error> {
    let key_hash = SecretHash::of(account.apikey.reveal());
    let public_key = PublicKey::parse(account.pair.public_key()).ok_or(KeyError::NotAKeyPair)?;
    let user = NewUser {
        email,
        full_name,
        nick,
        key_hash: &key_hash,
        kind,
        label,
        kdf: None,
        recovery: None,
        public_key: &public_key,
        encrypted_private_key: &account.encrypted_private_key,
    };
    with_database(settings, async |db| {
        match store::user::insert(db, &user, None, Timestamp::now()).await {
            Ok(_) => Ok(()),
            Err(error)
                if error.is_refused_by("users_key")
                    || error.is_refused_by("users_one_per_email") =>
            {
                Err(Error::UserExists(email.as_str().to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}

fn names(email: &Email, name: Option<&str>, nick: Option<&str>) -> Result<(FullName, Nick), Error> {
    let name = name.unwrap_or_else(|| email.as_str().split('@').next().unwrap_or_default());
    let nick = nick.unwrap_or(name);
    let wrong = |option, must_be| Error::WrongName { option, must_be };
    Ok((
        FullName::parse(name).ok_or_else(|| wrong("--name", FullName::EXPECTED))?,
        Nick::parse(nick).ok_or_else(|| wrong("--nick", Nick::EXPECTED))?,
    ))
}

fn password(from_stdin: bool) -> Result<String, Error> {
    let password = if from_stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(Error::Input)?;
        // `echo` ends it with a newline, and a file from Windows with two characters.
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    } else if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").map_err(Error::Input)?;
        let repeated = rpassword::prompt_password("Repeat the password: ").map_err(Error::Input)?;
        if repeated != password {
            return Err(Error::PasswordsDiffer);
        }
        password
    } else {
        return Err(Error::NoTerminal);
    };
    if password.chars().count() < MIN_PASSWORD {
        return Err(Error::PasswordTooShort(MIN_PASSWORD));
    }
    Ok(password)
}
