//! Invitations to groups, which users accept or decline. Users are invited instead of added if they
//! are not a friend of the caller, left before, would meet someone whom they blocked, or take part
//! in as many conversations as others may add them to.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{
    Db,
    conversation::NewParticipant,
    error::Result,
    group::Changed,
    quota::{self, Exceeded, QuotaLimits},
};
use crate::store::rows::InvitationRow;
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
};

/// A user's pending invitations, newest first.
pub(crate) async fn list(db: &Db, reader: UserId) -> Result<Vec<InvitationRow>> {
    db.run(async |c| {
        // Of the participants, the reader only learns of those whom they know: friends, and users
        // whom they blocked.
        sqlx::query_as!(
            InvitationRow,
            r#"
            with known as materialized (
                select f.friend_id as user_id from friendships f
                join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
                where f.user_id = $1
                union
                select blocked_id from blocks where user_id = $1
            )
            select i.conversation_id as "conversation_id!: ConversationId", i.inviter_id as "inviter_id!: UserId",
                   u.nick as inviter_nick, i.secret as "secret!", i.display_name as "display_name!",
                   i.invited_at as "invited_at!: Timestamp",
                   array(
                       select k.user_id from known k
                       join participants p on p.conversation_id = i.conversation_id and p.user_id = k.user_id
                       order by k.user_id
                   ) as "known!: Vec<UserId>"
            from visible_invitations i
            join users u on u.user_id = i.inviter_id
            where i.user_id = $1
            order by i.invited_at desc, i.conversation_id
            "#,
            reader as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// The users who see an invitation to the group, each with their inviter.
pub(super) async fn visible_in(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> Result<BTreeSet<(UserId, UserId)>> {
    let invitations = sqlx::query!(
        r#"select user_id as "user_id!: UserId", inviter_id as "inviter_id!: UserId" from visible_invitations where conversation_id = $1"#,
        conversation as _,
    )
    .fetch_all(c)
    .await?;
    Ok(invitations
        .into_iter()
        .map(|row| (row.user_id, row.inviter_id))
        .collect())
}

/// Invites people. A pending invitation stays as it is, unless it is by someone whom they blocked,
/// or by a stranger while a friend invites them now. If a user then has too many pending ones,
/// those that are hidden from them are deleted first, then those of strangers, older ones first.
pub(super) async fn invite(
    c: &mut PgConnection,
    conversation: ConversationId,
    inviter: UserId,
    people: &[&NewParticipant<'_>],
    limits: &QuotaLimits,
) -> Result<()> {
    // Friendship and blocks are only looked up for the rows in conflict, which are few.
    let ids: Vec<UserId> = people.iter().map(|p| p.user_id).collect();
    sqlx::query!(
        "insert into invitations (conversation_id, user_id, inviter_id, secret, display_name, invited_at, epoch)
        select $1, p.user_id, $2, p.secret, p.display_name, clock_timestamp(),
               (select c.epoch from conversations c where c.conversation_id = $1)
        from unnest($3::uuid[], $4::text[], $5::text[]) as p (user_id, secret, display_name)
        on conflict on constraint invitations_key do update
        set inviter_id = excluded.inviter_id, secret = excluded.secret, display_name = excluded.display_name,
            invited_at = excluded.invited_at, epoch = excluded.epoch
        where exists (select from blocks b where b.user_id = invitations.user_id and b.blocked_id = invitations.inviter_id)
            or are_friends(invitations.user_id, excluded.inviter_id) and not are_friends(invitations.user_id, invitations.inviter_id)",
        conversation as _,
        inviter as _,
        &ids as _,
        &people.iter().map(|p| p.secret).collect::<Vec<_>>() as _,
        &people.iter().map(|p| p.display_name).collect::<Vec<_>>() as _,
    )
    .execute(&mut *c)
    .await?;
    // Rows are locked in the same order here and in `withdraw`, so that calls about two groups and
    // the same users cannot deadlock.
    sqlx::query!(
        "with ranked as materialized (
            select i.conversation_id, i.user_id, row_number() over (
                partition by i.user_id
                order by v.user_id is null, f.user_id is null or g.user_id is null, i.invited_at desc, i.conversation_id
            ) as place
            from invitations i
            left join visible_invitations v on v.conversation_id = i.conversation_id and v.user_id = i.user_id
            left join friendships f on f.user_id = i.user_id and f.friend_id = i.inviter_id
            left join friendships g on g.user_id = i.inviter_id and g.friend_id = i.user_id
            where i.user_id = any($1)
        ), surplus as materialized (
            select i.conversation_id, i.user_id
            from ranked r
            join invitations i on i.conversation_id = r.conversation_id and i.user_id = r.user_id
            where r.place > $2
            order by i.user_id, i.conversation_id
            for update of i
        )
        delete from invitations i using surplus s
        where i.conversation_id = s.conversation_id and i.user_id = s.user_id",
        &ids as _,
        i64::from(limits.waiting_invitations),
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Withdraws a group's invitations to and by these users; all of them, with `None`.
pub(super) async fn withdraw(
    c: &mut PgConnection,
    conversation: ConversationId,
    users: Option<&[UserId]>,
) -> Result<()> {
    // Locked in one order, as in `invite`.
    sqlx::query!(
        "with gone as materialized (
            select conversation_id, user_id from invitations
            where conversation_id = $1 and ($2::uuid[] is null or user_id = any($2) or inviter_id = any($2))
            order by user_id
            for update
        )
        delete from invitations i using gone g
        where i.conversation_id = g.conversation_id and i.user_id = g.user_id",
        conversation as _,
        users as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Deletes invitations that are hidden because the invited user blocked an admin. If they
/// reappeared when the admin loses that role, toggling the role could notify the invited user at
/// will.
pub(super) async fn withdraw_hidden(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> Result<()> {
    // Locked in one order, as in `invite`.
    sqlx::query!(
        "with hidden as materialized (
            select i.conversation_id, i.user_id from invitations i
            where i.conversation_id = $1 and not exists (
                select from visible_invitations v where v.conversation_id = $1 and v.user_id = i.user_id
            )
            order by i.user_id
            for update of i
        )
        delete from invitations i using hidden h
        where i.conversation_id = h.conversation_id and i.user_id = h.user_id",
        conversation as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Adds a user to the group that they are invited to. Returns the refusal, if any.
pub(super) async fn accept(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Option<Changed>> {
    // Before the participant is counted: of two groups that are accepted at the same moment, the
    // second one sees the first.
    quota::lock(c, [user]).await?;
    // Through the view: an invitation that is hidden by a block cannot be accepted by users who
    // know the group's id.
    let joined = sqlx::query!(
        "with accepted as (
            delete from invitations i using visible_invitations v
            where i.conversation_id = $1 and i.user_id = $2 and v.conversation_id = $1 and v.user_id = $2
            returning i.conversation_id, i.user_id, i.inviter_id, i.secret, i.display_name, i.epoch
        ), keyed as (
            -- A secret of an epoch before is of no use: the next rekeying gives them one.
            insert into epoch_secrets (conversation_id, epoch, user_id, secret)
            select a.conversation_id, a.epoch, a.user_id, a.secret
            from accepted a
            join conversations c using (conversation_id)
            where a.epoch > 0 and a.epoch = c.epoch
            returning conversation_id, epoch, octet_length(secret) as bytes
        ), shared as (
            -- It counts for who gave it.
            insert into shared_secrets as s (conversation_id, epoch, user_id, bytes)
            select k.conversation_id, k.epoch, a.inviter_id, k.bytes from keyed k, accepted a
            on conflict on constraint shared_secrets_key do update set bytes = s.bytes + excluded.bytes
        ), counted as (
            insert into usage_changes (user_ids, bytes)
            select array[a.inviter_id], array[k.bytes::bigint] from keyed k, accepted a
        ), returned as (
            delete from departures d using accepted a
            where d.conversation_id = a.conversation_id and d.user_id = a.user_id
        )
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at, viewed_seq)
        select conversation_id, user_id, secret, display_name, 'member', $3,
               (select c.last_seq from conversations c where c.conversation_id = $1)
        from accepted",
        conversation as _,
        user as _,
        now as _,
    )
    .execute(&mut *c)
    .await?;
    if joined.rows_affected() == 0 {
        return Ok(Some(Changed::NoConversation));
    }
    Ok(quota::exceeded_total(c, user, limits)
        .await?
        .map(|most| Changed::Exceeded(Exceeded::Total(most))))
}

/// Deletes an invitation that the user sees. Returns whether there was one.
pub(super) async fn decline(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
) -> Result<bool> {
    // Through the view, as for `accept`: users cannot decline what they do not see.
    let declined = sqlx::query!(
        "delete from invitations i using visible_invitations v
        where i.conversation_id = $1 and i.user_id = $2 and v.conversation_id = $1 and v.user_id = $2",
        conversation as _,
        user as _,
    )
    .execute(&mut *c)
    .await?;
    if declined.rows_affected() == 0 {
        return Ok(false);
    }
    record_departure(c, conversation, user, true).await?;
    Ok(true)
}

/// Returns `true` if a user has declined an invitation to this group before.
pub(super) async fn was_declined(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
) -> Result<bool> {
    let declined = sqlx::query_scalar!(
        r#"select exists (select from departures where conversation_id = $1 and user_id = $2 and declined) as "declined!""#,
        conversation as _,
        user as _,
    )
    .fetch_one(c)
    .await?;
    Ok(declined)
}

/// Records that a user left a group, or declined an invitation to it, after which nobody can add
/// them directly.
pub(super) async fn record_departure(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
    declined: bool,
) -> Result<()> {
    sqlx::query!(
        "insert into departures (conversation_id, user_id, departed_at, declined) values ($1, $2, clock_timestamp(), $3)
        on conflict on constraint departures_key do update set departed_at = excluded.departed_at, declined = excluded.declined",
        conversation as _,
        user as _,
        declined,
    )
    .execute(c)
    .await?;
    Ok(())
}
