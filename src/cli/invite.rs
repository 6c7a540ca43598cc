//! `parlance invite`: lets people register, lists invitations, and revokes them.

use chrono::TimeDelta;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Error, Purpose, actor::actor, duration, print_json, say, user::Who, with_database};
use crate::{
    settings::{Registration, Settings, invite_link},
    store::{
        self,
        invite::{InviteRow, NewInvite},
    },
};
use parlance_client::keys;
use parlance_wire::{
    id::InviteId, key::SecretHash, text::Email, time::Timestamp, word::InvitePurpose,
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Invite {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    new: New,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the invitations that are still valid, whoever made them
    List {
        /// Include used, expired and revoked ones
        #[arg(long)]
        all: bool,
        /// Maximum number of invitations to show, newest first
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        limit: u32,
        /// For scripts: one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Revoke an invitation; users who have registered with it stay
    Revoke {
        /// The invitation's id, as `list` shows it
        #[arg(value_parser = id)]
        id: InviteId,
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct New {
    /// How long the invitation is valid
    #[arg(long, default_value = "7days", value_parser = duration)]
    expires: TimeDelta,
    /// The only address that may register with it
    #[arg(long)]
    email: Option<String>,
    /// How many people can register with it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    uses: u32,
    /// A user who becomes a friend of everyone who registers with it (an address or id)
    #[arg(long)]
    inviter: Option<String>,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

fn id(text: &str) -> Result<InviteId, String> {
    InviteId::parse(text).ok_or_else(|| "an id has 32 hexadecimal digits".into())
}

/// Runs the command.
pub(super) async fn run(settings: &Settings, invite: Invite) -> Result<(), Error> {
    match invite.command {
        None => make(settings, &invite.new).await,
        Some(Command::List { all, limit, json }) => list(settings, all, limit, json).await,
        Some(Command::Revoke { id, json }) => revoke(settings, id, json).await,
    }
}

/// Creates an invitation and prints its link, once.
async fn make(settings: &Settings, new: &New) -> Result<(), Error> {
    if settings.registration == Registration::Closed {
        // On stderr, as a script may read stdout.
        eprintln!(
            "parlance: with REGISTRATION=closed nobody can use an invitation; set it to invite or open"
        );
    }
    let email = new
        .email
        .as_deref()
        .map(|email| Email::parse(email).ok_or_else(|| Error::NotAnEmail(email.to_owned())))
        .transpose()?;
    let inviter = new.inviter.as_deref().map(Who::parse).transpose()?;
    // Only its hash is stored, so this is the only time that it can be shown.
    let code = keys::random_secret()?;
    let now = Timestamp::now();
    let expires = now.plus(new.expires);
    let code_hash = SecretHash::of(&code);
    let invite = NewInvite {
        code_hash: &code_hash,
        inviter: inviter.as_ref().map(|inviter| inviter.id),
        email: email.as_ref(),
        uses: new.uses,
        expires_at: expires,
    };
    let id = with_database(
        settings,
        Purpose::Change,
        async |db| match store::invite::insert(db, &invite, &actor(), now).await {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(Error::NoSuchUser(
                inviter.map(|inviter| inviter.name).unwrap_or_default(),
            )),
            Err(error) => Err(error.into()),
        },
    )
    .await?;
    let link = invite_link(&settings.public_url, &code);
    if new.json {
        return print_json(
            &json!({ "invite": code, "inviteid": id, "link": link, "expires": expires }),
        );
    }
    let whom = match (&email, new.uses) {
        (Some(email), _) => email.to_string(),
        (None, 1) => "one person".to_owned(),
        (None, uses) => format!("{uses} people"),
    };
    say(format_args!(
        "Invitation {id}, good for {whom} until {expires} UTC. Its link and its code are shown once:\n{link}\n{code}"
    ))
}

async fn list(settings: &Settings, all: bool, limit: u32, json: bool) -> Result<(), Error> {
    let mut invites = with_database(settings, Purpose::Look, async |db| {
        // Fetches one row more than is shown, to know whether there are more.
        let rows = i64::from(limit) + 1;
        Ok(store::invite::list(db, None, !all, rows, Timestamp::now()).await?)
    })
    .await?;
    let more = invites.len() > limit as usize;
    invites.truncate(limit as usize);
    if more {
        // On stderr, as a script may read stdout.
        eprintln!(
            "parlance: there are more than these {limit} invitations: a larger --limit shows them"
        );
    }
    if json {
        let shown = |row: &InviteRow| {
            json!({
                "inviteid": row.invite_id, "inviter": row.inviter, "inviteremail": row.inviter_email, "email": row.email,
                "purpose": row.purpose, "uses": row.uses, "used": row.used, "usedby": row.used_by, "created": row.created_at,
                "expires": row.expires_at, "revoked": row.revoked_at,
            })
        };
        return print_json(&invites.iter().map(shown).collect::<Vec<_>>());
    }
    for row in &invites {
        let by = match (&row.inviter_email, row.inviter, row.purpose) {
            (Some(email), ..) => format!("by {email}"),
            (None, Some(id), _) => format!("by {id}"),
            (None, None, InvitePurpose::First) => "by the server's start".to_owned(),
            (None, None, InvitePurpose::Reset) => "for a new identity".to_owned(),
            (None, None, InvitePurpose::Join) => "by an operator".to_owned(),
        };
        let of = row.email.as_ref().map(|email| format!(" of {email}"));
        let revoked = row.revoked_at.map(|at| format!(", revoked {at}"));
        say(format_args!(
            "{}  {by}, used {} of {} times{}, until {}{}",
            row.invite_id,
            row.used,
            row.uses,
            of.unwrap_or_default(),
            row.expires_at,
            revoked.unwrap_or_default(),
        ))?;
    }
    if invites.is_empty() {
        say(format_args!("There are no such invitations."))?;
    }
    Ok(())
}

async fn revoke(settings: &Settings, id: InviteId, json: bool) -> Result<(), Error> {
    let revoked = with_database(settings, Purpose::Change, async |db| {
        Ok(store::invite::revoke(db, id, &actor(), Timestamp::now()).await?)
    })
    .await?;
    if !revoked {
        return Err(Error::NoSuchInvite(id));
    }
    if json {
        return print_json(&json!({ "revoked": id }));
    }
    say(format_args!("Revoked {id}."))
}
