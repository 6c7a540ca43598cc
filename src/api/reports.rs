//! `srv=chatserver&api=chatreports`: who has had, and who has seen, which messages.

use serde::{Deserialize, Deserializer, de};

use super::{
    answer::{self, Nothing},
    request::given,
};
use crate::chat::{self, Call, error::Error};
use parlance_wire::{
    id::{ConversationId, MessageId},
    text::Instance,
    time::Timestamp,
};

/// Maximum messages that one request reports on.
const MAX_IDS: usize = 1000;

/// What can be asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the fields are those of the pages")]
pub enum Action {
    /// Page "Report": the caller saw messages.
    Viewed(Report),
    /// Ours: messages reached the caller's station.
    Delivered(Report),
}

/// On which messages.
#[derive(Debug, Deserialize)]
pub struct Report {
    conversationid: ConversationId,
    instance: Instance,
    // Published, and checked for form; the ids say all that is needed.
    #[serde(default, deserialize_with = "given", rename = "firstmessagedate")]
    _firstmessagedate: Option<Timestamp>,
    #[serde(default, deserialize_with = "given", rename = "lastmessagedate")]
    _lastmessagedate: Option<Timestamp>,
    #[serde(deserialize_with = "message_ids")]
    messageids: Vec<MessageId>,
}

fn message_ids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<MessageId>, D::Error> {
    let ids = Vec::deserialize(from)?;
    if ids.len() > MAX_IDS {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_IDS} message ids"
        )));
    }
    Ok(ids)
}

/// Does what is asked.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (r#type, report) = match action {
        Action::Viewed(report) => ("viewed", report),
        Action::Delivered(report) => ("delivered", report),
    };
    chat::report::add(
        call,
        r#type,
        report.conversationid,
        report.instance,
        report.messageids,
    )
    .await?;
    answer::ok(Nothing {})
}
