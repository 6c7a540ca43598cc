//! `parlance invite`: lets one person register where `REGISTRATION=invite`.

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use super::{Error, print_json, say, with_database};
use crate::{
    settings::{Registration, Settings},
    store,
};
use parlance_client::keys;
use parlance_wire::{key::SecretHash, time::Timestamp};

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// How long it is good for
    #[arg(long, default_value = "7days", value_parser = humantime::parse_duration)]
    expires: std::time::Duration,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes an invitation and shows it, once.
pub(super) async fn run(settings: &Settings, invite: &Invite) -> Result<(), Error> {
    if settings.registration == Registration::Closed {
        // On stderr, as stdout may be read by a script.
        eprintln!(
            "parlance: REGISTRATION=closed here: an invitation is of no use until that is invite or open"
        );
    }
    // Only its hash is stored: it can be shown now or never.
    let code = keys::random_secret()?;
    let now = Timestamp::now();
    let expires = now.plus(TimeDelta::from_std(invite.expires)?);
    with_database(settings, async |db| {
        Ok(store::invite::insert(db, &SecretHash::of(&code), now, expires).await?)
    })
    .await?;
    if invite.json {
        print_json(&json!({ "invite": code, "expires": expires }))
    } else {
        say(format_args!(
            "An invitation, good for one person until {expires} UTC. This is shown once:\n{code}"
        ))
    }
}
