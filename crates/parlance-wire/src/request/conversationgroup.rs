//! `srv=chatserver&api=chatconversationgroup`: conversations of more than two.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    e2ee::{Announcement, Signature},
    id::{ConversationId, UserId},
    text::{DisplayName, Secret},
    word::Role,
};

/// Maximum participants of a group, those who are invited included.
pub const MAX_PARTICIPANTS: usize = 5000;

/// The actions of this API, all of them extensions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A new group. The caller is in it, and its admin; friends are added, others invited.
    Create {
        /// Its name, for those who have none of their own.
        displayname: DisplayName,
        /// The other participants.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
        /// Its secret, wrapped for each, the caller too.
        secrets: BTreeMap<UserId, Secret>,
        /// Its name, encrypted for some.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
        /// What a v4 client announces of its first epoch, which also gives the group its id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        announcement: Option<Box<Announcement>>,
        /// The caller's signature over the announcement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Signature>,
    },
    /// Another name for some, or all.
    Rename {
        /// The group.
        conversationid: ConversationId,
        /// The names, encrypted for each.
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// More participants: friends are added, others invited.
    AddParticipants {
        /// The group.
        conversationid: ConversationId,
        /// The users to add. Participants already in the group stay as they are.
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
        /// The group.
        conversationid: ConversationId,
        /// The users to remove; not the caller.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
    },
    /// The caller leaves.
    Leave {
        /// The group.
        conversationid: ConversationId,
    },
    /// The groups that the caller is invited to.
    Invitations,
    /// The caller accepts their invitation.
    Accept {
        /// The group.
        conversationid: ConversationId,
    },
    /// The caller declines their invitation.
    Decline {
        /// The group.
        conversationid: ConversationId,
    },
    /// Another role for a participant.
    SetRole {
        /// The group.
        conversationid: ConversationId,
        /// The participant.
        #[serde(alias = "userid")]
        participantid: UserId,
        /// Their new role.
        role: Role,
    },
}

pub(super) fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<UserId>, D::Error> {
    // A set: an id that is named twice must not be charged or invited twice.
    let ids = BTreeSet::deserialize(from)?;
    if ids.len() > MAX_PARTICIPANTS {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_PARTICIPANTS} user ids"
        )));
    }
    Ok(ids)
}
