//! `srv=chatserver&api=chatconversationgroup`: conversations of more than two users.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    e2ee::{Announcement, Signature},
    id::{ConversationId, UserId},
    text::{DisplayName, Secret},
    word::Role,
};

/// Maximum participants of a group, including invited users.
// Their wrapped secrets fit into one request of 4 MiB, so that an epoch begins in one commit.
pub const MAX_PARTICIPANTS: usize = 5000;

/// The actions of this API, all of them extensions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Creates a group. The caller becomes its admin; friends are added, others invited.
    Create {
        /// Its name, for participants who have none of their own.
        displayname: DisplayName,
        /// The other participants.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
        /// Its secret, wrapped for each participant including the caller.
        secrets: BTreeMap<UserId, Secret>,
        /// Its name, encrypted for some participants.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
        /// A v4 client's announcement of the first epoch, which also has the group's id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        announcement: Option<Box<Announcement>>,
        /// The caller's signature over the announcement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Signature>,
    },
    /// Renames the group for some or all participants.
    Rename {
        /// The group to rename.
        conversationid: ConversationId,
        /// The names, encrypted for each.
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// Adds participants: friends are added, others invited.
    AddParticipants {
        /// The group that they join, or are invited to.
        conversationid: ConversationId,
        /// The users to add. Existing participants stay as they are.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
        /// The secret, wrapped for each of them.
        secrets: BTreeMap<UserId, Secret>,
        /// The name, encrypted for each of them.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
    },
    /// Removes participants, who no longer see the conversation, and withdraws invitations.
    RemoveParticipants {
        /// The group that they are removed from.
        conversationid: ConversationId,
        /// The users to remove, without the caller.
        #[serde(deserialize_with = "ids")]
        participantids: BTreeSet<UserId>,
    },
    /// The caller leaves.
    Leave {
        /// The group that the caller leaves.
        conversationid: ConversationId,
    },
    /// Lists the groups that the caller is invited to.
    Invitations,
    /// Accepts the caller's invitation.
    Accept {
        /// The group that the caller joins.
        conversationid: ConversationId,
    },
    /// Declines the caller's invitation.
    Decline {
        /// The group of the invitation.
        conversationid: ConversationId,
    },
    /// Changes a participant's role.
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
    // A set, because an id that is listed twice must not be charged or invited twice.
    let ids = BTreeSet::deserialize(from)?;
    if ids.len() > MAX_PARTICIPANTS {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_PARTICIPANTS} user ids"
        )));
    }
    Ok(ids)
}
