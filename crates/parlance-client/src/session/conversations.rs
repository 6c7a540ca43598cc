//! Conversations and their contents.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    id::{ConversationId, MessageId, UserId},
    list::Known,
    request::{
        PageSize, Signed,
        conversation::{self, SentMessage},
        reports,
    },
    text::{Color, DisplayName, HideId, Instance, Secret},
};

use crate::{
    answer::{self, Conversation},
    error::{Error, ErrorCode},
    history::History,
    session::Session,
};

/// Conversations in one page of [`Session::list`]: the server's maximum.
const LIST_PAGE: usize = 1000;

/// Conversations and their contents.
impl Session {
    /// All conversations, each once, newest first. They are read in pages; those that changed
    /// meanwhile come before the others.
    pub async fn list(&self) -> Result<Vec<Conversation>, Error> {
        let page = self.list_page(None).await?;
        let (known, mut hasmore) = (page.known, page.hasmore);
        if !hasmore {
            return Ok(page.conversations);
        }
        let mut all = page.conversations;
        // Without a row there is no position to continue from, and a server that promises more
        // would be queried for ever.
        while hasmore && let Some(after) = all.last().map(|one| one.id) {
            let page = match self.list_page(Some(after)).await {
                Ok(page) if page.conversations.is_empty() => break,
                Ok(page) => page,
                // It is not in the list any more: the comparison below has everything.
                Err(error) if error.code() == Some(ErrorCode::ConversationNotFound) => {
                    return Ok(self.list_changes(Known::Nothing).await?.conversations);
                }
                Err(error) => return Err(error),
            };
            hasmore = page.hasmore;
            all.extend(page.conversations);
        }
        // One that moved to the front between two pages is in none, and one that stood at their end
        // brings a part of the list once more.
        let changes = self.list_changes(known).await?;
        let mut seen = BTreeSet::new();
        let newer = changes.conversations.into_iter();
        let ids = changes.conversationids;
        Ok(newer
            .chain(all)
            .filter(|one| ids.as_ref().is_none_or(|ids| ids.contains(&one.id)))
            .filter(|one| seen.insert(one.id))
            .collect())
    }

    async fn list_page(
        &self,
        after: Option<ConversationId>,
    ) -> Result<answer::Conversations, Error> {
        self.call(Signed::Conversation(conversation::Action::List {
            limit: PageSize(Some(LIST_PAGE)),
            after,
            known: None,
        }))
        .await
    }

    /// The changes to the list since the answer that `known` came with; with [`Known::Nothing`], all of
    /// it. Cheap if little has changed.
    pub async fn list_changes(&self, known: Known) -> Result<answer::ListChanges, Error> {
        self.call(Signed::Conversation(conversation::Action::List {
            // The server compares only a request without `limit` and `after`.
            limit: PageSize(None),
            after: None,
            known: Some(known),
        }))
        .await
    }

    /// Returns the direct conversation with a friend, creating it if necessary. Secret and name are
    /// encrypted for each of the two.
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
            announcement: None,
            signature: None,
        })
        .await
    }

    /// Sends a message. Sending the same message again stores it only once.
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
                // For conversations without epochs; `add_sealed` is for the others.
                epoch: None,
                files: BTreeSet::new(),
            }))
            .await?;
        Ok(answer.message)
    }

    /// Downloads the rows from a position on, including its own. [`History::next_page`] keeps the
    /// position.
    pub async fn download(&self, position: &History) -> Result<answer::Page, Error> {
        self.call(Signed::Conversation(position.request())).await
    }

    /// Downloads the newest rows before those that the caller holds, oldest first; without ids, the
    /// newest of all. At most `limit` of each kind, 1 to 500.
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
                // Beside the ids, as the server may have purged the rows since.
                lastmessagedate: oldest_message.map(|row| row.created),
                lastmessageid: oldest_message.map(|row| row.id),
                lastreportdate: oldest_report.map(|row| row.created),
                lastreportid: oldest_report.map(|row| row.id),
                limit: PageSize(Some(limit)),
            },
        ))
        .await
    }

    /// The message with this id, if the server has its content.
    pub async fn stored(
        &self,
        conversation: &Conversation,
        id: MessageId,
    ) -> Result<Option<answer::Message>, Error> {
        let page = self.download(&History::at(conversation, id)).await?;
        Ok(page.messages.into_iter().find(|row| row.id == id))
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

    /// Deletes the content of messages, for everyone; their links in the chain remain. At most 100
    /// of the user's own messages; an admin of a group may erase anyone's. Returns those that
    /// existed.
    pub async fn erase(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        messageids: Vec<MessageId>,
    ) -> Result<Vec<MessageId>, Error> {
        let answer: answer::ErasedMessages = self
            .call(Signed::Conversation(conversation::Action::Erase {
                conversationid,
                instance: instance.clone(),
                messageids,
            }))
            .await?;
        Ok(answer.messageids)
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

    /// Adds it to the favorites, or removes it.
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

    /// Mutes or unmutes it.
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

    /// Hides it: until its instance changes, or without `hideid` permanently.
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
        // Published but unnecessary, as the ids are sufficient.
        firstmessagedate: None,
        lastmessagedate: None,
        messageids,
    }
}
