//! How messages and reports are shown: in a page of history, and in an event of a socket.

use serde::Serialize;

use super::answer;
use crate::{
    chat::{
        self, Call,
        error::Error,
        page_cache::{self, Rows, Tail},
    },
    store::{
        history::Cursor,
        rows::{HistoryHead, HistoryRow, LinkRow, MessageRow, ReportRow},
    },
};
use parlance_wire::{
    chain::{Chain, DataHash},
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};

/// What stands between the messages and the reports.
const BETWEEN: &[u8] = br#"],"reports":["#;
/// Most answers have room in so many bytes.
const USUAL_BYTES: usize = 16 << 10;

/// A page of history, written row by row as the rows arrive, so that a page is in memory once.
pub(crate) struct History {
    /// The answer up to here: what it opens with, and the messages.
    messages: Vec<u8>,
    reports: Vec<u8>,
    /// Where its rows begin.
    rows_at: usize,
    /// Where in the rows each begins.
    message_places: Vec<(MessageId, usize)>,
    report_places: Vec<(ReportId, usize)>,
    /// When the first of the rows expires.
    ends_at: Option<Timestamp>,
    version: ClientVersion,
    failed: Option<Error>,
}

/// A message, as download shows it.
#[derive(Serialize)]
pub(crate) struct MessageView<'a> {
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
pub(crate) struct ReportView<'a> {
    #[serde(rename = "ID")]
    id: ReportId,
    #[serde(rename = "Type")]
    r#type: &'a str,
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
    /// With the fields of version 4, or without.
    #[must_use]
    pub(crate) fn of(row: &'a MessageRow, version: ClientVersion) -> Self {
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

impl<'a> ReportView<'a> {
    /// The same for all versions.
    #[must_use]
    pub(crate) fn of(row: &'a ReportRow) -> Self {
        Self {
            id: row.report_id,
            r#type: &row.r#type,
            created: row.created_at,
            valid_until: row.valid_until,
            user: row.user_id,
            station: row.station_id,
            message_id: row.message_id,
        }
    }
}

/// An answer with the rows from the cursor on: as they were shown before, where nothing was added since, and else as the
/// database has them.
pub(crate) async fn download(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: Instance,
    cursor: &Cursor,
) -> Result<Vec<u8>, Error> {
    let mut history = History::begin("{", call.version);
    let closing = r#","status":"OK","errormessage":"""#;
    if let Some(tail) = call
        .services
        .pages
        .tail(conversation, call.version, &instance, cursor)
        && tail.ends_at.plus(call.services.policy.expiry_grace) > call.now
        && chat::message::newest(call, conversation, &instance).await? == tail.newest
        && let Some((messages, reports)) = tail.from(cursor)
    {
        history.copy(messages, reports);
        return history.end(closing, false);
    }
    let page = Box::pin(chat::message::download(
        call,
        conversation,
        &instance,
        cursor,
        |row| history.push(&row),
    ))
    .await?;
    if let (false, Some(newest)) = (page.has_more, page.newest)
        && let Some(tail) = history.tail(instance, newest, cursor)
    {
        call.services.pages.keep(conversation, call.version, tail);
    }
    history.end(closing, page.has_more)
}

/// An answer with the rows before the cursor.
pub(crate) async fn download_partial(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut history = History::begin(r#"{"status":"OK","errormessage":"","#, call.version);
    let page = Box::pin(chat::message::download_partial(
        call,
        conversation,
        instance,
        cursor,
        limit,
        |row| history.push(&row),
    ))
    .await?;
    history.end("", page.has_more)
}

impl History {
    /// Begins the answer with what stands before the rows.
    fn begin(opening: &str, version: ClientVersion) -> Self {
        let mut messages = Vec::with_capacity(USUAL_BYTES);
        messages.extend_from_slice(opening.as_bytes());
        messages.extend_from_slice(br#""messages":["#);
        let (rows_at, reports) = (messages.len(), BETWEEN.to_vec());
        Self {
            messages,
            rows_at,
            reports,
            message_places: vec![],
            report_places: vec![],
            ends_at: None,
            version,
            failed: None,
        }
    }

    /// Adds a row; messages and reports keep their own order.
    fn push(&mut self, row: &HistoryRow) {
        let (written, valid_until) = match row {
            HistoryRow::Message(row) => {
                comma(&mut self.messages);
                self.message_places
                    .push((row.message_id, self.messages.len() - self.rows_at));
                (
                    answer::append(&mut self.messages, &MessageView::of(row, self.version)),
                    row.valid_until,
                )
            }
            HistoryRow::Report(row) => {
                comma(&mut self.reports);
                self.report_places
                    .push((row.report_id, self.reports.len() - BETWEEN.len()));
                (
                    answer::append(&mut self.reports, &ReportView::of(row)),
                    row.valid_until,
                )
            }
        };
        self.ends_at = Some(
            self.ends_at
                .map_or(valid_until, |ends_at| ends_at.min(valid_until)),
        );
        if let Err(error) = written {
            self.failed = Some(error);
        }
    }

    /// Adds rows as they were written before.
    fn copy(&mut self, messages: &[u8], reports: &[u8]) {
        self.messages
            .reserve_exact(messages.len() + self.reports.len() + reports.len() + 64);
        self.messages.extend_from_slice(messages);
        self.reports.extend_from_slice(reports);
    }

    /// What was written, for those who ask next, if it is worth it. The conversation ends with it.
    fn tail(&self, instance: Instance, newest: HistoryHead, cursor: &Cursor) -> Option<Tail> {
        let (rows, bytes) = (
            self.message_places.len() + self.report_places.len(),
            self.messages.len() + self.reports.len(),
        );
        if self.failed.is_some() || !page_cache::is_worth(rows, bytes) {
            return None;
        }
        let text = |text: &[u8], from| text.get(from..).unwrap_or_default().to_vec();
        let messages = Rows {
            text: text(&self.messages, self.rows_at),
            places: self.message_places.clone(),
            is_all: cursor.message_id.is_none() && cursor.message_at.is_none(),
        };
        let reports = Rows {
            text: text(&self.reports, BETWEEN.len()),
            places: self.report_places.clone(),
            is_all: cursor.report_id.is_none() && cursor.report_at.is_none(),
        };
        Some(Tail {
            instance,
            newest,
            ends_at: self.ends_at?,
            messages,
            reports,
        })
    }

    /// Ends the answer with what stands after the rows.
    fn end(self, closing: &str, has_more: bool) -> Result<Vec<u8>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut text = self.messages;
        text.extend_from_slice(&self.reports);
        text.push(b']');
        text.extend_from_slice(closing.as_bytes());
        if self.version.is_v4() {
            text.extend_from_slice(format!(r#","hasmore":{has_more}"#).as_bytes());
        }
        text.push(b'}');
        Ok(text)
    }
}

/// Separates a row from the one before it, if there is one.
fn comma(rows: &mut Vec<u8>) {
    if rows.last() == Some(&b'}') {
        rows.push(b',');
    }
}
