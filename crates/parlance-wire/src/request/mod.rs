//! Requests: one enum per API, one variant per documented action, read by the server and written by
//! clients.
//!
//! A request is one JSON object. Its `action` names a variant, and its other fields are that
//! variant's. [`body()`] writes one, [`Head::parse`] and [`Action::parse`] read it:
//!
//! ```
//! use parlance_wire::{
//!     id::{ConversationId, UserId},
//!     request::{self, Action, Api, Head, Signed, conversation},
//!     time::Timestamp,
//!     version::ClientVersion,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let conversationid = ConversationId::random();
//! let mute = conversation::Action::Mute { conversationid };
//! let body = request::body(&mute, ClientVersion::V4, Timestamp::now(), "a nonce")?;
//!
//! let head = Head::parse(&body)?;
//! let action = Action::parse(Api::Conversation, &head, &body)?;
//! assert!(matches!(
//!     action,
//!     Action::Signed(Signed::Conversation(conversation::Action::Mute { conversationid: id }))
//!         if id == conversationid
//! ));
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod availability;
pub mod blocklist;
pub mod conversation;
pub mod conversationgroup;
pub mod epoch;
mod field;
pub mod file;
pub mod friends;
pub mod keys;
pub mod login;
mod names;
pub mod notification;
mod read;
pub mod reports;
pub mod workspace;
mod write;

use std::sync::LazyLock;

pub use self::{
    field::PageSize,
    read::{Head, MAX_NONCE, ParseError, action},
    write::body,
};
use self::{names::names, read::without};
use crate::key::SecretHash;

/// The actions of [`Api::Login`]: those of [`login`], and the signed ones of [`account`].
static LOGIN_ACTIONS: LazyLock<Vec<&str>> =
    LazyLock::new(|| [names::<login::Action>(), names::<account::Action>()].concat());

/// The served APIs, by their names in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `srv=chatserver&api=chatlogin`
    Login,
    /// `srv=chatserver&api=chatavailability`
    Availability,
    /// `srv=chatserver&api=chatfriends`
    Friends,
    /// `srv=chatserver&api=chatconversation`
    Conversation,
    /// `srv=chatserver&api=chatconversationgroup`
    ConversationGroup,
    /// `srv=chatserver&api=chatreports`
    Reports,
    /// `srv=chatserver&api=chatnotification`
    Notification,
    /// `srv=chatserver&api=chatblocklist`
    Blocklist,
    /// `srv=chatserver&api=chatkeys`
    Keys,
    /// `srv=chatserver&api=chatfileserver`
    File,
    /// `srv=chatowner&api=workspace`
    Workspace,
}

impl Api {
    /// Every API.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::Availability,
        Self::Friends,
        Self::Conversation,
        Self::ConversationGroup,
        Self::Reports,
        Self::Notification,
        Self::Blocklist,
        Self::Workspace,
        Self::Keys,
        Self::File,
    ];

    /// The names `srv` and `api` in a URL and in the signed text.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Login => ("chatserver", "chatlogin"),
            Self::Availability => ("chatserver", "chatavailability"),
            Self::Friends => ("chatserver", "chatfriends"),
            Self::Conversation => ("chatserver", "chatconversation"),
            Self::ConversationGroup => ("chatserver", "chatconversationgroup"),
            Self::Reports => ("chatserver", "chatreports"),
            Self::Notification => ("chatserver", "chatnotification"),
            Self::Blocklist => ("chatserver", "chatblocklist"),
            Self::Keys => ("chatserver", "chatkeys"),
            Self::File => ("chatserver", "chatfileserver"),
            Self::Workspace => ("chatowner", "workspace"),
        }
    }

    /// The API with these names. Returns `None` if there is no such API.
    #[must_use]
    pub fn named(srv: &str, api: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.names() == (srv, api))
    }

    /// The names of its actions. Those of [`login`] and [`account`] belong to the same API.
    #[must_use]
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Login => &LOGIN_ACTIONS,
            Self::Availability => names::<availability::Action>(),
            Self::Friends => names::<friends::Action>(),
            Self::Conversation => names::<conversation::Action>(),
            Self::ConversationGroup => names::<conversationgroup::Action>(),
            Self::Reports => names::<reports::Action>(),
            Self::Notification => names::<notification::Action>(),
            Self::Blocklist => names::<blocklist::Action>(),
            Self::Keys => names::<keys::Action>(),
            Self::File => names::<file::Action>(),
            Self::Workspace => names::<workspace::Action>(),
        }
    }
}

/// A request, by its kind of authentication.
#[derive(Debug)]
pub enum Action {
    /// Without a signature.
    Login(login::Action),
    /// Signed by a user, from any station or none.
    Workspace(workspace::Action),
    /// Signed by a user at a station or, if the operator allows it, sent by the station alone.
    Notification(notification::Action),
    /// Signed by a user at a station.
    Signed(Signed),
}

/// A request that a user signs at a station. Clients, which have the secrets themselves, use
/// `Signed<Credential>`.
#[derive(Debug)]
pub enum Signed<Secret = SecretHash> {
    /// See [`account`].
    Account(account::Action<Secret>),
    /// See [`availability`].
    Availability(availability::Action),
    /// See [`friends`].
    Friends(friends::Action),
    /// See [`conversation`].
    Conversation(conversation::Action),
    /// See [`conversationgroup`].
    ConversationGroup(conversationgroup::Action),
    /// See [`reports`].
    Reports(reports::Action),
    /// See [`blocklist`].
    Blocklist(blocklist::Action),
    /// See [`keys`].
    Keys(keys::Action),
    /// See [`mod@file`].
    File(file::Action),
}

impl Action {
    /// Parses the action in a body, with its fields.
    pub fn parse(api: Api, head: &Head<'_>, body: &[u8]) -> Result<Self, ParseError> {
        let name = &head.action;
        if !head.version().is_v4() && api == Api::File {
            return Err(ParseError::UnknownApi);
        }
        if !head.version().is_v4() && is_beyond_v3(api, name) {
            return Err(ParseError::UnknownAction);
        }
        Ok(match api {
            Api::Login if names::<account::Action>().contains(&name.as_ref()) => {
                Self::Signed(Signed::Account(action(name, body)?))
            }
            Api::Login if head.version().is_v4() => Self::Login(action(name, body)?),
            Api::Login => Self::Login(action(name, &without(body, &login::V4_FIELDS)?)?),
            Api::Workspace => Self::Workspace(action(name, body)?),
            Api::Notification => Self::Notification(action(name, body)?),
            Api::Availability => Self::Signed(Signed::Availability(action(name, body)?)),
            Api::Friends => Self::Signed(Signed::Friends(action(name, body)?)),
            // `list` had no fields before version 4, so those of an older client must not be
            // refused now.
            Api::Conversation if name == "list" && !head.version().is_v4() => {
                Self::Signed(Signed::Conversation(conversation::Action::List {
                    limit: PageSize::default(),
                    after: None,
                    known: None,
                }))
            }
            Api::Conversation => Self::Signed(Signed::Conversation(action(name, body)?)),
            Api::ConversationGroup => Self::Signed(Signed::ConversationGroup(action(name, body)?)),
            Api::Reports => Self::Signed(Signed::Reports(action(name, body)?)),
            Api::Blocklist => Self::Signed(Signed::Blocklist(action(name, body)?)),
            Api::Keys => Self::Signed(Signed::Keys(action(name, body)?)),
            Api::File => Self::Signed(Signed::File(action(name, body)?)),
        })
    }
}

/// Returns `true` for an action of version 4, which does not exist for older clients.
fn is_beyond_v3(api: Api, action: &str) -> bool {
    match api {
        Api::Login => action == "prelogin" || names::<account::Action>().contains(&action),
        Api::Conversation => ["rekey", "epochs", "shareepochs", "erase"].contains(&action),
        Api::Keys => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_names_its_actions_as_a_body_does() {
        assert_eq!(Api::Login.actions()[..2], ["login", "prelogin"]);
        assert!(Api::Login.actions().contains(&"invite"));
        assert!(Api::Login.actions().contains(&"signout"));
        assert!(
            Api::Conversation
                .actions()
                .contains(&"setlistitembackgroundcolor")
        );
        assert!(Api::ALL.iter().all(|api| !api.actions().is_empty()));
    }
}
