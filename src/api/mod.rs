//! The wire: which API and action a request names, and how its answer is written. One enum per API is
//! its router; each variant is a documented action.

pub(crate) mod answer;
pub(crate) mod availability;
pub(crate) mod blocklist;
pub mod conversation;
pub(crate) mod conversationgroup;
pub mod error;
pub(crate) mod friends;
pub(crate) mod history;
pub(crate) mod login;
pub mod notification;
pub(crate) mod reports;
pub mod request;
pub(crate) mod workspace;

use self::request::Head;
use crate::{
    chat::{Call, error::Error},
    notify::registry::Fetched,
};
use parlance_wire::version::ClientVersion;

/// The APIs that are served, by the names that a URL gives.
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
    /// `srv=chatowner&api=workspace`
    Workspace,
}

impl Api {
    /// Every API, with the names that a URL gives.
    pub const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Login, "chatserver", "chatlogin"),
        (Self::Availability, "chatserver", "chatavailability"),
        (Self::Friends, "chatserver", "chatfriends"),
        (Self::Conversation, "chatserver", "chatconversation"),
        (
            Self::ConversationGroup,
            "chatserver",
            "chatconversationgroup",
        ),
        (Self::Reports, "chatserver", "chatreports"),
        (Self::Notification, "chatserver", "chatnotification"),
        (Self::Blocklist, "chatserver", "chatblocklist"),
        (Self::Workspace, "chatowner", "workspace"),
    ];

    /// The API of these names, with the names as they stand in the signed text.
    ///
    /// # Errors
    /// `UnknownApi`.
    pub fn named(srv: &str, api: &str) -> Result<(Self, &'static str, &'static str), Error> {
        Self::ALL
            .into_iter()
            .find(|(_, s, a)| *s == srv && *a == api)
            .ok_or(Error::UnknownApi)
    }
}

/// What someone asks for, by whom it can be asked.
#[derive(Debug)]
pub enum Action {
    /// Asked by anyone: coming in.
    Login(login::Action),
    /// Asked by a user, from wherever.
    Workspace(workspace::Action),
    /// Asked by a station, or by a user from a station.
    Notification(notification::Action),
    /// Asked by a user, from a station.
    Signed(Signed),
}

/// What a user asks for from a station.
#[derive(Debug)]
pub enum Signed {
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
}

impl Action {
    /// Reads the action that a body names, with its fields.
    ///
    /// # Errors
    /// `UnknownAction`, or `BadRequest` with the field and what it must be.
    pub fn parse(api: Api, head: &Head<'_>, body: &[u8]) -> Result<Self, Error> {
        let name = &head.action;
        Ok(match api {
            Api::Login => Self::Login(request::action(name, body)?),
            Api::Workspace => Self::Workspace(request::action(name, body)?),
            Api::Notification => Self::Notification(request::action(name, body)?),
            Api::Availability => Self::Signed(Signed::Availability(request::action(name, body)?)),
            Api::Friends => Self::Signed(Signed::Friends(request::action(name, body)?)),
            Api::Conversation => Self::Signed(Signed::Conversation(request::action(name, body)?)),
            Api::ConversationGroup => {
                Self::Signed(Signed::ConversationGroup(request::action(name, body)?))
            }
            Api::Reports => Self::Signed(Signed::Reports(request::action(name, body)?)),
            Api::Blocklist => Self::Signed(Signed::Blocklist(request::action(name, body)?)),
        })
    }
}

impl Signed {
    /// Whether it may be answered with many rows.
    #[must_use]
    pub(crate) fn is_read(&self) -> bool {
        use conversation::Action::{Download, DownloadPartial, List, Transcript};
        matches!(
            self,
            Self::Conversation(
                List { .. } | Download { .. } | DownloadPartial { .. } | Transcript { .. }
            ) | Self::ConversationGroup(conversationgroup::Action::Invitations)
                | Self::Friends(friends::Action::List)
                | Self::Blocklist(_)
        )
    }

    /// What the station has once it was given the answer. A v4 client that is told of its list also looks at its
    /// invitations, so for it `list` alone shows nothing.
    #[must_use]
    pub(crate) fn fetches(&self, version: ClientVersion) -> Option<Fetched> {
        match self {
            Self::Conversation(conversation::Action::Download { conversationid, .. }) => {
                Some(Fetched::Conversation(*conversationid))
            }
            Self::Conversation(conversation::Action::List { limit, after: None })
                if limit.0.is_none() && !version.is_v4() =>
            {
                Some(Fetched::List)
            }
            Self::Friends(friends::Action::List) => Some(Fetched::Friends),
            _ => None,
        }
    }
}

/// Does what a user asks for from a station. What is asked for seldom is boxed: a future is as large as the
/// largest thing that it may do, and each request would carry that around.
pub(crate) async fn perform(call: &mut Call<'_>, action: Signed) -> Result<Vec<u8>, Error> {
    let answer = match action {
        Signed::Availability(action) => Box::pin(availability::perform(call, action)).await,
        Signed::Friends(action) => Box::pin(friends::perform(call, action)).await,
        Signed::Conversation(action) => conversation::perform(call, action).await,
        Signed::ConversationGroup(action) => {
            Box::pin(conversationgroup::perform(call, action)).await
        }
        Signed::Reports(action) => Box::pin(reports::perform(call, action)).await,
        Signed::Blocklist(action) => Box::pin(blocklist::perform(call, action)).await,
    }?;
    history::cache_new_rows(call)?;
    Ok(answer)
}
