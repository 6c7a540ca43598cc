//! Groups: their members and roles. Each change is made under the conversation's lock, in one
//! transaction, so that it changes exactly what it was decided on.

mod apply;
mod create;
mod succeed;

pub(super) use self::apply::apply;
pub(crate) use self::create::create;
pub(in crate::store) use self::succeed::succeed;

use sqlx::PgConnection;

use super::{
    Db,
    conversation::NewParticipant,
    db::End,
    error::Result,
    invitation,
    quota::{Exceeded, QuotaLimits},
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
    /// New names for some of the participants.
    Rename(&'a [(UserId, &'a str)]),
    /// Adds participants or invited users. Existing ones stay as they are.
    Add(&'a [NewParticipant<'a>]),
    /// Removes participants or invited users.
    Remove(&'a [UserId]),
    /// Removes the caller. The last admin hands over to the longest-standing member.
    Leave,
    /// Accepts the caller's invitation.
    Accept,
    /// Changes a participant's role.
    SetRole(UserId, Role),
}

/// The outcome of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It is done.
    Done {
        /// Users to notify, including removed ones.
        recipients: Vec<UserId>,
        /// Users who were invited instead of added, by id.
        invited: Vec<UserId>,
    },
    /// No such conversation or invitation for this user.
    NoConversation,
    /// The caller, or the other participant of a direct conversation, does not exist any more.
    NoUser,
    /// It would exceed a quota.
    Exceeded(Exceeded),
    /// It is a direct conversation.
    NoGroup,
    /// Only an admin may do this.
    NotAdmin,
    /// The group would exceed the maximum of participants.
    Full,
    /// The group would be left without an admin.
    LastAdmin,
    /// The user whose role is to be changed is not in the group.
    NoParticipant,
    /// The participants, now or after the change, are not those of the epoch.
    StaleRoster(Vec<UserId>),
    /// The conversation's present epoch is another one: this one, or 0 for none.
    StaleEpoch(i32),
    /// The conversation's present instance is another one: this one.
    StaleInstance(Instance),
    /// A group that was deleted had the id of the new one.
    FormerGroup,
}

impl Changed {
    /// Success without anyone to notify.
    fn nothing() -> Self {
        Self::Done {
            recipients: vec![],
            invited: vec![],
        }
    }

    /// Commits a change, and rolls a refusal back.
    pub(super) fn end(self) -> End<Self> {
        match self {
            Self::Done { .. } => End::Commit(self),
            refused => End::Rollback(refused),
        }
    }
}

/// Changes a group, if the caller may, in a fixed number of statements.
pub(crate) async fn change(
    db: &Db,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Changed> {
    db.transaction(async |c| {
        let changed = change_in(c, conversation, caller, change, limits, now).await?;
        Ok(changed.end())
    })
    .await
}

pub(super) async fn change_in(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Changed> {
    // Only members and invited users reach the lock; others neither wait nor block anyone.
    let locked = sqlx::query!(
        "select from conversations where conversation_id = $1
            and (exists (select from participants where conversation_id = $1 and user_id = $2)
                or exists (select from invitations where conversation_id = $1 and user_id = $2))
        for no key update",
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    if locked.is_none() {
        return Ok(Changed::NoConversation);
    }
    // A separate statement, because only a new one sees what was committed before the lock was
    // taken.
    let own = sqlx::query!(
        r#"select c.is_group, p.role as "role: Role" from participants p join conversations c using (conversation_id)
        where p.conversation_id = $1 and p.user_id = $2"#,
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    match (own, change) {
        (None, Change::Accept) => {}
        (None, _) => return Ok(Changed::NoConversation),
        (Some(own), _) if !own.is_group => return Ok(Changed::NoGroup),
        // The participant has accepted before; the answer may have been lost.
        (Some(_), Change::Accept) => {
            return Ok(Changed::Done {
                recipients: vec![caller],
                invited: vec![],
            });
        }
        (Some(own), _) if own.role != Role::Admin && !matches!(change, Change::Leave) => {
            return Ok(Changed::NotAdmin);
        }
        (Some(_), _) => {}
    }
    // Read before the change, as a removed user is notified but not among the participants
    // afterwards.
    let before = participants(c, conversation).await?;
    let invited_before = invitation::visible_in(c, conversation).await?;
    let invited = match apply(c, conversation, caller, change, limits, now).await? {
        Ok(invited) => invited,
        Err(refused) => return Ok(refused),
    };
    let after = participants(c, conversation).await?;
    let invited_after = invitation::visible_in(c, conversation).await?;
    // Removed users are notified too, as are users whose invitation appeared, changed or
    // disappeared.
    let mut recipients = if after.len() < before.len() {
        before
    } else {
        after
    };
    recipients.extend(
        invited_before
            .symmetric_difference(&invited_after)
            .map(|(user, _)| *user),
    );
    Ok(Changed::Done {
        recipients,
        invited,
    })
}

pub(super) async fn participants(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> Result<Vec<UserId>> {
    let users = sqlx::query_scalar!(
        r#"select user_id as "user_id: UserId" from participants where conversation_id = $1"#,
        conversation as _
    )
    .fetch_all(c)
    .await?;
    Ok(users)
}

/// Declines the caller's invitation to a group. Only the caller is notified.
pub(crate) async fn decline(
    db: &Db,
    conversation: ConversationId,
    caller: UserId,
) -> Result<Changed> {
    db.transaction(async |c| {
        // Only invited users wait for the lock, which keeps the invitation from being accepted, or
        // withdrawn with the group, meanwhile.
        let locked = sqlx::query!(
            "select from conversations where conversation_id = $1
                and exists (select from invitations where conversation_id = $1 and user_id = $2)
            for no key update",
            conversation as _,
            caller as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        if locked.is_some() && invitation::decline(c, conversation, caller).await? {
            return Ok(End::Commit(Changed::Done {
                recipients: vec![caller],
                invited: vec![],
            }));
        }
        // It was declined before; the answer may have been lost.
        let changed = if invitation::was_declined(c, conversation, caller).await? {
            Changed::nothing()
        } else {
            Changed::NoConversation
        };
        Ok(End::Rollback(changed))
    })
    .await
}
