//! Stores a new user, or the new keys of an existing one.

use sqlx::PgConnection;

use super::NewUser;
use crate::store::{
    error::Result,
    list,
    notice::{self, Notice},
    vault,
};
use parlance_wire::{id::UserId, key::SecretHash, time::Timestamp, word::UserRole};

/// Stores a user and an apikey. Returns whether the address was free, which includes that of a
/// deleted account.
pub(super) async fn insert(
    c: &mut PgConnection,
    user: &NewUser<'_>,
    role: UserRole,
    now: Timestamp,
) -> Result<bool> {
    // A single statement, so that there cannot be a user without an apikey.
    let stored = sqlx::query!(
        "with stored as (
            insert into users as u (user_id, email, full_name, nick, public_key, encrypted_private_key, role, nick_skeleton, created_at, kdf)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $14)
            on conflict on constraint users_key do update
            set email = excluded.email, full_name = excluded.full_name, nick = excluded.nick,
                public_key = excluded.public_key, encrypted_private_key = excluded.encrypted_private_key,
                role = excluded.role, nick_skeleton = excluded.nick_skeleton, created_at = excluded.created_at,
                kdf = excluded.kdf, vault_version = 0,
                availability = 'offline', chosen_availability = default, disabled_at = null, deleted_at = null
            where u.deleted_at is not null
            returning user_id
        )
        insert into credentials (key_hash, user_id, label, kind, created_at)
        select k.key_hash, s.user_id, k.label, k.kind, $9
        from stored s, (values ($10::bytea, $11::text, $12::text), ($13::bytea, 'recovery', 'recovery')) as k (key_hash, label, kind)
        where k.key_hash is not null",
        UserId::of(user.email) as _,
        user.email.as_str(),
        user.full_name.as_str(),
        user.nick.as_str(),
        user.public_key.as_str(),
        user.encrypted_private_key.as_str(),
        role.as_str(),
        user.nick.skeleton(),
        now as _,
        user.key_hash.as_bytes(),
        user.label,
        user.kind.as_str(),
        user.recovery.map(SecretHash::as_bytes),
        vault::written(user.kdf)?,
    )
    .execute(&mut *c)
    .await?;
    if stored.rows_affected() == 0 {
        return Ok(false);
    }
    let user_id = UserId::of(user.email);
    let is_known = sqlx::query_scalar!(
        r#"select exists (select from participants where user_id = $1) as "is_known!""#,
        user_id as _,
    )
    .fetch_one(&mut *c)
    .await?;
    // Direct conversations are left of a deleted account. Other new users wait for nobody's names.
    if is_known {
        list::renamed(&mut *c, user_id).await?;
    }
    notice::send(c, [Notice::Registered(user_id)]).await?;
    Ok(true)
}

/// Gives a user new keys. Deletes their credentials, their stations, and the secrets that were
/// wrapped for the old key; others can share those again. Notifies every node. Returns their
/// friends.
pub(super) async fn replace(
    c: &mut PgConnection,
    user_id: UserId,
    user: &NewUser<'_>,
) -> Result<Vec<UserId>> {
    sqlx::query!("delete from credentials where user_id = $1", user_id as _)
        .execute(&mut *c)
        .await?;
    sqlx::query!("delete from stations where user_id = $1", user_id as _)
        .execute(&mut *c)
        .await?;
    // Epoch by epoch, because in the key the epoch precedes the user. The secret of an invitation
    // is as useless as one of an earlier epoch: epoch 0 means that there is none.
    sqlx::query!(
        "with useless as (
            update invitations set epoch = 0 where user_id = $1 and epoch > 0
        ), listed as (
            -- Written as it is, because the secret in the user's list goes (`store::list`).
            update participants set secret = secret where user_id = $1
        )
        delete from epoch_secrets s
        using participants p join epochs e using (conversation_id)
        where p.user_id = $1 and s.conversation_id = p.conversation_id and s.epoch = e.epoch and s.user_id = $1",
        user_id as _,
    )
    .execute(&mut *c)
    .await?;
    let friends = sqlx::query_scalar!(
        r#"
        with changed as (
            update users
            set full_name = $2, nick = $3, nick_skeleton = $4, public_key = $5, encrypted_private_key = $6,
                kdf = $11, vault_version = 0
            where user_id = $1
            returning user_id, created_at
        ), keyed as (
            insert into credentials (key_hash, user_id, label, kind, created_at)
            select k.key_hash, c.user_id, k.label, k.kind, now()
            from changed c, (values ($7::bytea, $8::text, $9::text), ($10::bytea, 'recovery', 'recovery')) as k (key_hash, label, kind)
            where k.key_hash is not null
        )
        select array(
                   select f.friend_id from friendships f
                   join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
                   where f.user_id = c.user_id
               ) as "friends!: Vec<UserId>"
        from changed c
        "#,
        user_id as _,
        user.full_name.as_str(),
        user.nick.as_str(),
        user.nick.skeleton(),
        user.public_key.as_str(),
        user.encrypted_private_key.as_str(),
        user.key_hash.as_bytes(),
        user.label,
        user.kind.as_str(),
        user.recovery.map(SecretHash::as_bytes),
        vault::written(user.kdf)?,
    )
    .fetch_one(&mut *c)
    .await?;
    list::renamed(&mut *c, user_id).await?;
    notice::send(c, [Notice::User(user_id)]).await?;
    Ok(friends)
}
