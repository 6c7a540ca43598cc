//! The key log: an entry for each published card, in order, and the Merkle tree over the entries
//! (docs/e2ee.md). Also the identity of the server that signs its head.

use futures_util::TryStreamExt;
use parlance_wire::{
    e2ee::{LOG_ENTRY_LEN, LogEntry, Tree},
    id::ServerId,
};
use sqlx::PgConnection;

use super::{
    Db,
    error::{Result, impossible},
};

/// The server's id, and the seed of its signing key.
pub(crate) async fn server_identity(db: &Db) -> Result<(ServerId, Vec<u8>)> {
    let row = db
        .run(async |c| {
            sqlx::query!(r#"select server_id as "server_id: ServerId", seed from server_identity"#)
                .fetch_one(c)
                .await
        })
        .await?;
    Ok((row.server_id, row.seed))
}

/// The log's tree, and at most `limit` entries after the first `after`, concatenated, all of the
/// same moment.
pub(crate) async fn page(db: &Db, after: u32, limit: i64) -> Result<(Tree, Vec<u8>)> {
    // One statement, and so one snapshot: clients refuse entries that do not add up to the head's
    // root.
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"
                select h.size, h.peaks, (
                    select string_agg(l.entry, ''::bytea order by l.seq)
                    from (select seq, entry from key_log where seq > $1 order by seq limit $2) l
                ) as entries
                from key_log_head h
                where h.is_head
                "#,
                i64::from(after),
                limit,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok((tree(row.size, row.peaks)?, row.entries.unwrap_or_default()))
}

/// Locks the log until the transaction ends, so that cards are published one at a time. To be taken
/// after every other lock.
pub(super) async fn lock(c: &mut PgConnection) -> Result<Tree> {
    let row = sqlx::query!("select size, peaks from key_log_head where is_head for update")
        .fetch_one(c)
        .await?;
    tree(row.size, row.peaks)
}

/// Adds an entry to the locked log. Returns its number.
pub(super) async fn append(c: &mut PgConnection, mut tree: Tree, entry: LogEntry) -> Result<i64> {
    tree.append(entry.leaf());
    let seq = i64::try_from(tree.size()).map_err(|_| impossible("a log of that size"))?;
    let entry = entry.to_bytes();
    sqlx::query!(
        "with added as (
            insert into key_log (seq, entry) values ($1, $2)
        )
        update key_log_head set size = $1, peaks = $3 where is_head",
        seq,
        entry.as_slice(),
        &tree
            .peaks()
            .iter()
            .map(|peak| peak.to_vec())
            .collect::<Vec<_>>(),
    )
    .execute(c)
    .await?;
    Ok(seq)
}

fn tree(size: i64, peaks: Vec<Vec<u8>>) -> Result<Tree> {
    let peaks: Option<Vec<[u8; 32]>> = peaks.into_iter().map(|peak| peak.try_into().ok()).collect();
    u64::try_from(size)
        .ok()
        .zip(peaks)
        .and_then(|(size, peaks)| Tree::from_parts(size, peaks))
        .ok_or_else(|| impossible("a head of the key log that is none"))
}

/// For the doctor: checks that the stored tree is that of the entries, and that their numbers have
/// no holes. Returns the number of faults, and one of them.
pub(super) async fn check(c: &mut PgConnection) -> sqlx::Result<(i64, Option<String>)> {
    let (mut computed, mut holes) = (Tree::default(), 0);
    // Streamed, because the log only grows and is read as a whole.
    let mut rows = sqlx::query!("select seq, entry from key_log order by seq").fetch(&mut *c);
    while let Some(row) = rows.try_next().await? {
        let Ok(entry) = <[u8; LOG_ENTRY_LEN]>::try_from(row.entry) else {
            return Ok((1, Some(format!("entry {} of the key log", row.seq))));
        };
        computed.append(LogEntry::from_bytes(&entry).leaf());
        if i64::try_from(computed.size()) != Ok(row.seq) {
            holes += 1;
        }
    }
    drop(rows);
    let kept = sqlx::query!("select size, peaks from key_log_head")
        .fetch_optional(c)
        .await?
        .and_then(|head| tree(head.size, head.peaks).ok());
    if holes > 0 {
        return Ok((holes, Some("a hole in the key log".into())));
    }
    Ok(match kept {
        Some(kept) if kept == computed => (0, None),
        _ => (1, Some("the head of the key log".into())),
    })
}
