//! Groups: who is in them, and in which role. Each change happens under the conversation's lock, in one
//! transaction: what it decides on is what it changes.

use sqlx::{Connection, PgConnection};

use super::{
    Db, admission,
    conversation::NewParticipant,
    invitation,
    quota::{self, Daily, Exceeded, Limits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    text::Instance,
    time::Timestamp,
    word::Role,
};

/// A change to a group.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// Another name for some of the participants.
    Rename(&'a [(UserId, &'a str)]),
    /// More participants, or people invited. Who is in already stays as they are.
    Add(&'a [NewParticipant<'a>]),
    /// Fewer participants, or people invited.
    Remove(&'a [UserId]),
    /// The caller goes. The last admin hands over to the longest member.
    Leave,
    /// The caller takes part, as they were invited to.
    Accept,
    /// The caller does not.
    Decline,
    /// Another role for a participant.
    SetRole(UserId, Role),
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It is done.
    Done {
        /// Who has to hear of it, the removed ones too.
        concerned: Vec<UserId>,
        /// Who was to be put in, and is invited instead, by id.
        invited: Vec<UserId>,
    },
    /// No such conversation, or no such invitation, for this user.
    NoConversation,
    /// One who is added is not there.
    NoUser,
    /// A friend who is added has blocked the caller.
    Blocked,
    /// A quota allows no more.
    Exceeded(Exceeded),
    /// It is no group.
    NoGroup,
    /// Only an admin may.
    NotAdmin,
    /// The group would have more participants than it may.
    Full,
    /// Nobody would be admin.
    LastAdmin,
    /// The one whose role it is about is not in the group.
    NoParticipant,
}

/// Makes a group of its creator, who is its admin, and others, who are put in or invited.
pub(crate) async fn create(
    db: &Db,
    conversation: ConversationId,
    creator: &NewParticipant<'_>,
    others: &[NewParticipant<'_>],
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Changed> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let result = insert(&mut tx, conversation, creator, others, limits, now).await;
        end(tx, result).await
    })
    .await
}

async fn insert(
    c: &mut PgConnection,
    conversation: ConversationId,
    creator: &NewParticipant<'_>,
    others: &[NewParticipant<'_>],
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Changed> {
    let ids: Vec<UserId> = others.iter().map(|one| one.user_id).collect();
    if let Some(exceeded) = quota::precheck(c, creator.user_id, true, None, &ids, limits).await? {
        return Ok(Changed::Exceeded(exceeded));
    }
    if !quota::lock(c, others.iter().chain([creator]).map(|p| p.user_id)).await? {
        return Ok(Changed::NoUser);
    }
    if let Some(exceeded) =
        quota::charge(c, creator.user_id, Daily::Conversations, 1, limits).await?
    {
        return Ok(Changed::Exceeded(exceeded));
    }
    let instance = Instance::random();
    sqlx::query!(
        "with created as (
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            values ($1, true, $2, $3, $3)
            returning conversation_id
        )
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select conversation_id, $4, $5, $6, 'admin', $3 from created",
        conversation as _,
        instance.as_str(),
        now as _,
        creator.user_id as _,
        creator.secret,
        creator.display_name,
    )
    .execute(&mut *c)
    .await?;
    if quota::exceeds_total(c, creator.user_id, limits).await? {
        return Ok(Changed::Exceeded(Exceeded::Total));
    }
    let invited =
        match admission::admit(c, conversation, creator.user_id, others, limits, now).await? {
            Ok(invited) => invited,
            Err(refused) => return Ok(refused),
        };
    let mut concerned = participants(c, conversation).await?;
    concerned.extend(
        invitation::visible_in(c, conversation)
            .await?
            .into_iter()
            .map(|(user, _)| user),
    );
    Ok(Changed::Done { concerned, invited })
}

/// Keeps what was done, and nothing else. It is waited for: a lock that is not given back would hold everyone up.
async fn end(
    tx: sqlx::Transaction<'_, sqlx::Postgres>,
    result: sqlx::Result<Changed>,
) -> sqlx::Result<Changed> {
    match result {
        Ok(Changed::Done { .. }) => tx.commit().await?,
        _ => tx.rollback().await?,
    }
    result
}

/// Makes a change to a group, if the caller may, in a fixed number of statements.
pub(crate) async fn change(
    db: &Db,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Changed> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let result = change_in(&mut tx, conversation, caller, change, limits, now).await;
        end(tx, result).await
    })
    .await
}

async fn change_in(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Changed> {
    // Strangers do not wait for the lock, and nobody waits for them.
    let locked = sqlx::query!(
        "select from conversations where conversation_id = $1
            and (exists (select from participants where conversation_id = $1 and user_id = $2)
                or exists (select from invitations where conversation_id = $1 and user_id = $2)
                or exists (select from departures where conversation_id = $1 and user_id = $2))
        for no key update",
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    if locked.is_none() {
        return Ok(Changed::NoConversation);
    }
    // What comes after the lock sees what was there when it was taken.
    let own = sqlx::query!(
        "select c.is_group, p.role from participants p join conversations c using (conversation_id)
        where p.conversation_id = $1 and p.user_id = $2",
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    match (own, change) {
        (_, Change::Decline) => return invitation::decline(c, conversation, caller).await,
        (None, Change::Accept) => {}
        (None, _) => return Ok(Changed::NoConversation),
        (Some(own), _) if !own.is_group => return Ok(Changed::NoGroup),
        // Whoever is in it has accepted: the answer may have been lost.
        (Some(_), Change::Accept) => {
            return Ok(Changed::Done {
                concerned: vec![caller],
                invited: vec![],
            });
        }
        (Some(own), _) if own.role != Role::Admin.as_str() && !matches!(change, Change::Leave) => {
            return Ok(Changed::NotAdmin);
        }
        (Some(_), _) => {}
    }
    let before = participants(c, conversation).await?;
    let invited_before = invitation::visible_in(c, conversation).await?;
    let invited = match apply(c, conversation, caller, change, limits, now).await? {
        Ok(invited) => invited,
        Err(refused) => return Ok(refused),
    };
    let after = participants(c, conversation).await?;
    let invited_after = invitation::visible_in(c, conversation).await?;
    // Those who were removed hear of it, and those who see an invitation now, or another one, or see it no more.
    let mut concerned = if after.len() < before.len() {
        before
    } else {
        after
    };
    concerned.extend(
        invited_before
            .symmetric_difference(&invited_after)
            .map(|(user, _)| *user),
    );
    Ok(Changed::Done { concerned, invited })
}

async fn participants(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(
        r#"select user_id as "user_id: UserId" from participants where conversation_id = $1"#,
        conversation as _
    )
    .fetch_all(c)
    .await
}

/// Answers who is invited instead of put in, or what became of the change otherwise.
async fn apply(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Result<Vec<UserId>, Changed>> {
    match change {
        Change::Rename(names) => {
            // One who is invited is not woken for it.
            sqlx::query!(
                "with named as materialized (
                    select user_id, display_name from unnest($2::uuid[], $3::text[]) as n (user_id, display_name)
                ), invited as (
                    update invitations i set display_name = n.display_name
                    from named n where i.conversation_id = $1 and i.user_id = n.user_id
                )
                update participants p set display_name = n.display_name
                from named n where p.conversation_id = $1 and p.user_id = n.user_id",
                conversation as _,
                &names.iter().map(|(user, _)| *user).collect::<Vec<_>>() as _,
                &names.iter().map(|(_, name)| *name).collect::<Vec<_>>() as _,
            )
            .execute(c)
            .await?;
        }
        Change::Add(more) => {
            let ids: Vec<UserId> = more.iter().map(|one| one.user_id).collect();
            if let Some(exceeded) =
                quota::precheck(c, caller, false, Some(conversation), &ids, limits).await?
            {
                return Ok(Err(Changed::Exceeded(exceeded)));
            }
            if !quota::lock(c, more.iter().map(|p| p.user_id).chain([caller])).await? {
                return Ok(Err(Changed::NoUser));
            }
            admission::bump_members_version(c, conversation).await?;
            return admission::admit(c, conversation, caller, more, limits, now).await;
        }
        Change::Remove(users) => {
            admission::remove(c, conversation, users).await?;
            invitation::withdraw(c, conversation, Some(users)).await?;
        }
        Change::Leave => {
            admission::remove(c, conversation, &[caller]).await?;
            invitation::record_departure(c, conversation, caller, false).await?;
            promote_longest_member(c, conversation).await?;
        }
        Change::Accept => {
            admission::bump_members_version(c, conversation).await?;
            if let Some(refused) = invitation::accept(c, conversation, caller, limits, now).await? {
                return Ok(Err(refused));
            }
        }
        // Answered before.
        Change::Decline => return Ok(Err(Changed::NoConversation)),
        Change::SetRole(user, role) => {
            let before = sqlx::query_scalar!(
                r#"
                with before as materialized (select role from participants where conversation_id = $1 and user_id = $2), changed as (
                    update participants set role = $3 where conversation_id = $1 and user_id = $2 and role <> $3
                )
                select role from before
                "#,
                conversation as _,
                *user as _,
                role.as_str(),
            )
            .fetch_optional(&mut *c)
            .await?;
            match before {
                None => return Ok(Err(Changed::NoParticipant)),
                // Nobody has to hear of what was so before.
                Some(before) if before == role.as_str() => {
                    return Ok(Err(Changed::Done {
                        concerned: vec![],
                        invited: vec![],
                    }));
                }
                Some(_) => {}
            }
            let has_admin = sqlx::query_scalar!(
                r#"select exists (select from participants where conversation_id = $1 and role = 'admin') as "has!""#,
                conversation as _,
            )
            .fetch_one(&mut *c)
            .await?;
            if !has_admin {
                return Ok(Err(Changed::LastAdmin));
            }
            if *role == Role::Admin {
                invitation::withdraw_hidden(c, conversation).await?;
            }
        }
    }
    Ok(Ok(vec![]))
}

/// A group without an admin has its longest member as one; a group without members is cleared for good.
async fn promote_longest_member(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> sqlx::Result<()> {
    let handed_over = sqlx::query!(
        "update participants set role = 'admin'
        where conversation_id = $1
            and user_id = (select user_id from participants where conversation_id = $1 order by joined_at, user_id limit 1)
            and not exists (select from participants where conversation_id = $1 and role = 'admin')",
        conversation as _,
    )
    .execute(&mut *c)
    .await?;
    if handed_over.rows_affected() > 0 {
        return invitation::withdraw_hidden(c, conversation).await;
    }
    let next = Instance::random();
    let emptied = sqlx::query!(
        "update conversations
        set instance = $2, cleared_seq = last_seq, last_message_id = null, last_report_id = null, chain = null
        where conversation_id = $1 and not exists (select from participants where conversation_id = $1)",
        conversation as _,
        next.as_str(),
    )
    .execute(&mut *c)
    .await?;
    if emptied.rows_affected() > 0 {
        invitation::withdraw(c, conversation, None).await?;
        sqlx::query!(
            "delete from departures where conversation_id = $1",
            conversation as _
        )
        .execute(c)
        .await?;
    }
    Ok(())
}
