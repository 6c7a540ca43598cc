//! Invitations to register: each code admits a number of people. (Invitations to groups:
//! `invitation.rs`.)

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
};
use parlance_wire::{
    id::{InviteId, UserId},
    key::SecretHash,
    text::Email,
    time::Timestamp,
    word::{InvitePurpose, UserRole},
};

/// An invitation to be stored. Only the hash of its code is kept.
#[derive(Debug)]
pub struct NewInvite<'a> {
    /// The hash of its code.
    pub code_hash: &'a SecretHash,
    /// The user who becomes a friend of everyone who registers with it.
    pub inviter: Option<UserId>,
    /// The only address that may register with it.
    pub email: Option<&'a Email>,
    /// How many people may register with it.
    pub uses: u32,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Limits on the invitations that users make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InviteLimits {
    /// Whether only admins may invite.
    pub admins_only: bool,
    /// Maximum open invitations of a user, with which somebody can still register.
    pub open: u32,
}

/// The outcome of creating a user's invitation.
#[derive(Debug)]
pub(crate) enum Created {
    Done(InviteId),
    /// Only admins may invite.
    NotAdmin,
    /// The user has the maximum of open ones.
    TooMany,
}

/// An invitation, as shown to those who may revoke it.
#[derive(Debug)]
pub struct InviteRow {
    /// Its id, which is not its code.
    pub invite_id: InviteId,
    /// The user who becomes a friend of everyone who registers with it.
    pub inviter: Option<UserId>,
    /// The inviter's address.
    pub inviter_email: Option<String>,
    /// The only address that may register with it.
    pub email: Option<String>,
    /// How many people may register with it.
    pub uses: i32,
    /// How many people have registered with it.
    pub used: i32,
    /// The users who registered with it and still exist.
    pub used_by: Vec<UserId>,
    /// Its purpose.
    pub purpose: InvitePurpose,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// Stores an operator's invitation. Returns `None` if the inviter does not exist.
pub async fn insert(
    db: &Db,
    invite: &NewInvite<'_>,
    by: &Actor,
    now: Timestamp,
) -> Result<Option<InviteId>> {
    db.transaction(async |c| {
        if let Some(inviter) = invite.inviter {
            // Locked, so that a deletion of the inviter in progress is awaited and then seen.
            let exists = sqlx::query!(
                "select from users where user_id = $1 and deleted_at is null for no key update",
                inviter as _,
            )
            .fetch_optional(&mut *c)
            .await?;
            if exists.is_none() {
                return Ok(End::Rollback(None));
            }
        }
        let id = insert_row(c, invite, now).await?;
        let mut details = vec![
            ("uses", invite.uses.to_string()),
            ("expires", invite.expires_at.to_string()),
        ];
        details.extend(invite.email.map(|email| ("email", email.to_string())));
        details.extend(
            invite
                .inviter
                .map(|inviter| ("inviter", inviter.to_string())),
        );
        audit::append(c, by, Change::InviteCreate, &id, details, now).await?;
        Ok(End::Commit(Some(id)))
    })
    .await
}

/// Stores a user's invitation, unless they have too many. Deletes earlier ones that expired unused.
pub(crate) async fn create(
    db: &Db,
    inviter: UserId,
    invite: &NewInvite<'_>,
    limits: InviteLimits,
    now: Timestamp,
) -> Result<Created> {
    db.transaction(async |c| {
        // Locked, so that concurrent calls cannot exceed the limit.
        let role = sqlx::query_scalar!(
            r#"select role as "role: UserRole" from users where user_id = $1 and deleted_at is null for no key update"#,
            inviter as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        if role.is_none() || limits.admins_only && role != Some(UserRole::Admin)
        {
            return Ok(End::Rollback(Created::NotAdmin));
        }
        sqlx::query!(
            "delete from invites where inviter_id = $1 and used = 0 and (expires_at <= $2 or revoked_at is not null)",
            inviter as _,
            now as _,
        )
        .execute(&mut *c)
        .await?;
        let open = sqlx::query_scalar!(
            r#"select count(*) as "count!" from invites
            where inviter_id = $1 and used < uses and expires_at > $2 and revoked_at is null"#,
            inviter as _,
            now as _,
        )
        .fetch_one(&mut *c)
        .await?;
        if open >= i64::from(limits.open) {
            return Ok(End::Rollback(Created::TooMany));
        }
        Ok(End::Commit(Created::Done(insert_row(c, invite, now).await?)))
    })
    .await
}

async fn insert_row(
    c: &mut PgConnection,
    invite: &NewInvite<'_>,
    now: Timestamp,
) -> sqlx::Result<InviteId> {
    sqlx::query_scalar!(
        r#"insert into invites (code_hash, inviter_id, email, uses, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6) returning invite_id as "id: InviteId""#,
        invite.code_hash.as_bytes(),
        invite.inviter as _,
        invite.email.map(Email::as_str),
        i32::try_from(invite.uses).unwrap_or(i32::MAX),
        now as _,
        invite.expires_at as _,
    )
    .fetch_one(c)
    .await
}

/// Stores the invitation for the first user, who becomes an admin. Returns `false`, and stores
/// nothing, if there are users.
pub(crate) async fn insert_first(
    db: &Db,
    code_hash: &SecretHash,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    let stored = db
        .run(async |c| {
            sqlx::query!(
                "with expired as (
                    delete from invites where purpose = 'first' and expires_at <= $2
                )
                insert into invites (code_hash, purpose, created_at, expires_at)
                select $1, 'first', $2, $3 where not exists (select from users where deleted_at is null)",
                code_hash.as_bytes(),
                now as _,
                expires_at as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(stored.rows_affected() > 0)
}

/// Lists invitations, newest first: an inviter's, or all. With `open`, only those with which
/// somebody can still register.
pub(crate) async fn list(
    db: &Db,
    inviter: Option<UserId>,
    open: bool,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<InviteRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            InviteRow,
            r#"
            select i.invite_id as "invite_id: InviteId", i.inviter_id as "inviter: UserId", u.email as "inviter_email?",
                   i.email, i.uses, i.used, i.purpose as "purpose: InvitePurpose", i.created_at as "created_at: Timestamp",
                   i.expires_at as "expires_at: Timestamp", i.revoked_at as "revoked_at: Timestamp",
                   array(
                       select s.user_id from invite_uses s where s.invite_id = i.invite_id order by s.used_at, s.user_id
                   ) as "used_by!: Vec<UserId>"
            from invites i
            left join users u on u.user_id = i.inviter_id
            where ($1::uuid is null or i.inviter_id = $1)
                and (not $2 or i.used < i.uses and i.expires_at > $4 and i.revoked_at is null)
            order by i.created_at desc, i.invite_id
            limit $3
            "#,
            inviter as _,
            open,
            limit,
            now as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Revokes a user's own invitation. Idempotent. Returns whether they have such an invitation.
pub(crate) async fn revoke_own(
    db: &Db,
    inviter: UserId,
    invite: InviteId,
    now: Timestamp,
) -> Result<bool> {
    let revoked = db
        .run(async |c| {
            sqlx::query!(
                "update invites set revoked_at = coalesce(revoked_at, $3) where invite_id = $1 and inviter_id = $2",
                invite as _,
                inviter as _,
                now as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(revoked.rows_affected() > 0)
}

/// Revokes an invitation, whoever created it. Returns whether there was one that was not yet
/// revoked.
pub(crate) async fn revoke(db: &Db, invite: InviteId, by: &Actor, now: Timestamp) -> Result<bool> {
    db.transaction(async |c| {
        let revoked = sqlx::query!(
            "update invites set revoked_at = $2 where invite_id = $1 and revoked_at is null",
            invite as _,
            now as _,
        )
        .execute(&mut *c)
        .await?;
        if revoked.rows_affected() == 0 {
            return Ok(End::Rollback(false));
        }
        audit::append(c, by, Change::InviteRevoke, &invite, [], now).await?;
        Ok(End::Commit(true))
    })
    .await
}
