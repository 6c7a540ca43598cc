//! `srv=chatserver&api=chatconversation`: conversations and their history.

pub(super) mod epoch;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde::Serialize;

use self::epoch::EpochView;
use super::{
    answer::{self, Nothing},
    history,
};
use crate::{
    chat::{self, Call, conversation::ListChanges, error::Error},
    store::{self, history::Cursor, participant::Property, rows::ConversationRow},
};
use parlance_wire::{
    chain::Chain,
    e2ee::Epoch,
    history::MessageView,
    id::{ConversationId, FileId, MessageId, ReportId, UserId},
    list::{Known, ListMark},
    request::{
        PageSize,
        conversation::{Action, SentMessage},
    },
    text::Instance,
    version::ClientVersion,
};

#[derive(Serialize)]
struct AddView<'a> {
    message: MessageView<'a>,
}

#[derive(Serialize)]
struct ErasedView {
    messageids: Vec<MessageId>,
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::List {
            limit,
            after,
            known,
        } => list(call, limit, after, known).await,
        Action::Add {
            conversationid,
            instance,
            message,
            epoch,
            files,
        } => add(call, conversationid, instance, message, epoch, files).await,
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
            history::download(call, conversationid, &instance, &cursor).await
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
            let limit = limit.or_default_size();
            history::download_partial(call, conversationid, &instance, &cursor, limit).await
        }
        Action::Transcript {
            conversationid,
            instance,
            afterseq,
            limit,
        } => {
            let limit = limit.or_default_size();
            let answer = history::transcript(call, conversationid, &instance, afterseq, limit);
            Box::pin(answer).await
        }
        Action::Erase {
            conversationid,
            instance,
            messageids,
        } => {
            let erase = chat::message::erase(call, conversationid, &instance, &messageids);
            answer::ok(ErasedView {
                messageids: Box::pin(erase).await?,
            })
        }
        Action::Clear {
            conversationid,
            instance,
        } => {
            let row = Box::pin(chat::conversation::clear(call, conversationid, &instance)).await?;
            one(call, &row).await
        }
        Action::Create {
            participantid,
            secrets,
            displaynames,
            announcement,
            signature,
        } => {
            let first = epoch::first(call, announcement, signature)?;
            let row = Box::pin(chat::conversation::create(
                call,
                participantid,
                &secrets,
                &displaynames,
                first.as_ref(),
            ))
            .await?;
            one(call, &row).await
        }
        Action::Rekey(rekey) => {
            let row = Box::pin(chat::epoch::rekey(call, &rekey)).await?;
            one(call, &row).await
        }
        Action::ShareEpochs(shared) => {
            Box::pin(chat::epoch::share(call, &shared)).await?;
            answer::ok(Nothing {})
        }
        Action::Epochs {
            conversationid,
            before,
            limit,
        } => Box::pin(epoch::page(call, conversationid, before, limit.0)).await,
        Action::Favorite { conversationid } => {
            set(call, conversationid, &Property::Favorite(true)).await
        }
        Action::Unfavorite { conversationid } => {
            set(call, conversationid, &Property::Favorite(false)).await
        }
        Action::Mute { conversationid } => set(call, conversationid, &Property::Muted(true)).await,
        Action::Unmute { conversationid } => {
            set(call, conversationid, &Property::Muted(false)).await
        }
        Action::Hide {
            conversationid,
            hideid,
        } => {
            let property = hideid.map_or(Property::Hidden, Property::HiddenIn);
            set(call, conversationid, &property).await
        }
        Action::Unhide { conversationid } => set(call, conversationid, &Property::Shown).await,
        Action::SetListItemBackgroundColor {
            conversationid,
            color,
        } => set(call, conversationid, &Property::Color(color)).await,
    }
}

/// The caller's list: all of it, a page, or the lines that differ from those that a client holds.
async fn list(
    call: &Call<'_>,
    limit: PageSize<1000>,
    after: Option<ConversationId>,
    known: Option<Known>,
) -> Result<Vec<u8>, Error> {
    // The published list has no pages: a v3 client would take the first page for the whole list.
    let is_page = call.version.is_v4() && (limit.0.is_some() || after.is_some());
    if let Some(known) = known {
        if is_page {
            return Err(Error::BadRequest(
                "known stands for the whole list: it cannot be given with limit or after.".into(),
            ));
        }
        let ListChanges {
            rows,
            conversations,
            mark,
        } = Box::pin(chat::conversation::changed_since(call, known)).await?;
        return answer_list(call, &rows, mark, Some(false), conversations).await;
    }
    let db = &call.services.db;
    let (rows, has_more) = if is_page {
        let limit = limit.0.unwrap_or(usize::MAX);
        let page = store::conversation::page(db, call.user, after, limit);
        let page = Box::pin(page).await?;
        page.ok_or(Error::ConversationNotFound)?
    } else if call.version.is_v4() {
        let list = store::conversation::list_with_unread(db, call.user);
        (Box::pin(list).await?, false)
    } else {
        let list = store::conversation::list(db, call.user);
        (Box::pin(list).await?, false)
    };
    let mark = rows.first().and_then(|row| row.mark);
    let v4 = call.version.is_v4();
    answer_list(call, &rows, mark, v4.then_some(has_more), None).await
}

async fn add(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: Instance,
    message: SentMessage,
    epoch: Option<Epoch>,
    files: BTreeSet<FileId>,
) -> Result<Vec<u8>, Error> {
    // The answer has the stored times, as the server may have corrected the sender's clock and
    // chosen an expiry.
    let (id, r#type) = (message.id, message.r#type.clone());
    let (created, valid_until) =
        chat::message::add(call, conversation, instance, message, epoch, files).await?;
    answer::ok(AddView {
        message: MessageView {
            id,
            r#type: r#type.as_str(),
            created,
            valid_until,
            data: None,
            user: None,
            station: None,
            seq: None,
            chain: None,
        },
    })
}

/// Sets a property of a conversation in the caller's own list.
async fn set(
    call: &mut Call<'_>,
    conversation: ConversationId,
    property: &Property,
) -> Result<Vec<u8>, Error> {
    // Boxed, because every request carries the largest future of its API, and `add` should not pay
    // for this one.
    let set = chat::conversation::set_property(call, conversation, property);
    let row = Box::pin(set).await?;
    Box::pin(one(call, &row)).await
}

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

/// An answer with a list, or a part of it.
async fn answer_list(
    call: &Call<'_>,
    rows: &[ConversationRow],
    mark: Option<ListMark>,
    hasmore: Option<bool>,
    conversationids: Option<Vec<ConversationId>>,
) -> Result<Vec<u8>, Error> {
    if let Some(mark) = mark {
        let nick_changes = store::conversation::nick_changes(&mark);
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
