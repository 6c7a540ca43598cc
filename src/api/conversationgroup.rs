//! `srv=chatserver&api=chatconversationgroup`: conversations of more than two users.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    answer::{self, Nothing},
    conversation::{self, epoch},
};
use crate::{
    chat::{Call, error::Error, group},
    store::{self, conversation::NewParticipant, group::Change, rows::InvitationRow},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    request::conversationgroup::Action,
    text::{DisplayName, Secret},
    time::Timestamp,
};

#[derive(Serialize)]
struct InvitationsView {
    invitations: Vec<InvitationView>,
}

#[derive(Serialize)]
struct InvitationView {
    conversationid: ConversationId,
    inviterid: UserId,
    invitername: String,
    secret: String,
    displayname: String,
    invited: Timestamp,
    participantids: Vec<UserId>,
}

impl From<InvitationRow> for InvitationView {
    fn from(row: InvitationRow) -> Self {
        Self {
            conversationid: row.conversation_id,
            inviterid: row.inviter_id,
            invitername: row.inviter_nick,
            secret: row.secret,
            displayname: row.display_name,
            invited: row.invited_at,
            participantids: row.known,
        }
    }
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (row, _) = match action {
        Action::Create {
            displayname,
            participantids,
            secrets,
            displaynames,
            announcement,
            signature,
        } => {
            let first = epoch::first(call, announcement, signature)?;
            let participant = |id| participant(id, &secrets, &displaynames, displayname.as_str());
            let creator = participant(call.user)?;
            let others: Vec<_> = participantids
                .into_iter()
                // A client may list the creator among the others, as a later `addparticipants` may
                // list members.
                .filter(|id| *id != call.user)
                .map(participant)
                .collect::<Result<_, _>>()?;
            let (row, invited) = group::create(
                call,
                &creator,
                &others,
                first.as_ref().map(|signed| (signed, &secrets)),
            )
            .await?;
            return conversation::one_with(call, &row, invited).await;
        }
        Action::AddParticipants {
            conversationid,
            participantids,
            secrets,
            displaynames,
        } => {
            // No default, because only `create` has the group's name, which the server cannot read.
            let participant = |id| participant(id, &secrets, &displaynames, "");
            let more: Vec<_> = participantids
                .into_iter()
                .map(participant)
                .collect::<Result<_, _>>()?;
            let (row, invited) = group::change(call, conversationid, &Change::Add(&more)).await?;
            return conversation::one_with(call, &row, invited).await;
        }
        Action::Invitations => {
            let rows = store::invitation::list(&call.services.db, call.user).await?;
            return answer::ok(InvitationsView {
                invitations: rows.into_iter().map(InvitationView::from).collect(),
            });
        }
        Action::Leave { conversationid } => {
            // The answer has no conversation, as the caller may no longer read the group.
            group::leave(call, conversationid).await?;
            return answer::ok(Nothing {});
        }
        Action::Decline { conversationid } => {
            group::decline(call, conversationid).await?;
            return answer::ok(Nothing {});
        }
        Action::Accept { conversationid } => {
            group::change(call, conversationid, &Change::Accept).await?
        }
        Action::Rename {
            conversationid,
            displaynames,
        } => {
            let names: Vec<_> = displaynames
                .iter()
                .map(|(user, name)| (*user, name.as_str()))
                .collect();
            group::change(call, conversationid, &Change::Rename(&names)).await?
        }
        Action::RemoveParticipants {
            conversationid,
            participantids,
        } => {
            // `leave` hands the role over if the last admin goes; a removal would not.
            if participantids.contains(&call.user) {
                return Err(Error::BadRequest(
                    "participantids cannot name you: use `leave` to remove yourself.".into(),
                ));
            }
            let users: Vec<_> = participantids.into_iter().collect();
            group::change(call, conversationid, &Change::Remove(&users)).await?
        }
        Action::SetRole {
            conversationid,
            participantid,
            role,
        } => group::change(call, conversationid, &Change::SetRole(participantid, role)).await?,
    };
    conversation::one(call, &row).await
}

fn participant<'a>(
    user_id: UserId,
    secrets: &'a BTreeMap<UserId, Secret>,
    names: &'a BTreeMap<UserId, DisplayName>,
    default_name: &'a str,
) -> Result<NewParticipant<'a>, Error> {
    // Without the secret, a participant could never read anything.
    let secret = secrets.get(&user_id).ok_or_else(|| {
        Error::BadRequest("secrets must have an entry for each participant.".into())
    })?;
    let display_name = names
        .get(&user_id)
        .map_or(default_name, DisplayName::as_str);
    Ok(NewParticipant {
        user_id,
        secret: secret.as_str(),
        display_name,
    })
}
