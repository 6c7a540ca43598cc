//! `srv=chatserver&api=chatconversationgroup`: conversations of more than two.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, de};

use super::{
    answer::{self, Nothing},
    conversation,
};
use crate::{
    chat::{Call, error::Error, group},
    model::{
        id::{ConversationId, UserId},
        text::{DisplayName, Secret},
    },
    store::{conversation::NewParticipant, group::Change},
};

/// What can be asked. All of it is ours.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A new group. The caller is in it, and its admin.
    Create {
        /// Its name, for those who have none of their own.
        displayname: DisplayName,
        /// The others.
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
        /// Where.
        conversationid: ConversationId,
        /// The names, encrypted for each.
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// More participants.
    AddParticipants {
        /// Where.
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
    /// Fewer participants. They see the conversation no more.
    RemoveParticipants {
        /// Where.
        conversationid: ConversationId,
        /// Whom.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
    },
    /// The caller goes.
    Leave {
        /// Where.
        conversationid: ConversationId,
    },
    /// Another role for a participant.
    SetRole {
        /// Where.
        conversationid: ConversationId,
        /// Whose.
        #[serde(alias = "userid")]
        participantid: UserId,
        /// Which.
        role: Role,
    },
}

/// What a participant may do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Read, write, leave.
    Member,
}

fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<UserId>, D::Error> {
    let ids = BTreeSet::deserialize(from)?;
    if ids.len() > group::MOST_PARTICIPANTS {
        return Err(de::Error::custom(format_args!("expected at most {} user ids", group::MOST_PARTICIPANTS)));
    }
    Ok(ids)
}

/// Does what is asked.
pub async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let row = match action {
        Action::Create { displayname, mut participantids, secrets, displaynames } => {
            participantids.insert(call.user);
            let participants = participants(&participantids, &secrets, &displaynames, displayname.as_str())?;
            group::create(call, &participants).await?
        }
        Action::AddParticipants { conversationid, participantids, secrets, displaynames } => {
            let more = participants(&participantids, &secrets, &displaynames, "")?;
            group::add(call, conversationid, &more).await?
        }
        Action::Rename { conversationid, displaynames } => {
            let names: Vec<_> = displaynames.iter().map(|(user, name)| (*user, name.as_str())).collect();
            group::change(call, conversationid, &Change::Rename(&names)).await?
        }
        Action::RemoveParticipants { conversationid, participantids } => {
            if participantids.contains(&call.user) {
                return Err(Error::BadRequest("participantids takes others; one goes oneself with leave.".into()));
            }
            let users: Vec<_> = participantids.into_iter().collect();
            group::change(call, conversationid, &Change::Remove(&users)).await?
        }
        Action::SetRole { conversationid, participantid, role } => {
            let role = match role {
                Role::Admin => "admin",
                Role::Member => "member",
            };
            group::change(call, conversationid, &Change::SetRole(participantid, role)).await?
        }
        Action::Leave { conversationid } => {
            group::leave(call, conversationid).await?;
            return answer::ok(Nothing {});
        }
    };
    conversation::one(call, &row).await
}

fn participants<'a>(
    ids: &BTreeSet<UserId>,
    secrets: &'a BTreeMap<UserId, Secret>,
    names: &'a BTreeMap<UserId, DisplayName>,
    default_name: &'a str,
) -> Result<Vec<NewParticipant<'a>>, Error> {
    let participant = |user_id: &UserId| {
        let secret = secrets.get(user_id).ok_or_else(|| Error::BadRequest("secrets takes an entry for each participant.".into()))?;
        let display_name = names.get(user_id).map_or(default_name, DisplayName::as_str);
        Ok(NewParticipant { user_id: *user_id, secret: secret.as_str(), display_name })
    };
    ids.iter().map(participant).collect()
}
