//! History: pages of messages and reports, read without a gap, and the chain of all messages.

mod page;

pub(crate) use self::page::RenderedPage;
pub(super) use self::page::Rows;
use super::{Call, error::Error};
use crate::notify::event::{Event, NewRow};
use crate::store::{
    self,
    history::{Cursor, PageQuery},
    rows::{HistoryHead, LinkRow},
};
use parlance_wire::{id::ConversationId, text::Instance};

/// Maximum rows of each kind that `download` answers.
// A reader who was away for months gets pages, not one answer that holds all of it in memory.
const DOWNLOAD_ROWS: usize = 1000;

/// Fills a page with the rows from the cursor on, its row included. Returns `true` if it was cut: then the conversation
/// stays among the station's pending notifications, on every node, so that a client comes back for the rest by itself.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn download(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    page: &mut RenderedPage,
) -> Result<bool, Error> {
    if copy_cached(call, conversation, instance, cursor, page).await? {
        return Ok(false);
    }
    let query = query(call, conversation, instance);
    let read =
        store::history::from_cursor(&call.services.db, &query, cursor, DOWNLOAD_ROWS, |row| {
            page.push(&row);
        });
    let read = checked(Box::pin(read).await?, instance)?;
    if read.has_more {
        call.outbox.push(Event::PageCut {
            conversation,
            reader: call.user,
            station: call.station,
        });
    } else if let Some(head) = read.head {
        // Only an uncut page ends with the newest row, which new rows can be appended to.
        let pages = &call.services.pages;
        pages.insert(conversation, call.version, instance, head, cursor, page);
    }
    Ok(read.has_more)
}

/// Fills a page with the newest `limit` rows of each kind before the cursor. Returns `true` if there are more.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn download_partial(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    limit: usize,
    page: &mut RenderedPage,
) -> Result<bool, Error> {
    let query = query(call, conversation, instance);
    let read = store::history::before_cursor(&call.services.db, &query, cursor, limit, |row| {
        page.push(&row);
    });
    Ok(checked(Box::pin(read).await?, instance)?.has_more)
}

/// Appends a row that was just stored, already rendered, to the cached page that it follows.
pub(crate) fn cache_new_row(
    call: &Call<'_>,
    conversation: ConversationId,
    new: &NewRow,
    text: &[u8],
) {
    call.services.pages.append(
        conversation,
        &new.instance,
        new.seq,
        &new.row,
        text,
        DOWNLOAD_ROWS,
    );
}

/// Returns at most `limit` links of a conversation's chain after a number, and `true` if there are more.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn transcript(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    after: i64,
    limit: usize,
) -> Result<(Vec<LinkRow>, bool), Error> {
    let one_more = i64::try_from(limit + 1).map_err(|error| Error::Internal(error.into()))?;
    let found = store::transcript::after(
        &call.services.db,
        conversation,
        call.user,
        instance,
        after,
        one_more,
    )
    .await?;
    let (current, mut links) = found.ok_or(Error::ConversationNotFound)?;
    if current != *instance {
        return Err(Error::StaleInstance(current));
    }
    let has_more = links.len() > limit;
    links.truncate(limit);
    Ok((links, has_more))
}

/// Fills a page from the cache. Returns `false` if there is no cached page that the database would answer now.
async fn copy_cached(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    page: &mut RenderedPage,
) -> Result<bool, Error> {
    let pages = &call.services.pages;
    let Some(cached) = pages.get(conversation, call.version, instance, cursor) else {
        return Ok(false);
    };
    // Its first row may be purged by now, and must not be served longer than the database would.
    if cached.expires_at().plus(call.services.policy.expiry_grace) <= call.now {
        return Ok(false);
    }
    // The reader may have been removed, the conversation cleared, and rows added, here or on another node.
    let head = head(call, conversation, instance).await?;
    Ok(cached.copy_to(page, cursor, &head))
}

/// The newest rows of a conversation, by which a cached page is checked.
async fn head(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
) -> Result<HistoryHead, Error> {
    let (current, head) = store::conversation::head(&call.services.db, conversation, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)?;
    if current == *instance {
        Ok(head)
    } else {
        Err(Error::StaleInstance(current))
    }
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

// The statement that read the rows returned the instance, too: no `clear` can come between the two.
fn checked(
    read: Option<store::history::Page>,
    instance: &Instance,
) -> Result<store::history::Page, Error> {
    let read = read.ok_or(Error::ConversationNotFound)?;
    if read.instance == *instance {
        Ok(read)
    } else {
        Err(Error::StaleInstance(read.instance))
    }
}
