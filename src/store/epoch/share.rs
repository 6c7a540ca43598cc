//! A participant gets the secrets of epochs that they do not have.

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::Epoch,
    id::{ConversationId, UserId},
    text::Secret,
    word::Role,
};

use crate::store::{Db, db::End, error::Result, quota};

/// What became of sharing epochs.
#[derive(Debug)]
pub(crate) enum Shared {
    /// The participant has the secrets.
    Done,
    /// There is no such conversation, for this user.
    NoConversation,
    /// In a group, only an admin may.
    NotAdmin,
    /// The user does not take part.
    NoParticipant,
    /// The conversation has no epoch of such a number; the number of the present one.
    StaleEpoch(i32),
}

/// Stores secrets of epochs for a participant, where they have none: what they have cannot be taken away.
pub(crate) async fn share(
    db: &Db,
    conversation: ConversationId,
    caller: UserId,
    user: UserId,
    secrets: &BTreeMap<Epoch, Secret>,
) -> Result<Shared> {
    let (epochs, secrets): (Vec<i32>, Vec<&str>) = secrets
        .iter()
        .map(|(epoch, secret)| (super::number(*epoch), secret.as_str()))
        .unzip();
    db.transaction(async |c| {
        let refused = |shared| Ok(End::Rollback(shared));
        // The lock keeps the user from being removed meanwhile.
        let locked = sqlx::query!(
            "select from conversations where conversation_id = $1
                and exists (select from participants where conversation_id = $1 and user_id = $2)
            for no key update",
            conversation as _,
            caller as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        // A statement of its own: it sees what was there when the lock was taken.
        let own = sqlx::query!(
            r#"
            select c.is_group, c.epoch, p.role, exists (
                select from participants o where o.conversation_id = $1 and o.user_id = $3
            ) as "takes_part!"
            from participants p join conversations c using (conversation_id)
            where p.conversation_id = $1 and p.user_id = $2
            "#,
            conversation as _,
            caller as _,
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(own) = own.filter(|_| locked.is_some()) else {
            return refused(Shared::NoConversation);
        };
        if own.is_group && own.role != Role::Admin.as_str() {
            return refused(Shared::NotAdmin);
        }
        // In a direct conversation the other one stays a participant when their account is deleted. The lock keeps them from
        // deleting it meanwhile.
        if !own.takes_part || !quota::lock(c, [user]).await? {
            return refused(Shared::NoParticipant);
        }
        if epochs.iter().any(|epoch| *epoch > own.epoch) {
            return refused(Shared::StaleEpoch(own.epoch));
        }
        sqlx::query!(
            "insert into epoch_secrets (conversation_id, epoch, user_id, secret)
            select $1, s.epoch, $2, s.secret from unnest($3::int[], $4::text[]) as s (epoch, secret)
            on conflict on constraint epoch_secrets_key do nothing",
            conversation as _,
            user as _,
            &epochs,
            &secrets as _,
        )
        .execute(&mut *c)
        .await?;
        // Written as it is: a line of a list has changed if this row was written (`store::list`).
        sqlx::query!(
            "update participants set secret = secret where conversation_id = $1 and user_id = $2",
            conversation as _,
            user as _,
        )
        .execute(c)
        .await?;
        Ok(End::Commit(Shared::Done))
    })
    .await
}
