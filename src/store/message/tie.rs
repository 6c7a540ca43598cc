//! The files of messages: in the commit that stores a message, its files begin to end with it.

use std::collections::HashSet;

use sqlx::PgConnection;

use crate::store::{
    batcher::Attempt,
    error::{Result, impossible},
    rows::{NewMessage, Stored},
};
use parlance_wire::id::FileId;

/// The files that a batch names, one by one.
#[derive(Default)]
struct Named<'a> {
    /// The place of the message in the batch.
    places: Vec<i32>,
    messages: Vec<&'a NewMessage>,
    files: Vec<FileId>,
}

impl<'a> Named<'a> {
    fn of(messages: impl Iterator<Item = (usize, &'a NewMessage)>) -> Result<Self> {
        let mut named = Self::default();
        for (place, message) in messages {
            let place = i32::try_from(place).map_err(|_| impossible("so large a batch"))?;
            for file in &message.files {
                named.places.push(place);
                named.messages.push(message);
                named.files.push(*file);
            }
        }
        Ok(named)
    }
}

/// Locks the files that a batch names, until the transaction ends. Returns, for each message, whether
/// it can have all of its files: they are the sender's, of this conversation and instance, complete, and
/// no other message has them.
pub(super) async fn lock(c: &mut PgConnection, batch: &[NewMessage]) -> Result<Vec<bool>> {
    let named = Named::of(batch.iter().enumerate())?;
    let each = &named.messages;
    let found = sqlx::query_file!(
        "src/store/sql/lock_files.sql",
        &named.places,
        &named.files as _,
        &each.iter().map(|m| m.user_id).collect::<Vec<_>>() as _,
        &each.iter().map(|m| m.conversation_id).collect::<Vec<_>>() as _,
        &each.iter().map(|m| m.instance.as_str()).collect::<Vec<_>>() as _,
    )
    .fetch_all(c)
    .await?;
    // A file may be named by two messages of the batch: the first one gets it.
    let mut has_files = vec![true; batch.len()];
    for row in found {
        let place = usize::try_from(row.place).map_err(|_| impossible("a negative place"))?;
        let place = has_files
            .get_mut(place)
            .ok_or_else(|| impossible("a place that was not asked"))?;
        *place = row.has_all;
    }
    let mut taken = HashSet::new();
    for (message, has_files) in batch.iter().zip(&mut has_files) {
        let is_free = |file| !taken.contains(&(message.user_id, file));
        *has_files &= message.files.iter().copied().all(is_free);
        if *has_files {
            taken.extend(message.files.iter().map(|file| (message.user_id, *file)));
        }
    }
    Ok(has_files)
}

/// Ties the files of the messages that were stored.
pub(super) async fn tie(
    c: &mut PgConnection,
    batch: &[NewMessage],
    outcomes: &[Attempt<Stored>],
) -> Result<()> {
    let stored = |outcome: &Attempt<Stored>| match outcome {
        Attempt::Done(Stored::Accepted { new: Some(new), .. }) => Some(new.seq),
        _ => None,
    };
    let seqs: Vec<_> = outcomes.iter().map(stored).collect();
    let new = batch
        .iter()
        .enumerate()
        .filter(|(place, _)| seqs.get(*place).is_some_and(Option::is_some));
    let named = Named::of(new)?;
    if named.files.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = named
        .places
        .iter()
        .filter_map(|place| *seqs.get(usize::try_from(*place).ok()?)?)
        .collect();
    let users: Vec<_> = named.messages.iter().map(|m| m.user_id).collect();
    let tied = sqlx::query!(
        "update files f set message_seq = i.seq
        from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as i (file_id, user_id, seq)
        where f.file_id = i.file_id and f.user_id = i.user_id",
        &named.files as _,
        &users as _,
        &seqs,
    )
    .execute(c)
    .await?;
    if tied.rows_affected() != named.files.len() as u64 {
        return Err(impossible("a locked file that is gone"));
    }
    Ok(())
}
