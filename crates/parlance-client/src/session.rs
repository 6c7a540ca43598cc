//! A user at a station: every call that is signed.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    id::{ConversationId, MessageId, Receipt, UserId},
    request::{
        Api, PageSize, Signed, availability, blocklist,
        conversation::{self, SentMessage},
        conversationgroup::{self, Role},
        friends, notification, reports, workspace,
    },
    text::{Color, Data, DisplayName, Email, HideId, Instance, MessageType, Secret, WorkspaceName},
    time::Timestamp,
};
use serde::de::DeserializeOwned;

use crate::{
    answer::{self, Conversation, Done},
    call::Call,
    error::Error,
    history::History,
    retry::is_repeatable,
    server::Server,
    signing::Identity,
};

/// How many conversations one request of [`Session::list`] asks for.
const LIST_PAGE: usize = 1000;

/// A user who is logged in at a station.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) server: Server,
    pub(crate) identity: Identity,
    pub(crate) login: answer::Login,
}

/// A new message of type `Message`, written now, with an id of its own. To send it again is to send the same.
///
/// # Errors
/// `Invalid`, if `data` is not printable ASCII, as base64 is.
pub fn message(data: &str) -> Result<SentMessage, Error> {
    Ok(SentMessage {
        id: MessageId::random(),
        r#type: MessageType::parse("Message").ok_or(Error::Invalid("the type"))?,
        created: Timestamp::now(),
        valid_until: None,
        data: Data::parse(data.to_owned()).ok_or(Error::Invalid("the data"))?,
    })
}

impl Session {
    pub(crate) fn new(server: Server, identity: Identity, login: answer::Login) -> Self {
        Self {
            server,
            identity,
            login,
        }
    }

    /// The user's id.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.identity.user
    }

    /// Who signs.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The answer to the login.
    #[must_use]
    pub fn login(&self) -> &answer::Login {
        &self.login
    }

    async fn call<T: DeserializeOwned>(&self, action: Signed) -> Result<T, Error> {
        match &action {
            Signed::Availability(one) => self.send(Api::Availability, one, &action).await,
            Signed::Friends(one) => self.send(Api::Friends, one, &action).await,
            Signed::Conversation(one) => self.send(Api::Conversation, one, &action).await,
            Signed::ConversationGroup(one) => self.send(Api::ConversationGroup, one, &action).await,
            Signed::Reports(one) => self.send(Api::Reports, one, &action).await,
            Signed::Blocklist(one) => self.send(Api::Blocklist, one, &action).await,
        }
    }

    async fn send<A: serde::Serialize, T: DeserializeOwned>(
        &self,
        api: Api,
        one: &A,
        action: &Signed,
    ) -> Result<T, Error> {
        let call = Call::new(&self.server, api, one).signed(&self.identity);
        let call = if is_repeatable(action) {
            call
        } else {
            call.once()
        };
        call.send().await
    }

    async fn conversation(&self, action: conversation::Action) -> Result<Conversation, Error> {
        let answer: answer::OneConversation = self.call(Signed::Conversation(action)).await?;
        Ok(answer.conversation)
    }

    async fn done(&self, action: Signed) -> Result<(), Error> {
        let Done {} = self.call(action).await?;
        Ok(())
    }
}

/// Availability, friends, blocks.
impl Session {
    /// Says how available the user is.
    pub async fn set_availability(&self, state: availability::Action) -> Result<(), Error> {
        self.done(Signed::Availability(state)).await
    }

    /// The user's friends, and who asks to be one.
    pub async fn friends(&self) -> Result<answer::Friends, Error> {
        self.call(Signed::Friends(friends::Action::List)).await
    }

    /// Asks for a friendship by e-mail address, or accepts such a request.
    pub async fn add_friend(&self, email: &str) -> Result<(), Error> {
        let email = Email::parse(email).ok_or(Error::Invalid("the e-mail address"))?;
        self.done(Signed::Friends(friends::Action::Add {
            friendid: None,
            email: Some(email),
        }))
        .await
    }

    /// Accepts a request.
    pub async fn accept_friend(&self, friendid: UserId) -> Result<(), Error> {
        self.done(Signed::Friends(friends::Action::Accept { friendid }))
            .await
    }

    /// Ends a friendship, declines a request, or takes one back.
    pub async fn remove_friend(&self, friendid: UserId) -> Result<(), Error> {
        self.done(Signed::Friends(friends::Action::Remove { friendid }))
            .await
    }

    /// The users and conversations that the user does not want to see.
    pub async fn blocklist(&self) -> Result<answer::Blocklist, Error> {
        self.call(Signed::Blocklist(blocklist::Action::Blocklist))
            .await
    }

    /// Blocks a user.
    pub async fn block(&self, userid: UserId) -> Result<(), Error> {
        self.done(Signed::Blocklist(blocklist::Action::Block { userid }))
            .await
    }

    /// Unblocks a user.
    pub async fn unblock(&self, userid: UserId) -> Result<(), Error> {
        self.done(Signed::Blocklist(blocklist::Action::Unblock { userid }))
            .await
    }
}

/// Conversations, and what is in them.
impl Session {
    /// All conversations, the newest first. Read in pages; one that moves to the front meanwhile may come twice.
    pub async fn list(&self) -> Result<Vec<Conversation>, Error> {
        let mut all: Vec<Conversation> = vec![];
        let mut after = None;
        loop {
            let page: answer::Conversations = self
                .call(Signed::Conversation(conversation::Action::List {
                    limit: PageSize(Some(LIST_PAGE)),
                    after,
                }))
                .await?;
            let last = page.conversations.last().map(|one| one.id);
            all.extend(page.conversations);
            // A page without rows has no successor to ask for.
            if !page.hasmore || last.is_none() {
                return Ok(all);
            }
            after = last;
        }
    }

    /// The direct conversation with a friend, made if there is none. The secret and the name are encrypted for each
    /// of the two.
    pub async fn create(
        &self,
        friend: UserId,
        secrets: BTreeMap<UserId, Secret>,
        displaynames: BTreeMap<UserId, DisplayName>,
    ) -> Result<Conversation, Error> {
        self.conversation(conversation::Action::Create {
            participantid: friend,
            secrets,
            displaynames,
        })
        .await
    }

    /// Sends a message. Sent again, the same message is stored once.
    pub async fn add(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        message: SentMessage,
    ) -> Result<answer::Stored, Error> {
        let answer: answer::Added = self
            .call(Signed::Conversation(conversation::Action::Add {
                conversationid,
                instance: instance.clone(),
                message,
            }))
            .await?;
        Ok(answer.message)
    }

    /// The rows from a position on, the row that it names included. [`History::next_page`] keeps the position.
    pub async fn download(&self, position: &History) -> Result<answer::Page, Error> {
        self.call(Signed::Conversation(position.request())).await
    }

    /// The newest rows before those that the caller holds, oldest first; without ids, the newest of all. At most
    /// `limit` of each kind, 1 to 500.
    pub async fn download_before(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        oldest_message: Option<&answer::Message>,
        oldest_report: Option<&answer::Report>,
        limit: usize,
    ) -> Result<answer::Page, Error> {
        self.call(Signed::Conversation(
            conversation::Action::DownloadPartial {
                conversationid,
                instance: instance.clone(),
                lastmessagedate: oldest_message.map(|row| row.created),
                lastmessageid: oldest_message.map(|row| row.id),
                lastreportdate: oldest_report.map(|row| row.created),
                lastreportid: oldest_report.map(|row| row.id),
                limit: PageSize(Some(limit)),
            },
        ))
        .await
    }

    /// Links of the conversation's chain, after the message of this number (docs/transcript.md).
    pub async fn transcript(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        afterseq: i64,
    ) -> Result<answer::Transcript, Error> {
        self.call(Signed::Conversation(conversation::Action::Transcript {
            conversationid,
            instance: instance.clone(),
            afterseq,
            limit: PageSize(Some(500)),
        }))
        .await
    }

    /// Deletes all messages and reports, for everyone.
    pub async fn clear(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
    ) -> Result<Conversation, Error> {
        self.conversation(conversation::Action::Clear {
            conversationid,
            instance: instance.clone(),
        })
        .await
    }

    /// Makes it a favorite, or not.
    pub async fn set_favorite(
        &self,
        conversationid: ConversationId,
        favorite: bool,
    ) -> Result<Conversation, Error> {
        self.conversation(if favorite {
            conversation::Action::Favorite { conversationid }
        } else {
            conversation::Action::Unfavorite { conversationid }
        })
        .await
    }

    /// Mutes it, or not.
    pub async fn set_muted(
        &self,
        conversationid: ConversationId,
        muted: bool,
    ) -> Result<Conversation, Error> {
        self.conversation(if muted {
            conversation::Action::Mute { conversationid }
        } else {
            conversation::Action::Unmute { conversationid }
        })
        .await
    }

    /// Hides it: for good, or with `hideid` until its instance changes.
    pub async fn hide(
        &self,
        conversationid: ConversationId,
        hideid: Option<HideId>,
    ) -> Result<Conversation, Error> {
        self.conversation(conversation::Action::Hide {
            conversationid,
            hideid,
        })
        .await
    }

    /// Shows it again.
    pub async fn unhide(&self, conversationid: ConversationId) -> Result<Conversation, Error> {
        self.conversation(conversation::Action::Unhide { conversationid })
            .await
    }

    /// Sets its color in the list.
    pub async fn set_color(
        &self,
        conversationid: ConversationId,
        color: Color,
    ) -> Result<Conversation, Error> {
        self.conversation(conversation::Action::SetListItemBackgroundColor {
            conversationid,
            color,
        })
        .await
    }

    /// Reports that the user has seen messages, at most 1000.
    pub async fn viewed(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        messageids: Vec<MessageId>,
    ) -> Result<(), Error> {
        let report = report(conversationid, instance, messageids);
        self.done(Signed::Reports(reports::Action::Viewed(report)))
            .await
    }

    /// Reports that messages have reached the station, at most 1000.
    pub async fn delivered(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        messageids: Vec<MessageId>,
    ) -> Result<(), Error> {
        let report = report(conversationid, instance, messageids);
        self.done(Signed::Reports(reports::Action::Delivered(report)))
            .await
    }
}

fn report(
    conversationid: ConversationId,
    instance: &Instance,
    messageids: Vec<MessageId>,
) -> reports::Report {
    reports::Report {
        conversationid,
        instance: instance.clone(),
        firstmessagedate: None,
        lastmessagedate: None,
        messageids,
    }
}

/// Groups.
impl Session {
    async fn group(&self, action: conversationgroup::Action) -> Result<answer::Group, Error> {
        self.call(Signed::ConversationGroup(action)).await
    }

    /// A new group. Friends are put in, others invited. Not sent again when the answer is lost: that would make a
    /// second group.
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
            displaynames: BTreeMap::new(),
        })
        .await
    }

    /// Another name, encrypted for each.
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

    /// More participants. Friends are put in, others invited.
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

    /// Fewer participants.
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

    /// Another role for a participant.
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

    /// The groups that the user is invited to, the newest invitation first.
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

/// Notifications, workspaces.
impl Session {
    /// What the station has pending. `received` is the receipt of the newest answer that arrived: until it is named,
    /// the server tells the same again.
    pub async fn poll(&self, received: Option<Receipt>) -> Result<answer::Notification, Error> {
        let action = notification::Action::Download { received };
        Call::new(&self.server, Api::Notification, &action)
            .signed(&self.identity)
            .send()
            .await
    }

    /// Registers a host name for the user.
    pub async fn register_workspace(&self, workspacename: WorkspaceName) -> Result<(), Error> {
        let action = workspace::Action::WorkspaceRegister { workspacename };
        let Done {} = Call::new(&self.server, Api::Workspace, &action)
            .signed(&self.identity)
            .send()
            .await?;
        Ok(())
    }
}
