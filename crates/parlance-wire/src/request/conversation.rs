//! `srv=chatserver&api=chatconversation`: conversations and their contents.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    epoch::{MAX_EPOCHS, Rekey, ShareEpochs},
    field::{self, PageSize, given},
    file,
};
use crate::{
    e2ee::{Announcement, Epoch, Signature},
    id::{ConversationId, FileId, MessageId, ReportId, UserId},
    list::Known,
    text::{Color, Data, DisplayName, HideId, Instance, MessageType, Secret},
    time::Timestamp,
};

/// Maximum messages that are erased at once. Their reports are deleted with them, up to two per
/// message and participant.
pub const MAX_ERASED: usize = 100;

/// The actions of this API, in the order of the published pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Conversation / List": all of the caller's, including hidden ones, newest first.
    List {
        /// Ours: the maximum number of conversations, for a v4 client.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        limit: PageSize<1000>,
        /// Ours: the conversation after which the page begins, for a v4 client.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        after: Option<ConversationId>,
        /// Ours: the list that a v4 client has. The answer contains the changes to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known: Option<Known>,
    },
    /// Page "Conversation / Partial download": the newest rows before the cursor.
    DownloadPartial {
        /// The conversation to read.
        conversationid: ConversationId,
        /// Its instance, according to the caller.
        instance: Instance,
        /// The time of the oldest message that the caller holds, in case it is gone.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        lastmessagedate: Option<Timestamp>,
        /// The oldest message that the caller holds.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        lastmessageid: Option<MessageId>,
        /// The time of the oldest report that the caller holds, in case it is gone.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        lastreportdate: Option<Timestamp>,
        /// The oldest report that the caller holds.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        lastreportid: Option<ReportId>,
        /// The maximum number of rows of each kind.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        limit: PageSize<500>,
    },
    /// Page "Conversation / Add": stores a message.
    Add {
        /// The conversation to add to.
        conversationid: ConversationId,
        /// Its instance, as the caller knows it.
        instance: Instance,
        /// The message, with its id.
        #[serde(with = "field::document")]
        #[cfg_attr(test, schemars(with = "SentMessage"))]
        message: SentMessage,
        /// Ours: the epoch whose secret it is encrypted with, of a v4 client.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
        /// Ours: the caller's files that go with it, of a v4 client; at most [`file::MAX_FILES`].
        #[serde(
            default,
            deserialize_with = "file::ids",
            skip_serializing_if = "BTreeSet::is_empty"
        )]
        files: BTreeSet<FileId>,
    },
    /// Ours, for v4 clients: deletes the content of messages. Their links in the chain remain.
    Erase {
        /// The conversation of the messages.
        conversationid: ConversationId,
        /// Its instance, as the caller knows it.
        instance: Instance,
        /// The messages: at most [`MAX_ERASED`]. The caller's own, or anyone's if the caller is an
        /// admin of the group.
        #[serde(deserialize_with = "field::message_ids::<_, MAX_ERASED>")]
        messageids: Vec<MessageId>,
    },
    /// Page "Conversation / Clear": begins a new instance for everyone.
    Clear {
        /// The conversation to clear.
        conversationid: ConversationId,
        /// Its instance, as the caller knows it.
        instance: Instance,
    },
    /// Page "Conversation / Favorite".
    Favorite {
        /// The conversation.
        conversationid: ConversationId,
    },
    /// Page "Conversation / Unfavorite".
    Unfavorite {
        /// The conversation.
        conversationid: ConversationId,
    },
    /// Page "Conversation / Change Color".
    SetListItemBackgroundColor {
        /// The conversation to color.
        conversationid: ConversationId,
        /// The new color of the conversation's line.
        color: Color,
    },
    /// Page "Conversation / Download": from the cursor on, including its row.
    Download {
        /// The conversation to read.
        conversationid: ConversationId,
        /// Its instance, as the caller knows it.
        instance: Instance,
        /// The time of the newest message that the caller holds, in case it is gone.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        firstmessagedate: Option<Timestamp>,
        /// The newest message that the caller holds.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        firstmessageid: Option<MessageId>,
        /// The time of the newest report that the caller holds, in case it is gone.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        firstreportdate: Option<Timestamp>,
        /// The newest report that the caller holds.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        firstreportid: Option<ReportId>,
    },
    /// Page "Conversation / Mute".
    Mute {
        /// The conversation.
        conversationid: ConversationId,
    },
    /// Page "Conversation / Unmute".
    Unmute {
        /// The conversation.
        conversationid: ConversationId,
    },
    /// Page "Conversation / Hide": until the instance changes or, without `hideid`, for good.
    Hide {
        /// The conversation.
        conversationid: ConversationId,
        /// The instances hidden, each followed by `;`.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        hideid: Option<HideId>,
    },
    /// Page "Conversation / Unhide": undoes both.
    Unhide {
        /// The conversation.
        conversationid: ConversationId,
    },
    /// Ours: the data with which a client verifies the chain of all messages (docs/transcript.md).
    Transcript {
        /// The conversation.
        conversationid: ConversationId,
        /// Its instance, as the caller knows it.
        instance: Instance,
        /// The `seq` of the message after which the page begins.
        #[serde(default)]
        afterseq: i64,
        /// The maximum number of links.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        limit: PageSize<500>,
    },
    /// Ours: the direct conversation with a friend.
    Create {
        /// The other participant.
        participantid: UserId,
        /// The conversation's secret, wrapped for each of the two.
        // Not required: an existing conversation is answered without them.
        #[serde(default)]
        secrets: BTreeMap<UserId, Secret>,
        /// The conversation's name, encrypted for each of the two.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
        /// A v4 client's announcement of the first epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        announcement: Option<Box<Announcement>>,
        /// The caller's signature over the announcement.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Signature>,
    },
    /// Ours: the next epoch, with a new secret; in a group also with other participants.
    Rekey(Box<Rekey>),
    /// Ours: gives old secrets to a participant.
    ShareEpochs(Box<ShareEpochs>),
    /// Ours: the epochs, newest first.
    Epochs {
        /// The conversation.
        conversationid: ConversationId,
        /// Only those before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Epoch>,
        /// The maximum number of epochs.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        limit: PageSize<MAX_EPOCHS>,
    },
}

/// A message as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SentMessage {
    /// Chosen by the sender: the idempotency key within the conversation.
    #[serde(rename = "ID")]
    pub id: MessageId,
    /// Its type. The server does not interpret it.
    #[serde(rename = "Type")]
    pub r#type: MessageType,
    /// When it was written, by the sender's clock.
    #[serde(rename = "Created")]
    pub created: Timestamp,
    /// When it expires; set by the server if it is not given.
    #[serde(
        rename = "ValidUntil",
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub valid_until: Option<Timestamp>,
    /// Its content, encrypted by the sender's client.
    #[serde(rename = "Data")]
    pub data: Data,
}
