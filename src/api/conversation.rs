//! `srv=chatserver&api=chatconversation`: conversations, and what is in them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    answer, history,
    request::{PageSize, document, given},
};
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
    text::{Color, Data, DisplayName, HideId, Instance, MessageType, Secret},
    time::Timestamp,
    version::ClientVersion,
};

/// What can be asked, in the order of the published pages.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the fields are those of the pages")]
pub enum Action {
    /// Page "Conversation / List": all of the caller's, hidden ones too, the newest first.
    List {
        /// Ours: how many, for a v4 client.
        #[serde(default)]
        limit: PageSize<1000>,
        /// Ours: from the conversation after this one on, for a v4 client.
        #[serde(default, deserialize_with = "given")]
        after: Option<ConversationId>,
    },
    /// Page "Conversation / Partial download": the newest rows before the cursor.
    DownloadPartial {
        conversationid: ConversationId,
        /// Its life, as the caller knows it.
        instance: Instance,
        /// The time of the oldest message that the caller holds, in case it is gone.
        #[serde(default, deserialize_with = "given")]
        lastmessagedate: Option<Timestamp>,
        /// The oldest message that the caller holds.
        #[serde(default, deserialize_with = "given")]
        lastmessageid: Option<MessageId>,
        /// The time of the oldest report that the caller holds, in case it is gone.
        #[serde(default, deserialize_with = "given")]
        lastreportdate: Option<Timestamp>,
        /// The oldest report that the caller holds.
        #[serde(default, deserialize_with = "given")]
        lastreportid: Option<ReportId>,
        /// How many rows of each kind.
        #[serde(default)]
        limit: PageSize<500>,
    },
    /// Page "Conversation / Add": stores a message.
    Add {
        conversationid: ConversationId,
        /// Its life, as the caller knows it.
        instance: Instance,
        #[serde(deserialize_with = "document")]
        message: SentView,
    },
    /// Page "Conversation / Clear": a new instance for everyone.
    Clear {
        conversationid: ConversationId,
        /// Its life, as the caller knows it.
        instance: Instance,
    },
    /// Page "Conversation / Favorite".
    Favorite { conversationid: ConversationId },
    /// Page "Conversation / Unfavorite".
    Unfavorite { conversationid: ConversationId },
    /// Page "Conversation / Change Color".
    SetListItemBackgroundColor {
        conversationid: ConversationId,
        color: Color,
    },
    /// Page "Conversation / Download": from the cursor on, its row included.
    Download {
        conversationid: ConversationId,
        /// Its life, as the caller knows it.
        instance: Instance,
        /// The time of the newest message that the caller holds, in case it is gone.
        #[serde(default, deserialize_with = "given")]
        firstmessagedate: Option<Timestamp>,
        /// The newest message that the caller holds.
        #[serde(default, deserialize_with = "given")]
        firstmessageid: Option<MessageId>,
        /// The time of the newest report that the caller holds, in case it is gone.
        #[serde(default, deserialize_with = "given")]
        firstreportdate: Option<Timestamp>,
        /// The newest report that the caller holds.
        #[serde(default, deserialize_with = "given")]
        firstreportid: Option<ReportId>,
    },
    /// Page "Conversation / Mute".
    Mute { conversationid: ConversationId },
    /// Page "Conversation / Unmute".
    Unmute { conversationid: ConversationId },
    /// Page "Conversation / Hide": until the instance changes, or without `hideid` for good.
    Hide {
        conversationid: ConversationId,
        /// The instances hidden, each followed by `;`.
        #[serde(default, deserialize_with = "given")]
        hideid: Option<HideId>,
    },
    /// Page "Conversation / Unhide": undoes both.
    Unhide { conversationid: ConversationId },
    /// Ours: what a client needs to check the chain of all messages (docs/transcript.md).
    Transcript {
        conversationid: ConversationId,
        /// Its life, as the caller knows it.
        instance: Instance,
        /// From the message after this number on.
        #[serde(default)]
        afterseq: i64,
        #[serde(default)]
        limit: PageSize<500>,
    },
    /// Ours: the direct conversation with a friend.
    Create {
        participantid: UserId,
        /// The conversation's secret, wrapped for each of the two.
        #[serde(default)]
        secrets: BTreeMap<UserId, Secret>,
        /// The conversation's name, encrypted for each of the two.
        #[serde(default)]
        displaynames: BTreeMap<UserId, DisplayName>,
    },
}

/// A message as a client sends it.
#[derive(Debug, Deserialize)]
pub struct SentView {
    #[serde(rename = "ID")]
    id: MessageId,
    #[serde(rename = "Type")]
    r#type: MessageType,
    #[serde(rename = "Created")]
    created: Timestamp,
    #[serde(rename = "ValidUntil", default, deserialize_with = "given")]
    valid_until: Option<Timestamp>,
    #[serde(rename = "Data")]
    data: Data,
}

/// A conversation as the wire shows it to one of its participants.
#[derive(Serialize)]
pub struct ConversationView<'a> {
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
            let SentView {
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
