//! The kinds of body.

use std::collections::BTreeMap;

use parlance_wire::id::{FileId, MessageId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kinds of body that this version supports (docs/e2ee.md, Kinds).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Text, in the documented subset of Markdown.
    Text {
        /// The text as it was written.
        text: String,
        /// The message that this is a reply to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Reply>,
        /// The mentioned users.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// Files, with a caption.
    File {
        /// The attached files, in the order in which they are shown.
        files: Vec<FileReference>,
        /// The caption, which may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// The message that this is a reply to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Reply>,
        /// The users who are mentioned in the caption.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// A new text for one of the user's own messages. The highest Seq wins.
    Edit {
        /// The message.
        of: MessageId,
        /// Its new text.
        text: String,
        /// The users who are mentioned now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// Hides messages: the user's own or, by an admin, those of others.
    Delete {
        /// The messages to hide.
        of: Vec<MessageId>,
    },
    /// Adds or removes a reaction. The highest Seq wins, for each message, user and emoji.
    Reaction {
        /// The message.
        of: MessageId,
        /// The emoji that is shown beside the message.
        emoji: String,
        /// Whether it is removed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        off: bool,
    },
    /// Pins or unpins a message.
    Pin {
        /// The message.
        of: MessageId,
        /// Whether it is unpinned.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        off: bool,
    },
    /// The proof that an invitation requires, in hex.
    Verify {
        /// HMAC-SHA-256 over both cards.
        mac: String,
    },
    /// Settings that a user's own devices share, in a group of only that user. The clients of a
    /// user agree on the fields.
    Settings(BTreeMap<String, Value>),
}

/// The message that a text or a caption replies to. Once that is available, its own content counts,
/// and not the quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The message.
    pub id: MessageId,
    /// Its author, as the writer of the reply says.
    pub user: UserId,
    /// Its beginning, at most 200 characters.
    pub quote: String,
}

/// A file, which is encrypted with a key of its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReference {
    /// Its id on the server.
    pub id: FileId,
    /// Its name, according to the sender: neither a path nor to be trusted.
    pub name: String,
    /// Its media type, according to the sender.
    pub mime: String,
    /// Its length in bytes, without padding.
    pub size: u64,
    /// Number of its records.
    pub records: u64,
    /// Its key, base64.
    pub key: String,
    /// The hash over its records, hex.
    pub digest: String,
    /// Width in pixels, of a picture or a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w: Option<u32>,
    /// Height in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h: Option<u32>,
    /// Length in milliseconds, of sound or a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// A small picture of at most 4 KB, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumb: Option<String>,
    /// The loudness of a voice message, base64, a byte for each sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
}

impl std::fmt::Debug for FileReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without its key and name, which should not be in a log.
        write!(f, "FileReference({})", self.id)
    }
}

/// The `Type` on the wire, which decides whether a message counts as unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireType {
    /// `Message`, which counts as unread.
    Message,
    /// `Update`, which does not.
    Update,
}

impl WireType {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "Message",
            Self::Update => "Update",
        }
    }
}

impl Kind {
    /// The `Type` that it is sent with.
    #[must_use]
    pub fn wire_type(&self) -> WireType {
        match self {
            Self::Text { .. } | Self::File { .. } => WireType::Message,
            _ => WireType::Update,
        }
    }

    /// Returns `true` if an update by `user`, who signed it, may affect a message of `author`.
    /// `is_admin` says whether `user` is an admin of the group, or whether the conversation is a
    /// direct one where that is enough.
    #[must_use]
    pub fn may_change(&self, user: UserId, author: UserId, is_admin: bool) -> bool {
        match self {
            Self::Edit { .. } => user == author,
            Self::Delete { .. } => user == author || is_admin,
            Self::Pin { .. } => is_admin,
            Self::Reaction { .. } => true,
            Self::Text { .. } | Self::File { .. } | Self::Verify { .. } | Self::Settings(_) => {
                false
            }
        }
    }
}
