//! Reports: one per message, user and type, however often it is sent.

use std::{collections::HashMap, sync::Arc};

use super::{
    Db,
    batcher::{Attempt, Entry, entry_at},
    error::{Result, impossible},
};
use parlance_wire::{
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
    word::ReportType,
};

/// Maximum attempts for a batch because another node stored one of its reports meanwhile.
const MAX_TRIES: usize = 6;
/// Approximate size of a report's row, in bytes.
const ROW_BYTES: usize = 150;

/// A user's report about messages of a conversation.
#[derive(Debug)]
pub(crate) struct NewReport {
    pub conversation_id: ConversationId,
    /// The conversation's instance, according to the user.
    pub instance: Instance,
    pub user_id: UserId,
    /// The station that sent it.
    pub station_id: StationId,
    pub r#type: ReportType,
    /// The messages that it reports on. Unknown ids are ignored.
    pub message_ids: Vec<MessageId>,
    /// When the server received it.
    pub created_at: Timestamp,
}

/// The outcome of a report.
#[derive(Debug)]
pub(crate) enum Reported {
    /// The new reports are stored; there may be none.
    Stored {
        /// Users to notify; empty if nothing was new.
        participants: Arc<[UserId]>,
        /// The new rows, in the order of their numbers.
        rows: Vec<StoredReport>,
    },
    /// The conversation's present instance is another one: this one.
    StaleInstance(Instance),
    /// There is no such conversation for this user.
    NoConversation,
}

/// A report on one message.
#[derive(Debug)]
pub(crate) struct StoredReport {
    pub seq: i64,
    /// The preceding report.
    pub after: Option<ReportId>,
    /// The id that the server assigned.
    pub report_id: ReportId,
    pub message_id: MessageId,
    /// The end of the message's validity, which is also the report's.
    pub valid_until: Timestamp,
}

impl Entry for NewReport {
    const KIND: &'static str = "reports";
    type Outcome = Reported;
    type Key = ();

    /// Duplicates may be in one batch: one of them is new.
    fn key(&self) -> Option<()> {
        None
    }

    fn bytes(&self) -> usize {
        (self.message_ids.len() + 1) * ROW_BYTES
    }

    async fn store(db: &Db, batch: &[Self]) -> Result<Vec<Attempt<Reported>>> {
        let mut result = add(db, batch).await;
        for _ in 1..MAX_TRIES {
            // As for messages: the statement's snapshot is older than its lock.
            match &result {
                Err(error) if error.is_refused_by("reports_one_per_message") => {
                    result = add(db, batch).await;
                }
                _ => break,
            }
        }
        result
    }
}

/// Stores the new reports of a batch in one statement and one commit. Returns the outcome of each,
/// in the given order.
async fn add(db: &Db, batch: &[NewReport]) -> Result<Vec<Attempt<Reported>>> {
    macro_rules! column {
        ($field:ident $($as_str:tt)*) => {
            &batch.iter().map(|r| r.$field $($as_str)*).collect::<Vec<_>>()
        };
    }
    let named = (1_i64..).zip(batch).flat_map(|(place, report)| {
        report
            .message_ids
            .iter()
            .map(move |id| (place, (*id, ReportId::random())))
    });
    let (places, (message_ids, report_ids)): (Vec<i64>, (Vec<MessageId>, Vec<ReportId>)) =
        named.unzip();
    let mut rows = db
        .run(async |c| {
            sqlx::query_file!(
                "src/store/sql/add_reports.sql",
                column!(conversation_id) as _,
                column!(instance.as_str()) as _,
                column!(user_id) as _,
                column!(station_id) as _,
                column!(r#type.as_str()) as _,
                column!(created_at) as _,
                &places,
                &message_ids as _,
                &report_ids as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;

    // The statement only returns reports of users who take part in the conversation.
    let mut outcomes: Vec<Attempt<Reported>> = batch
        .iter()
        .map(|_| Attempt::Done(Reported::NoConversation))
        .collect();
    // In the order of their numbers, and a group's members before the rows that they are notified
    // of.
    rows.sort_unstable_by_key(|row| (row.place, row.seq));
    let mut groups: HashMap<ConversationId, Arc<[UserId]>> = HashMap::new();
    for row in rows {
        let (report, outcome) = entry_at(batch, &mut outcomes, row.place)?;
        match (row.outcome.as_str(), row.current_instance) {
            ("stored" | "silent", None) => {}
            ("stale_instance", Some(current)) => {
                *outcome = Attempt::Done(Reported::StaleInstance(current));
                continue;
            }
            ("membership_changed", None) => {
                *outcome = Attempt::MembershipChanged;
                continue;
            }
            // The outcome is what it was before.
            ("no_sender", None) => continue,
            (unknown, _) => return Err(impossible(&format!("the outcome {unknown}"))),
        }
        if let Some(group) = row.group {
            groups.insert(report.conversation_id, group.into());
        }
        if let Attempt::Done(Reported::NoConversation) = outcome {
            *outcome = Attempt::Done(Reported::Stored {
                participants: Arc::default(),
                rows: vec![],
            });
        }
        let Attempt::Done(Reported::Stored { participants, rows }) = outcome else {
            return Err(impossible("two outcomes for one report"));
        };
        match (row.seq, row.report_id, row.message_id, row.valid_until) {
            (Some(seq), Some(report_id), Some(message_id), Some(valid_until)) => {
                if rows.is_empty() {
                    let group = || groups.get(&report.conversation_id).cloned();
                    let two = row.peer_id.map(|peer| Arc::from([report.user_id, peer]));
                    *participants = two
                        .or_else(group)
                        .ok_or_else(|| impossible("a conversation without participants"))?;
                }
                rows.push(StoredReport {
                    seq,
                    after: row.after,
                    report_id,
                    message_id,
                    valid_until,
                });
            }
            // None of it was new.
            (None, None, None, None) => {}
            _ => return Err(impossible("half a report")),
        }
    }
    Ok(outcomes)
}
