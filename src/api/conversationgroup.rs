//! `srv=chatserver&api=chatconversationgroup`: conversations of more than two.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    answer::{self, Nothing},
    conversation,
};
use crate::{
    chat::{Call, error::Error, group, quota::MAX_PARTICIPANTS},
    store::{self, conversation::NewParticipant, group::Change, rows::InvitationRow},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    text::{DisplayName, Secret},
    time::Timestamp,
};

/// What can be asked. All of it is ours.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the fields are those of the pages")]
pub enum Action {
    /// A new group. The caller is in it, and its admin; friends are put in, others invited.
    Create {
        /// Its name, for those who have none of their own.
        displayname: DisplayName,
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
        /// Its secret, wrapped for each, the caller too.
        secrets: BTreeMap<UserId, Secret>,
        /// Its name, encrypted for some.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// Another name for some, or all.
    Rename {
        conversationid: ConversationId,
        /// The names, encrypted for each.
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// More participants: friends are put in, others invited.
    AddParticipants {
        conversationid: ConversationId,
        /// Whom. Who is in already stays as they are.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
        /// The secret, wrapped for each of them.
        secrets: BTreeMap<UserId, Secret>,
        /// The name, encrypted for each of them.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// Fewer participants. They see the conversation no more; invitations are withdrawn.
    RemoveParticipants {
        conversationid: ConversationId,
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
    },
    /// The caller goes.
    Leave { conversationid: ConversationId },
    /// The groups that the caller is invited to.
    Invitations,
    /// The caller takes part, as they were invited to.
    Accept { conversationid: ConversationId },
    /// The caller does not.
    Decline { conversationid: ConversationId },
    /// Another role for a participant.
    SetRole {
        conversationid: ConversationId,
        #[serde(alias = "userid")]
        participantid: UserId,
        role: Role,
    },
}

/// What a participant may do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    /// Read, write, leave.
    Member,
}

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

fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<UserId>, D::Error> {
    let ids = BTreeSet::deserialize(from)?;
    if ids.len() > MAX_PARTICIPANTS {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_PARTICIPANTS} user ids"
        )));
    }
    Ok(ids)
}

/// Does what is asked.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (row, _) = match action {
        Action::Create {
            displayname,
            participantids,
            secrets,
            displaynames,
        } => {
            let participant = |id| participant(id, &secrets, &displaynames, displayname.as_str());
            let creator = participant(call.user)?;
            let others: Vec<_> = participantids
                .into_iter()
                .filter(|id| *id != call.user)
                .map(participant)
                .collect::<Result<_, _>>()?;
            let (row, invited) = group::create(call, &creator, &others).await?;
            return conversation::one_with(call, &row, invited).await;
        }
        Action::AddParticipants {
            conversationid,
            participantids,
            secrets,
            displaynames,
        } => {
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
        } => {
            let role = match role {
                Role::Admin => "admin",
                Role::Member => "member",
            };
            group::change(call, conversationid, &Change::SetRole(participantid, role)).await?
        }
    };
    conversation::one(call, &row).await
}

fn participant<'a>(
    user_id: UserId,
    secrets: &'a BTreeMap<UserId, Secret>,
    names: &'a BTreeMap<UserId, DisplayName>,
    default_name: &'a str,
) -> Result<NewParticipant<'a>, Error> {
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
