//! `srv=chatserver&api=chatlogin`, the part that is signed: a user's stations and credentials.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{
    answer::{self, Nothing},
    login::check_length,
};
use crate::{
    chat::{self, Call, error::Error},
    store::{self, station::Which, vault::Change},
};
use parlance_wire::{
    id::{CredentialId, StationId},
    request::account::{self, Action, ChangeKeys, ChangePassword, ChangeRecovery},
    time::Timestamp,
};

#[derive(Serialize)]
struct StationsView<'a> {
    stations: Vec<StationView<'a>>,
}

#[derive(Serialize)]
struct StationView<'a> {
    stationid: StationId,
    /// The caller's own.
    current: bool,
    created: Option<Timestamp>,
    lastseen: Timestamp,
    /// The credential that it logged in with last.
    key: Option<&'a str>,
}

#[derive(Serialize)]
struct KeysView<'a> {
    keys: Vec<KeyView<'a>>,
}

#[derive(Serialize)]
struct KeyView<'a> {
    keyid: CredentialId,
    kind: &'a str,
    label: &'a str,
    created: Timestamp,
    lastused: Option<Timestamp>,
}

#[derive(Serialize)]
struct SignedOutView {
    signedout: i64,
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let db = &call.services.db;
    match action {
        Action::Stations => {
            let rows = store::station::list(db, call.user).await?;
            let stations = rows.iter().map(|row| StationView {
                stationid: row.station_id,
                current: row.station_id == call.station,
                created: row.bound_at,
                lastseen: row.last_seen_at,
                key: row.label.as_deref(),
            });
            answer::ok(StationsView {
                stations: stations.collect(),
            })
        }
        Action::SignOut { stationid, others } => {
            let which = match (stationid, others) {
                (Some(station), false) => Which::One(station),
                (None, true) => Which::AllBut(call.station),
                _ => {
                    return Err(Error::BadRequest(
                        "Either stationid or others must be given.".into(),
                    ));
                }
            };
            let signedout = store::station::end(db, call.user, which).await?;
            answer::ok(SignedOutView { signedout })
        }
        Action::Keys => {
            let rows = store::credential::list(db, call.user).await?;
            let keys = rows.iter().map(|row| KeyView {
                keyid: row.credential_id,
                kind: &row.kind,
                label: &row.label,
                created: row.created_at,
                lastused: row.used_at,
            });
            answer::ok(KeysView {
                keys: keys.collect(),
            })
        }
        Action::ChangePassword(new) => change_password(call, &new).await,
        Action::ChangeRecovery(new) => change_recovery(call, &new).await,
        Action::ChangeKeys(new) => change_keys(call, &new).await,
        Action::Revoke { keyid } => {
            chat::user::revoke(call, keyid).await?;
            answer::ok(Nothing {})
        }
    }
}

async fn change_password(call: &mut Call<'_>, new: &ChangePassword) -> Result<Vec<u8>, Error> {
    check_length("apikey", &new.apikey)?;
    if let Some(recovery) = &new.recoverykey {
        check_length("recoverykey", recovery)?;
    }
    let change = Change {
        vault: &new.rsakey,
        version: new.version,
        password: Some((&new.apikey, new.kdf.as_ref())),
        recovery: new.recoverykey.as_ref(),
        public_key: None,
        end_all_but: Some(call.station).filter(|_| new.signout),
    };
    chat::user::change(call, &change).await?;
    answer::ok(Nothing {})
}

async fn change_recovery(call: &mut Call<'_>, new: &ChangeRecovery) -> Result<Vec<u8>, Error> {
    check_length("recoverykey", &new.recoverykey)?;
    let change = Change {
        vault: &new.rsakey,
        version: new.version,
        password: None,
        recovery: Some(&new.recoverykey),
        public_key: None,
        end_all_but: None,
    };
    chat::user::change(call, &change).await?;
    answer::ok(Nothing {})
}

async fn change_keys(call: &mut Call<'_>, new: &ChangeKeys) -> Result<Vec<u8>, Error> {
    let proof = STANDARD.decode(&new.proof).unwrap_or_default();
    let text = account::proof_text(call.user, &new.publickey);
    if !new.publickey.verifies(&text, &proof) {
        return Err(Error::BadRequest(
            "proof must be the new key's signature over the user's id and the new public key."
                .into(),
        ));
    }
    let change = Change {
        vault: &new.rsakey,
        version: new.version,
        password: None,
        recovery: None,
        public_key: Some(&new.publickey),
        end_all_but: Some(call.station),
    };
    chat::user::change(call, &change).await?;
    answer::ok(Nothing {})
}
