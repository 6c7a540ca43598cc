//! `srv=chatserver&api=chatnotification`: a station's pending notifications; and the frames that
//! clients send.

use serde::{Deserialize, Serialize};

use super::field::given;
use crate::id::{ConversationId, Receipt};

/// The actions of this API.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Notification": takes the station's pending notifications.
    Download {
        /// The receipt of the newest answer that the station has; of a v4 client.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        received: Option<Receipt>,
    },
}

/// Maximum bytes of a client's frame.
// The longest, `typing`, has about a hundred.
pub const MAX_FRAME: usize = 4096;

/// A frame that a v4 client may send over its socket.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClientFrame {
    /// Asks for an answer. Scripts in a browser cannot send the protocol's own ping.
    Ping,
    /// The user is writing a message.
    Typing {
        /// The conversation that the message is for.
        conversationid: ConversationId,
    },
}
