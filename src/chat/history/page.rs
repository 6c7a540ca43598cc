//! A page of history under construction. Each row is rendered as it arrives from the database, so that a page is in
//! memory only once. How a row looks on the wire is decided in `api`, which passes the function.

use crate::chat::error::Error;
use crate::store::rows::HistoryRow;
use parlance_wire::{
    id::{MessageId, ReportId},
    time::Timestamp,
    version::ClientVersion,
};

/// Appends a row as the wire shows it.
pub(crate) type Render = fn(&mut Vec<u8>, &HistoryRow, ClientVersion) -> Result<(), Error>;

/// The messages and the reports of a page.
#[derive(Debug)]
pub(crate) struct RenderedPage {
    pub(in crate::chat) messages: Rows<MessageId>,
    pub(in crate::chat) reports: Rows<ReportId>,
    /// When the first of its rows expires.
    pub(in crate::chat) expires_at: Option<Timestamp>,
    version: ClientVersion,
    render: Render,
    failed: Option<Error>,
}

/// Rows of one kind, oldest first.
#[derive(Debug)]
pub(in crate::chat) struct Rows<Id> {
    /// The text before the rows, then the rows with commas between them.
    text: Vec<u8>,
    /// Where the rows begin in the text.
    start: usize,
    /// Where each row begins, counted from the first one.
    pub(in crate::chat) offsets: Vec<(Id, usize)>,
}

impl RenderedPage {
    /// A page without rows. `messages` and `reports` are the text before the rows of each kind.
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

    /// Adds a row; messages and reports keep their own order.
    pub(in crate::chat) fn push(&mut self, row: &HistoryRow) {
        let (text, valid_until) = match row {
            HistoryRow::Message(row) => (self.messages.begin(row.message_id), row.valid_until),
            HistoryRow::Report(row) => (self.reports.begin(row.report_id), row.valid_until),
        };
        // Kept until the page is taken: an error here must not abandon the statement that is being read, as that would
        // close its connection.
        if let Err(error) = (self.render)(text, row, self.version) {
            self.failed = Some(error);
        }
        self.expires_at = Some(
            self.expires_at
                .map_or(valid_until, |expires_at| expires_at.min(valid_until)),
        );
    }

    /// Adds rows that are rendered already.
    pub(in crate::chat) fn copy(&mut self, messages: &[u8], reports: &[u8]) {
        // The reports are appended to the messages in the end: without room for both, a large page would be copied again.
        let rest = self.reports.text.len() + reports.len() + 64;
        self.messages.text.reserve_exact(messages.len() + rest);
        self.messages.text.extend_from_slice(messages);
        self.reports.text.extend_from_slice(reports);
    }

    /// The text of the messages and that of the reports, each after its opening text.
    ///
    /// # Errors
    /// A row could not be rendered.
    pub(crate) fn into_text(self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        match self.failed {
            None => Ok((self.messages.text, self.reports.text)),
            Some(error) => Err(error),
        }
    }

    pub(in crate::chat) fn has_failed(&self) -> bool {
        self.failed.is_some()
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

    /// Begins a row. The caller appends it to the text that is returned.
    pub(in crate::chat) fn begin(&mut self, id: Id) -> &mut Vec<u8> {
        if !self.offsets.is_empty() {
            self.text.push(b',');
        }
        self.offsets.push((id, self.text.len() - self.start));
        &mut self.text
    }

    /// The rows alone.
    pub(in crate::chat) fn to_owned(&self) -> Self {
        Self {
            text: self.text_from(0).to_vec(),
            start: 0,
            offsets: self.offsets.clone(),
        }
    }

    /// How many rows stand before the one with this id. Returns `None` if it is not here.
    pub(in crate::chat) fn position(&self, id: Id) -> Option<usize> {
        self.offsets.iter().position(|(other, _)| *other == id)
    }

    /// The text from the row at this position on.
    pub(in crate::chat) fn text_from(&self, position: usize) -> &[u8] {
        self.offsets
            .get(position)
            .and_then(|(_, offset)| self.text.get(self.start + offset..))
            // An empty page has no row at any position, and no text.
            .unwrap_or(&[])
    }

    /// The bytes in memory.
    // Capacity, not length: the cache's limit is about memory.
    pub(in crate::chat) fn bytes(&self) -> usize {
        self.text.capacity() + size_of_val(&*self.offsets)
    }
}
