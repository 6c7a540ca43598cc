//! The answers of the calls, with the fields that a version 4 client gets.

mod account;
mod keys;
mod notification;
mod people;
#[cfg(test)]
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    list::Known,
    request::file::Records,
    text::{Data, EncryptedKey, Instance},
    time::Timestamp,
    word::{CredentialKind, ReportType, UserRole},
};
use serde::{
    Deserialize, Deserializer,
    de::{IntoDeserializer, value::StringDeserializer},
};

pub use self::{
    account::{
        CredentialInfo, Invite, Invites, Keys, Limits, NewInvite, Prelogin, Profile, Push,
        SignedOut, StationInfo, Stations, Vault,
    },
    keys::{Cards, Epoch, Epochs, KeyLogPage},
    notification::{Erased, Event, Notification, Typing},
    people::{Blocklist, Friend, FriendRequest, FriendWhoLeft, Friends},
};

/// The answer to a login.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Login {
    /// The server's version.
    pub server: String,
    /// The addresses for WebSockets, by scheme: `ws` or `wss`.
    pub listeners: BTreeMap<String, String>,
    /// The private key under the user's password.
    pub rsakey: EncryptedKey,
    /// The user's id.
    pub userid: UserId,
    /// The user's full name.
    pub fullname: String,
    /// The short name that others see.
    pub nick: String,
    /// The user's role on this server; `None` from an older server.
    #[serde(default)]
    pub role: Option<UserRole>,
    /// The version of `rsakey`. Servers before version 4 have none: 0.
    #[serde(default)]
    pub version: u32,
    /// The kind of key that opened the login. After a recovery the password has to be replaced.
    #[serde(default)]
    pub key: Option<CredentialKind>,
    /// The server's limits. Servers before version 4 do not report them.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// The state of an upload.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Upload {
    /// Its size in bytes, as it is stored.
    pub size: u64,
    /// Number of its records.
    pub records: u32,
    /// The records that the server has, as ranges: the first and the last record of each.
    #[cfg_attr(test, schemars(with = "Vec<(u32, u32)>"))]
    pub have: Vec<Records>,
    /// Whether the upload has ended: the file can be read, and no longer changes.
    pub complete: bool,
}

/// A conversation, as its caller sees it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Conversation {
    /// Its id, which clearing does not change.
    pub id: ConversationId,
    /// Whether it is a group, even if it has only two participants.
    pub isgroup: bool,
    /// The participants' ids, sorted.
    pub participantids: Vec<UserId>,
    /// The participants, with their short names.
    pub participants: Vec<Participant>,
    /// Its name, encrypted.
    pub displayname: String,
    /// The newest message of the present instance.
    #[serde(deserialize_with = "blank")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub lastmessageid: Option<MessageId>,
    /// The newest report of the present instance.
    #[serde(deserialize_with = "blank")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub lastreportid: Option<ReportId>,
    /// When the newest message was written; Unix seconds.
    pub lastaccess: i64,
    /// The caller's copy of its secret, wrapped.
    pub secret: String,
    /// The present instance of its content.
    pub instance: Instance,
    /// The caller, if they have hidden it for good.
    pub hiddenby: Vec<UserId>,
    /// The caller's settings of it.
    pub properties: Vec<Properties>,
    /// The hash over all messages up to the newest (docs/transcript.md); empty before the first.
    #[serde(default)]
    pub chain: String,
    /// The admins of a group according to the server, sorted; docs/e2ee.md says when that counts.
    #[serde(default)]
    pub admins: Vec<UserId>,
    /// The number of the present epoch, or 0 for none.
    #[serde(default)]
    pub epoch: u32,
    /// The present epoch, unless its announcement is long.
    #[serde(default)]
    pub epochs: Vec<Epoch>,
    /// In a list: the number of messages to be viewed. 999 means that many or more.
    #[serde(default)]
    pub unread: Option<u32>,
}

/// The answer to [`Session::list_changes`](crate::Session::list_changes).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ListChanges {
    /// The conversations that are new or may have changed, newest first.
    pub conversations: Vec<Conversation>,
    /// The ids of the whole list, if other conversations than the known ones may be in it. One that
    /// is not among them is gone.
    #[serde(default)]
    pub conversationids: Option<BTreeSet<ConversationId>>,
    /// The mark for the next request.
    pub known: Known,
}

/// The answer to [`Session::erase`](crate::Session::erase).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ErasedMessages {
    pub(crate) messageids: Vec<MessageId>,
}

/// A participant of a conversation.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Participant {
    /// The user's id.
    pub userid: UserId,
    /// Their short name.
    pub username: String,
}

/// A user's properties of a conversation.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Properties {
    /// The user whose settings these are.
    pub userid: UserId,
    /// Whether notifications are muted.
    pub ismuted: bool,
    /// Whether it is among the user's favorites.
    pub isfavorite: bool,
    /// The instances hidden, each followed by `;`.
    pub hideid: String,
    /// The color of its line in the list, as `#rrggbb`; empty if none was chosen.
    pub listitembackgroundcolor: String,
}

/// A message, as stored by the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Message {
    /// Its id, chosen by its sender. Sending another message with this id repeats it.
    #[serde(rename = "ID")]
    pub id: MessageId,
    /// `Message` counts as unread, `Update` does not; others are the clients' own.
    // Text instead of an enum: types are the clients' own, and a new one must not make a whole page
    // unreadable.
    #[serde(rename = "Type")]
    pub r#type: String,
    /// When it was written, by its sender's clock.
    #[serde(rename = "Created")]
    pub created: Timestamp,
    /// When it expires.
    #[serde(rename = "ValidUntil")]
    pub valid_until: Timestamp,
    /// Its content, encrypted.
    #[serde(rename = "Data")]
    pub data: Data,
    /// Its sender, according to the server.
    #[serde(rename = "User")]
    pub user: UserId,
    /// The station that it was sent from.
    #[serde(rename = "Station")]
    pub station: StationId,
    /// Its number in the conversation.
    #[serde(rename = "Seq")]
    pub seq: i64,
    /// The hash over all messages up to this one (docs/transcript.md).
    #[serde(rename = "Chain")]
    pub chain: String,
}

/// A report that a user's station has received a message, or that the user has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Its id, with which the next download begins ([`History`](crate::History)).
    #[serde(rename = "ID")]
    pub id: ReportId,
    /// What happened to the message.
    #[serde(rename = "Type")]
    pub r#type: ReportType,
    /// When the server received it.
    #[serde(rename = "Created")]
    pub created: Timestamp,
    /// The user who sent it.
    #[serde(rename = "User")]
    pub user: UserId,
    /// The station that it was sent from.
    #[serde(rename = "Station")]
    pub station: StationId,
    /// The message that it is about.
    #[serde(rename = "MessageID")]
    pub message_id: MessageId,
}

/// A message's times, as the server stored them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stored {
    /// Its id, chosen by its sender. Sending another message with this id repeats it.
    #[serde(rename = "ID")]
    pub id: MessageId,
    /// When it was written; if that was in the future, the server's time.
    #[serde(rename = "Created")]
    pub created: Timestamp,
    /// When it expires.
    #[serde(rename = "ValidUntil")]
    pub valid_until: Timestamp,
}

/// A page of a conversation's rows, oldest first.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// The reports that others have received or seen messages, oldest first.
    pub reports: Vec<Report>,
    /// Whether there are more rows.
    #[serde(default)]
    pub hasmore: bool,
}

/// A page of links of a conversation's chain (docs/transcript.md).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transcript {
    /// The links, oldest first.
    pub transcript: Vec<Link>,
    /// Whether there are more links.
    pub hasmore: bool,
}

/// A link: a message's place in the chain, even if the message is purged.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Link {
    /// The message's number.
    #[serde(rename = "Seq")]
    pub seq: i64,
    /// The message's id.
    #[serde(rename = "ID")]
    pub id: MessageId,
    /// SHA-256 of its `Data`, hex.
    #[serde(rename = "DataHash")]
    pub data_hash: String,
    /// The hash over all messages up to it, hex.
    #[serde(rename = "Chain")]
    pub chain: String,
}

/// A group after a call, and the users who were invited instead of added.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Group {
    /// The group, as it is after the call.
    pub conversation: Conversation,
    /// The users who were invited instead. Whether they got an invitation is not disclosed.
    #[serde(default)]
    pub invited: Vec<UserId>,
}

/// An invitation to a group.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Invitation {
    /// The group that the user is invited to.
    pub conversationid: ConversationId,
    /// The inviter, so that a client can show whether it is a friend.
    pub inviterid: UserId,
    /// Their short name.
    pub invitername: String,
    /// The caller's copy of the group's secret, wrapped.
    pub secret: String,
    /// The group's name, encrypted.
    pub displayname: String,
    /// When the user was invited.
    pub invited: Timestamp,
    /// The participants whom the caller knows: friends, and users whom the caller blocked.
    pub participantids: Vec<UserId>,
}

/// An answer without content.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
// A struct instead of `()`: an answer is an object, whose common fields are ignored.
pub(crate) struct Done {}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct OneConversation {
    pub conversation: Conversation,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(clippy::struct_field_names, reason = "as on the wire")]
pub(crate) struct Conversations {
    pub conversations: Vec<Conversation>,
    #[serde(default)]
    pub hasmore: bool,
    /// The mark with which to ask for what changes while further pages are read.
    #[serde(default)]
    pub known: Known,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Invitations {
    pub invitations: Vec<Invitation>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Added {
    pub message: Stored,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Registered {
    pub userid: UserId,
}

/// Parses an id; an empty text means that there is none.
fn blank<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    // The published answers have no null: an absent value is an empty string.
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    let text: StringDeserializer<D::Error> = text.into_deserializer();
    T::deserialize(text).map(Some)
}
