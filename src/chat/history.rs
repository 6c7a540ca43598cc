//! History: pages of messages and reports, read without gaps, and the chain of all messages.

use super::{Call, error::Error, page_cache::RenderedPage};
use crate::notify::event::{Event, NewRow};
use crate::store::{
    self,
    history::{Cursor, PageQuery},
    rows::{HistoryHead, LinkRow},
};
use parlance_wire::{id::ConversationId, text::Instance};

/// Maximum rows of each kind in an answer to `download`.
// After months of absence a reader gets pages, instead of one answer that is in memory as a whole.
const DOWNLOAD_ROWS: usize = 1000;

/// Fills a page with the rows from the cursor on, including its own row. Returns `true` if the page
/// was cut: the conversation then stays pending for the station, on every node, so that a client
/// comes back for the rest.
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
    let counters = call.services.db.counters();
    if copy_cached(call, conversation, instance, cursor, page).await? {
        counters.cache_hits.pages.inc();
        return Ok(false);
    }
    counters.cache_misses.pages.inc();
    let query = query(call, conversation, instance, cursor, DOWNLOAD_ROWS);
    let read = store::history::from_cursor(&call.services.db, query, |row| page.push(&row));
    let read = Box::pin(read).await?.ok_or(Error::ConversationNotFound)?;
    // The statement that read the rows also returned the head, so no `clear` can come in between.
    let head = current(read.head, instance)?;
    if read.has_more {
        call.outbox.push(Event::PageCut {
            conversation,
            reader: call.user,
            station: call.station,
        });
    } else if read.is_snapshot {
        // Only an uncut page ends with the newest row, to which new rows can be appended.
        let pages = &call.services.pages;
        pages.insert(conversation, call.version, head, cursor, page);
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
    let query = query(call, conversation, instance, cursor, limit);
    let read = store::history::before_cursor(&call.services.db, query, |row| page.push(&row));
    let read = Box::pin(read).await?.ok_or(Error::ConversationNotFound)?;
    current(read.head, instance)?;
    Ok(read.has_more)
}

/// Whether there is a cached page to append new rows to.
pub(crate) fn has_cached_page(call: &Call<'_>, conversation: ConversationId) -> bool {
    call.services.pages.is_appended_to(conversation)
}

/// Appends a row that was just stored and rendered to the cached page that it follows.
pub(crate) fn cache_new_row(
    call: &Call<'_>,
    conversation: ConversationId,
    new: &NewRow,
    text: &[u8],
) {
    // `download` would cut a page with more rows, and say so.
    let pages = &call.services.pages;
    pages.append(conversation, new, text, DOWNLOAD_ROWS);
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

/// Fills a page from the cache. Returns `false` if no cached page equals what the database would
/// answer now.
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
    // The first row may have been purged by now, and must not be served for longer than the
    // database would serve it.
    if cached.expires_at().plus(call.services.policy.expiry_grace) <= call.now {
        return Ok(false);
    }
    // The reader may have been removed, the conversation cleared, and rows added, here or on
    // another node.
    let head = store::history::head(&call.services.db, conversation, call.user).await?;
    let head = current(head.ok_or(Error::ConversationNotFound)?, instance)?;
    Ok(cached.copy_to(page, cursor, &head))
}

/// A conversation's head, if its instance is the reader's.
fn current(head: HistoryHead, instance: &Instance) -> Result<HistoryHead, Error> {
    if head.instance == *instance {
        Ok(head)
    } else {
        Err(Error::StaleInstance(head.instance))
    }
}

fn query<'a>(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &'a Instance,
    cursor: &'a Cursor,
    limit: usize,
) -> PageQuery<'a> {
    PageQuery {
        conversation_id: conversation,
        user_id: call.user,
        instance,
        cursor,
        limit,
        max_message_bytes: call.services.policy.max_message_bytes,
    }
}
