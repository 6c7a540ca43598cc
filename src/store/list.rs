//! What has changed in a user's list of conversations since they read it, found without reading all of it
//! (migrations/0012_lists.sql).
//!
//! A mark says up to which transaction a list has everything. Numbers of transactions are taken before the commit, so a
//! mark has that of the oldest one that was running: what committed late is told, though what has a higher number was
//! seen already.

use sqlx::PgConnection;

use super::{Db, End, error::Result};
use parlance_wire::{
    id::{ConversationId, UserId},
    list::ListMark,
};

/// Changes that are kept. A list is compared by at most 2,000.
const KEPT: i64 = 5000;
/// Starts of servers that are kept. Marks from before them are of no use.
const ERAS: i64 = 1000;

/// What has changed in a list.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The next mark. Whatever commits from now on is told by it.
    pub mark: ListMark,
    /// The mark could be used. Otherwise all of the list may have changed.
    pub is_known: bool,
    /// The conversations whose lines may look different.
    pub changed: Vec<ConversationId>,
    /// All conversations of the list, if they are not those of the mark.
    pub conversations: Option<Vec<ConversationId>>,
}

/// Compares a user's list with what it was when the mark was made. Returns `None` where no server has begun to use the
/// database, so that nothing can be compared.
pub(crate) async fn compare(
    db: &Db,
    reader: UserId,
    mark: &ListMark,
) -> Result<Option<Comparison>> {
    db.run(async |c| {
        sqlx::query_file_as!(
            Comparison,
            "src/store/sql/compare_list.sql",
            reader as _,
            mark as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// How many changes of nicks a mark's list knows.
pub(crate) fn nick_changes(mark: &ListMark) -> i64 {
    let [.., a, b, c, d, e, f, g, h] = *mark.as_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Records that a server begins to use the database, and begins the record of changes anew: whoever used it before, as a node
/// of the release before, may have left some out.
pub async fn begin(db: &Db) -> Result<()> {
    db.transaction(async |c| {
        sqlx::query!(
            "insert into list_eras (cluster, began)
            select hashtextextended(concat_ws(' ', s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid), 0),
                   pg_current_xact_id()::text::bigint
            from pg_control_system() s, pg_database d
            where d.datname = current_database()"
        )
        .execute(&mut *c)
        .await?;
        sqlx::query!(
            "delete from list_eras where n <= (select n from list_eras order by n desc offset $1 limit 1)",
            ERAS,
        )
        .execute(&mut *c)
        .await?;
        begin_anew(c).await?;
        Ok(End::Commit(()))
    })
    .await
}

/// Begins the record of changes anew, where something may have changed without it.
pub(super) async fn begin_anew(c: &mut PgConnection) -> sqlx::Result<()> {
    // All that this sees is older than the number from which on the record is complete.
    sqlx::query!(
        "with begun as (
            insert into list_changes_begin (complete_from) values (pg_snapshot_xmax(pg_current_snapshot()))
            on conflict on constraint list_changes_begin_key do update set complete_from = excluded.complete_from
        )
        delete from list_changes"
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Deletes changes that are older than the newest 5,000.
pub async fn prune(db: &Db) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "with newest as materialized (
                select changed from list_changes order by changed desc offset $1 limit 1
            ), begun as (
                update list_changes_begin set complete_from = greatest(complete_from, n.changed) from newest n where is_begin
            )
            delete from list_changes where changed < (select changed from newest)",
            KEPT - 1,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Records that this transaction has written a conversation's row.
pub(super) async fn changed(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into list_changes (changed, conversation_id) values (pg_current_xact_id(), $1)",
        conversation as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Records that this transaction has changed a user's nick. Other changes of nicks wait for its end, so it comes late in a
/// transaction.
pub(super) async fn renamed(c: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        "with counted as (
            update nick_changes set n = n + 1 where is_count returning n
        )
        update users u set renamed = c.n from counted c where u.user_id = $1",
        user as _,
    )
    .execute(c)
    .await?;
    Ok(())
}
