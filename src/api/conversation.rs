//! `srv=chatserver&api=chatconversation`: conversations, and what is in them.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;

use super::{answer, history};
use crate::{
    chat::{
        self, Call,
        error::Error,
        message::{Sent, Times},
    },
    store::{self, history::Cursor, participant::Property, rows::ConversationRow},
};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    request::conversation::{Action, SentMessage},
    text::{Instance, MessageType},
    time::Timestamp,
    version::ClientVersion,
};

/// A conversation as the wire shows it to one of its participants.
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
    mutedby: Vec<UserId>,
    favoriteby: Vec<UserId>,
    hiddenby: Vec<UserId>,
    properties: [PropertiesView<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Blank<Chain>>,
}

/// A value, or the empty text.
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
        }
    }
}

#[derive(Serialize)]
struct ListView<'a> {
    conversations: Vec<ConversationView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hasmore: Option<bool>,
}

#[derive(Serialize)]
struct OneView<'a> {
    conversation: ConversationView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<Vec<UserId>>,
}

#[derive(Serialize)]
struct AddView {
    message: StoredView,
}

#[derive(Serialize)]
struct StoredView {
    #[serde(rename = "ID")]
    id: MessageId,
    #[serde(rename = "Type")]
    r#type: MessageType,
    #[serde(rename = "Created")]
    created: Timestamp,
    #[serde(rename = "ValidUntil")]
    valid_until: Timestamp,
}

/// Does what is asked.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (id, change) = match action {
        Action::List { limit, after } => {
            let (rows, has_more) = if call.version.is_v4() && (limit.0.is_some() || after.is_some())
            {
                Box::pin(chat::conversation::page(call, after, limit.0)).await?
            } else {
                (
                    Box::pin(store::conversation::list(&call.services.db, call.user)).await?,
                    false,
                )
            };
            let names = Box::pin(call.services.names.of(
                &call.services.db,
                rows.iter().flat_map(ConversationRow::participants),
            ))
            .await?;
            let conversations = rows
                .iter()
                .map(|row| ConversationView::of(row, &names, call.version))
                .collect();
            return answer::ok(ListView {
                conversations,
                hasmore: call.version.is_v4().then_some(has_more),
            });
        }
        Action::Add {
            conversationid,
            instance,
            message,
        } => {
            let SentMessage {
                id,
                r#type,
                created,
                valid_until,
                data,
            } = message;
            let sent = Sent {
                id,
                r#type: r#type.clone(),
                created,
                valid_until,
                data,
            };
            let Times {
                created,
                valid_until,
            } = chat::message::add(call, conversationid, instance, sent).await?;
            return answer::ok(AddView {
                message: StoredView {
                    id,
                    r#type,
                    created,
                    valid_until,
                },
            });
        }
        Action::Download {
            conversationid,
            instance,
            firstmessagedate,
            firstmessageid,
            firstreportdate,
            firstreportid,
        } => {
            let cursor = Cursor {
                message_id: firstmessageid,
                message_at: firstmessagedate,
                report_id: firstreportid,
                report_at: firstreportdate,
            };
            return history::download(call, conversationid, &instance, &cursor).await;
        }
        Action::DownloadPartial {
            conversationid,
            instance,
            lastmessagedate,
            lastmessageid,
            lastreportdate,
            lastreportid,
            limit,
        } => {
            let cursor = Cursor {
                message_id: lastmessageid,
                message_at: lastmessagedate,
                report_id: lastreportid,
                report_at: lastreportdate,
            };
            return history::download_partial(
                call,
                conversationid,
                &instance,
                &cursor,
                limit.or_default_size(),
            )
            .await;
        }
        Action::Transcript {
            conversationid,
            instance,
            afterseq,
            limit,
        } => {
            let (links, hasmore) = Box::pin(chat::history::transcript(
                call,
                conversationid,
                &instance,
                afterseq,
                limit.or_default_size(),
            ))
            .await?;
            return history::transcript(&links, hasmore);
        }
        Action::Clear {
            conversationid,
            instance,
        } => {
            let row = Box::pin(chat::conversation::clear(call, conversationid, &instance)).await?;
            return one(call, &row).await;
        }
        Action::Create {
            participantid,
            secrets,
            displaynames,
        } => {
            let row = Box::pin(chat::conversation::create(
                call,
                participantid,
                &secrets,
                &displaynames,
            ))
            .await?;
            return one(call, &row).await;
        }
        Action::Favorite { conversationid } => (conversationid, Property::Favorite(true)),
        Action::Unfavorite { conversationid } => (conversationid, Property::Favorite(false)),
        Action::Mute { conversationid } => (conversationid, Property::Muted(true)),
        Action::Unmute { conversationid } => (conversationid, Property::Muted(false)),
        Action::Hide {
            conversationid,
            hideid,
        } => (
            conversationid,
            hideid.map_or(Property::Hidden, Property::HiddenIn),
        ),
        Action::Unhide { conversationid } => (conversationid, Property::Shown),
        Action::SetListItemBackgroundColor {
            conversationid,
            color,
        } => (conversationid, Property::Color(color)),
    };
    let row = Box::pin(chat::conversation::arrange(call, id, &change)).await?;
    one(call, &row).await
}

/// An answer with one conversation.
pub(crate) async fn one(call: &Call<'_>, row: &ConversationRow) -> Result<Vec<u8>, Error> {
    view(call, row, None).await
}

/// An answer with one conversation and, for a v4 client, those who are invited to it instead of put in.
pub(crate) async fn one_with(
    call: &Call<'_>,
    row: &ConversationRow,
    invited: Vec<UserId>,
) -> Result<Vec<u8>, Error> {
    view(call, row, Some(invited).filter(|_| call.version.is_v4())).await
}

async fn view(
    call: &Call<'_>,
    row: &ConversationRow,
    invited: Option<Vec<UserId>>,
) -> Result<Vec<u8>, Error> {
    let names = Box::pin(
        call.services
            .names
            .of(&call.services.db, row.participants()),
    )
    .await?;
    answer::ok(OneView {
        conversation: ConversationView::of(row, &names, call.version),
        invited,
    })
}
