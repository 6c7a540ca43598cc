//! Reports: who has had, and who has seen, which messages.

use std::sync::Arc;

use super::{
    Call,
    error::Error,
    event::{Event, Fresh},
};
use crate::{
    model::{
        id::{ConversationId, MessageId},
        rows::{HistoryRow, ReportRow},
        text::Instance,
    },
    store::{self, report::NewReport},
};

/// So many reports of one request are announced whole; whoever follows downloads the others.
const MOST_FRESH: usize = 50;

/// Reports that the caller had (`delivered`) or saw (`viewed`) messages. One report per message, user
/// and type, however often it is sent; ids that are not there (any more) are passed over.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub async fn add(
    call: &mut Call<'_>,
    r#type: &str,
    conversation: ConversationId,
    instance: &Instance,
    message_ids: &[MessageId],
) -> Result<(), Error> {
    let report = NewReport {
        conversation_id: conversation,
        instance,
        user_id: call.user,
        station_id: call.station,
        r#type,
        message_ids,
        created_at: call.now.whole_seconds(),
    };
    let reported = store::report::add(call.db, &report).await?.ok_or(Error::ConversationNotFound)?;
    if reported.present != *instance {
        return Err(Error::StaleInstance(reported.present));
    }
    if let Some(first_seq) = reported.first_seq {
        let ids = reported.report_ids.iter().zip(&reported.message_ids).zip(&reported.valid_untils).take(MOST_FRESH);
        let mut after = reported.after.map(|id| id.to_string()).unwrap_or_default();
        let fresh = (first_seq..).zip(ids).map(|(seq, ((report_id, message_id), valid_until))| {
            let row = ReportRow {
                report_id: *report_id,
                r#type: r#type.to_owned(),
                created_at: report.created_at,
                valid_until: *valid_until,
                user_id: call.user,
                station_id: call.station,
                message_id: *message_id,
            };
            let after = std::mem::replace(&mut after, report_id.to_string());
            Arc::new(Fresh { instance: instance.clone(), seq, after, row: HistoryRow::Report(row) })
        });
        let event = Event::ConversationChanged { conversation, participants: reported.participants, fresh: fresh.collect() };
        call.outbox.push(event);
    }
    Ok(())
}
