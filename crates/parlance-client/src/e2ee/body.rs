//! What a message says: the fields that every body has, and its kinds.

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::{AnnouncementHash, Head, Invalid, LogRoot, canonical},
    id::{MessageId, UserId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;

/// Maximum bytes of a body. What servers take by default is less.
pub const MAX_BODY: usize = 1 << 20;

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// When it was written, by its writer's clock. The server may correct `Created`; nobody corrects this.
    pub at: Timestamp,
    /// When it expires, if its writer chose so.
    pub until: Option<Timestamp>,
    /// Counts the messages of its station in this instance of the conversation, from 1.
    pub n: u64,
    /// The newest message that its writer had seen.
    pub head: Head,
    /// The announcement of its epoch, as its writer knows it.
    pub ep: Option<AnnouncementHash>,
    /// The key log, as its writer knows it.
    pub log: Option<LogMark>,
    /// What it says.
    pub content: Content,
}

/// The key log at one size: `[size, root]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark(pub u64, pub LogRoot);

/// The fields that every body has.
#[derive(Serialize, Deserialize)]
struct Common {
    v: u32,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    n: u64,
    head: Head,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ep: Option<AnnouncementHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<LogMark>,
}

/// The kinds of body, and what each says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A kind that this version knows.
    Known(Kind),
    /// Another kind: its `alt` text is shown, or a sentence that says so.
    Unknown {
        /// Its name.
        kind: String,
        /// What is shown in its place.
        alt: Option<String>,
    },
    /// A body of a newer version: kept, and read again after an update.
    Newer(u32),
}

/// The kinds of body that this version knows (docs/e2ee.md, Kinds of body).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Text, in the documented subset of Markdown.
    Text {
        /// The text.
        text: String,
        /// The message that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Reply>,
        /// Who is mentioned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// Files, with a caption.
    File {
        /// The files.
        files: Vec<FileReference>,
        /// The caption.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Another text for one of one's own messages. The highest Seq wins.
    Edit {
        /// The message.
        of: MessageId,
        /// Its new text.
        text: String,
        /// Who is mentioned now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// Hides messages: one's own, or as an admin those of others.
    Delete {
        /// The messages.
        of: Vec<MessageId>,
    },
    /// A reaction, or its end. The highest Seq wins, for each message, user and emoji.
    Reaction {
        /// The message.
        of: MessageId,
        /// The emoji.
        emoji: String,
        /// Taken back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        off: bool,
    },
    /// Pins a message, or no more.
    Pin {
        /// The message.
        of: MessageId,
        /// No more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        off: bool,
    },
    /// The proof that an invitation asks for, in hex.
    Verify {
        /// HMAC-SHA-256 over both cards.
        mac: String,
    },
    /// What one's own devices share, in a group of oneself. Each field is as the clients of one person agree.
    Settings(BTreeMap<String, Value>),
}

/// The message that a text answers. Its own content counts, once it is here, not the quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The message.
    pub id: MessageId,
    /// Who wrote it.
    pub user: UserId,
    /// Its beginning, at most 200 characters.
    pub quote: String,
}

/// A file, which is encrypted with a key of its own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReference {
    /// Its id on the server.
    pub id: MessageId,
    /// Its name.
    pub name: String,
    /// Its media type, as its sender gives it.
    pub mime: String,
    /// Its length in bytes, without padding.
    pub size: u64,
    /// How many records it has.
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
        // Without its key and its name: a log should hold neither.
        write!(f, "FileReference({})", self.id)
    }
}

/// Whether a message counts as unread: its `Type` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireType {
    /// `Message`: it does.
    Message,
    /// `Update`: it does not.
    Update,
}

impl WireType {
    /// The word.
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

    /// Whether an update has an effect on a message of `author`. `user` signed the update; `is_admin` says whether they
    /// are an admin of the group, or whether the conversation is a direct one where that is enough.
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

impl Body {
    /// Its canonical JSON.
    ///
    /// # Errors
    /// `Malformed`: only known kinds are written. `Invalid`: a number in it is no integer.
    pub fn to_text(&self) -> Result<String, Error> {
        let Content::Known(known) = &self.content else {
            return Err(Error::Malformed("a body of an unknown kind"));
        };
        let common = Common {
            v: 1,
            at: self.at,
            until: self.until,
            n: self.n,
            head: self.head,
            ep: self.ep,
            log: self.log,
        };
        let mut fields = object(&common)?;
        // The common fields last: a setting of such a name must not replace one.
        let mut all = object(known)?;
        all.append(&mut fields);
        let text = canonical::write(&Value::Object(all))?;
        if text.len() > MAX_BODY {
            return Err(Error::TooLong);
        }
        Ok(text)
    }

    /// Reads a body. Unknown fields are ignored, unknown kinds and versions kept.
    ///
    /// # Errors
    /// `Invalid`: not canonical JSON, or without the fields that every body has.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let value: Value = canonical::read(text, MAX_BODY)?;
        let common = Common::deserialize(&value).map_err(Invalid::Json)?;
        let content = if common.v == 1 {
            content(value)
        } else {
            Content::Newer(common.v)
        };
        Ok(Self {
            at: common.at,
            until: common.until,
            n: common.n,
            head: common.head,
            ep: common.ep,
            log: common.log,
            content,
        })
    }
}

fn object<T: Serialize>(value: &T) -> Result<serde_json::Map<String, Value>, Error> {
    match serde_json::to_value(value).map_err(Invalid::Json)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::Malformed("not an object")),
    }
}

fn content(mut value: Value) -> Content {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (kind, alt) = (text("kind").unwrap_or_default(), text("alt"));
    if kind == "settings"
        && let Some(fields) = value.as_object_mut()
    {
        for common in ["v", "at", "until", "n", "head", "ep", "log"] {
            fields.remove(common);
        }
    }
    // A known kind whose fields are not as documented is treated as an unknown one: it is never dropped.
    serde_json::from_value(value).map_or(Content::Unknown { kind, alt }, Content::Known)
}
