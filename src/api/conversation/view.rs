//! A conversation as one of its participants sees it on the wire.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;

use super::epoch::EpochView;
use crate::{
    api::answer,
    chat::{Call, conversation::ListChanges, error::Error},
    store::{self, rows::ConversationRow},
};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    list::{Known, ListMark},
    text::Instance,
    version::ClientVersion,
};

/// A conversation, key for key in the published order.
#[derive(Serialize)]
struct ConversationView<'a> {
    id: ConversationId,
    isgroup: bool,
    participantids: Vec<UserId>,
    participants: Vec<ParticipantView<'a>>,
    displayname: &'a str,
    lastmessageid: Blank<MessageId>,
    lastreportid: Blank<ReportId>,
    lastaccess: i64,
    secret: &'a str,
    instance: &'a Instance,
    // Published as lists of users, but each reader sees only themselves in them: properties are
    // private.
    mutedby: Vec<UserId>,
    favoriteby: Vec<UserId>,
    hiddenby: Vec<UserId>,
    // A list of one, for the same reason.
    properties: [PropertiesView<'a>; 1],
    // Absent instead of blank for v3 clients: a published object has exactly its published keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Blank<Chain>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admins: Option<Vec<UserId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<Vec<EpochView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<i64>,
}

/// A value, or the empty text.
// The published examples have an empty text, not null, where there is nothing yet.
#[derive(Serialize)]
#[serde(untagged)]
enum Blank<T> {
    Some(T),
    None(&'static str),
}

#[derive(Serialize)]
struct ParticipantView<'a> {
    userid: UserId,
    username: &'a str,
}

#[derive(Serialize)]
struct PropertiesView<'a> {
    userid: UserId,
    ismuted: bool,
    isfavorite: bool,
    hideid: &'a str,
    listitembackgroundcolor: &'a str,
}

impl<'a> ConversationView<'a> {
    fn of(
        row: &'a ConversationRow,
        names: &'a HashMap<UserId, Arc<str>>,
        version: ClientVersion,
    ) -> Self {
        let reader_if = |is| if is { vec![row.user_id] } else { vec![] };
        let everyone = row.participants();
        let participant = |id: &UserId| ParticipantView {
            userid: *id,
            username: names.get(id).map_or("", |name| name),
        };
        Self {
            id: row.conversation_id,
            isgroup: row.is_group,
            participants: everyone.iter().map(participant).collect(),
            participantids: everyone,
            displayname: &row.display_name,
            lastmessageid: row.last_message_id.map_or(Blank::None(""), Blank::Some),
            lastreportid: row.last_report_id.map_or(Blank::None(""), Blank::Some),
            lastaccess: row.last_access_at.unix_seconds(),
            secret: &row.secret,
            instance: &row.instance,
            mutedby: reader_if(row.is_muted),
            favoriteby: reader_if(row.is_favorite),
            hiddenby: reader_if(row.is_hidden),
            properties: [PropertiesView {
                userid: row.user_id,
                ismuted: row.is_muted,
                isfavorite: row.is_favorite,
                hideid: &row.hide_id,
                listitembackgroundcolor: &row.color,
            }],
            chain: version
                .is_v4()
                .then(|| row.chain.map_or(Blank::None(""), Blank::Some)),
            admins: version.is_v4().then(|| row.admins()),
            epoch: version.is_v4().then_some(row.epoch),
            epochs: version.is_v4().then(|| EpochView::newest(row)),
            unread: row.unread,
        }
    }
}

#[derive(Serialize)]
struct ListView<'a> {
    conversations: Vec<ConversationView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hasmore: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversationids: Option<Vec<ConversationId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<Known>,
}

#[derive(Serialize)]
struct OneView<'a> {
    conversation: ConversationView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<Vec<UserId>>,
}

/// An answer with a page of the caller's list.
pub(crate) async fn list(
    call: &Call<'_>,
    rows: &[ConversationRow],
    has_more: bool,
) -> Result<Vec<u8>, Error> {
    let mark = rows.first().and_then(|row| row.mark);
    let v4 = call.version.is_v4();
    answer_list(call, rows, mark, v4.then_some(has_more), None).await
}

/// The answer with the changes to the caller's list.
pub(crate) async fn changes(call: &Call<'_>, changes: ListChanges) -> Result<Vec<u8>, Error> {
    let ListChanges {
        rows,
        conversations,
        mark,
    } = changes;
    answer_list(call, &rows, mark, Some(false), conversations).await
}

async fn answer_list(
    call: &Call<'_>,
    rows: &[ConversationRow],
    mark: Option<ListMark>,
    hasmore: Option<bool>,
    conversationids: Option<Vec<ConversationId>>,
) -> Result<Vec<u8>, Error> {
    if let Some(mark) = mark {
        let nick_changes = store::list::nick_changes(&mark);
        call.services.names.catch_up(nick_changes);
    }
    // For all rows at once: a list of 1,000 conversations must not cost 1,000 statements.
    let names = names(call, rows).await?;
    let conversations = rows
        .iter()
        .map(|row| ConversationView::of(row, &names, call.version))
        .collect();
    answer::ok(ListView {
        conversations,
        hasmore,
        conversationids,
        known: call.version.is_v4().then(|| mark.into()),
    })
}

/// An answer with one conversation.
pub(crate) async fn one(call: &Call<'_>, row: &ConversationRow) -> Result<Vec<u8>, Error> {
    answer_one(call, row, None).await
}

/// An answer with one conversation and, for a v4 client, the users who were invited instead of added.
pub(crate) async fn one_with(
    call: &Call<'_>,
    row: &ConversationRow,
    invited: Vec<UserId>,
) -> Result<Vec<u8>, Error> {
    answer_one(call, row, Some(invited).filter(|_| call.version.is_v4())).await
}

async fn answer_one(
    call: &Call<'_>,
    row: &ConversationRow,
    invited: Option<Vec<UserId>>,
) -> Result<Vec<u8>, Error> {
    let names = names(call, std::slice::from_ref(row)).await?;
    answer::ok(OneView {
        conversation: ConversationView::of(row, &names, call.version),
        invited,
    })
}

/// The names of all participants.
// Boxed: names are nearly always cached, and the future that reads them is large.
async fn names(
    call: &Call<'_>,
    rows: &[ConversationRow],
) -> Result<HashMap<UserId, Arc<str>>, Error> {
    let users = rows.iter().flat_map(ConversationRow::participants);
    Box::pin(call.services.names.of(&call.services.db, users)).await
}
