//! Groups: who is in them, and in which role. Each change happens under the conversation's lock, in one
//! transaction: what it decides on is what it changes.

use sqlx::{Connection, PgConnection};

use super::{Db, conversation::NewParticipant};
use crate::model::{
    id::{ConversationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// A change to a group.
#[derive(Debug)]
pub enum Change<'a> {
    /// Another name for some of the participants.
    Rename(&'a [(UserId, &'a str)]),
    /// More participants. Who is in already stays as they are.
    Add(&'a [NewParticipant<'a>]),
    /// Fewer participants.
    Remove(&'a [UserId]),
    /// The caller goes. The last admin hands over to the longest member.
    Leave,
    /// Another role for a participant.
    SetRole(UserId, &'a str),
}

/// What became of a change.
#[derive(Debug)]
pub enum Changed {
    /// It is done; these have to hear of it, the removed ones too.
    Done(Vec<UserId>),
    /// No such conversation, for this user.
    NoConversation,
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

/// Makes a group of its creator, who is its admin, and others.
///
/// # Errors
/// The constraint `participants_of_user`, if one of them is not there.
pub async fn create(
    db: &Db,
    conversation: ConversationId,
    creator: UserId,
    participants: &[NewParticipant<'_>],
    now: Timestamp,
) -> sqlx::Result<()> {
    let instance = Instance::random();
    db.run(async |c| {
        sqlx::query!(
            "with made as (
                insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
                values ($1, true, $2, $3, $3)
                returning conversation_id
            )
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select made.conversation_id, p.user_id, p.secret, p.display_name,
                   case when p.user_id = $4 then 'admin' else 'member' end, $3
            from made, unnest($5::uuid[], $6::text[], $7::text[]) as p (user_id, secret, display_name)",
            conversation as _,
            instance.as_str(),
            now as _,
            creator as _,
            &participants.iter().map(|p| p.user_id).collect::<Vec<_>>() as _,
            &participants.iter().map(|p| p.secret).collect::<Vec<_>>() as _,
            &participants.iter().map(|p| p.display_name).collect::<Vec<_>>() as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Whether one of these has blocked a user.
pub async fn is_blocked_by_any(db: &Db, user: UserId, others: &[UserId]) -> sqlx::Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (select from blocks where blocked_id = $1 and user_id = any($2)) as "blocked!""#,
            user as _,
            others as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// Makes a change to a group, if the caller may, in a fixed number of statements. At most `most` are in
/// it afterwards.
///
/// # Errors
/// The constraint `participants_of_user`, if one who is added is not there.
pub async fn change(
    db: &Db,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    most: i64,
    now: Timestamp,
) -> sqlx::Result<Changed> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let result = decide(&mut tx, conversation, caller, change, most, now).await;
        // Waited for: a lock that is not given back would hold everyone up.
        match result {
            Ok(Changed::Done(_)) => tx.commit().await?,
            _ => tx.rollback().await?,
        }
        result
    })
    .await
}

async fn decide(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    most: i64,
    now: Timestamp,
) -> sqlx::Result<Changed> {
    sqlx::query!("select from conversations where conversation_id = $1 for no key update", conversation as _)
        .fetch_optional(&mut *c)
        .await?;
    // What comes after the lock sees what was there when it was taken.
    let own = sqlx::query!(
        "select c.is_group, p.role from participants p join conversations c using (conversation_id)
        where p.conversation_id = $1 and p.user_id = $2",
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    match own {
        None => return Ok(Changed::NoConversation),
        Some(own) if !own.is_group => return Ok(Changed::NoGroup),
        Some(own) if own.role != "admin" && !matches!(change, Change::Leave) => return Ok(Changed::NotAdmin),
        Some(_) => {}
    }
    let before = participants(c, conversation).await?;
    if let Some(refused) = apply(c, conversation, caller, change, now).await? {
        return Ok(refused);
    }
    let after = participants(c, conversation).await?;
    if matches!(change, Change::Add(_)) && i64::try_from(after.len()).is_ok_and(|count| count > most) {
        return Ok(Changed::Full);
    }
    // Those who were removed hear of it, too.
    Ok(Changed::Done(if after.len() < before.len() { before } else { after }))
}

async fn participants(c: &mut PgConnection, conversation: ConversationId) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(r#"select user_id as "user_id: UserId" from participants where conversation_id = $1"#, conversation as _)
        .fetch_all(c)
        .await
}

async fn apply(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    now: Timestamp,
) -> sqlx::Result<Option<Changed>> {
    match change {
        Change::Rename(names) => {
            sqlx::query!(
                "update participants p set display_name = n.display_name
                from unnest($2::uuid[], $3::text[]) as n (user_id, display_name)
                where p.conversation_id = $1 and p.user_id = n.user_id",
                conversation as _,
                &names.iter().map(|(user, _)| *user).collect::<Vec<_>>() as _,
                &names.iter().map(|(_, name)| *name).collect::<Vec<_>>() as _,
            )
            .execute(c)
            .await?;
        }
        Change::Add(more) => {
            count_change(c, conversation).await?;
            sqlx::query!(
                "insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
                select $1, p.user_id, p.secret, p.display_name, 'member', $2
                from unnest($3::uuid[], $4::text[], $5::text[]) as p (user_id, secret, display_name)
                on conflict on constraint participants_key do nothing",
                conversation as _,
                now as _,
                &more.iter().map(|p| p.user_id).collect::<Vec<_>>() as _,
                &more.iter().map(|p| p.secret).collect::<Vec<_>>() as _,
                &more.iter().map(|p| p.display_name).collect::<Vec<_>>() as _,
            )
            .execute(c)
            .await?;
        }
        Change::Remove(users) => remove(c, conversation, users).await?,
        Change::Leave => {
            remove(c, conversation, &[caller]).await?;
            hand_over(c, conversation).await?;
        }
        Change::SetRole(user, role) => {
            let changed = sqlx::query!(
                "update participants set role = $3 where conversation_id = $1 and user_id = $2",
                conversation as _,
                *user as _,
                *role,
            )
            .execute(&mut *c)
            .await?;
            if changed.rows_affected() == 0 {
                return Ok(Some(Changed::NoParticipant));
            }
            let has_admin = sqlx::query_scalar!(
                r#"select exists (select from participants where conversation_id = $1 and role = 'admin') as "has!""#,
                conversation as _,
            )
            .fetch_one(c)
            .await?;
            if !has_admin {
                return Ok(Some(Changed::LastAdmin));
            }
        }
    }
    Ok(None)
}

/// Statements that wait for the lock learn by this that what they saw of the group is old.
async fn count_change(c: &mut PgConnection, conversation: ConversationId) -> sqlx::Result<()> {
    sqlx::query!("update conversations set roster = roster + 1 where conversation_id = $1", conversation as _).execute(c).await?;
    Ok(())
}

async fn remove(c: &mut PgConnection, conversation: ConversationId, users: &[UserId]) -> sqlx::Result<()> {
    count_change(&mut *c, conversation).await?;
    sqlx::query!("delete from participants where conversation_id = $1 and user_id = any($2)", conversation as _, users as _)
        .execute(c)
        .await?;
    Ok(())
}

/// A group without an admin has its longest member as one; a group without members is cleared for good.
async fn hand_over(c: &mut PgConnection, conversation: ConversationId) -> sqlx::Result<()> {
    sqlx::query!(
        "update participants set role = 'admin'
        where conversation_id = $1
            and user_id = (select user_id from participants where conversation_id = $1 order by joined_at, user_id limit 1)
            and not exists (select from participants where conversation_id = $1 and role = 'admin')",
        conversation as _,
    )
    .execute(&mut *c)
    .await?;
    let next = Instance::random();
    sqlx::query!(
        "update conversations
        set instance = $2, cleared_seq = last_seq, last_message_id = null, last_report_id = null, chain = null
        where conversation_id = $1 and not exists (select from participants where conversation_id = $1)",
        conversation as _,
        next.as_str(),
    )
    .execute(c)
    .await?;
    Ok(())
}
