//! Reports that messages were delivered to a user, or seen by them.

use std::sync::Arc;

use super::{Call, error::Error};
use crate::notify::event::{Event, NewRow, NewRows, Rendered};
use crate::store::{
    report::{NewReport, Reported},
    rows::{HistoryRow, ReportRow},
};
use parlance_wire::{
    id::{ConversationId, MessageId},
    text::Instance,
    word::ReportType,
};

/// Maximum reports of a request that are announced with their rows. Beyond it only the conversation
/// is named.
// Opening a conversation reports on everything unread: hundreds of events for each socket would
// cost more than a download.
const MAX_NEW_ROWS: usize = 50;

/// Stores that messages were delivered to the caller, or seen by them: one report per message, user
/// and type. Idempotent. Unknown ids are ignored, as their messages may have expired.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn add(
    call: &mut Call<'_>,
    r#type: ReportType,
    conversation: ConversationId,
    instance: Instance,
    message_ids: Vec<MessageId>,
) -> Result<(), Error> {
    let report = NewReport {
        conversation_id: conversation,
        instance,
        user_id: call.user,
        station_id: call.station,
        r#type,
        message_ids,
        // In whole seconds, like the wire: a pushed report and a downloaded one must be equal.
        created_at: call.now.whole_seconds(),
    };
    let (report, reported) = call.services.reports.add(report).await?;
    let (participants, rows) = match reported {
        Reported::Stored { participants, rows } => (participants, rows),
        Reported::StaleInstance(present) => return Err(Error::StaleInstance(present)),
        Reported::NoConversation => return Err(Error::ConversationNotFound),
    };
    // Unlike a message, a retry stores nothing and is not announced: if the outcome of the first
    // attempt was unknown, every station had to resync.
    if let (Some(first), Some(last)) = (
        rows.first().map(|row| row.seq),
        rows.last().map(|row| row.seq),
    ) {
        let counters = call.services.db.counters();
        counters.reports_stored.inc_by(rows.len() as u64);
        let pushed = if rows.len() > MAX_NEW_ROWS {
            vec![]
        } else {
            rows
        };
        let rows = pushed.into_iter().map(|new| {
            let row = ReportRow {
                report_id: new.report_id,
                r#type,
                created_at: report.created_at,
                valid_until: new.valid_until,
                user_id: report.user_id,
                station_id: report.station_id,
                message_id: new.message_id,
            };
            let after = new.after.map(|id| id.to_string()).unwrap_or_default();
            Arc::new(NewRow {
                instance: report.instance.clone(),
                seq: new.seq,
                after,
                row: HistoryRow::Report(row),
                rendered: Rendered::default(),
            })
        });
        let new = Some(NewRows {
            first,
            last,
            rows: rows.collect(),
        });
        call.outbox.push(Event::ConversationChanged {
            conversation,
            participants,
            new,
        });
    }
    Ok(())
}
