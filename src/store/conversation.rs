//! Conversations, as one of their participants sees them. Every read names its reader; what a user
//! may not see and what does not exist look alike.

mod clear;
mod create;

use std::cmp::Reverse;

use super::{Db, error::Result};
use crate::store::rows::ConversationRow;
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    list::ListMark,
    text::Instance,
    time::Timestamp,
};

pub(crate) use self::{
    clear::{Cleared, clear},
    create::{Created, NewParticipant, create_direct},
};

/// A statement that returns [`ConversationRow`]s: the text before the columns, the key by which a
/// group's participants are looked up, the text after the columns, and the arguments. It joins
/// `conversations c` and the reader's `participants p`.
///
/// In a statement about one conversation, the lookup uses its parameter: only then can a
/// distributed database tell that the whole statement concerns one shard.
macro_rules! conversation_rows {
    ($before:literal, group of $key:literal, $after:literal, $($argument:expr),* $(,)?) => {
        crate::store::conversation::conversation_rows!(
            $before, group of $key, unread "null::bigint", mark "null::bytea",
            admins ["case when p.peer_id is null then
                       (select array_agg(a.user_id) from participants a where a.conversation_id = ", $key, " and a.role = 'admin')
                   end"], [$after], $($argument),*
        )
    };
    (
        $before:literal, group of $key:literal, unread $unread:literal, mark $mark:literal,
        admins [$($admins:literal),*], [$($after:literal),*], $($argument:expr),* $(,)?
    ) => {
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
                   end as "group: Vec<UserId>", "#
                + $unread
                + r#" as "unread?", "#
                + $mark
                + r#" as "mark?: ListMark", "#
                $(+ $admins)*
                + r#" as "admins?: Vec<UserId>""#
                $(+ $after)*,
            $($argument),*
        )
    };
}
pub(super) use conversation_rows;

/// Like [`conversation_rows`], for the list of a v4 client, with the number of unread messages.
/// `$from` joins `participants p` and `conversations c`.
///
/// Unread are messages of type `Message` by others after the newest viewed one: up to 999, among
/// the newest 5,000, so that a conversation full of other messages is not read as a whole.
macro_rules! listed_rows {
    ($before:literal, from $from:literal, $after:literal, $($argument:expr),* $(,)?) => {
        // The mark (`store::list`) is computed once.
        listed_rows!(
            $before, from $from,
            mark "(
                select list_mark(e.era_id, $1, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, o.conversations, n.n)
                from current_list_era e
                cross join (
                    select bit_xor(uuid_hash_extended(conversation_id, 0)) as conversations from participants where user_id = $1
                ) o
                cross join (select n from nick_changes where is_count) n
            )",
            $after, $($argument),*
        )
    };
    ($before:literal, from $from:literal, mark $mark:literal, $after:literal, $($argument:expr),*) => {
        conversation_rows!(
            $before,
            group of "c.conversation_id",
            unread "u.unread",
            mark $mark,
            admins ["case when p.peer_id is null then
                       (select array_agg(a.user_id) from participants a where a.conversation_id = c.conversation_id and a.role = 'admin')
                   end"],
            [$from, "
            cross join lateral (
                select case when greatest(p.viewed_seq, c.cleared_seq) >= c.last_message_seq then 0 else (
                    select count(*) from (
                        select from (
                            select m.user_id, m.type from messages m
                            where m.conversation_id = c.conversation_id and m.seq > greatest(p.viewed_seq, c.cleared_seq)
                            -- A limit that the planner cannot see, so that it reads in the order of the index.
                            order by m.seq desc limit (select 5000)
                        ) newest
                        where newest.type = 'Message' and newest.user_id <> p.user_id
                        limit 999
                    ) counted
                ) end as unread
                offset 0
            ) u
            ", $after],
            $($argument),*
        )
    };
}

/// The number of changes of nicks that a mark's list includes.
pub(crate) fn nick_changes(mark: &ListMark) -> i64 {
    let count = mark.as_bytes().iter().skip(32);
    count.fold(0, |count, byte| (count << 8) | i64::from(*byte))
}

/// Lists all conversations of a user, including hidden ones, newest first, in one statement.
pub(crate) async fn list(db: &Db, reader: UserId) -> Result<Vec<ConversationRow>> {
    let mut rows = db
        .run(async |c| {
            conversation_rows!(
                "select",
                group of "c.conversation_id",
                unread "null::bigint",
                mark "null::bytea",
                admins ["null::uuid[]"],
                ["
            from participants p
            join conversations c using (conversation_id)
            where p.user_id = $1
            "],
                reader as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    sort(&mut rows);
    Ok(rows)
}

/// Like [`list`], for a v4 client, with the number of unread messages.
pub(crate) async fn list_with_unread(db: &Db, reader: UserId) -> Result<Vec<ConversationRow>> {
    let mut rows = db
        .run(async |c| {
            listed_rows!(
                "select",
                from "
            from participants p
            join conversations c using (conversation_id)",
                "where p.user_id = $1
            ",
                reader as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    sort(&mut rows);
    Ok(rows)
}

/// Like [`list_with_unread`], for those of these conversations that the reader has not left.
pub(crate) async fn some_with_unread(
    db: &Db,
    reader: UserId,
    conversations: &[ConversationId],
) -> Result<Vec<ConversationRow>> {
    let mut rows = db
        .run(async |c| {
            listed_rows!(
                "select",
                from "
            from participants p
            join conversations c using (conversation_id)",
                mark "null::bytea",
                "where p.user_id = $1 and p.conversation_id = any($2)
            ",
                reader as _,
                conversations as _
            )
            .fetch_all(c)
            .await
        })
        .await?;
    sort(&mut rows);
    Ok(rows)
}

/// Sorts, newest first. Here and not in PostgreSQL, which would carry whole rows, including
/// secrets, through its sort.
fn sort(rows: &mut [ConversationRow]) {
    rows.sort_unstable_by_key(|row| (Reverse(row.last_access_at), row.conversation_id));
}

/// Like [`list_with_unread`], at most `limit` of them, starting after the present place of `after`;
/// and `true` if there are more. Returns `None` if `after` is not one of the reader's
/// conversations.
pub(crate) async fn page(
    db: &Db,
    reader: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> Result<Option<(Vec<ConversationRow>, bool)>> {
    // One more than requested shows whether there are more.
    let one_more = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    // The page is chosen by narrow columns before the wide ones are read, so the sort carries no
    // secrets. `after` stands for that conversation's present position, which may have changed
    // since the previous page.
    let read = db.run(async |c| {
        listed_rows!(
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
            from "
            from page
            join participants p on p.conversation_id = page.conversation_id and p.user_id = $1
            join conversations c on c.conversation_id = page.conversation_id",
            "order by page.last_access_at desc, page.conversation_id
            ",
            reader as _,
            after as _,
            one_more,
        )
        .fetch_all(c)
        .await
    });
    let mut rows = read.await?;
    // Only an empty page can be due to a wrong `after`, so the usual page needs no second round
    // trip.
    if let Some(after) = after.filter(|_| rows.is_empty())
        && seen_by(db, after, reader).await?.is_none()
    {
        return Ok(None);
    }
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok(Some((rows, has_more)))
}

/// A conversation, as `reader` sees it. Returns `None` if there is no such conversation for this
/// user.
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
