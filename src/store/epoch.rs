//! Epochs: a conversation's successive secrets, each announced and signed by one of its
//! participants (docs/e2ee.md). The server cannot decrypt them; it ensures their order, and who
//! gets them.

mod begin;
mod lock;
mod roster;
mod share;

use parlance_wire::{
    e2ee::Epoch,
    id::{ConversationId, UserId},
};

use super::{Db, error::Result};
use crate::store::rows::EpochRow;

pub(crate) use self::{
    begin::{NewEpoch, Rekey, rekey},
    share::{Shared, share},
};
pub(super) use self::{
    begin::{begin, stage},
    roster::is_true as is_true_roster,
};

/// Maximum total size of the announcements in a page, unless a single one exceeds it.
const MAX_PAGE_BYTES: i64 = 4 << 20;

/// An epoch's number as stored. One that cannot be stored is greater than any existing one.
pub(crate) fn number(epoch: Epoch) -> i32 {
    i32::try_from(epoch.get()).unwrap_or(i32::MAX)
}

/// Facts for judging a conversation's next epoch, from its creator's point of view.
#[derive(Debug)]
pub(crate) struct EpochState {
    pub is_group: bool,
    /// The number of the present epoch, or 0 for none.
    pub epoch: i32,
    /// Whether the other participant of a direct conversation has blocked the user.
    pub is_blocked: bool,
    /// Whether the friendship of the two participants of a direct conversation has ended.
    pub is_ended: bool,
    /// The user's newest card.
    pub card: Option<String>,
    /// The announcement of the present epoch.
    pub announcement: Option<String>,
    /// The participants of the present epoch.
    pub members: Option<Vec<UserId>>,
}

/// Reads the facts for judging a user's rekeying. Returns `None` if there is no such conversation
/// for this user.
pub(crate) async fn standing(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<EpochState>> {
    db.run(async |c| {
        sqlx::query_as!(
            EpochState,
            r#"
            select c.is_group, c.epoch,
                   exists (select from blocks b where b.user_id = p.peer_id and b.blocked_id = $2) as "is_blocked!",
                   p.is_ended,
                   (select d.card from cards d where d.user_id = $2 order by d.n desc limit 1) as card,
                   e.announcement as "announcement?", e.members as "members?: Vec<UserId>"
            from participants p
            join conversations c using (conversation_id)
            left join lateral (
                select e.announcement, e.members from epochs e
                where e.conversation_id = $1 and e.epoch = c.epoch limit 1
            ) e on true
            where p.conversation_id = $1 and p.user_id = $2
            "#,
            conversation as _,
            user as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// The announcement of a conversation's first epoch. Returns `None` if there is none, or no such
/// conversation for this user.
pub(crate) async fn first_announcement(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<String>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            "select announcement from epochs e
            where e.conversation_id = $1 and e.epoch = 1
                and exists (select from participants p where p.conversation_id = $1 and p.user_id = $2)",
            conversation as _,
            user as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// The newest `limit` epochs of a conversation before one, newest first, with the reader's copy of
/// each secret (fewer, if their announcements are long); and `true` if there are more. Returns
/// `None` if there is no such conversation for this user.
pub(crate) async fn page(
    db: &Db,
    conversation: ConversationId,
    reader: UserId,
    before: i32,
    limit: i64,
) -> Result<Option<(Vec<EpochRow>, bool)>> {
    let rows = db
        .run(async |c| {
            sqlx::query_file!(
                "src/store/sql/epochs.sql",
                conversation as _,
                reader as _,
                before,
                limit,
                MAX_PAGE_BYTES,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let epochs: Vec<EpochRow> = rows
        .into_iter()
        .filter_map(|row| {
            // If there is no epoch, one row still shows that the reader takes part.
            Some(EpochRow {
                epoch: row.epoch?,
                announcement: row.announcement?,
                signature: row.signature?,
                secret: row.secret.unwrap_or_default(),
            })
        })
        .collect();
    // Their numbers have no holes.
    let has_more = epochs.last().is_some_and(|oldest| oldest.epoch > 1);
    Ok(Some((epochs, has_more)))
}

/// Deletes the secrets of an epoch that has ended without any messages.
pub(crate) async fn forget_unused(db: &Db, conversation: ConversationId, ended: i32) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "with empty as materialized (
                select e.user_id, e.bytes - octet_length(e.announcement) as freed
                from epochs e
                join epochs n on n.conversation_id = $1 and n.epoch = $2 + 1
                where e.conversation_id = $1 and e.epoch = $2
                    and not exists (
                        select from transcript t
                        where t.conversation_id = $1 and t.seq > e.from_seq and t.seq <= n.from_seq
                    )
                for update of e
            ), counted as (
                insert into usage_changes (user_ids, bytes)
                select array[user_id], array[-freed] from empty where freed > 0
            ), freed as (
                update epochs set bytes = octet_length(announcement)
                where conversation_id = $1 and epoch = $2 and exists (select from empty where freed > 0)
            ), unshared as (
                delete from shared_secrets
                where conversation_id = $1 and epoch = $2 and exists (select from empty)
                returning user_id, bytes
            ), shared_freed as (
                insert into usage_changes (user_ids, bytes)
                select array_agg(user_id), array_agg(-bytes) from unshared having count(*) > 0
            )
            delete from epoch_secrets
            where conversation_id = $1 and epoch = $2 and exists (select from empty)
                -- Last, as by the purge.
                and (select count(*) from unshared) >= 0",
            conversation as _,
            ended,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}
