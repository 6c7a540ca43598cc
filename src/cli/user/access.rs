//! A user's credentials: apikeys, stations, and the reset for a user who has lost everything.

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use super::who::{Known, Who};
use crate::{
    cli::{Error, Purpose, actor::actor, duration, print_json, say, with_database},
    settings::{Settings, invite_link},
    store::{
        self, Db, credential, reset,
        rows::{CredentialRow, StationRow},
        station::{self, Which},
    },
};
use parlance_client::keys;
use parlance_wire::{
    id::{CredentialId, StationId},
    key::SecretHash,
    time::Timestamp,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct PasswdReset {
    #[command(flatten)]
    who: Known,
    /// How long the link is valid
    #[arg(long, default_value = "7days", value_parser = duration)]
    expires: TimeDelta,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Stations {
    #[command(flatten)]
    who: Known,
    /// Forget this station
    #[arg(long, value_name = "STATION", value_parser = station_id, conflicts_with = "forget_all")]
    forget: Option<StationId>,
    /// Forget all of them
    #[arg(long)]
    forget_all: bool,
}

fn station_id(text: &str) -> Result<StationId, String> {
    StationId::parse(text).ok_or_else(|| "a station has 32 hexadecimal digits".into())
}

pub(super) fn credential(text: &str) -> Result<CredentialId, String> {
    CredentialId::parse(text).ok_or_else(|| "a key's id has 32 hexadecimal digits".into())
}

/// Creates an invitation with which an existing user registers again, under the same address.
pub(super) async fn passwd_reset(settings: &Settings, new: &PasswdReset) -> Result<(), Error> {
    let who = new.who.who()?;
    let code = keys::random_secret()?;
    let now = Timestamp::now();
    let expires = now.plus(new.expires);
    let prepared = with_database(settings, Purpose::Change, async |db| {
        let hash = SecretHash::of(&code);
        Ok(reset::prepare(db, who.id, &hash, expires, &actor(), now).await?)
    })
    .await?
    .ok_or(Error::NoSuchUser(who.name))?;
    let link = invite_link(&settings.public_url, &code);
    if new.who.json {
        return print_json(&json!({
            "userid": who.id, "email": prepared.email, "invite": code, "inviteid": prepared.invite, "link": link,
            "expires": expires,
        }));
    }
    say(format_args!(
        "Whoever opens this link until {expires} UTC registers as {email}, with a new password and new keys:\n{link}\n{code}\n\
        Hand it to {email} alone, in a way that nobody else can read. Once it is used, the old password, all keys and all \
        stations are void; {email} cannot read anything that was said before; and their contacts are warned that the keys \
        have changed. Nobody, you included, can recover what was encrypted for the old ones.",
        email = prepared.email,
    ))
}

/// Lists a user's apikeys.
pub(super) async fn keys(settings: &Settings, known: &Known) -> Result<(), Error> {
    let who = known.who()?;
    let keys = with_database(settings, Purpose::Look, async |db| {
        must_exist(db, &who).await?;
        Ok(credential::list(db, who.id).await?)
    })
    .await?;
    if known.json {
        let shown = |key: &CredentialRow| {
            json!({
                "keyid": key.credential_id, "kind": key.kind, "label": key.label, "created": key.created_at,
                "lastused": key.used_at,
            })
        };
        return print_json(&keys.iter().map(shown).collect::<Vec<_>>());
    }
    for key in &keys {
        let used = key
            .used_at
            .map_or_else(|| "never used".to_owned(), |at| format!("last used {at}"));
        say(format_args!(
            "{}  {}  {:?}  since {}, {used}",
            key.credential_id, key.kind, key.label, key.created_at
        ))?;
    }
    if keys.is_empty() {
        say(format_args!("{}", locked_out(&who)))?;
    }
    Ok(())
}

async fn must_exist(db: &Db, who: &Who) -> Result<(), Error> {
    if store::deletion::exists(db, who.id).await? {
        Ok(())
    } else {
        Err(Error::NoSuchUser(who.name.clone()))
    }
}

/// What it means for a user to have no key.
fn locked_out(who: &Who) -> String {
    format!(
        "{name} has no key, so nobody can log in as {name}: `parlance user passwd-reset {name}` makes a link for a new start.",
        name = who.name
    )
}

/// Revokes an apikey.
pub(super) async fn revoke(
    settings: &Settings,
    known: &Known,
    key: CredentialId,
) -> Result<(), Error> {
    let who = known.who()?;
    let (revoked, left) = with_database(settings, Purpose::Change, async |db| {
        must_exist(db, &who).await?;
        let revoked = credential::revoke_by(db, who.id, key, &actor(), Timestamp::now()).await?;
        Ok((revoked, credential::list(db, who.id).await?))
    })
    .await?;
    if !revoked {
        return Err(Error::NoSuchKey {
            name: who.name,
            key: key.to_string(),
        });
    }
    if known.json {
        return print_json(&json!({ "userid": who.id, "revoked": key }));
    }
    say(format_args!(
        "Revoked the key {key} of {}. Stations that logged in with it have to log in again.",
        who.name
    ))?;
    if left.is_empty() {
        say(format_args!("{}", locked_out(&who)))?;
    }
    Ok(())
}

/// Lists a user's stations, or forgets them.
pub(super) async fn stations(settings: &Settings, stations: &Stations) -> Result<(), Error> {
    let who = stations.who.who()?;
    if stations.forget.is_none() && !stations.forget_all {
        return list_stations(settings, stations).await;
    }
    let forgotten = with_database(settings, Purpose::Change, async |db| {
        must_exist(db, &who).await?;
        let now = Timestamp::now();
        let which = stations.forget.map_or(Which::All, Which::One);
        Ok(station::end_by(db, who.id, which, &actor(), now).await?)
    })
    .await?;
    if forgotten == 0 {
        return Err(Error::NoSuchStation(who.name));
    }
    if stations.who.json {
        return print_json(&json!({ "userid": who.id, "forgotten": forgotten }));
    }
    say(format_args!(
        "Forgot {forgotten} of the stations of {}: they have to log in again.",
        who.name
    ))
}

async fn list_stations(settings: &Settings, stations: &Stations) -> Result<(), Error> {
    let who = stations.who.who()?;
    let rows = with_database(settings, Purpose::Look, async |db| {
        must_exist(db, &who).await?;
        Ok(station::list(db, who.id).await?)
    })
    .await?;
    if stations.who.json {
        let shown = |row: &StationRow| {
            json!({
                "stationid": row.station_id, "name": row.name, "created": row.bound_at, "lastseen": row.last_seen_at,
                "key": row.label,
            })
        };
        return print_json(&rows.iter().map(shown).collect::<Vec<_>>());
    }
    for row in &rows {
        say(format_args!(
            "{}  {:?}  last seen {}",
            row.station_id, row.name, row.last_seen_at
        ))?;
    }
    if rows.is_empty() {
        say(format_args!("{} has no stations.", who.name))?;
    }
    Ok(())
}
