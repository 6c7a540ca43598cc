//! Clearing a conversation, which begins its next instance.

use super::conversation_rows;
use crate::store::{
    Db,
    error::{Result, impossible},
    rows::ConversationRow,
};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    list::ListMark,
    text::Instance,
    time::Timestamp,
};

/// Maximum attempts for a `clear` because the group's members changed meanwhile, as for the
/// batcher's entries.
const MAX_TRIES: usize = 20;

/// The outcome of a `clear`.
#[derive(Debug)]
pub(crate) enum Cleared {
    /// The content is unreachable, and all participants have to be notified. Contains the
    /// conversation as the caller now sees it.
    Done(Box<ConversationRow>),
    /// The conversation's present instance is another one: this one.
    StaleInstance(Instance),
    /// The group's members changed at every attempt.
    Contended,
    /// In a group, only an admin may clear.
    NotAdmin,
    /// The other participant has blocked the caller.
    Blocked,
}

/// Begins a conversation's next instance: its rows are unreachable once this is committed, and are
/// deleted in the background. Returns `None` if there is no such conversation for this user.
pub(crate) async fn clear(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
) -> Result<Option<Cleared>> {
    // No pause between attempts, as each has waited for the conversation's lock; and bounded, as a
    // group may be changed in a loop.
    for _ in 0..MAX_TRIES {
        if let Some(row) = clear_once(db, conversation, user, instance).await? {
            return Ok(Some(Cleared::Done(Box::new(row))));
        }
        match refusal(db, conversation, user, instance).await? {
            None => return Ok(None),
            Some(Refusal::For(refused)) => return Ok(Some(refused)),
            // The members changed while the statement waited for the lock, or the reason to refuse
            // it is gone.
            Some(Refusal::NotAnyMore) => {}
        }
    }
    Ok(Some(Cleared::Contended))
}

/// Clears the conversation if that is allowed; otherwise changes nothing and returns `None`.
async fn clear_once(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
) -> Result<Option<ConversationRow>> {
    let next = Instance::random();
    db.run(async |c| {
        // Not a file in `sql/`: it returns the columns of a conversation, which all statements that do so
        // take from one macro.
        conversation_rows!(
            "
            with locked as materialized (
                -- The lock sees the newest version of the row, the sub-select the one of the snapshot: if they differ,
                -- the participants that this statement saw are older than the lock.
                select c.conversation_id, c.instance,
                       c.is_group and c.roster <> (select s.roster from conversations s where s.conversation_id = $1)
                           as membership_changed,
                       c.is_group and p.role <> 'admin' as is_member,
                       exists (select from blocks b where b.user_id = p.peer_id and b.blocked_id = $2) as is_blocked
                from participants p
                join conversations c using (conversation_id)
                where p.conversation_id = $1 and p.user_id = $2
                for no key update of c
            ), cleared as (
                update conversations c
                set instance = $4, cleared_seq = c.last_seq, last_message_id = null, last_message_seq = 0,
                    last_report_id = null, chain = null
                from locked l
                where c.conversation_id = $1 and l.instance = $3
                    and not l.is_member and not l.is_blocked and not l.membership_changed
                returning c.*
            ), noted as (
                insert into list_changes (changed, conversation_id)
                select pg_current_xact_id(), conversation_id from cleared
            )
            select",
            group of "$1",
            "
            from cleared c
            join participants p on p.conversation_id = $1 and p.user_id = $2
            ",
            conversation as _,
            user as _,
            instance.as_str(),
            next.as_str(),
        )
        .fetch_optional(c)
        .await
    })
    .await
}

enum Refusal {
    For(Cleared),
    NotAnyMore,
}

/// The reason why a `clear` did nothing, in a separate statement as that is rare. Returns `None` if
/// there is no such conversation for this user.
async fn refusal(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
) -> Result<Option<Refusal>> {
    // Without the lock, as it only explains. If the reason has disappeared meanwhile, the next
    // attempt succeeds.
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"
                select case
                           when c.is_group and p.role <> 'admin' then 'not_admin'
                           when c.instance <> $3 then 'stale_instance'
                           when exists (select from blocks b where b.user_id = p.peer_id and b.blocked_id = $2) then 'blocked'
                           else 'not_any_more'
                       end as "outcome!", c.instance as "current_instance: Instance"
                from participants p
                join conversations c using (conversation_id)
                where p.conversation_id = $1 and p.user_id = $2
                "#,
                conversation as _,
                user as _,
                instance.as_str(),
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(match row.outcome.as_str() {
        "not_admin" => Refusal::For(Cleared::NotAdmin),
        "stale_instance" => Refusal::For(Cleared::StaleInstance(row.current_instance)),
        "blocked" => Refusal::For(Cleared::Blocked),
        "not_any_more" => Refusal::NotAnyMore,
        unknown => return Err(impossible(&format!("the outcome {unknown}"))),
    }))
}
