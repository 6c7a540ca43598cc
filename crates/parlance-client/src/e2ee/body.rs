//! The content of a message: the fields that every body has, and the kinds of body.

mod kind;

pub use self::kind::{FileReference, Kind, Reply, WireType};

use parlance_wire::{
    e2ee::{AnnouncementHash, Head, Invalid, LogRoot, canonical},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;

/// Maximum size of a body. Servers accept less by default.
// A bound for what is parsed, whatever a server lets through.
pub const MAX_BODY: usize = 1 << 20;

/// The content of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// When it was written, by its writer's clock. Unlike `Created`, the server cannot correct
    /// this.
    pub at: Timestamp,
    /// When it expires, if its writer set that.
    pub until: Option<Timestamp>,
    /// Counts the messages of a station in this instance of the conversation, from 1.
    pub n: u64,
    /// The newest message that the writer had seen.
    pub head: Head,
    /// The announcement of its epoch, according to the writer.
    pub ep: Option<AnnouncementHash>,
    /// The key log, according to the writer.
    pub log: Option<LogMark>,
    /// The kind of body, with its own fields.
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

/// A kind of body, with its fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A kind that this version supports.
    Known(Kind),
    /// Another kind: its `alt` text is shown, or a sentence in its place.
    Unknown {
        /// As the body names it.
        kind: String,
        /// The text to show in its place.
        alt: Option<String>,
    },
    /// A body of a newer version, which is kept and parsed again after an update.
    // Not an error: the fields that every body has are still checked.
    Newer(u32),
}

impl Body {
    /// Its canonical JSON.
    ///
    /// # Errors
    /// `Malformed`: only known kinds can be written, and no setting is named `kind`. `Invalid`: a number is not an integer.
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
        // It would stand in place of the kind itself.
        if matches!(known, Kind::Settings(settings) if settings.contains_key("kind")) {
            return Err(Error::Malformed("a setting named kind"));
        }
        let mut fields = object(&common)?;
        // The common fields last, as a setting with such a name must not replace one.
        let mut all = object(known)?;
        all.append(&mut fields);
        let text = canonical::write(&Value::Object(all))?;
        if text.len() > MAX_BODY {
            return Err(Error::TooLong);
        }
        Ok(text)
    }

    /// Parses a body. Unknown fields are ignored, unknown kinds and versions are kept.
    ///
    /// # Errors
    /// `Invalid`: it is not canonical JSON, or lacks a common field.
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
        // Its map takes every field that is left, and these are no settings.
        for common in ["v", "at", "until", "n", "head", "ep", "log"] {
            fields.remove(common);
        }
    }
    // A known kind with undocumented fields is treated like an unknown one, so that it is never
    // dropped.
    serde_json::from_value(value).map_or(Content::Unknown { kind, alt }, Content::Known)
}
