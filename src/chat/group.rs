//! Groups: created by anyone, run by their admins, and joined by consent, as friends are added and
//! others invited.

use std::collections::{BTreeMap, BTreeSet};

use super::{Call, epoch, error::Error, quota, rates};
use crate::notify::event::Event;
use crate::store::{
    self,
    conversation::NewParticipant,
    epoch::NewEpoch,
    group::{Change, Changed},
    quota::QuotaLimits,
    rows::ConversationRow,
};
use parlance_wire::{
    e2ee::SignedAnnouncement,
    id::{ConversationId, UserId},
    text::Secret,
};

/// Creates a group of the caller, who becomes its admin, and others. Returns it, and the users who
/// were invited instead of added. With a first epoch and its secrets nobody is invited, the epoch
/// names the group's id, and the call is idempotent.
///
/// # Errors
/// `TooLarge`; `UsedUp`. With an epoch also `BadRequest`, `AlreadyExists`; `StaleRoster`, if someone would have to be invited.
pub(crate) async fn create(
    call: &mut Call<'_>,
    creator: &NewParticipant<'_>,
    others: &[NewParticipant<'_>],
    first: Option<(&SignedAnnouncement, &BTreeMap<UserId, Secret>)>,
) -> Result<(ConversationRow, Vec<UserId>), Error> {
    rates::count_change(call)?;
    let limits = quota::limits(call);
    let (id, members) = match first {
        // Random instead of derived from the participants, as in a direct conversation: the same
        // users may have several groups.
        None => (ConversationId::random(), BTreeSet::new()),
        Some((signed, secrets)) => {
            let id = signed.announcement.conversation();
            if !id.may_be_group() {
                return Err(Error::BadRequest(
                    "announcement.conversation must begin with 8 zeros.".into(),
                ));
            }
            let there = store::epoch::first_announcement(&call.services.db, id, call.user).await?;
            if there.as_deref() == Some(signed.announcement.text()) {
                // The first attempt's answer may be lost, along with its announcements.
                let row = seen(call, id).await?;
                call.outbox.push(Event::ListChanged {
                    of: row.participants(),
                });
                return Ok((row, vec![]));
            }
            let everyone = others.iter().chain([creator]).map(|one| one.user_id);
            let everyone = everyone.collect();
            let members = epoch::first(call, signed, id, true, &everyone, secrets).await?;
            let asked: Vec<UserId> = others.iter().map(|one| one.user_id).collect();
            epoch::refuse_strangers(call, None, &asked, &members).await?;
            rates::count_epoch_secrets(call, secrets.len())?;
            (id, members)
        }
    };
    let first = first.map(|(signed, secrets)| NewEpoch {
        number: 1,
        signed,
        members: &members,
        secrets,
    });
    let changed = store::group::create(
        &call.services.db,
        id,
        creator,
        others,
        first.as_ref(),
        &limits,
        call.now,
    )
    .await?;
    let invited = done(call, changed, &limits)?;
    Ok((seen(call, id).await?, invited))
}

/// Changes a group. Returns it as the caller then sees it, and the users who were invited instead
/// of added.
///
/// # Errors
/// `ConversationNotFound`; `NotAllowed`, if the caller is not an admin, the conversation is not a
/// group, or no admin would be left; `UserNotFound`, if the role of somebody else is changed;
/// `TooLarge`; `UsedUp`.
pub(crate) async fn change(
    call: &mut Call<'_>,
    id: ConversationId,
    change: &Change<'_>,
) -> Result<(ConversationRow, Vec<UserId>), Error> {
    let invited = apply(call, id, change).await?;
    Ok((seen(call, id).await?, invited))
}

/// Removes the caller, who no longer sees the group.
pub(crate) async fn leave(call: &mut Call<'_>, id: ConversationId) -> Result<(), Error> {
    apply(call, id, &Change::Leave).await?;
    Ok(())
}

/// Declines the caller's invitation.
pub(crate) async fn decline(call: &mut Call<'_>, id: ConversationId) -> Result<(), Error> {
    // Not `apply`, which looks for a participant: an invited user is not one yet.
    let changed = store::group::decline(&call.services.db, id, call.user).await?;
    done(call, changed, &quota::limits(call))?;
    Ok(())
}

async fn seen(call: &Call<'_>, id: ConversationId) -> Result<ConversationRow, Error> {
    store::conversation::seen_by(&call.services.db, id, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)
}

async fn apply(
    call: &mut Call<'_>,
    id: ConversationId,
    change: &Change<'_>,
) -> Result<Vec<UserId>, Error> {
    // Not counted: a user needs another group to leave, or another invitation to accept, before
    // they can do it again.
    if !matches!(change, Change::Leave | Change::Accept) {
        rates::count_change(call)?;
    }
    let limits = quota::limits(call);
    let changed =
        store::group::change(&call.services.db, id, call.user, change, &limits, call.now).await?;
    done(call, changed, &limits)
}

/// Announces a change to everyone who sees it. Returns the users who were invited.
pub(super) fn done(
    call: &mut Call<'_>,
    changed: Changed,
    limits: &QuotaLimits,
) -> Result<Vec<UserId>, Error> {
    match changed {
        Changed::Done {
            recipients,
            invited,
        } => {
            // Only the list: a change to a group adds no row that a station could fetch.
            call.outbox.push(Event::ListChanged { of: recipients });
            Ok(invited)
        }
        Changed::NoConversation => Err(Error::ConversationNotFound),
        Changed::NoGroup => Err(Error::NotAllowed("This conversation is not a group.")),
        Changed::NotAdmin => Err(Error::NotAllowed("Only an admin of the group may do this.")),
        Changed::Full => Err(Error::TooLarge(format!(
            "A group can have at most {} participants, including those who are invited.",
            limits.participants
        ))),
        Changed::LastAdmin => Err(Error::NotAllowed("A group must have at least one admin.")),
        // The same refusal for both, as it must not reveal which ids are users.
        Changed::NoParticipant | Changed::NoUser => Err(Error::UserNotFound),
        Changed::Exceeded(exceeded) => Err(quota::refusal(exceeded, limits)),
        Changed::StaleRoster(mut present) => {
            present.sort_unstable();
            Err(Error::StaleRoster(present))
        }
        Changed::StaleEpoch(present) => Err(Error::StaleEpoch(present)),
        Changed::StaleInstance(present) => Err(Error::StaleInstance(present)),
        Changed::FormerGroup => Err(Error::AlreadyExists("A deleted group had this id.")),
    }
}
