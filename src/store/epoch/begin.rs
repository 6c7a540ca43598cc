//! An epoch begins: with a conversation, or instead of the one before, in one transaction with the changes of who takes part.
//!
//! The secrets of thousands of participants are written before the conversation is locked, under a number that no reader
//! asks for yet. Under the lock, which others' messages wait for, the number becomes the present one.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::SignedAnnouncement,
    id::{ConversationId, UserId},
    text::{Instance, Secret},
    time::Timestamp,
    word::Role,
};
use sqlx::PgConnection;

use crate::store::{
    Db, admission,
    conversation::NewParticipant,
    error::{Error, Result},
    group::{self, Change, Changed},
    invitation, list,
    quota::{self, Limits},
};

/// An epoch to be begun.
#[derive(Debug)]
pub(crate) struct NewEpoch<'a> {
    /// Its number.
    pub number: i32,
    /// What its maker announced, and signed. Verified.
    pub signed: &'a SignedAnnouncement,
    /// Who takes part in it.
    pub members: &'a BTreeSet<UserId>,
    /// Its secret, wrapped for each of them.
    pub secrets: &'a BTreeMap<UserId, Secret>,
}

/// The next epoch of a conversation, and what else changes with it.
#[derive(Debug)]
pub(crate) struct Rekey<'a> {
    pub conversation: ConversationId,
    /// It is a direct conversation, and stays one.
    pub is_direct: bool,
    pub caller: UserId,
    /// The instance, as the caller knows it.
    pub instance: &'a Instance,
    pub epoch: NewEpoch<'a>,
    /// The conversation's name, encrypted with the new secret.
    pub names: &'a [(UserId, &'a str)],
    /// Who leaves the group.
    pub remove: &'a [UserId],
    /// Who joins it.
    pub add: &'a [NewParticipant<'a>],
}

/// Begins the next epoch of a conversation, if it is still the next one, and those whom it is for are those who take part
/// then.
pub(crate) async fn rekey(
    db: &Db,
    rekey: &Rekey<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Changed> {
    let changed = db
        .transaction(async |c| Ok(rekey_in(c, rekey, limits, now).await?.end()))
        .await;
    match changed {
        // Another one had written the secrets of an epoch of this number, and has committed since.
        Err(error) if error.is_refused_by("epoch_secrets_key") => Ok(Changed::StaleEpoch(
            present(db, rekey.conversation, error).await?,
        )),
        other => other,
    }
}

async fn present(db: &Db, conversation: ConversationId, refused: Error) -> Result<i32> {
    let epoch = db
        .run(async |c| {
            sqlx::query_scalar!(
                "select epoch from conversations where conversation_id = $1",
                conversation as _
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    epoch.ok_or(refused)
}

async fn rekey_in(
    c: &mut PgConnection,
    rekey: &Rekey<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Changed> {
    let (conversation, caller, epoch) = (rekey.conversation, rekey.caller, &rekey.epoch);
    stage(c, conversation, epoch).await?;
    if let Some(refused) = lock(c, rekey).await? {
        return Ok(refused);
    }
    let before = group::participants(c, conversation).await?;
    // In a direct conversation the other one stays a participant when their account is deleted.
    if rekey.is_direct && !quota::lock(c, before.iter().copied()).await? {
        return Ok(Changed::NoUser);
    }
    let invited_before = invitation::visible_in(c, conversation).await?;
    // First: whoever joins gets the newest secret.
    begin(c, conversation, epoch, now).await?;
    if !rekey.remove.is_empty() {
        admission::remove(c, conversation, rekey.remove).await?;
        invitation::withdraw(c, conversation, Some(rekey.remove)).await?;
    }
    let mut changes = vec![];
    if !rekey.add.is_empty() {
        changes.push(Change::Add(rekey.add));
    }
    if !rekey.names.is_empty() {
        changes.push(Change::Rename(rekey.names));
    }
    for change in changes {
        if let Err(refused) = group::apply(c, conversation, caller, &change, limits, now).await? {
            return Ok(refused);
        }
    }
    // After the changes: of those to be added, some may only be invited.
    let after = group::participants(c, conversation).await?;
    if after.iter().copied().collect::<BTreeSet<_>>() != *epoch.members {
        return Ok(Changed::StaleRoster(after));
    }
    let invited_after = invitation::visible_in(c, conversation).await?;
    let concerned = before
        .into_iter()
        .chain(after)
        .chain(
            invited_before
                .symmetric_difference(&invited_after)
                .map(|(user, _)| *user),
        )
        .collect::<BTreeSet<_>>();
    Ok(Changed::Done {
        concerned: concerned.into_iter().collect(),
        invited: vec![],
    })
}

/// Locks the conversation. Returns why the caller may not begin this epoch, if so.
async fn lock(c: &mut PgConnection, rekey: &Rekey<'_>) -> Result<Option<Changed>> {
    let (conversation, caller, epoch) = (rekey.conversation, rekey.caller, &rekey.epoch);
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
        select c.is_group, c.instance as "instance: Instance", c.epoch, p.role,
               array(
                   select o.user_id from participants o where o.conversation_id = $1 and o.role = 'admin' and c.epoch = 0
               ) as "admins!: Vec<UserId>"
        from participants p join conversations c using (conversation_id)
        where p.conversation_id = $1 and p.user_id = $2
        "#,
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(own) = own.filter(|_| locked.is_some()) else {
        return Ok(Some(Changed::NoConversation));
    };
    if own.epoch.checked_add(1) != Some(epoch.number) {
        return Ok(Some(Changed::StaleEpoch(own.epoch)));
    }
    if own.instance != *rekey.instance {
        return Ok(Some(Changed::StaleInstance(own.instance)));
    }
    if !(rekey.remove.is_empty() && rekey.add.is_empty()) {
        if !own.is_group {
            return Ok(Some(Changed::NoGroup));
        }
        if own.role != Role::Admin.as_str() {
            return Ok(Some(Changed::NotAdmin));
        }
    }
    // Nobody is an admin by saying so: those of the first epoch are those whom the group has.
    let admins: BTreeSet<UserId> = own.admins.into_iter().collect();
    if own.epoch == 0 && own.is_group && admins != *epoch.signed.announcement.admins() {
        return Ok(Some(Changed::NotAdmin));
    }
    Ok(None)
}

/// Writes the secrets of an epoch that has not begun. In the order of the users: of two that do so at the same moment, the
/// second one waits for the first, and neither for the other.
pub(in crate::store) async fn stage(
    c: &mut PgConnection,
    conversation: ConversationId,
    epoch: &NewEpoch<'_>,
) -> Result<()> {
    let (users, secrets): (Vec<UserId>, Vec<&str>) = epoch
        .secrets
        .iter()
        .map(|(user, secret)| (*user, secret.as_str()))
        .unzip();
    sqlx::query!(
        "insert into epoch_secrets (conversation_id, epoch, user_id, secret)
        select $1, $2, s.user_id, s.secret from unnest($3::uuid[], $4::text[]) as s (user_id, secret)",
        conversation as _,
        epoch.number,
        &users as _,
        &secrets as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Makes an epoch whose secrets are written the present one of a conversation that is locked, or new.
pub(in crate::store) async fn begin(
    c: &mut PgConnection,
    conversation: ConversationId,
    epoch: &NewEpoch<'_>,
    now: Timestamp,
) -> Result<()> {
    let members: Vec<UserId> = epoch.members.iter().copied().collect();
    sqlx::query!(
        "with announced as (
            insert into epochs (conversation_id, epoch, announcement, signature, members, from_seq, announced_at)
            select conversation_id, $2, $3, $4, $5, last_seq, $6 from conversations where conversation_id = $1
        )
        update conversations set epoch = $2 where conversation_id = $1",
        conversation as _,
        epoch.number,
        epoch.signed.announcement.text(),
        epoch.signed.signature.as_ref(),
        &members as _,
        now as _,
    )
    .execute(&mut *c)
    .await?;
    list::changed(c, conversation).await?;
    Ok(())
}
