//! How messages and reports are shown: in a page of history, and in an event of a socket.

use serde::Serialize;

use super::answer;
use crate::{
    chat::error::Error,
    model::{
        chain::{Chain, DataHash},
        id::{MessageId, ReportId, StationId, UserId},
        rows::{HistoryRow, LinkRow, MessageRow, ReportRow},
        time::Timestamp,
    },
};

/// A page of history, written row by row as the rows arrive, so that a page is in memory once.
pub struct History {
    messages: Vec<u8>,
    reports: Vec<u8>,
    is_v4: bool,
    failed: Option<Error>,
}

/// A message, as download shows it.
#[derive(Serialize)]
pub struct MessageView<'a> {
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
pub struct ReportView<'a> {
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
pub fn transcript(links: &[LinkRow], hasmore: bool) -> Result<Vec<u8>, Error> {
    let view = |link: &LinkRow| LinkView { seq: link.seq, id: link.message_id, data_hash: link.data_hash, chain: link.chain };
    answer::ok(TranscriptView { transcript: links.iter().map(view).collect(), hasmore })
}

impl<'a> MessageView<'a> {
    /// With the fields of version 4, or without.
    #[must_use]
    pub fn of(row: &'a MessageRow, is_v4: bool) -> Self {
        Self {
            id: row.message_id,
            r#type: &row.r#type,
            created: row.created_at,
            valid_until: row.valid_until,
            data: &row.data,
            user: is_v4.then_some(row.user_id),
            station: is_v4.then_some(row.station_id),
            seq: is_v4.then_some(row.seq),
            chain: is_v4.then_some(row.chain),
        }
    }
}

impl<'a> ReportView<'a> {
    /// The same for all versions.
    #[must_use]
    pub fn of(row: &'a ReportRow) -> Self {
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

impl History {
    /// Begins the answer with what stands before the rows.
    #[must_use]
    pub fn begin(opening: &str, is_v4: bool) -> Self {
        let messages = format!(r#"{opening}"messages":["#).into_bytes();
        Self { messages, reports: br#"],"reports":["#.to_vec(), is_v4, failed: None }
    }

    /// Adds a row; messages and reports keep their own order.
    pub fn push(&mut self, row: &HistoryRow) {
        let written = match row {
            HistoryRow::Message(row) => {
                comma(&mut self.messages);
                answer::append(&mut self.messages, &MessageView::of(row, self.is_v4))
            }
            HistoryRow::Report(row) => {
                comma(&mut self.reports);
                answer::append(&mut self.reports, &ReportView::of(row))
            }
        };
        if let Err(error) = written {
            self.failed = Some(error);
        }
    }

    /// Ends the answer with what stands after the rows.
    pub fn end(self, closing: &str, has_more: bool) -> Result<Vec<u8>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut text = self.messages;
        text.extend_from_slice(&self.reports);
        text.push(b']');
        text.extend_from_slice(closing.as_bytes());
        if self.is_v4 {
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
