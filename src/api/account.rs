//! `srv=chatserver&api=chatlogin`, signed requests: the user's own account, stations, credentials
//! and keys, and invitations to the server.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_client::keys;
use serde::Serialize;

use super::{
    answer::{self, Nothing},
    login::check_length,
};
use crate::{
    chat::{self, Call, account::With, error::Error},
    settings::invite_link,
    store::{
        self,
        invite::InviteRow,
        rows::{CredentialRow, StationRow},
        station::Which,
    },
};
use parlance_wire::{
    id::{CredentialId, InviteId, StationId, UserId},
    kdf::Kdf,
    key::SecretHash,
    request::account::{self, Action, ChangeKeys, ChangePassword},
    text::PushEndpoint,
    time::Timestamp,
    word::CredentialKind,
};

#[derive(Serialize)]
struct InviteView<'a> {
    inviteid: InviteId,
    /// The code, which is shown once.
    invite: &'a str,
    link: String,
    expires: Timestamp,
}

#[derive(Serialize)]
struct InvitesView {
    invites: Vec<InviteRowView>,
}

#[derive(Serialize)]
struct InviteRowView {
    inviteid: InviteId,
    email: String,
    uses: i32,
    usedby: Vec<UserId>,
    created: Timestamp,
    expires: Timestamp,
    open: bool,
}

#[derive(Serialize)]
struct ProfileView<'a> {
    fullname: &'a str,
    nick: &'a str,
}

#[derive(Serialize)]
struct StationsView {
    stations: Vec<StationView>,
}

#[derive(Serialize)]
struct StationView {
    stationid: StationId,
    name: String,
    /// Whether it is the caller's own station.
    current: bool,
    created: Option<Timestamp>,
    lastseen: Timestamp,
    /// The label of the credential of its last login.
    key: Option<String>,
}

#[derive(Serialize)]
struct KeysView {
    keys: Vec<KeyView>,
}

#[derive(Serialize)]
struct KeyView {
    keyid: CredentialId,
    kind: CredentialKind,
    label: String,
    created: Timestamp,
    lastused: Option<Timestamp>,
}

#[derive(Serialize)]
struct SignedOutView {
    signedout: u64,
}

#[derive(Serialize)]
struct PushView<'a> {
    /// The key by which push services know this server; empty if it does not send pushes.
    pushkey: &'a str,
    /// The push endpoint of the caller's station; empty if push is not enabled for it.
    endpoint: &'a str,
}

#[derive(Serialize)]
struct VaultView<'a> {
    rsakey: &'a str,
    version: i32,
    kdf: &'a Kdf,
}

impl StationView {
    fn new(row: StationRow, caller: StationId) -> Self {
        Self {
            stationid: row.station_id,
            name: row.name,
            current: row.station_id == caller,
            created: row.bound_at,
            lastseen: row.last_seen_at,
            key: row.label,
        }
    }
}

impl From<CredentialRow> for KeyView {
    fn from(row: CredentialRow) -> Self {
        Self {
            keyid: row.credential_id,
            kind: row.kind,
            label: row.label,
            created: row.created_at,
            lastused: row.used_at,
        }
    }
}

impl InviteRowView {
    fn new(row: InviteRow, now: Timestamp) -> Self {
        Self {
            inviteid: row.invite_id,
            open: row.used < row.uses && row.expires_at > now && row.revoked_at.is_none(),
            email: row.email.unwrap_or_default(),
            uses: row.uses,
            usedby: row.used_by,
            created: row.created_at,
            expires: row.expires_at,
        }
    }
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::Invite {
            email,
            uses,
            expires,
        } => {
            let code = keys::random_secret().map_err(|error| Error::Internal(error.into()))?;
            let (inviteid, expires) = chat::invite::create(
                call,
                &SecretHash::of(&code),
                email.as_ref(),
                uses.0.unwrap_or(1),
                expires,
            )
            .await?;
            answer::ok(InviteView {
                inviteid,
                link: invite_link(&call.services.policy.public_url, &code),
                invite: &code,
                expires,
            })
        }
        Action::Invites => {
            let rows = chat::invite::list(call).await?;
            answer::ok(InvitesView {
                invites: rows
                    .into_iter()
                    .map(|row| InviteRowView::new(row, call.now))
                    .collect(),
            })
        }
        Action::Profile { fullname, nick } => {
            let profile =
                chat::account::change_names(call, fullname.as_ref(), nick.as_ref()).await?;
            answer::ok(ProfileView {
                fullname: &profile.full_name,
                nick: &profile.nick,
            })
        }
        // Answered by `server/export.rs`, as it may be longer than an ordinary answer.
        Action::Export => Err(Error::Internal(
            "`export` is streamed and does not reach this function".into(),
        )),
        Action::Delete { apikey } => {
            chat::account::delete(call, &apikey).await?;
            answer::ok(Nothing {})
        }
        Action::RevokeInvite { inviteid } => {
            chat::invite::revoke(call, inviteid).await?;
            answer::ok(Nothing {})
        }
        Action::Stations => {
            let rows = store::station::list(&call.services.db, call.user).await?;
            let views = rows
                .into_iter()
                .map(|row| StationView::new(row, call.station));
            answer::ok(StationsView {
                stations: views.collect(),
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
            let signedout = store::station::end(&call.services.db, call.user, which).await?;
            answer::ok(SignedOutView { signedout })
        }
        Action::Push => {
            let endpoint =
                store::push::endpoint(&call.services.db, call.user, call.station).await?;
            answer::ok(PushView {
                pushkey: call.services.push_key().unwrap_or_default(),
                endpoint: endpoint.as_ref().map_or("", PushEndpoint::as_str),
            })
        }
        Action::EnablePush { endpoint } => {
            chat::push::enable(call, &endpoint).await?;
            answer::ok(Nothing {})
        }
        Action::DisablePush => {
            store::push::disable(&call.services.db, call.user, call.station).await?;
            answer::ok(Nothing {})
        }
        Action::AckPush => {
            store::push::release(&call.services.db, call.user, call.station).await?;
            answer::ok(Nothing {})
        }
        Action::Keys => {
            let rows = store::credential::list(&call.services.db, call.user).await?;
            answer::ok(KeysView {
                keys: rows.into_iter().map(KeyView::from).collect(),
            })
        }
        Action::Revoke { keyid } => {
            chat::account::revoke(call, keyid).await?;
            answer::ok(Nothing {})
        }
        Action::Vault => {
            let vault = store::vault::vault(&call.services.db, call.user)
                .await?
                .ok_or(Error::UserNotFound)?;
            answer::ok(VaultView {
                rsakey: &vault.rsakey,
                version: vault.version,
                kdf: &vault.kdf,
            })
        }
        Action::ChangeVault { rsakey, version } => {
            chat::account::change_vault(call, &rsakey, version, With::default()).await?;
            answer::ok(Nothing {})
        }
        Action::ChangePassword(new) => change_password(call, &new).await,
        Action::ChangeRecovery(new) => {
            check_length("recoverykey", &new.recoverykey)?;
            let with = With {
                recovery: Some(&new.recoverykey),
                ..With::default()
            };
            chat::account::change_vault(call, &new.rsakey, new.version, with).await?;
            answer::ok(Nothing {})
        }
        Action::ChangeKeys(new) => change_keys(call, &new).await,
    }
}

async fn change_password(call: &mut Call<'_>, new: &ChangePassword) -> Result<Vec<u8>, Error> {
    check_length("apikey", &new.apikey)?;
    if let Some(recovery) = &new.recoverykey {
        check_length("recoverykey", recovery)?;
    }
    let with = With {
        password: Some((&new.apikey, &new.kdf)),
        recovery: new.recoverykey.as_ref(),
        public_key: None,
        card: new.card.as_ref(),
        ends_others: new.signout,
    };
    chat::account::change_vault(call, &new.rsakey, new.version, with).await?;
    answer::ok(Nothing {})
}

async fn change_keys(call: &mut Call<'_>, new: &ChangeKeys) -> Result<Vec<u8>, Error> {
    // A proof that is not base64 fits no key, and is refused like any other wrong one.
    let proof = STANDARD.decode(&new.proof).unwrap_or_default();
    let text = account::proof_text(call.user, &new.publickey);
    if !new.publickey.verifies(&text, &proof) {
        return Err(Error::BadRequest(
            "proof must be the new key's signature over the user's id and the new public key."
                .into(),
        ));
    }
    let with = With {
        public_key: Some(&new.publickey),
        card: new.card.as_ref(),
        ends_others: true,
        ..With::default()
    };
    chat::account::change_vault(call, &new.rsakey, new.version, with).await?;
    answer::ok(Nothing {})
}
