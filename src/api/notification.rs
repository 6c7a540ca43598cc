//! `srv=chatserver&api=chatnotification`: what a station has yet to be told; and the same, as a socket's frame.

use serde::Serialize;

use super::{
    answer,
    history::{MessageView, ReportView},
};
use crate::{
    chat::error::Error,
    notify::{
        changes::Changes,
        event::NewRow,
        registry::{Notifications, Poll},
    },
    store::rows::HistoryRow,
};
use parlance_wire::{
    id::{ConversationId, Receipt, StationId, UserId},
    request::notification::Action,
    version::ClientVersion,
};

#[derive(Serialize)]
struct ChangesView<'a> {
    friendavailabilitesof: Vec<UserId>,
    conversationchangedof: Vec<ConversationId>,
    conversationlistchangedof: Vec<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    typing: Vec<TypingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
}

#[derive(Serialize)]
struct EventView<'a> {
    conversationid: ConversationId,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportView<'a>>,
    after: &'a str,
}

#[derive(Serialize)]
struct TypingView {
    conversationid: ConversationId,
    userid: UserId,
}

/// Does what is asked. `connection` is the one that the request came on, if its other end is the station's own.
pub(crate) fn perform(
    notifications: &Notifications,
    user: UserId,
    station: StationId,
    connection: Option<u64>,
    version: ClientVersion,
    action: Action,
) -> Result<Vec<u8>, Error> {
    let Action::Download { received } = action;
    let (changes, receipt) = notifications.poll(
        user,
        station,
        Poll {
            connection,
            received,
        },
    );
    answer::ok(ChangesView {
        receipt: version.is_v4().then_some(receipt),
        ..view(&changes, user, ClientVersion::V3)
    })
}

/// Changes as a frame of a socket: the same object, without `status`.
pub(crate) fn frame(
    changes: &Changes,
    user: UserId,
    version: ClientVersion,
) -> Result<Vec<u8>, Error> {
    answer::json(&view(changes, user, version))
}

fn view(changes: &Changes, user: UserId, version: ClientVersion) -> ChangesView<'_> {
    let events = changes
        .rows
        .iter()
        .map(|((conversation, _), row)| event(*conversation, row));
    ChangesView {
        friendavailabilitesof: changes.friends.iter().copied().collect(),
        conversationchangedof: changes.conversations.iter().copied().collect(),
        conversationlistchangedof: if changes.list || changes.resync {
            vec![user]
        } else {
            vec![]
        },
        events: version.is_v4().then(|| events.collect()),
        typing: changes
            .typing
            .iter()
            .map(|(conversationid, userid)| TypingView {
                conversationid: *conversationid,
                userid: *userid,
            })
            .collect(),
        receipt: None,
    }
}

fn event(conversationid: ConversationId, new: &NewRow) -> EventView<'_> {
    let (message, report) = match &new.row {
        HistoryRow::Message(row) => (Some(MessageView::of(row, ClientVersion::V4)), None),
        HistoryRow::Report(row) => (None, Some(ReportView::of(row))),
    };
    EventView {
        conversationid,
        instance: new.instance.as_str(),
        message,
        report,
        after: &new.after,
    }
}
