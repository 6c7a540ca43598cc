//! `srv=chatserver&api=chatreports`: which messages were delivered to whom, and seen by whom.

use serde::{Deserialize, Deserializer, Serialize, de};

use super::field::given;
use crate::{
    id::{ConversationId, MessageId},
    text::Instance,
    time::Timestamp,
};

/// Maximum messages that one request reports on.
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
    /// The conversation.
    pub conversationid: ConversationId,
    /// Its instance, as the caller knows it.
    pub instance: Instance,
    /// Published, and checked for form; the ids say all that is needed.
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
    #[serde(deserialize_with = "message_ids")]
    pub messageids: Vec<MessageId>,
}

fn message_ids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<MessageId>, D::Error> {
    let ids = Vec::deserialize(from)?;
    // Each is a lookup in the statement that holds the conversation's lock.
    if ids.len() > MAX_MESSAGE_IDS {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_MESSAGE_IDS} message ids"
        )));
    }
    Ok(ids)
}
