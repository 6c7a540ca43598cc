//! Adds users, doing what a client does at registration.

use clap::Args;
use serde_json::json;

use super::password::password;
use crate::{
    cli::{Error, Purpose, actor::actor, print_json, say, with_database},
    settings::Settings,
    store::{
        self,
        registration::{Admission, NewUser, Registered},
    },
};
use parlance_client::keys::{self, Account, KeyError};
use parlance_wire::{
    id::UserId,
    kdf::Kdf,
    key::{PublicKey, SecretHash},
    text::{Email, FullName, Nick, StationName},
    time::Timestamp,
    word::{CredentialKind, UserRole},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct New {
    /// The e-mail address
    email: String,
    /// The full name (default: the part of the address before the @)
    #[arg(long)]
    name: Option<String>,
    /// The name that others see (default: the full name)
    #[arg(long)]
    nick: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    #[command(flatten)]
    new: New,
    /// Make the user an admin
    #[arg(long)]
    admin: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Register {
    #[command(flatten)]
    new: New,
    /// The invitation's code: the part after `#invite=` in its link
    #[arg(long)]
    invite: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Apikey {
    /// The e-mail address
    email: String,
    /// The service's name, as others see it
    #[arg(long)]
    name: Option<String>,
    /// A label that says what the key is for
    #[arg(long, default_value = "service", value_parser = label)]
    label: String,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

fn label(text: &str) -> Result<String, String> {
    StationName::parse(text)
        .map(|name| name.to_string())
        .ok_or_else(|| format!("a label has {}", StationName::EXPECTED))
}

/// How a user is created.
enum Origin<'a> {
    /// Created by an operator.
    Added(UserRole, Purpose),
    /// Registered with an invitation, which a new database cannot have.
    Invited(&'a str),
}

impl Origin<'_> {
    fn purpose(&self) -> Purpose {
        match self {
            Self::Added(_, purpose) => *purpose,
            Self::Invited(_) => Purpose::Change,
        }
    }
}

/// Adds a user.
pub(super) async fn add(settings: &Settings, add: &Add) -> Result<(), Error> {
    let role = if add.admin {
        UserRole::Admin
    } else {
        UserRole::User
    };
    // The first one may come before the first start of the server.
    person(settings, &add.new, &Origin::Added(role, Purpose::Begin)).await
}

/// Registers a user with an invitation.
pub(super) async fn register(settings: &Settings, register: &Register) -> Result<(), Error> {
    person(settings, &register.new, &Origin::Invited(&register.invite)).await
}

async fn person(settings: &Settings, new: &New, origin: &Origin<'_>) -> Result<(), Error> {
    let email = email(&new.email)?;
    let (full_name, nick) = names(&email, new.name.as_deref(), new.nick.as_deref())?;
    let password = password(new.password_stdin)?;
    let account = Account::of_person(&email, &password)?;
    let key = (CredentialKind::Password, "password");
    insert(settings, &email, &full_name, &nick, &account, key, origin).await?;
    let id = UserId::of(&email);
    if new.json {
        return print_json(&json!({ "userid": id, "email": email.as_str(), "nick": nick }));
    }
    let done = match origin {
        Origin::Added(..) => "Added",
        Origin::Invited(_) => "Registered",
    };
    say(format_args!("{done} {email} as {nick}, user id {id}."))
}

/// Creates an apikey, for an existing user or for a new service user.
pub(super) async fn apikey(settings: &Settings, new: &Apikey) -> Result<(), Error> {
    let email = email(&new.email)?;
    let apikey = keys::random_secret()?;
    // Tried as a further key of an existing user first: only the database knows whether the user
    // exists.
    let added = with_database(settings, Purpose::Change, async |db| {
        let (user, key_hash) = (UserId::of(&email), SecretHash::of(&apikey));
        let (label, now) = (&new.label, Timestamp::now());
        if new.name.is_some() && store::deletion::exists(db, user).await? {
            // Another key does not rename them.
            return Err(Error::UserExists(email.as_str().to_owned()));
        }
        Ok(store::credential::add(db, user, &key_hash, label, &actor(), now).await?)
    })
    .await?;
    let apikey = if added {
        apikey
    } else {
        let (full_name, nick) = names(&email, new.name.as_deref(), None)?;
        let account = Account::of_service()?;
        let (key, origin) = (
            (CredentialKind::Apikey, &*new.label),
            Origin::Added(UserRole::User, Purpose::Change),
        );
        insert(settings, &email, &full_name, &nick, &account, key, &origin).await?;
        account.apikey.reveal().to_owned()
    };
    if new.json {
        return print_json(
            &json!({ "userid": UserId::of(&email), "email": email.as_str(), "apikey": apikey, "new": !added }),
        );
    }
    let whose = if added {
        "One more apikey of"
    } else {
        "Added the service user"
    };
    say(format_args!(
        "{whose} {email}. This is shown once:\n{apikey}"
    ))
}

async fn insert(
    settings: &Settings,
    email: &Email,
    full_name: &FullName,
    nick: &Nick,
    account: &Account,
    (kind, label): (CredentialKind, &str),
    origin: &Origin<'_>,
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
        kdf: &Kdf::Pbkdf2,
        recovery: None,
        public_key: &public_key,
        encrypted_private_key: &account.encrypted_private_key,
        card: None,
    };
    let exists = || Error::UserExists(email.as_str().to_owned());
    let now = Timestamp::now();
    with_database(settings, origin.purpose(), async |db| match origin {
        Origin::Added(role, _) => {
            let stored = store::registration::insert(db, &user, *role, &actor(), now).await?;
            stored.then_some(()).ok_or_else(exists)
        }
        Origin::Invited(code) => {
            let (code, origin) = (SecretHash::of(code), actor().origin);
            let code = Some(&code);
            match store::registration::register(db, &user, code, Admission::Invited, &origin, now)
                .await?
            {
                Registered::Done { .. } => Ok(()),
                Registered::NotInvited => Err(Error::NotInvited),
                // No card was given.
                Registered::Exists | Registered::Card(_) => Err(exists()),
            }
        }
    })
    .await
}

fn email(text: &str) -> Result<Email, Error> {
    Email::parse(text).ok_or_else(|| Error::NotAnEmail(text.to_owned()))
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
