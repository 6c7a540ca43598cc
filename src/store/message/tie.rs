//! Ties files to a message, in the commit that stores it, so that they are deleted with it.

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
    /// The index of the message in the batch.
    indexes: Vec<i32>,
    messages: Vec<&'a NewMessage>,
    files: Vec<FileId>,
}

impl<'a> Named<'a> {
    fn of(messages: impl Iterator<Item = (usize, &'a NewMessage)>) -> Result<Self> {
        let mut named = Self::default();
        for (index, message) in messages {
            let index = i32::try_from(index).map_err(|_| impossible("so large a batch"))?;
            for file in &message.files {
                named.indexes.push(index);
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
        &named.indexes,
        &named.files as _,
        &each.iter().map(|m| m.user_id).collect::<Vec<_>>() as _,
        &each.iter().map(|m| m.conversation_id).collect::<Vec<_>>() as _,
        &each.iter().map(|m| m.instance.as_str()).collect::<Vec<_>>() as _,
    )
    .fetch_all(c)
    .await?;
    let mut can_have_files = vec![true; batch.len()];
    for row in found {
        let index = usize::try_from(row.index).map_err(|_| impossible("a negative index"))?;
        let can_have = can_have_files
            .get_mut(index)
            .ok_or_else(|| impossible("an index that was not asked"))?;
        *can_have = row.has_all;
    }
    // A file may be named by two messages of the batch: the first one gets it.
    let mut taken = HashSet::new();
    for (message, can_have) in batch.iter().zip(&mut can_have_files) {
        let is_free = |file| !taken.contains(&(message.user_id, file));
        *can_have &= message.files.iter().copied().all(is_free);
        if *can_have {
            taken.extend(message.files.iter().map(|file| (message.user_id, *file)));
        }
    }
    Ok(can_have_files)
}

/// Ties the files of the messages that were stored.
pub(super) async fn tie(
    c: &mut PgConnection,
    batch: &[NewMessage],
    outcomes: &[Attempt<Stored>],
) -> Result<()> {
    // Only those of new messages: a retry's files were tied when it was first stored.
    let stored = |outcome: &Attempt<Stored>| match outcome {
        Attempt::Done(Stored::Accepted { new: Some(new), .. }) => Some(new.seq),
        _ => None,
    };
    let seqs: Vec<_> = outcomes.iter().map(stored).collect();
    let new = batch
        .iter()
        .enumerate()
        .filter(|(index, _)| seqs.get(*index).is_some_and(Option::is_some));
    let named = Named::of(new)?;
    if named.files.is_empty() {
        return Ok(());
    }
    // Each of them has a number, as `new` was filtered by that. The count is compared below.
    let seqs: Vec<i64> = named
        .indexes
        .iter()
        .filter_map(|index| *seqs.get(usize::try_from(*index).ok()?)?)
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
