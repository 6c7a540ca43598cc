//! Messages: stored exactly once, numbered in commit order.

mod tie;

use std::{collections::HashMap, sync::Arc};

use sqlx::PgConnection;

use super::{
    Db,
    batcher::{Attempt, Entry, entry_at},
    db::End,
    error::{Result, impossible},
};
use crate::store::rows::{New, NewMessage, Stored};
use parlance_wire::{
    chain::{Chain, DataHash},
    id::{ConversationId, MessageId, UserId},
    text::Instance,
    time::Timestamp,
};

/// Maximum attempts for a batch because another node stored one of its messages meanwhile. Two are
/// enough, unless several clients retry several messages of the batch on several nodes at the same
/// moment.
const MAX_TRIES: usize = 6;
/// Approximate size of a row without its `Data`, in bytes.
const ROW_BYTES: usize = 200;

impl Entry for NewMessage {
    const KIND: &'static str = "messages";
    type Outcome = Stored;
    type Key = (ConversationId, MessageId);

    /// A retry is judged by what is stored, so the original has to be stored first.
    fn key(&self) -> Option<Self::Key> {
        Some((self.conversation_id, self.sent.id))
    }

    /// The message's size, as the database's function `message_bytes` counts it.
    fn bytes(&self) -> usize {
        self.sent.data.as_str().len() + ROW_BYTES
    }

    async fn store(db: &Db, batch: &[Self]) -> Result<Vec<Attempt<Stored>>> {
        let mut result = add_once(db, batch).await;
        for _ in 1..MAX_TRIES {
            // While the statement waited for the lock, another one stored the same message, which
            // this statement's older snapshot does not include. Nothing is stored, and the next
            // attempt sees it.
            match &result {
                Err(error) if error.is_refused_by("messages_one_per_id") => {
                    result = add_once(db, batch).await;
                }
                _ => break,
            }
        }
        result
    }
}

/// Stores a batch in one commit. Returns the outcome of each message, in the given order. The batch
/// must not contain the same (conversation, message id) twice.
async fn add_once(db: &Db, batch: &[NewMessage]) -> Result<Vec<Attempt<Stored>>> {
    if batch.iter().all(|message| message.files.is_empty()) {
        let can_have_files = vec![true; batch.len()];
        return db.run(async |c| add(c, batch, &can_have_files).await).await;
    }
    db.transaction(async |c| {
        // Before the conversations, as nobody who holds one of those waits for a file without a message.
        let can_have_files = tie::lock(c, batch).await?;
        let outcomes = add(c, batch, &can_have_files).await?;
        tie::tie(c, batch, &outcomes).await?;
        Ok(End::Commit(outcomes))
    })
    .await
}

/// Stores a batch in one statement. `can_have_files`: whether each message can have the files that it names.
async fn add(
    c: &mut PgConnection,
    batch: &[NewMessage],
    can_have_files: &[bool],
) -> Result<Vec<Attempt<Stored>>> {
    macro_rules! column {
        ($message:ident => $value:expr) => {
            &batch.iter().map(|$message| $value).collect::<Vec<_>>()
        };
    }
    let refusals: Vec<Option<&str>> = batch
        .iter()
        .zip(can_have_files)
        .map(
            |(message, can_have_files)| match (message.is_full, can_have_files) {
                // A sender over their storage limit stores nothing more.
                (true, _) => Some("full"),
                (false, false) => Some("no_file"),
                (false, true) => None,
            },
        )
        .collect();
    let mut rows = sqlx::query_file!(
        "src/store/sql/add_messages.sql",
        column!(m => m.conversation_id) as _,
        column!(m => m.instance.as_str()) as _,
        column!(m => m.user_id) as _,
        column!(m => m.station_id) as _,
        column!(m => m.sent.id) as _,
        column!(m => m.sent.r#type.as_str()) as _,
        column!(m => m.created_at) as _,
        // A retry has the sender's time: without it, the retry would look like another message.
        column!(m => Some(m.sent.created).filter(|sent| *sent != m.created_at)) as _,
        column!(m => m.valid_until) as _,
        // A retry of a message without an end is the same message, even if the operator has changed the
        // lifetime in between.
        column!(m => m.sent.valid_until.is_some()) as _,
        column!(m => DataHash::of(m.sent.data.as_str())) as _,
        column!(m => m.epoch) as _,
        column!(m => i64::try_from(m.bytes()).unwrap_or(i64::MAX)) as _,
        &refusals as _,
        column!(m => m.keep_until) as _,
        column!(m => m.sent.data.as_str()) as _,
    )
    .fetch_all(c)
    .await?;

    // The statement only returns messages whose sender takes part in the conversation.
    let mut outcomes: Vec<Attempt<Stored>> = batch
        .iter()
        .map(|_| Attempt::Done(Stored::NoConversation))
        .collect();
    // In the order of their numbers, so that each new message comes after its predecessor.
    rows.sort_unstable_by_key(|row| row.place);
    // For each conversation the newest message so far, and for a group its members.
    let mut newest = HashMap::<ConversationId, (_, Option<Arc<_>>)>::new();
    for row in rows {
        let (message, outcome) = entry_at(batch, &mut outcomes, row.place)?;
        let group = row.group.map(Arc::from);
        let recipients = |group: Option<Arc<[UserId]>>| {
            let two = || row.peer_id.map(|peer| Arc::from([message.user_id, peer]));
            group
                .or_else(two)
                .ok_or_else(|| impossible("a conversation without participants"))
        };
        let stored = match (
            row.outcome.as_str(),
            row.current_instance,
            row.chain,
            row.existing_created_at.zip(row.existing_valid_until),
        ) {
            ("new", _, Some(chain), _) => {
                let (after, group) = newest
                    .entry(message.conversation_id)
                    .or_insert_with(|| (row.last_message_id, group));
                Stored::Accepted {
                    created_at: message.created_at,
                    valid_until: message.valid_until,
                    new: Some(New {
                        seq: row.seq,
                        after: after.replace(message.sent.id),
                        chain,
                    }),
                    participants: recipients(group.clone())?,
                }
            }
            ("existing", _, _, Some((created_at, valid_until))) => Stored::Accepted {
                created_at,
                valid_until,
                new: None,
                participants: recipients(group)?,
            },
            // The sender's account was deleted meanwhile.
            ("no_sender", ..) => Stored::NoConversation,
            ("stale_instance", Some(current), ..) => Stored::StaleInstance(current),
            ("stale_epoch", ..) => Stored::StaleEpoch(
                row.current_epoch
                    .ok_or_else(|| impossible("a stale epoch without the present one"))?,
            ),
            ("id_conflict", ..) => Stored::IdConflict,
            ("blocked", ..) => Stored::Blocked,
            ("ended", ..) => Stored::Ended,
            ("full", ..) => Stored::Full,
            ("no_file", ..) => Stored::NoFile,
            ("membership_changed", ..) => {
                *outcome = Attempt::MembershipChanged;
                continue;
            }
            // Also a known outcome without its columns.
            (unknown, ..) => return Err(impossible(&format!("the outcome {unknown}"))),
        };
        *outcome = Attempt::Done(stored);
    }
    Ok(outcomes)
}
