//! `srv=chatserver&api=chatnotification`: what a station has yet to hear.

use serde::{Deserialize, Serialize};

use super::answer;
use crate::{
    chat::{
        error::Error,
        slate::{News, Slates},
    },
    model::id::{ConversationId, StationId, UserId},
};

/// What can be asked.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Notification": takes what is on the station's slate.
    Download,
}

#[derive(Serialize)]
struct NewsView {
    friendavailabilitesof: Vec<UserId>,
    conversationchangedof: Vec<ConversationId>,
    conversationlistchangedof: Vec<UserId>,
}

/// Does what is asked.
pub fn perform(slates: &Slates, user: UserId, station: StationId, action: Action) -> Result<Vec<u8>, Error> {
    let Action::Download = action;
    let News { conversations, list, friends } = slates.take(user, station);
    answer::ok(NewsView {
        friendavailabilitesof: friends.into_iter().collect(),
        conversationchangedof: conversations.into_iter().collect(),
        conversationlistchangedof: if list { vec![user] } else { vec![] },
    })
}
