//! Finds what has changed in a user's list of conversations since they read it, without reading all
//! of it (migrations/0012_lists.sql, 0016_list_changes.sql).
//!
//! A mark says up to which transaction a list has everything. Transactions are numbered before they
//! commit, so a mark has the number of the oldest one that was running: a late commit is reported
//! even if the list already has changes with higher numbers. A mark is valid for one reader, in one
//! era.

use sqlx::PgConnection;

use super::{Db, End, error::Result};
use parlance_wire::{
    id::{ConversationId, UserId},
    list::ListMark,
};

/// Transactions whose changes are kept. A list is compared by at most 2,000 changes.
const KEPT: i64 = 5000;

/// The changes to a list.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The next mark. Later commits are reported relative to it.
    pub mark: ListMark,
    /// Whether the mark was valid; if not, the whole list may have changed.
    pub is_known: bool,
    /// The conversations whose lines may look different.
    pub changed: Vec<ConversationId>,
    /// All conversations of the list, if they are not those of the mark.
    pub conversations: Option<Vec<ConversationId>>,
}

/// Compares a user's list with what it was when the mark was made. Returns `None` between two eras,
/// when nothing can be compared.
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

/// Begins an era if there is none and all nodes record what they change; ends it if one does not.
pub async fn keep_era(db: &Db) -> Result<()> {
    let present = db
        .run(async |c| {
            sqlx::query!(
                r#"select exists (select from current_list_era) as "is_era!",
                       exists (select from nodes where not records_changes) as "is_incomplete!""#
            )
            .fetch_one(c)
            .await
        })
        .await?;
    match (present.is_era, present.is_incomplete) {
        (true, true) => db.run(async |c| end_era(c).await).await,
        (false, false) => begin_era(db).await,
        (true, false) | (false, true) => Ok(()),
    }
}

/// Begins an era, unless somebody may change something without recording it.
async fn begin_era(db: &Db) -> Result<()> {
    db.transaction(async |c| {
        // What another node began or ended meanwhile is seen after this.
        sqlx::query!("lock table list_era in share row exclusive mode")
            .execute(&mut *c)
            .await?;
        // A node that was taken for ended may still have sessions, with statements in progress:
        // releases that record nothing call theirs just `parlance`. All that this sees is older
        // than the number from which on the record is complete. Nicks that were not counted count
        // as a change, so that no node shows old ones.
        sqlx::query!(
            "with begun as (
                insert into list_era (era_id, database, postmaster_started_at, complete_from)
                select gen_random_uuid(), d.oid, pg_postmaster_start_time(), pg_snapshot_xmax(pg_current_snapshot())
                from pg_database d
                where d.datname = current_database()
                    and not exists (select from current_list_era)
                    and not exists (select from nodes where not records_changes)
                    and not exists (
                        select from pg_stat_activity a where a.datid = d.oid and a.application_name = 'parlance'
                    )
                on conflict on constraint list_era_key do update
                set era_id = excluded.era_id, database = excluded.database,
                    postmaster_started_at = excluded.postmaster_started_at, complete_from = excluded.complete_from
                returning era_id
            )
            update nick_changes set n = n + 1 where is_count and exists (select from begun)"
        )
        .execute(&mut *c)
        .await?;
        Ok(End::Commit(()))
    })
    .await
}

/// Ends the era because something may have changed that is not recorded, which invalidates all
/// marks.
pub(super) async fn end_era(c: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("delete from list_era").execute(c).await?;
    Ok(())
}

/// Deletes the changes of transactions that are older than the newest 5,000.
pub async fn prune(db: &Db) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "with newest as materialized (
                select changed from list_changes order by changed desc offset $1 limit 1
            ), begun as (
                update list_era set complete_from = greatest(complete_from, n.changed) from newest n where is_era
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

/// Records that this transaction has changed a user's nick. Other changes of nicks wait for its
/// end, so it comes late in a transaction.
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
