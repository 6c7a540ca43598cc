//! `srv=chatserver&api=chatreports`: reports that messages were delivered or seen.

use serde::{Deserialize, Serialize};

use super::field::{given, message_ids};
use crate::{
    id::{ConversationId, MessageId},
    text::Instance,
    time::Timestamp,
};

/// Maximum messages that one request reports on.
// As many as a page has, so that one report answers it.
pub const MAX_MESSAGE_IDS: usize = 1000;

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Report": the caller saw messages.
    Viewed(Report),
    /// Ours: messages reached the caller's station.
    Delivered(Report),
}

/// The messages of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The conversation of the messages.
    pub conversationid: ConversationId,
    /// Its instance, as the caller knows it.
    pub instance: Instance,
    /// Published, and checked for its form; the ids are sufficient.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub firstmessagedate: Option<Timestamp>,
    /// See `firstmessagedate`.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub lastmessagedate: Option<Timestamp>,
    /// The messages, at most [`MAX_MESSAGE_IDS`].
    #[serde(deserialize_with = "message_ids::<_, MAX_MESSAGE_IDS>")]
    pub messageids: Vec<MessageId>,
}
