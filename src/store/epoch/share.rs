//! Gives a participant the secrets of epochs that they do not have.

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::Epoch,
    id::{ConversationId, UserId},
    text::Secret,
    word::Role,
};
use sqlx::PgConnection;

use super::lock::lock;
use crate::store::{Db, db::End, error::Result, quota};

/// The outcome of sharing epochs.
#[derive(Debug)]
pub(crate) enum Shared {
    /// The participant has the secrets.
    Done,
    /// There is no such conversation for this user.
    NoConversation,
    /// In a group, only an admin may share.
    NotAdmin,
    /// The user does not take part.
    NoParticipant,
    /// The conversation has no epoch with such a number. Contains the number of the present one.
    StaleEpoch(i32),
}

/// Stores secrets of epochs for a participant, except those that they have, which cannot be
/// replaced. They count in what the caller has stored.
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
        let Some(own) = lock(c, conversation, caller).await? else {
            return refused(Shared::NoConversation);
        };
        if own.is_group && own.role != Role::Admin {
            return refused(Shared::NotAdmin);
        }
        // In a direct conversation the other one stays a participant when their account is deleted.
        // The lock keeps them from deleting it meanwhile.
        if !takes_part(c, conversation, user).await? || !quota::lock(c, [user]).await? {
            return refused(Shared::NoParticipant);
        }
        if epochs.iter().any(|epoch| *epoch > own.epoch) {
            return refused(Shared::StaleEpoch(own.epoch));
        }
        sqlx::query!(
            "with given as (
                insert into epoch_secrets (conversation_id, epoch, user_id, secret)
                select $1, s.epoch, $2, s.secret from unnest($3::int[], $4::text[]) as s (epoch, secret)
                on conflict on constraint epoch_secrets_key do nothing
                returning epoch, octet_length(secret) as bytes
            ), shared as (
                -- In one order, as the purge locks them.
                insert into shared_secrets as s (conversation_id, epoch, user_id, bytes)
                select $1, epoch, $5, bytes from given order by epoch
                on conflict on constraint shared_secrets_key do update set bytes = s.bytes + excluded.bytes
            )
            insert into usage_changes (user_ids, bytes)
            select array[$5::uuid], array[sum(bytes)::bigint] from given having count(*) > 0",
            conversation as _,
            user as _,
            &epochs,
            &secrets as _,
            caller as _,
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

async fn takes_part(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from participants where conversation_id = $1 and user_id = $2) as "exists!""#,
        conversation as _,
        user as _,
    )
    .fetch_one(c)
    .await?)
}
