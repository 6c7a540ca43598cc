//! Conversations, as one of their participants sees them. There is no read that does not say who
//! reads; what one may not see and what is not there look alike.

use std::cmp::Reverse;

use sqlx::{Connection, PgConnection};

use super::{
    Db,
    quota::{self, Daily, Exceeded, Limits},
};
use crate::store::rows::{ConversationRow, HistoryHead};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    text::Instance,
    time::Timestamp,
};

/// All conversations of a user, hidden ones too, the newest first. One statement, however many
/// they are.
pub(crate) async fn list(db: &Db, reader: UserId) -> sqlx::Result<Vec<ConversationRow>> {
    let rows = db.run(async |c| {
        sqlx::query_as!(
            ConversationRow,
            r#"
            select c.conversation_id as "conversation_id: ConversationId", c.is_group, c.instance as "instance: Instance",
                   c.last_message_id as "last_message_id: MessageId", c.last_report_id as "last_report_id: ReportId",
                   c.chain as "chain: Chain", c.last_access_at as "last_access_at: Timestamp",
                   p.user_id as "user_id: UserId", p.secret, p.display_name,
                   p.muted_at is not null as "is_muted!", p.favorite_at is not null as "is_favorite!",
                   p.hidden_at is not null as "is_hidden!", p.hide_id, p.color,
                   p.peer_id as "peer_id: UserId",
                   case when p.peer_id is null then
                       (select array_agg(o.user_id) from participants o where o.conversation_id = c.conversation_id)
                   end as "group: Vec<UserId>"
            from participants p
            join conversations c using (conversation_id)
            where p.user_id = $1
            "#,
            reader as _,
        )
        .fetch_all(c)
        .await
    });
    // PostgreSQL would carry whole rows around for it.
    let mut rows = rows.await?;
    rows.sort_unstable_by_key(|row| (Reverse(row.last_access_at), row.conversation_id));
    Ok(rows)
}

/// As [`list`], at most `limit` of them, from the one after `after` on, wherever that stands now.
pub(crate) async fn page(
    db: &Db,
    reader: UserId,
    after: Option<ConversationId>,
    limit: usize,
) -> sqlx::Result<Vec<ConversationRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            ConversationRow,
            r#"
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
            select c.conversation_id as "conversation_id: ConversationId", c.is_group, c.instance as "instance: Instance",
                   c.last_message_id as "last_message_id: MessageId", c.last_report_id as "last_report_id: ReportId",
                   c.chain as "chain: Chain", c.last_access_at as "last_access_at: Timestamp",
                   p.user_id as "user_id: UserId", p.secret, p.display_name,
                   p.muted_at is not null as "is_muted!", p.favorite_at is not null as "is_favorite!",
                   p.hidden_at is not null as "is_hidden!", p.hide_id, p.color,
                   p.peer_id as "peer_id: UserId",
                   case when p.peer_id is null then
                       (select array_agg(o.user_id) from participants o where o.conversation_id = c.conversation_id)
                   end as "group: Vec<UserId>"
            from page
            join participants p on p.conversation_id = page.conversation_id and p.user_id = $1
            join conversations c on c.conversation_id = page.conversation_id
            order by page.last_access_at desc, page.conversation_id
            "#,
            reader as _,
            after as _,
            i64::try_from(limit).unwrap_or(i64::MAX),
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// One conversation, as `reader` sees it. `None`: no such conversation, for this user.
pub(crate) async fn seen_by(
    db: &Db,
    conversation: ConversationId,
    reader: UserId,
) -> sqlx::Result<Option<ConversationRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            ConversationRow,
            r#"
            select c.conversation_id as "conversation_id: ConversationId", c.is_group, c.instance as "instance: Instance",
                   c.last_message_id as "last_message_id: MessageId", c.last_report_id as "last_report_id: ReportId",
                   c.chain as "chain: Chain", c.last_access_at as "last_access_at: Timestamp",
                   p.user_id as "user_id: UserId", p.secret, p.display_name,
                   p.muted_at is not null as "is_muted!", p.favorite_at is not null as "is_favorite!",
                   p.hidden_at is not null as "is_hidden!", p.hide_id, p.color,
                   p.peer_id as "peer_id: UserId",
                   case when p.peer_id is null then
                       (select array_agg(o.user_id) from participants o where o.conversation_id = c.conversation_id)
                   end as "group: Vec<UserId>"
            from participants p
            join conversations c using (conversation_id)
            where p.conversation_id = $1 and p.user_id = $2
            "#,
            conversation as _,
            reader as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// One participant of a conversation that is to be.
#[derive(Debug)]
pub(crate) struct NewParticipant<'a> {
    pub user_id: UserId,
    /// The conversation's secret, wrapped for them.
    pub secret: &'a str,
    /// Its name, encrypted for them.
    pub display_name: &'a str,
}

/// What became of a direct conversation that was to be created.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is new: of any number of callers at the same moment, one is told so.
    New,
    /// It was there already.
    Existing,
    /// A quota allows no more.
    Exceeded(Exceeded),
}

/// Makes a direct conversation with its two participants, of whom the first one creates it, unless it is there already.
pub(crate) async fn create_direct(
    db: &Db,
    conversation: ConversationId,
    participants: &[NewParticipant<'_>; 2],
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Created> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let created = insert_direct(&mut tx, conversation, participants, limits, now).await;
        match created {
            Ok(Created::New) => tx.commit().await?,
            _ => tx.rollback().await?,
        }
        created
    })
    .await
}

async fn insert_direct(
    c: &mut PgConnection,
    conversation: ConversationId,
    participants: &[NewParticipant<'_>; 2],
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Created> {
    let next = Instance::random();
    let [creator, other] = participants.each_ref().map(|p| p.user_id);
    quota::lock(c, [creator, other]).await?;
    let created = sqlx::query!(
        "with created as (
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            values ($1, false, $2, $3, $3)
            on conflict on constraint conversations_key do nothing
            returning conversation_id
        )
        insert into participants (conversation_id, user_id, peer_id, secret, display_name, role, joined_at)
        select created.conversation_id, p.user_id, p.peer_id, p.secret, p.display_name, 'member', $3
        from created, unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[]) as p (user_id, peer_id, secret, display_name)",
        conversation as _,
        next.as_str(),
        now as _,
        &[creator, other] as _,
        &[other, creator] as _,
        &participants.each_ref().map(|p| p.secret) as _,
        &participants.each_ref().map(|p| p.display_name) as _,
    )
    .execute(&mut *c)
    .await?;
    if created.rows_affected() == 0 {
        return Ok(Created::Existing);
    }
    if let Some(exceeded) = quota::exceeded_by_either(c, creator, other, limits).await? {
        return Ok(Created::Exceeded(exceeded));
    }
    Ok(quota::charge(c, creator, Daily::Conversations, 1, limits)
        .await?
        .map_or(Created::New, Created::Exceeded))
}

/// How often a `clear` is tried because who is in the group changed meanwhile.
const MAX_TRIES: usize = 20;

/// What became of a `clear`.
#[derive(Debug)]
pub(crate) enum Cleared {
    /// Everything is gone, and everyone in it has to hear of that. The conversation, as the caller sees it
    /// now.
    Done(Box<ConversationRow>),
    /// The conversation lives another life by now: this one.
    StaleInstance(Instance),
    /// Who is in the group changed at every try.
    Contended,
    /// In a group, only an admin may.
    NotAdmin,
    /// The other one blocked the caller.
    Blocked,
}

/// Begins the next life of a conversation's content: what was there is unreachable from this
/// commit on, and is deleted in the background. `None`: no such conversation, for this user.
pub(crate) async fn clear(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
) -> sqlx::Result<Option<Cleared>> {
    for _ in 0..MAX_TRIES {
        match clear_once(db, conversation, user, instance).await? {
            Some(None) => {}
            Some(cleared) => return Ok(cleared),
            None => return Ok(None),
        }
    }
    Ok(Some(Cleared::Contended))
}

/// `Some(None)`: who is in the group changed while the statement waited for the lock; nothing was done.
async fn clear_once(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
) -> sqlx::Result<Option<Option<Cleared>>> {
    let next = Instance::random();
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"
                with locked as materialized (
                    select c.conversation_id, c.is_group, c.instance, c.last_access_at,
                           p.user_id, p.secret, p.display_name, p.muted_at, p.favorite_at, p.hidden_at, p.hide_id, p.color,
                           p.peer_id,
                           -- What was seen of the group is older than the lock.
                           c.is_group and c.roster <> (select s.roster from conversations s where s.conversation_id = $1) as membership_changed,
                           c.is_group and p.role <> 'admin' as is_member,
                           not c.is_group and exists (
                               select from participants o
                               join blocks b on b.user_id = o.user_id and b.blocked_id = p.user_id
                               where o.conversation_id = c.conversation_id and o.user_id <> p.user_id
                           ) as is_blocked
                    from participants p
                    join conversations c using (conversation_id)
                    where p.conversation_id = $1 and p.user_id = $2
                    for no key update of c
                ), cleared as (
                    update conversations c
                    set instance = $4, cleared_seq = c.last_seq, last_message_id = null, last_report_id = null, chain = null
                    from locked l
                    where c.conversation_id = l.conversation_id and l.instance = $3
                        and not l.is_member and not l.is_blocked and not l.membership_changed
                )
                select l.conversation_id as "conversation_id: ConversationId", l.is_group, l.instance as "instance: Instance",
                       l.last_access_at as "last_access_at: Timestamp",
                       l.user_id as "user_id: UserId", l.secret, l.display_name,
                       l.muted_at is not null as "is_muted!", l.favorite_at is not null as "is_favorite!",
                       l.hidden_at is not null as "is_hidden!", l.hide_id, l.color,
                       l.is_member as "is_member!", l.is_blocked as "is_blocked!", l.membership_changed as "membership_changed!",
                       l.peer_id as "peer_id: UserId",
                       case when l.peer_id is null then
                           (select array_agg(o.user_id) from participants o where o.conversation_id = l.conversation_id)
                       end as "group: Vec<UserId>"
                from locked l
                "#,
                conversation as _,
                user as _,
                instance.as_str(),
                next.as_str(),
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    Ok(row.map(|row| {
        if row.membership_changed {
            return None;
        }
        if row.is_member {
            return Some(Cleared::NotAdmin);
        }
        if row.instance != *instance {
            return Some(Cleared::StaleInstance(row.instance));
        }
        if row.is_blocked {
            return Some(Cleared::Blocked);
        }
        Some(Cleared::Done(Box::new(ConversationRow {
            conversation_id: row.conversation_id,
            is_group: row.is_group,
            instance: next,
            last_message_id: None,
            last_report_id: None,
            chain: None,
            last_access_at: row.last_access_at,
            user_id: row.user_id,
            secret: row.secret,
            display_name: row.display_name,
            is_muted: row.is_muted,
            is_favorite: row.is_favorite,
            is_hidden: row.is_hidden,
            hide_id: row.hide_id,
            color: row.color,
            peer_id: row.peer_id,
            group: row.group,
        })))
    }))
}

/// The present instance of a conversation, and what its history ends with. `None`: no such conversation, for this user.
pub(crate) async fn head(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> sqlx::Result<Option<(Instance, HistoryHead)>> {
    let row = db
        .run(async |c| {
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
