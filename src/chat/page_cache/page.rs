//! Pages of history as text: each row is rendered as it arrives from the database, so that a page is
//! in memory only once.

use crate::{chat::error::Error, store::rows::HistoryRow};
use parlance_wire::{
    id::{MessageId, ReportId},
    time::Timestamp,
    version::ClientVersion,
};

/// Appends a row in the wire's format.
type Render = fn(&mut Vec<u8>, &HistoryRow, ClientVersion) -> Result<(), Error>;

/// The messages and the reports of a page.
#[derive(Debug)]
pub(crate) struct RenderedPage {
    pub(super) messages: Rows<MessageId>,
    pub(super) reports: Rows<ReportId>,
    /// When the first of its rows expires.
    pub(super) expires_at: Option<Timestamp>,
    version: ClientVersion,
    render: Render,
    pub(super) failed: Option<Error>,
}

/// Rows of one kind, oldest first.
#[derive(Debug)]
pub(super) struct Rows<Id> {
    /// The text before the rows, then the rows with commas between them.
    text: Vec<u8>,
    /// Offset of the first row in the text.
    start: usize,
    /// The offset of each row, counted from the first one.
    pub(super) offsets: Vec<(Id, usize)>,
}

impl RenderedPage {
    /// An empty page. `messages` and `reports` are the texts before the rows of each kind.
    pub(crate) fn new(
        messages: Vec<u8>,
        reports: Vec<u8>,
        version: ClientVersion,
        render: Render,
    ) -> Self {
        Self {
            messages: Rows::after(messages),
            reports: Rows::after(reports),
            expires_at: None,
            version,
            render,
            failed: None,
        }
    }

    /// Adds a row; messages and reports are each kept in order.
    pub(in crate::chat) fn push(&mut self, row: &HistoryRow) {
        let (text, valid_until) = match row {
            HistoryRow::Message(row) => (self.messages.begin(row.message_id), row.valid_until),
            HistoryRow::Report(row) => (self.reports.begin(row.report_id), row.valid_until),
        };
        // The error is kept until the page is taken: failing here would abandon the statement that
        // is being read, and so close its connection.
        if let Err(error) = (self.render)(text, row, self.version) {
            self.failed = Some(error);
        }
        self.expires_at = Some(
            self.expires_at
                .map_or(valid_until, |expires_at| expires_at.min(valid_until)),
        );
    }

    /// Adds rows that are rendered already.
    pub(super) fn copy(&mut self, messages: &[u8], reports: &[u8]) {
        // The reports are appended to the messages in the end; without room for both, a large page
        // would be copied again.
        let rest = self.reports.text.len() + reports.len() + 64;
        self.messages.text.reserve_exact(messages.len() + rest);
        self.messages.text.extend_from_slice(messages);
        self.reports.text.extend_from_slice(reports);
    }

    /// The text of the messages and that of the reports, each with its opening text.
    ///
    /// # Errors
    /// A row could not be rendered.
    pub(crate) fn into_text(self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        match self.failed {
            None => Ok((self.messages.text, self.reports.text)),
            Some(error) => Err(error),
        }
    }
}

impl<Id: Copy + PartialEq> Rows<Id> {
    fn after(text: Vec<u8>) -> Self {
        Self {
            start: text.len(),
            text,
            offsets: vec![],
        }
    }

    /// Begins a row, which the caller appends to the returned text.
    pub(super) fn begin(&mut self, id: Id) -> &mut Vec<u8> {
        if !self.offsets.is_empty() {
            self.text.push(b',');
        }
        self.offsets.push((id, self.text.len() - self.start));
        &mut self.text
    }

    /// The rows alone.
    pub(super) fn to_owned(&self) -> Self {
        Self {
            text: self.text_from(0).to_vec(),
            start: 0,
            offsets: self.offsets.clone(),
        }
    }

    /// Number of rows before the one with this id. Returns `None` if there is no such row.
    pub(super) fn position(&self, id: Id) -> Option<usize> {
        self.offsets.iter().position(|(other, _)| *other == id)
    }

    /// The text from the row at this position on.
    pub(super) fn text_from(&self, position: usize) -> &[u8] {
        self.offsets
            .get(position)
            .and_then(|(_, offset)| self.text.get(self.start + offset..))
            // An empty page has neither text nor a row at any position.
            .unwrap_or(&[])
    }

    /// The size in memory.
    // Capacity instead of length, because the cache's limit is about memory.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + size_of_val(&*self.offsets)
    }
}
