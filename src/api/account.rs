//! `srv=chatserver&api=chatlogin`, signed: what users do with their own account, and whom they invite to the server.

use parlance_client::keys;
use serde::Serialize;

use super::answer::{self, Nothing};
use crate::{
    chat::{self, Call, error::Error},
    settings::invite_link,
    store::invite::InviteRow,
};
use parlance_wire::{
    id::{InviteId, UserId},
    key::SecretHash,
    request::account::Action,
    time::Timestamp,
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
        // `server/export.rs` sends that, as it may be longer than an answer.
        Action::Export => Err(Error::Internal("export is no answer in one piece".into())),
        Action::Delete { apikey } => {
            chat::account::delete(call, &apikey).await?;
            answer::ok(Nothing {})
        }
        Action::RevokeInvite { inviteid } => {
            chat::invite::revoke(call, inviteid).await?;
            answer::ok(Nothing {})
        }
    }
}
