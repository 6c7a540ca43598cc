//! Begins an epoch: together with a new conversation, or in place of the previous epoch, in one
//! transaction with changes to the participants.
//!
//! The secrets of thousands of participants are written before the conversation is locked, under a
//! number that no reader requests yet. Under the lock, which others' messages wait for, the number
//! becomes the present one.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::SignedAnnouncement,
    id::{ConversationId, UserId},
    text::{Instance, Secret},
    time::Timestamp,
    word::Role,
};
use sqlx::PgConnection;

use super::{lock::lock, roster};
use crate::store::{
    Db, admission,
    conversation::NewParticipant,
    error::{Error, Result},
    group::{self, Change, Changed},
    invitation, list,
    quota::{self, QuotaLimits},
};

/// An epoch that is about to begin.
#[derive(Debug)]
pub(crate) struct NewEpoch<'a> {
    pub number: i32,
    /// The creator's announcement with its signature, which is verified.
    pub signed: &'a SignedAnnouncement,
    pub members: &'a BTreeSet<UserId>,
    /// Its secret, wrapped for each of them.
    pub secrets: &'a BTreeMap<UserId, Secret>,
}

/// The next epoch of a conversation, and the changes that come with it.
#[derive(Debug)]
pub(crate) struct Rekey<'a> {
    pub conversation: ConversationId,
    /// It is a direct conversation, and stays one.
    pub is_direct: bool,
    pub caller: UserId,
    /// The instance, according to the caller.
    pub instance: &'a Instance,
    pub epoch: NewEpoch<'a>,
    /// The user who is announced in place of all admins of the epoch before.
    pub successor: Option<UserId>,
    /// The conversation's name, encrypted with the new secret.
    pub names: &'a [(UserId, &'a str)],
    /// The participants to remove.
    pub remove: &'a [UserId],
    /// The participants to add.
    pub add: &'a [NewParticipant<'a>],
}

/// Begins the next epoch of a conversation, if it still is the next one, and its participants are
/// those of the conversation after the changes.
pub(crate) async fn rekey(
    db: &Db,
    rekey: &Rekey<'_>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Changed> {
    let changed = db
        .transaction(async |c| Ok(rekey_in(c, rekey, limits, now).await?.end()))
        .await;
    match changed {
        // Another transaction has written the secrets of an epoch with this number, and has been
        // committed since.
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
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Changed> {
    let (conversation, caller, epoch) = (rekey.conversation, rekey.caller, &rekey.epoch);
    stage(c, conversation, epoch).await?;
    if let Some(refused) = refusal(c, rekey).await? {
        return Ok(refused);
    }
    let before = group::participants(c, conversation).await?;
    // In a direct conversation the other one stays a participant when their account is deleted.
    if rekey.is_direct && !quota::lock(c, before.iter().copied()).await? {
        return Ok(Changed::NoUser);
    }
    let invited_before = invitation::visible_in(c, conversation).await?;
    // First, because new participants get the newest secret.
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
    // After the changes, as some of the users to be added may only be invited.
    let after = group::participants(c, conversation).await?;
    if after.iter().copied().collect::<BTreeSet<_>>() != *epoch.members
        || !is_successor(c, rekey).await?
        || !roster::is_true(c, epoch).await?
    {
        return Ok(Changed::StaleRoster(after));
    }
    let invited_after = invitation::visible_in(c, conversation).await?;
    let recipients = before
        .into_iter()
        .chain(after)
        .chain(
            invited_before
                .symmetric_difference(&invited_after)
                .map(|(user, _)| *user),
        )
        .collect::<BTreeSet<_>>();
    Ok(Changed::Done {
        recipients: recipients.into_iter().collect(),
        invited: vec![],
    })
}

/// Locks the conversation. Returns the reason why the caller may not begin this epoch, if there is
/// one.
async fn refusal(c: &mut PgConnection, rekey: &Rekey<'_>) -> Result<Option<Changed>> {
    let (conversation, caller, epoch) = (rekey.conversation, rekey.caller, &rekey.epoch);
    let Some(own) = lock(c, conversation, caller).await? else {
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
        if own.role != Role::Admin {
            return Ok(Some(Changed::NotAdmin));
        }
    }
    // The announcement cannot appoint admins: those of the first epoch have to be the group's.
    if own.epoch == 0
        && own.is_group
        && admins(c, conversation).await? != *epoch.signed.announcement.admins()
    {
        return Ok(Some(Changed::NotAdmin));
    }
    Ok(None)
}

/// Whether the admin who is announced in place of all others is the group's. Nobody has to be, if
/// none of the group's admins is in the roster.
async fn is_successor(c: &mut PgConnection, rekey: &Rekey<'_>) -> Result<bool> {
    let Some(successor) = rekey.successor else {
        return Ok(true);
    };
    let admins = admins(c, rekey.conversation).await?;
    Ok(admins.contains(&successor) || admins.is_disjoint(rekey.epoch.members))
}

async fn admins(c: &mut PgConnection, conversation: ConversationId) -> Result<BTreeSet<UserId>> {
    let admins = sqlx::query_scalar!(
        r#"select user_id as "user_id: UserId" from participants where conversation_id = $1 and role = 'admin'"#,
        conversation as _,
    )
    .fetch_all(c)
    .await?;
    Ok(admins.into_iter().collect())
}

/// Writes the secrets of an epoch that has not begun. In the order of the users, so that of two
/// concurrent transactions one waits for the other without a deadlock.
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

/// Makes an epoch whose secrets are written the present one, of a conversation that is locked or
/// new.
pub(in crate::store) async fn begin(
    c: &mut PgConnection,
    conversation: ConversationId,
    epoch: &NewEpoch<'_>,
    now: Timestamp,
) -> Result<()> {
    let members: Vec<UserId> = epoch.members.iter().copied().collect();
    let announcement = epoch.signed.announcement.text();
    let secrets = epoch.secrets.values().map(|secret| secret.as_str().len());
    let bytes = announcement.len() + secrets.sum::<usize>();
    sqlx::query!(
        "with announced as (
            insert into epochs (conversation_id, epoch, announcement, signature, members, from_seq, announced_at, user_id, bytes)
            select conversation_id, $2, $3, $4, $5, last_seq, $6, $7, $8 from conversations where conversation_id = $1
        ), counted as (
            insert into usage_changes (user_ids, bytes) values (array[$7::uuid], array[$8::bigint])
        )
        update conversations set epoch = $2 where conversation_id = $1",
        conversation as _,
        epoch.number,
        announcement,
        epoch.signed.signature.as_ref(),
        &members as _,
        now as _,
        epoch.signed.announcement.by() as _,
        i64::try_from(bytes).unwrap_or(i64::MAX),
    )
    .execute(&mut *c)
    .await?;
    list::changed(c, conversation).await?;
    Ok(())
}
