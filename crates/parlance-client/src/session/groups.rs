//! Groups.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    id::{ConversationId, UserId},
    request::{Signed, conversationgroup},
    text::{DisplayName, Secret},
    word::Role,
};

use crate::{answer, error::Error, session::Session};

/// Groups and invitations to them.
impl Session {
    async fn group(&self, action: conversationgroup::Action) -> Result<answer::Group, Error> {
        self.call(Signed::ConversationGroup(action)).await
    }

    /// Creates a group. Friends are added, others invited. Not repeated if the answer is lost, as
    /// that would create a second group.
    pub async fn create_group(
        &self,
        displayname: DisplayName,
        participantids: BTreeSet<UserId>,
        secrets: BTreeMap<UserId, Secret>,
    ) -> Result<answer::Group, Error> {
        self.group(conversationgroup::Action::Create {
            displayname,
            participantids,
            secrets,
            // For groups without epochs; `create_encrypted_group` is for the others.
            displaynames: BTreeMap::new(),
            announcement: None,
            signature: None,
        })
        .await
    }

    /// Renames a group; the name is encrypted for each participant.
    pub async fn rename(
        &self,
        conversationid: ConversationId,
        displaynames: BTreeMap<UserId, DisplayName>,
    ) -> Result<answer::Group, Error> {
        self.group(conversationgroup::Action::Rename {
            conversationid,
            displaynames,
        })
        .await
    }

    /// Adds participants. Friends are added, others invited.
    pub async fn add_participants(
        &self,
        conversationid: ConversationId,
        participantids: BTreeSet<UserId>,
        secrets: BTreeMap<UserId, Secret>,
        displaynames: BTreeMap<UserId, DisplayName>,
    ) -> Result<answer::Group, Error> {
        self.group(conversationgroup::Action::AddParticipants {
            conversationid,
            participantids,
            secrets,
            displaynames,
        })
        .await
    }

    /// Removes participants, as an admin. In encrypted groups the next epoch does so ([`rekey`](Self::rekey)).
    pub async fn remove_participants(
        &self,
        conversationid: ConversationId,
        participantids: BTreeSet<UserId>,
    ) -> Result<answer::Group, Error> {
        self.group(conversationgroup::Action::RemoveParticipants {
            conversationid,
            participantids,
        })
        .await
    }

    /// Changes a participant's role.
    pub async fn set_role(
        &self,
        conversationid: ConversationId,
        participantid: UserId,
        role: Role,
    ) -> Result<answer::Group, Error> {
        self.group(conversationgroup::Action::SetRole {
            conversationid,
            participantid,
            role,
        })
        .await
    }

    /// Leaves a group.
    pub async fn leave(&self, conversationid: ConversationId) -> Result<(), Error> {
        self.done(Signed::ConversationGroup(
            conversationgroup::Action::Leave { conversationid },
        ))
        .await
    }

    /// The groups that the user is invited to, newest invitation first.
    pub async fn invitations(&self) -> Result<Vec<answer::Invitation>, Error> {
        let action = Signed::ConversationGroup(conversationgroup::Action::Invitations);
        let answer: answer::Invitations = self.call(action).await?;
        Ok(answer.invitations)
    }

    /// Accepts an invitation.
    pub async fn accept(&self, conversationid: ConversationId) -> Result<answer::Group, Error> {
        self.group(conversationgroup::Action::Accept { conversationid })
            .await
    }

    /// Declines an invitation.
    pub async fn decline(&self, conversationid: ConversationId) -> Result<(), Error> {
        self.done(Signed::ConversationGroup(
            conversationgroup::Action::Decline { conversationid },
        ))
        .await
    }
}
