//! New users, and new identities of known ones.

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    card::{self, NewCard, Published},
    db::End,
    error::Result,
    list,
    notice::{self, Notice},
    vault,
};
use parlance_wire::{
    id::{InviteId, UserId},
    kdf::Kdf,
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
    time::Timestamp,
    word::{CredentialKind, UserRole},
};

/// A user to be stored.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Their address; their id is its MD5.
    pub email: &'a Email,
    /// Their full name.
    pub full_name: &'a FullName,
    /// The name that others see.
    pub nick: &'a Nick,
    /// The hash of the key that opens their login.
    pub key_hash: &'a SecretHash,
    /// What the key is for.
    pub kind: CredentialKind,
    /// The key's name in lists.
    pub label: &'a str,
    /// How it is made from the password.
    pub kdf: &'a Kdf,
    /// The hash of a second key, for when the password is lost.
    pub recovery: Option<&'a SecretHash>,
    /// Their signatures are checked with it.
    pub public_key: &'a PublicKey,
    /// Their private key, which only their password opens.
    pub encrypted_private_key: &'a EncryptedKey,
    /// Their next card.
    pub card: Option<NewCard<'a>>,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everyone. A valid invitation is used all the same: it names a friend.
    Anyone,
    /// Whoever has an invitation.
    Invited,
    /// Nobody new: only the first user, and whoever is to have a new identity.
    Known,
}

/// What became of a registration.
#[derive(Debug)]
pub enum Registered {
    /// The user is stored.
    Done {
        /// Those who should look at the user: a friend whom the invitation made, or all friends of one who has new keys.
        seen_by: Vec<UserId>,
    },
    /// Not without an invitation, or not with this one.
    NotInvited,
    /// The address is taken.
    Exists,
    /// The card was refused.
    Card(Published),
}

/// What an invitation is for.
enum Purpose {
    Join,
    First,
    Reset,
}

struct Invite {
    id: InviteId,
    inviter: Option<UserId>,
    purpose: Purpose,
}

/// Stores a user and the key that opens their login, and uses up an invitation in the same commit. `origin`: the
/// client's address, for the audit log.
///
/// # Errors
/// The constraint `credentials_key`, by name.
pub async fn register(
    db: &Db,
    user: &NewUser<'_>,
    code: Option<&SecretHash>,
    admission: Admission,
    origin: &str,
    now: Timestamp,
) -> Result<Registered> {
    db.transaction(async |c| {
        let registered = register_in(c, user, code, admission, origin, now).await?;
        Ok(match registered {
            Registered::Done { .. } => End::Commit(registered),
            refused => End::Rollback(refused),
        })
    })
    .await
}

async fn register_in(
    c: &mut PgConnection,
    user: &NewUser<'_>,
    code: Option<&SecretHash>,
    admission: Admission,
    origin: &str,
    now: Timestamp,
) -> Result<Registered> {
    let invite = match code {
        Some(code) => valid_invite(c, code, user.email, now).await?,
        None => None,
    };
    let may_register = match admission {
        Admission::Anyone => true,
        Admission::Invited => invite.is_some(),
        Admission::Known => invite
            .as_ref()
            .is_some_and(|invite| !matches!(invite.purpose, Purpose::Join)),
    };
    if !may_register {
        return Ok(Registered::NotInvited);
    }
    let user_id = UserId::of(user.email);
    let by = Actor {
        name: user.email.to_string(),
        origin: origin.to_owned(),
    };
    let mut seen_by = vec![];
    match &invite {
        Some(Invite {
            purpose: Purpose::Reset,
            ..
        }) => {
            // The address is bound to the invitation, and its user is there: `valid_invite` has seen to both.
            seen_by = replace_identity(c, user_id, user).await?;
            audit::append(c, &by, Change::UserReset, &user_id, [], now).await?;
        }
        Some(Invite {
            purpose: Purpose::First,
            ..
        }) => {
            if !insert_in(c, user, UserRole::Admin, now).await? {
                return Ok(Registered::Exists);
            }
            audit::append(c, &by, Change::UserFirst, &user_id, [], now).await?;
        }
        Some(Invite {
            purpose: Purpose::Join,
            ..
        })
        | None => {
            if !insert_in(c, user, UserRole::User, now).await? {
                return Ok(Registered::Exists);
            }
        }
    }
    if let Some(invite) = invite {
        use_up(c, invite.id, user_id, now).await?;
        if let Some(inviter) = invite.inviter
            && befriend(c, inviter, user_id, now).await?
        {
            seen_by.push(inviter);
        }
    }
    // Last, as it locks the key log.
    if let Some(card) = user.card {
        match card::append(c, card, now).await? {
            Published::New | Published::Known => {}
            refused => return Ok(Registered::Card(refused)),
        }
    }
    Ok(Registered::Done { seen_by })
}

/// The invitation of a code, locked, if this address can register with it: of two who use it at the same moment, the
/// second one finds it used.
async fn valid_invite(
    c: &mut PgConnection,
    code: &SecretHash,
    email: &Email,
    now: Timestamp,
) -> Result<Option<Invite>> {
    // The users first: whoever deletes or resets one of them changes their invitations after them. In one order, and only
    // those of this invitation: a code that is none holds nobody up.
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
        r#"select invite_id as "id: InviteId", inviter_id as "inviter: UserId", purpose from invites
        where code_hash = $1 and used < uses and expires_at > $2 and revoked_at is null and (email is null or email = $3)
        for update"#,
        code.as_bytes(),
        now as _,
        email.as_str(),
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (purpose, is_valid) = match row.purpose.as_str() {
        "first" => {
            // Two first links may be used at the same moment: the second one waits here, and finds the first user.
            sqlx::query!("select from audit_head for update")
                .fetch_one(&mut *c)
                .await?;
            let has_users = sqlx::query_scalar!(
                r#"select exists (select from users where deleted_at is null) as "has!""#
            )
            .fetch_one(&mut *c)
            .await?;
            (Purpose::First, !has_users)
        }
        "reset" => {
            let exists = sqlx::query!(
                "select from users where user_id = $1 and deleted_at is null",
                UserId::of(email) as _,
            )
            .fetch_optional(&mut *c)
            .await?;
            (Purpose::Reset, exists.is_some())
        }
        _ => (Purpose::Join, true),
    };
    Ok(is_valid.then_some(Invite {
        id: row.id,
        inviter: row.inviter,
        purpose,
    }))
}

async fn use_up(
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

/// Makes two users friends. Returns `false`, and does nothing, if the inviter is gone, or has blocked the other.
async fn befriend(
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

/// Stores a user as an operator does, without an invitation. Returns whether the address was free.
///
/// # Errors
/// The constraint `credentials_key`, by name.
pub async fn insert(
    db: &Db,
    user: &NewUser<'_>,
    role: UserRole,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        if !insert_in(c, user, role, now).await? {
            return Ok(End::Rollback(false));
        }
        let details = [
            ("email", user.email.to_string()),
            ("role", role.as_str().to_owned()),
        ];
        audit::append(
            c,
            by,
            Change::UserAdd,
            &UserId::of(user.email),
            details,
            now,
        )
        .await?;
        Ok(End::Commit(true))
    })
    .await
}

/// Stores a user and a key. Returns whether the address was free: that of an account that was deleted is.
async fn insert_in(
    c: &mut PgConnection,
    user: &NewUser<'_>,
    role: UserRole,
    now: Timestamp,
) -> Result<bool> {
    // One statement: a user without a key cannot come into being.
    let stored = sqlx::query!(
        "with stored as (
            insert into users as u (user_id, email, full_name, nick, public_key, encrypted_private_key, role, nick_skeleton, created_at, kdf)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $14)
            on conflict on constraint users_key do update
            set email = excluded.email, full_name = excluded.full_name, nick = excluded.nick,
                public_key = excluded.public_key, encrypted_private_key = excluded.encrypted_private_key,
                role = excluded.role, nick_skeleton = excluded.nick_skeleton, created_at = excluded.created_at,
                kdf = excluded.kdf, vault_version = 0,
                availability = 'offline', disabled_at = null, deleted_at = null
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
    // Of an account that was deleted, direct conversations are left. Nobody waits for the names of others.
    if is_known {
        list::renamed(c, user_id).await?;
    }
    Ok(true)
}

/// Gives a user other keys: all they logged in with is gone, and so are their stations, and the secrets that were wrapped
/// for the old key: where there is none, others can share one. Notifies every node. Returns their friends.
async fn replace_identity(
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
    // Epoch by epoch, as the key has the epoch before the user. An invitation's secret is as useless as one of an epoch that
    // has ended: 0 is none.
    sqlx::query!(
        "with useless as (
            update invitations set epoch = 0 where user_id = $1 and epoch > 0
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
