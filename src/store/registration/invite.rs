//! The invitation that a user registers with, and the friendship that it creates.

use sqlx::PgConnection;

use crate::store::error::Result;
use parlance_wire::{
    id::{InviteId, UserId},
    key::SecretHash,
    text::Email,
    time::Timestamp,
    word::InvitePurpose,
};

pub(super) struct Invite {
    pub id: InviteId,
    pub inviter: Option<UserId>,
    pub purpose: InvitePurpose,
}

/// The invitation with this code, locked, if this address can register with it. Of two concurrent
/// uses, the second one finds it used.
pub(super) async fn valid_invite(
    c: &mut PgConnection,
    code: &SecretHash,
    email: &Email,
    now: Timestamp,
) -> Result<Option<Invite>> {
    // The users first, as deleting or resetting a user changes their invitations afterwards. In
    // order, and only those of this invitation: an unknown code blocks nobody.
    sqlx::query!(
        "select from users
        where user_id in (select unnest(array[inviter_id, $2::uuid]) from invites where code_hash = $1)
        order by user_id for no key update",
        code.as_bytes(),
        UserId::of(email) as _,
    )
    .fetch_all(&mut *c)
    .await?;
    let row = sqlx::query!(
        r#"select invite_id as "id: InviteId", inviter_id as "inviter: UserId", purpose as "purpose: InvitePurpose" from invites
        where code_hash = $1 and used < uses and expires_at > $2 and revoked_at is null and (email is null or email = $3)
        for update"#,
        code.as_bytes(),
        now as _,
        email.as_str(),
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let is_valid = match row.purpose {
        InvitePurpose::First => {
            // Two first links may be used at the same moment: the second one waits here, and then
            // finds the first user.
            sqlx::query!("select from audit_head for update")
                .fetch_one(&mut *c)
                .await?;
            let has_users = sqlx::query_scalar!(
                r#"select exists (select from users where deleted_at is null) as "has!""#
            )
            .fetch_one(&mut *c)
            .await?;
            !has_users
        }
        InvitePurpose::Reset => {
            let exists = sqlx::query!(
                "select from users where user_id = $1 and deleted_at is null",
                UserId::of(email) as _,
            )
            .fetch_optional(&mut *c)
            .await?;
            exists.is_some()
        }
        InvitePurpose::Join => true,
    };
    Ok(is_valid.then_some(Invite {
        id: row.id,
        inviter: row.inviter,
        purpose: row.purpose,
    }))
}

pub(super) async fn use_up(
    c: &mut PgConnection,
    invite: InviteId,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with used as (
            update invites set used = used + 1 where invite_id = $1
        )
        insert into invite_uses (invite_id, user_id, used_at) values ($1, $2, $3)
        on conflict on constraint invite_uses_key do nothing",
        invite as _,
        user as _,
        now as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Makes two users friends. Returns `false`, and does nothing, if the inviter is gone or has
/// blocked the other user.
pub(super) async fn befriend(
    c: &mut PgConnection,
    inviter: UserId,
    user: UserId,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let made = sqlx::query!(
        "with willing as (
            select user_id from users u
            where u.user_id = $1 and u.user_id <> $2 and u.deleted_at is null and u.disabled_at is null
                and not exists (select from blocks b where b.user_id = $1 and b.blocked_id = $2)
        ), back as (
            delete from left_friends l using willing w where l.user_id = w.user_id and l.friend_id = $2
        )
        insert into friendships (user_id, friend_id, requested_at)
        select f.user_id, f.friend_id, $3 from willing, (values ($1::uuid, $2::uuid), ($2, $1)) as f (user_id, friend_id)
        on conflict on constraint friendships_key do nothing",
        inviter as _,
        user as _,
        now as _,
    )
    .execute(c)
    .await?;
    Ok(made.rows_affected() > 0)
}
