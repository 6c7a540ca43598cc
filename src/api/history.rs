//! Renders messages and reports, for pages of history and for the events of a socket.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::answer;
use crate::{
    chat::{self, Call, error::Error, page_cache::RenderedPage},
    notify::event::{Event, NewRow},
    store::{
        history::Cursor,
        rows::{HistoryRow, LinkRow, MessageRow, ReportRow},
    },
};
use parlance_wire::{
    chain::{Chain, DataHash},
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
    word::ReportType,
};

/// Initial capacity of a page in bytes. Most pages fit.
const USUAL_BYTES: usize = 16 << 10;

/// A message, as download shows it.
#[derive(Serialize)]
struct MessageView<'a> {
    #[serde(rename = "ID")]
    id: MessageId,
    #[serde(rename = "Type")]
    r#type: &'a str,
    #[serde(rename = "Created")]
    created: Timestamp,
    #[serde(rename = "ValidUntil")]
    valid_until: Timestamp,
    #[serde(rename = "Data")]
    data: &'a str,
    #[serde(rename = "User", skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(rename = "Station", skip_serializing_if = "Option::is_none")]
    station: Option<StationId>,
    #[serde(rename = "Seq", skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(rename = "Chain", skip_serializing_if = "Option::is_none")]
    chain: Option<Chain>,
}

/// A report, as download shows it.
#[derive(Serialize)]
struct ReportView {
    #[serde(rename = "ID")]
    id: ReportId,
    #[serde(rename = "Type")]
    r#type: ReportType,
    #[serde(rename = "Created")]
    created: Timestamp,
    #[serde(rename = "ValidUntil")]
    valid_until: Timestamp,
    #[serde(rename = "User")]
    user: UserId,
    #[serde(rename = "Station")]
    station: StationId,
    #[serde(rename = "MessageID")]
    message_id: MessageId,
}

#[derive(Serialize)]
struct TranscriptView {
    transcript: Vec<LinkView>,
    hasmore: bool,
}

#[derive(Serialize)]
struct LinkView {
    #[serde(rename = "Seq")]
    seq: i64,
    #[serde(rename = "ID")]
    id: MessageId,
    #[serde(rename = "DataHash")]
    data_hash: DataHash,
    #[serde(rename = "Chain")]
    chain: Chain,
}

/// An answer with the links of a chain.
pub(crate) fn transcript(links: &[LinkRow], hasmore: bool) -> Result<Vec<u8>, Error> {
    let view = |link: &LinkRow| LinkView {
        seq: link.seq,
        id: link.message_id,
        data_hash: link.data_hash,
        chain: link.chain,
    };
    answer::ok(TranscriptView {
        transcript: links.iter().map(view).collect(),
        hasmore,
    })
}

impl<'a> MessageView<'a> {
    /// The view for this client version.
    fn of(row: &'a MessageRow, version: ClientVersion) -> Self {
        Self {
            id: row.message_id,
            r#type: &row.r#type,
            created: row.created_at,
            valid_until: row.valid_until,
            data: &row.data,
            user: version.is_v4().then_some(row.user_id),
            station: version.is_v4().then_some(row.station_id),
            seq: version.is_v4().then_some(row.seq),
            chain: version.is_v4().then_some(row.chain),
        }
    }
}

impl ReportView {
    /// The view, which is the same for all client versions.
    fn of(row: &ReportRow) -> Self {
        Self {
            id: row.report_id,
            r#type: row.r#type,
            created: row.created_at,
            valid_until: row.valid_until,
            user: row.user_id,
            station: row.station_id,
            message_id: row.message_id,
        }
    }
}

/// Answers the rows from the cursor on.
pub(crate) async fn download(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
) -> Result<Vec<u8>, Error> {
    let mut page = begin("{", call.version);
    let has_more = chat::history::download(call, conversation, instance, cursor, &mut page).await?;
    // `download` is published with its status after the rows, `downloadpartial` with its status
    // before them.
    end(page, &format!(",{}", answer::OK), call.version, has_more)
}

/// Answers the rows before the cursor.
pub(crate) async fn download_partial(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut page = begin(&format!("{{{},", answer::OK), call.version);
    let has_more =
        chat::history::download_partial(call, conversation, instance, cursor, limit, &mut page)
            .await?;
    end(page, "", call.version, has_more)
}

/// A page that begins with this text.
fn begin(opening: &str, version: ClientVersion) -> RenderedPage {
    let mut messages = Vec::with_capacity(USUAL_BYTES);
    messages.extend_from_slice(opening.as_bytes());
    messages.extend_from_slice(br#""messages":["#);
    RenderedPage::new(messages, br#"],"reports":["#.to_vec(), version, render)
}

fn render(text: &mut Vec<u8>, row: &HistoryRow, version: ClientVersion) -> Result<(), Error> {
    match row {
        HistoryRow::Message(row) => answer::append(text, &MessageView::of(row, version)),
        HistoryRow::Report(row) => answer::append(text, &ReportView::of(row)),
    }
}

/// Renders a row that was just stored, for v4 clients.
// Once for all sockets and the cached page: otherwise each member of a large group would cost
// another rendering.
pub(super) fn rendered(new: &NewRow) -> Result<&RawValue, Error> {
    new.rendered.row(|| {
        let text = match &new.row {
            HistoryRow::Message(row) => to_raw_value(&MessageView::of(row, ClientVersion::V4)),
            HistoryRow::Report(row) => to_raw_value(&ReportView::of(row)),
        };
        text.map_err(|error| Error::Internal(error.into()))
    })
}

/// Renders the rows that a call has stored, and appends them to cached pages.
// Before the call is announced, because notified clients download at once and should find the page
// up to date.
pub(super) fn cache_new_rows(call: &Call<'_>) -> Result<(), Error> {
    for event in &call.outbox {
        // Without rows there is nothing to append: the cached page no longer has the conversation's
        // head and is read again.
        if let Event::ConversationChanged {
            conversation,
            new: Some(new),
            ..
        } = event
        {
            // Most conversations that are written to have none, and to render costs more than to look.
            if !chat::history::has_cached_page(call, *conversation) {
                continue;
            }
            for new in &new.rows {
                let text = rendered(new)?.get().as_bytes();
                chat::history::cache_new_row(call, *conversation, new, text);
            }
        }
    }
    Ok(())
}

/// Completes the answer with the text after the rows.
fn end(
    page: RenderedPage,
    closing: &str,
    version: ClientVersion,
    has_more: bool,
) -> Result<Vec<u8>, Error> {
    let (mut text, reports) = page.into_text()?;
    text.extend_from_slice(&reports);
    text.push(b']');
    text.extend_from_slice(closing.as_bytes());
    if version.is_v4() {
        text.extend_from_slice(format!(r#","hasmore":{has_more}"#).as_bytes());
    }
    text.push(b'}');
    Ok(text)
}
