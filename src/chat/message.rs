//! Messages: each is stored exactly once, however often it is sent, and linked into a chain.

use std::{collections::BTreeSet, sync::Arc};

use chrono::TimeDelta;

use super::{Call, error::Error, rates, usage};
use crate::notify::event::{Event, NewRow, NewRows, Rendered};
use crate::store::{
    self,
    erase::Erased,
    rows::{HistoryRow, MessageRow, New, NewMessage, Stored},
};
use parlance_wire::{
    e2ee::Epoch,
    history::Link,
    id::{ConversationId, FileId, MessageId},
    request::conversation::SentMessage,
    text::Instance,
    time::Timestamp,
};

/// How far a sender's clock may be ahead of the server's.
// The same as the default of `SIGNATURE_WINDOW`: a client whose requests are accepted keeps its own
// time.
const CLOCK_AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Stores a message. Idempotent by its id. Returns its `Created` and `ValidUntil`, as stored.
///
/// # Errors
/// `TooLarge`, `StorageFull`, `UsedUp`, `NotFriends`, `ConversationNotFound`, `StaleInstance`, `StaleEpoch`,
/// `MessageIdConflict`; `NotAllowed`, if the other user has blocked the caller, or is their friend no
/// longer; `FileNotFound`, if one of the files is not the caller's, not of this conversation, not
/// complete, or of another message.
pub(crate) async fn add(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: Instance,
    sent: SentMessage,
    epoch: Option<Epoch>,
    files: BTreeSet<FileId>,
) -> Result<(Timestamp, Timestamp), Error> {
    // Before queueing: the batcher's memory is bounded, and a batch must not fail because of one
    // message's size.
    let max = call.services.policy.max_message_bytes;
    if sent.data.as_str().len() > max {
        return Err(Error::TooLarge(format!(
            "message.Data must have at most {max} bytes."
        )));
    }
    rates::count_message(call, sent.data.as_str().len())?;
    // Clients sort by this time: a message from the future would stay the last one, and expire too
    // late by as much.
    let created_at = if sent.created > call.now.plus(CLOCK_AHEAD) {
        // In whole seconds, like the wire: the answer must have the stored time.
        call.now.whole_seconds()
    } else {
        sent.created
    };
    let valid_until = sent
        .valid_until
        .unwrap_or_else(|| created_at.plus(call.services.policy.message_lifetime));
    let kept_until = call.now.plus(call.services.policy.max_message_lifetime);
    let message = NewMessage {
        conversation_id: conversation,
        instance,
        user_id: call.user,
        station_id: call.station,
        created_at,
        valid_until,
        keep_until: Some(kept_until).filter(|kept_until| *kept_until < valid_until),
        sent,
        epoch: call
            .version
            .is_v4()
            .then(|| epoch.map_or(0, store::epoch::number)),
        is_full: call.services.full.has(call),
        // A field of this name from an older client is unknown.
        files: if call.version.is_v4() {
            files
        } else {
            BTreeSet::new()
        },
    };
    let (message, stored) = call.services.messages.add(message).await?;
    match stored {
        Stored::Accepted {
            created_at,
            valid_until,
            new,
            participants,
        } => {
            let counters = call.services.db.counters();
            if new.is_some() {
                counters.messages_stored.inc();
                let bytes = message.sent.data.as_str().len();
                counters.message_bytes.inc_by(bytes as u64);
            } else {
                counters.message_retries.inc();
            }
            let new = new.map(|new| NewRows {
                first: new.seq,
                last: new.seq,
                rows: vec![Arc::new(new_row(message, &new))],
            });
            // For a retry, too: the first attempt may have been committed without an answer or an
            // announcement.
            call.outbox.push(Event::ConversationChanged {
                conversation,
                participants,
                new,
            });
            Ok((created_at, valid_until))
        }
        Stored::IdConflict => Err(Error::MessageIdConflict),
        Stored::StaleInstance(present) => Err(Error::StaleInstance(present)),
        Stored::StaleEpoch(present) => Err(Error::StaleEpoch(present)),
        Stored::Ended => Err(Error::NotFriends),
        Stored::Full => Err(usage::refusal(call)),
        Stored::Blocked => Err(Error::NotAllowed("This user has blocked you.")),
        Stored::NoFile => Err(Error::FileNotFound),
        Stored::NoConversation => Err(Error::ConversationNotFound),
    }
}

/// Deletes the content of messages, for everyone; their links in the chain remain. Returns those
/// that existed. Idempotent.
///
/// # Errors
/// `UsedUp`; `ConversationNotFound`, `StaleInstance`; `NotAllowed`, if one of them is another user's and the
/// caller is no admin.
pub(crate) async fn erase(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    messages: &[MessageId],
) -> Result<Vec<MessageId>, Error> {
    rates::count_change(call)?;
    let db = &call.services.db;
    match store::erase::erase(db, conversation, call.user, instance, messages).await? {
        None => Err(Error::ConversationNotFound),
        Some(Erased::StaleInstance(present)) => Err(Error::StaleInstance(present)),
        Some(Erased::NotAllowed) => Err(Error::NotAllowed(
            "Only an admin of a group may erase messages of others.",
        )),
        Some(Erased::Done {
            messages: gone,
            known,
            participants,
            last_seq,
        }) => {
            call.services.files.deleted();
            // Those that were erased before are announced, too: the request that did so may have failed
            // before it announced them.
            call.outbox.push(Event::Erased {
                conversation,
                participants,
                messages: known,
                last_seq,
            });
            Ok(gone)
        }
    }
}

/// Returns at most `limit` links of a conversation's chain after a number, and `true` if there are more.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn transcript(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    after: i64,
    limit: usize,
) -> Result<(Vec<Link>, bool), Error> {
    let one_more = i64::try_from(limit + 1).map_err(|error| Error::Internal(error.into()))?;
    let found = store::transcript::after(
        &call.services.db,
        conversation,
        call.user,
        instance,
        after,
        one_more,
    )
    .await?;
    let (current, mut links) = found.ok_or(Error::ConversationNotFound)?;
    if current != *instance {
        return Err(Error::StaleInstance(current));
    }
    let has_more = links.len() > limit;
    links.truncate(limit);
    Ok((links, has_more))
}

fn new_row(message: NewMessage, new: &New) -> NewRow {
    let row = MessageRow {
        seq: new.seq,
        message_id: message.sent.id,
        r#type: message.sent.r#type.to_string(),
        created_at: message.created_at,
        valid_until: message.valid_until,
        data: message.sent.data.into(),
        user_id: message.user_id,
        station_id: message.station_id,
        chain: new.chain,
    };
    let after = new.after.map(|id| id.to_string()).unwrap_or_default();
    NewRow {
        instance: message.instance,
        seq: new.seq,
        after,
        row: HistoryRow::Message(row),
        rendered: Rendered::default(),
    }
}
