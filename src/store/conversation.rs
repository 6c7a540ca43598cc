//! Conversations, as one of their participants sees them. There is no read that does not say who
//! reads; what one may not see and what is not there look alike.

mod clear;
mod create;

use std::cmp::Reverse;

use super::{Db, error::Result};
use crate::store::rows::{ConversationRow, HistoryHead};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    text::Instance,
    time::Timestamp,
};

pub(crate) use self::{
    clear::{Cleared, clear},
    create::{Created, NewParticipant, create_direct},
};

/// A statement whose rows are [`ConversationRow`]s: what comes before the columns, which row of a group its
/// participants are looked up by, what comes after the columns, and the arguments. It joins `conversations c` and the
/// reader's `participants p`.
///
/// Where the statement is about one conversation, the lookup names its parameter: a distributed database can only then
/// tell that the whole statement is about one shard.
macro_rules! conversation_rows {
    ($before:literal, group of $key:literal, $after:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            crate::store::rows::ConversationRow,
            $before
                + r#" c.conversation_id as "conversation_id: ConversationId", c.is_group, c.instance as "instance: Instance",
                   c.last_message_id as "last_message_id: MessageId", c.last_report_id as "last_report_id: ReportId",
                   c.chain as "chain: Chain", c.epoch, c.last_access_at as "last_access_at: Timestamp",
                   p.user_id as "user_id: UserId", p.display_name,
                   case when c.epoch = 0 then p.secret else coalesce((
                       select s.secret from epoch_secrets s where s.conversation_id = "#
                + $key
                + r#" and s.epoch = c.epoch and s.user_id = p.user_id
                   ), '') end as "secret!",
                   case when c.epoch > 0 then (
                       select array[e.announcement, replace(encode(e.signature, 'base64'), chr(10), '')] from epochs e where e.conversation_id = "#
                + $key
                + r#" and e.epoch = c.epoch and octet_length(e.announcement) <= 4096
                   ) end as "announced: Vec<String>",
                   p.muted_at is not null as "is_muted!", p.favorite_at is not null as "is_favorite!",
                   p.hidden_at is not null as "is_hidden!", p.hide_id, p.color,
                   p.peer_id as "peer_id: UserId",
                   case when p.peer_id is null then
                       (select array_agg(o.user_id) from participants o where o.conversation_id = "#
                + $key
                + r#")
                   end as "group: Vec<UserId>""#
                + $after,
            $($argument),*
        )
    };
}
pub(super) use conversation_rows;

/// All conversations of a user, hidden ones too, the newest first. One statement, however many
/// they are.
pub(crate) async fn list(db: &Db, reader: UserId) -> Result<Vec<ConversationRow>> {
    let mut rows = db
        .run(async |c| {
            conversation_rows!(
                "select",
                group of "c.conversation_id",
                "
            from participants p
            join conversations c using (conversation_id)
            where p.user_id = $1
            ",
                reader as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    // Sorted here: PostgreSQL would carry whole rows, secrets and all, through its sort.
    rows.sort_unstable_by_key(|row| (Reverse(row.last_access_at), row.conversation_id));
    Ok(rows)
}

/// As [`list`], at most `limit` of them, from the one after `after` on, wherever that stands now.
pub(crate) async fn page(
    db: &Db,
    reader: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Vec<ConversationRow>> {
    db.run(async |c| {
        conversation_rows!(
            "
            with page as materialized (
                select c.conversation_id, c.last_access_at
                from participants p
                join conversations c using (conversation_id)
                where p.user_id = $1 and ($2::uuid is null or exists (
                    select from participants o
                    join conversations a using (conversation_id)
                    where o.user_id = $1 and o.conversation_id = $2
                        and (c.last_access_at < a.last_access_at
                            or c.last_access_at = a.last_access_at and c.conversation_id > a.conversation_id)
                ))
                order by c.last_access_at desc, c.conversation_id
                limit $3
            )
            select",
            group of "c.conversation_id",
            "
            from page
            join participants p on p.conversation_id = page.conversation_id and p.user_id = $1
            join conversations c on c.conversation_id = page.conversation_id
            order by page.last_access_at desc, page.conversation_id
            ",
            reader as _,
            after as _,
            i64::try_from(limit).unwrap_or(i64::MAX),
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// One conversation, as `reader` sees it. Returns `None` when there is no such conversation, for this user.
pub(crate) async fn seen_by(
    db: &Db,
    conversation: ConversationId,
    reader: UserId,
) -> Result<Option<ConversationRow>> {
    db.run(async |c| {
        conversation_rows!(
            "select",
            group of "$1",
            "
            from participants p
            join conversations c using (conversation_id)
            where p.conversation_id = $1 and p.user_id = $2
            ",
            conversation as _,
            reader as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// A conversation's current instance, and what its history ends with. Returns `None` when there is no such
/// conversation, for this user.
pub(crate) async fn head(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<(Instance, HistoryHead)>> {
    let row = db
        .run(async |c| {
            // No join beyond these two: it is asked before each page that is served from the cache.
            sqlx::query!(
                r#"select c.instance as "instance: Instance", c.last_seq, c.last_report_id as "last_report_id: ReportId",
                       c.chain as "chain: Chain"
                from participants p
                join conversations c using (conversation_id)
                where p.conversation_id = $1 and p.user_id = $2"#,
                conversation as _,
                user as _,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    Ok(row.map(|row| {
        (
            row.instance,
            HistoryHead {
                last_seq: row.last_seq,
                last_report_id: row.last_report_id,
                chain: row.chain,
            },
        )
    }))
}
