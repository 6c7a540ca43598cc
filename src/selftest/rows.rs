//! Messages and reports as the wire shows them, in pages and in the events of frames.

use std::collections::BTreeMap;

use parlance_client::e2ee::Sealed;
use serde_json::Value;

use super::{
    chain::{self, Hash, sha256},
    form::{Id, read_dashed, read_plain, read_time},
    request::Station,
};

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub id: Id,
    pub kind: String,
    /// In Unix seconds.
    pub created: i64,
    /// In Unix seconds.
    pub valid_until: i64,
    /// SHA-256 of its `Data`.
    pub data: Hash,
    /// Its `Data`, if it is encrypted according to docs/e2ee.md.
    pub sealed: Option<Sealed>,
    /// The part that only v4 clients are shown.
    pub v4: Option<V4>,
}

/// The part of a message that only v4 clients are shown.
#[derive(Debug, Clone)]
pub(super) struct V4 {
    pub sender: Station,
    pub seq: i64,
    /// The chain up to it.
    pub chain: Hash,
}

#[derive(Debug, Clone)]
pub(super) struct Report {
    pub id: Id,
    pub kind: String,
    /// In Unix seconds.
    pub created: i64,
    /// In Unix seconds.
    pub valid_until: i64,
    /// The user and station that received or saw the message.
    pub from: Station,
    pub message: Id,
}

/// A row of either kind.
#[derive(Debug, Clone)]
pub(super) enum Row {
    Message(Message),
    Report(Report),
}

impl Row {
    pub(super) fn id(&self) -> Id {
        match self {
            Self::Message(row) => row.id,
            Self::Report(row) => row.id,
        }
    }
}

/// An event of a frame: a new row of a conversation.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The instance that it belongs to.
    pub instance: String,
    /// The row of its kind before it.
    pub after: Option<Id>,
    pub row: Row,
}

/// A page of history.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Its messages, oldest first.
    pub messages: Vec<Message>,
    /// Its reports, oldest first.
    pub reports: Vec<Report>,
    /// There is more; a v3 client is not told.
    pub has_more: bool,
}

impl Message {
    /// Reads one. Returns `None` when it is not in the documented form.
    pub(super) fn read(row: &Value) -> Option<Self> {
        let text = |field: &str| row.get(field).and_then(Value::as_str);
        // With one of these fields, all of them have to be there.
        let v4 = match row.get("Seq") {
            None => None,
            Some(seq) => Some(V4 {
                sender: Station {
                    user: read_plain(text("User")?)?,
                    station: read_plain(text("Station")?)?,
                },
                seq: seq.as_i64()?,
                chain: chain::read(text("Chain")?)?,
            }),
        };
        let data = text("Data")?;
        Some(Self {
            id: read_dashed(text("ID")?)?,
            kind: text("Type")?.to_owned(),
            created: read_time(text("Created")?)?,
            valid_until: read_time(text("ValidUntil")?)?,
            // Readers keep only its hash, because a run holds every message once per reader.
            data: sha256(&[data.as_bytes()]),
            sealed: Sealed::message(data).ok(),
            v4,
        })
    }
}

impl Report {
    /// Reads one. Returns `None` when it is not in the documented form.
    pub(super) fn read(row: &Value) -> Option<Self> {
        let text = |field: &str| row.get(field).and_then(Value::as_str);
        Some(Self {
            id: read_dashed(text("ID")?)?,
            kind: text("Type")?.to_owned(),
            created: read_time(text("Created")?)?,
            valid_until: read_time(text("ValidUntil")?)?,
            from: Station {
                user: read_plain(text("User")?)?,
                station: read_plain(text("Station")?)?,
            },
            message: read_dashed(text("MessageID")?)?,
        })
    }
}

impl Page {
    /// Reads one. Returns `None` when it is not in the documented form.
    pub(super) fn read(page: &Value) -> Option<Self> {
        Some(Self {
            messages: page
                .get("messages")?
                .as_array()?
                .iter()
                .map(Message::read)
                .collect::<Option<_>>()?,
            reports: page
                .get("reports")?
                .as_array()?
                .iter()
                .map(Report::read)
                .collect::<Option<_>>()?,
            has_more: page
                .get("hasmore")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        })
    }
}

/// The events of a frame by conversation, each in the frame's order. Returns `None` when they
/// are not in the documented form.
pub(super) fn events(frame: &Value) -> Option<BTreeMap<Id, Vec<Event>>> {
    let mut events = BTreeMap::<Id, Vec<Event>>::new();
    for event in frame
        .get("events")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let text = |field: &str| event.get(field).and_then(Value::as_str);
        let row = match (event.get("message"), event.get("report")) {
            (Some(message), None) => Row::Message(Message::read(message)?),
            (None, Some(report)) => Row::Report(Report::read(report)?),
            _ => return None,
        };
        let after = match text("after")? {
            "" => None,
            id => Some(read_dashed(id)?),
        };
        let instance = text("instance")?.to_owned();
        events
            .entry(read_plain(text("conversationid")?)?)
            .or_default()
            .push(Event {
                instance,
                after,
                row,
            });
    }
    Some(events)
}

/// Number of events of one conversation that do not follow the event before them in their frame: by the row of the
/// same kind that each names, and by the numbers of the messages, between which there is one for each report.
pub(super) fn gaps(events: &[Event]) -> usize {
    let (mut message, mut report, mut reports_since, mut gaps) = (None, None, 0_i64, 0);
    for event in events {
        match &event.row {
            Row::Message(row) => {
                let seq = row.v4.as_ref().map_or(0, |v4| v4.seq);
                if let Some((id, before)) = message {
                    gaps +=
                        usize::from(event.after != Some(id) || seq != before + 1 + reports_since);
                }
                (message, reports_since) = (Some((row.id, seq)), 0);
            }
            Row::Report(row) => {
                gaps += usize::from(report.is_some() && event.after != report);
                (report, reports_since) = (Some(row.id), reports_since + 1);
            }
        }
    }
    gaps
}
