//! `srv=chatserver&api=chatnotification`: what a station has yet to hear; and the same, as a socket
//! hears it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    answer,
    history::{MessageView, ReportView},
};
use crate::{
    chat::{
        error::Error,
        event::Fresh,
        news::News,
        slate::{Lent, Slates},
    },
    model::{
        id::{ConversationId, StationId, UserId},
        rows::HistoryRow,
    },
};

/// What can be asked.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Notification": takes what is on the station's slate.
    Download,
}

/// What a v4 client may say through a socket.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// The user is writing a message.
    Typing {
        /// Where.
        conversationid: ConversationId,
    },
}

#[derive(Serialize)]
struct NewsView<'a> {
    friendavailabilitesof: Vec<UserId>,
    conversationchangedof: Vec<ConversationId>,
    conversationlistchangedof: Vec<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    typing: Vec<TypingView>,
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

/// Does what is asked. What is answered goes back onto the slate, unless it is told that it has arrived.
pub fn perform(slates: &Arc<Slates>, user: UserId, station: StationId, action: Action) -> Result<(Vec<u8>, Lent), Error> {
    let Action::Download = action;
    let lent = slates.lend(user, station);
    Ok((answer::ok(view(&lent.news, user, false))?, lent))
}

/// News as a frame of a socket: the same object, without `status`.
pub fn frame(news: &News, user: UserId, is_v4: bool) -> Result<Vec<u8>, Error> {
    answer::json(&view(news, user, is_v4))
}

fn view(news: &News, user: UserId, is_v4: bool) -> NewsView<'_> {
    let events = news.fresh.iter().map(|((conversation, _), fresh)| event(*conversation, fresh));
    NewsView {
        friendavailabilitesof: news.friends.iter().copied().collect(),
        conversationchangedof: news.conversations.iter().copied().collect(),
        conversationlistchangedof: if news.list { vec![user] } else { vec![] },
        events: is_v4.then(|| events.collect()),
        typing: news
            .typing
            .iter()
            .map(|(conversationid, userid)| TypingView { conversationid: *conversationid, userid: *userid })
            .collect(),
    }
}

fn event(conversationid: ConversationId, fresh: &Fresh) -> EventView<'_> {
    let (message, report) = match &fresh.row {
        HistoryRow::Message(row) => (Some(MessageView::of(row, true)), None),
        HistoryRow::Report(row) => (None, Some(ReportView::of(row))),
    };
    EventView { conversationid, instance: fresh.instance.as_str(), message, report, after: &fresh.after }
}
