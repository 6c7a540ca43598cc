//! `srv=chatserver&api=chatconversation`: conversations and their history.

pub(super) mod epoch;
pub(crate) mod view;

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    answer::{self, Nothing},
    history,
};
use crate::{
    chat::{self, Call, error::Error},
    store::{self, history::Cursor, participant::Property},
};
use parlance_wire::{
    e2ee::Epoch,
    id::{ConversationId, FileId, MessageId},
    list::Known,
    request::{
        PageSize,
        conversation::{Action, SentMessage},
    },
    text::{Instance, MessageType},
    time::Timestamp,
};

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
            let (links, hasmore) = Box::pin(chat::history::transcript(
                call,
                conversationid,
                &instance,
                afterseq,
                limit.or_default_size(),
            ))
            .await?;
            history::transcript(&links, hasmore)
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
            view::one(call, &row).await
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
            view::one(call, &row).await
        }
        Action::Rekey(rekey) => {
            let row = Box::pin(chat::epoch::rekey(call, &rekey)).await?;
            view::one(call, &row).await
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
        let changes = Box::pin(chat::conversation::changed_since(call, known)).await?;
        return view::changes(call, changes).await;
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
    view::list(call, &rows, has_more).await
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
        message: StoredView {
            id,
            r#type,
            created,
            valid_until,
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
    Box::pin(view::one(call, &row)).await
}
