//! Messages: added exactly once, read without a gap.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{Call, error::Error};
use crate::notify::event::{Event, NewRow, NewRows};
use crate::store::{
    self,
    history::{Cursor, Page, PageQuery},
    rows::{HistoryHead, HistoryRow, LinkRow, MessageRow, New, NewMessage, Stored},
};
use parlance_wire::{
    id::ConversationId, request::conversation::SentMessage, text::Instance, time::Timestamp,
};

/// A sender's clock may be so far ahead of the server's.
const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(5);
/// `download` answers so many rows of each kind.
const DOWNLOAD_ROWS: usize = 1000;

/// Stores a message. Idempotent by its id. Returns when it counts as created, and until when it is wanted.
///
/// # Errors
/// `TooLarge`, `ConversationNotFound`, `StaleInstance`, `MessageIdConflict`; `NotAllowed` for one
/// whom the other one blocked.
pub(crate) async fn add(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: Instance,
    sent: SentMessage,
) -> Result<(Timestamp, Timestamp), Error> {
    let max = call.services.policy.max_message_bytes;
    if sent.data.as_str().len() > max {
        return Err(Error::TooLarge(format!(
            "message.Data must have at most {max} bytes."
        )));
    }
    let is_ahead = sent.created > call.now.plus(CLOCK_AHEAD);
    let created_at = if is_ahead {
        call.now.whole_seconds()
    } else {
        sent.created
    };
    let message = NewMessage {
        conversation_id: conversation,
        instance,
        user_id: call.user,
        station_id: call.station,
        message_id: sent.id,
        r#type: sent.r#type,
        created_at,
        sent_at: is_ahead.then_some(sent.created),
        valid_until: sent
            .valid_until
            .unwrap_or_else(|| created_at.plus(call.services.policy.message_lifetime)),
        valid_until_given: sent.valid_until.is_some(),
        data: sent.data,
    };
    let (message, stored) = call.services.messages.add(message).await?;
    match stored {
        Stored::Accepted {
            created_at,
            valid_until,
            new,
            participants,
        } => {
            let new = new.map(|new| NewRows {
                first: new.seq,
                last: new.seq,
                rows: vec![Arc::new(new_row(message, &new))],
            });
            call.outbox.push(Event::ConversationChanged {
                conversation,
                participants,
                new,
            });
            Ok((created_at, valid_until))
        }
        Stored::IdConflict => Err(Error::MessageIdConflict),
        Stored::StaleInstance(present) => Err(Error::StaleInstance(present)),
        Stored::Blocked => Err(Error::NotAllowed("This user has blocked you.")),
        Stored::NoConversation => Err(Error::ConversationNotFound),
    }
}

fn new_row(message: NewMessage, new: &New) -> NewRow {
    let row = MessageRow {
        seq: new.seq,
        message_id: message.message_id,
        r#type: message.r#type.to_string(),
        created_at: message.created_at,
        valid_until: message.valid_until,
        data: message.data.into(),
        user_id: message.user_id,
        station_id: message.station_id,
        chain: new.chain,
    };
    let after = new.after.map(|id| id.to_string()).unwrap_or_default();
    NewRow {
        instance: message.instance,
        seq: new.seq,
        after,
        row: HistoryRow::Message(row),
    }
}

/// What a conversation's history ends with.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn newest(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
) -> Result<HistoryHead, Error> {
    let (present, newest) = store::conversation::head(&call.services.db, conversation, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)?;
    if present == *instance {
        Ok(newest)
    } else {
        Err(Error::StaleInstance(present))
    }
}

/// Reads from the cursor on, its row included. A page that was cut leaves the conversation among the station's
/// pending notifications, on every node, so that a client comes back for the rest by itself.
pub(crate) async fn download(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    each: impl FnMut(HistoryRow) + Send,
) -> Result<Page, Error> {
    let query = query(call, conversation, instance);
    let page = checked(
        store::history::from_cursor(&call.services.db, &query, cursor, DOWNLOAD_ROWS, each).await?,
        instance,
    )?;
    if page.has_more {
        call.outbox.push(Event::PageCut {
            conversation,
            reader: call.user,
            station: call.station,
        });
    }
    Ok(page)
}

/// Reads the newest `limit` rows of each kind before the cursor.
pub(crate) async fn download_partial(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    limit: usize,
    each: impl FnMut(HistoryRow) + Send,
) -> Result<Page, Error> {
    let query = query(call, conversation, instance);
    checked(
        store::history::before_cursor(&call.services.db, &query, cursor, limit, each).await?,
        instance,
    )
}

/// The links of a conversation's chain after a number, at most `limit`. Whether there are more.
pub(crate) async fn transcript(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    after: i64,
    limit: usize,
) -> Result<(Vec<LinkRow>, bool), Error> {
    let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let found = store::transcript::after(
        &call.services.db,
        conversation,
        call.user,
        instance,
        after,
        one_more,
    )
    .await?;
    let (present, mut links) = found.ok_or(Error::ConversationNotFound)?;
    if present != *instance {
        return Err(Error::StaleInstance(present));
    }
    let has_more = links.len() > limit;
    links.truncate(limit);
    Ok((links, has_more))
}

fn query<'a>(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &'a Instance,
) -> PageQuery<'a> {
    PageQuery {
        conversation_id: conversation,
        user_id: call.user,
        instance,
        max_message_bytes: call.services.policy.max_message_bytes,
    }
}

fn checked(page: Option<Page>, instance: &Instance) -> Result<Page, Error> {
    let page = page.ok_or(Error::ConversationNotFound)?;
    if page.present == *instance {
        Ok(page)
    } else {
        Err(Error::StaleInstance(page.present))
    }
}
