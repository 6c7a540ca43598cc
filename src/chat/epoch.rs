//! Epochs: who may announce a conversation's next secret, and for whom. An announcement that the
//! participants' clients would refuse is refused here, so that it cannot keep them from following
//! later ones.

mod check;

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Announcement, Card, Epoch, SignedAnnouncement},
    id::{ConversationId, UserId},
    request::epoch::{MAX_EPOCHS, Rekey, ShareEpochs},
    text::{DisplayName, Secret},
};

use super::{Call, error::Error, group, quota, rates, usage};
use crate::notify::event::Event;
use crate::store::{
    self,
    conversation::NewParticipant,
    epoch::{EpochState, NewEpoch, Shared},
    group::Changed,
    rows::{ConversationRow, EpochRow},
};
use crate::telemetry::with_causes;

/// Begins the next epoch of a conversation, in a group also with other participants. Idempotent.
///
/// # Errors
/// `ConversationNotFound`; `UsedUp`, `StorageFull`; `StaleEpoch`, `StaleInstance`, `StaleRoster`; `BadRequest`: the announcement is not valid;
/// `NotAllowed`: the caller has no card, or no role that allows it, or is blocked by the other participant;
/// `UserNotFound`: the other participant has deleted their account; and those of adding and removing participants.
pub(crate) async fn rekey(call: &mut Call<'_>, request: &Rekey) -> Result<ConversationRow, Error> {
    let (db, id) = (&call.services.db, request.conversationid);
    let announcement = &request.announcement;
    if announcement.epoch() != request.epoch {
        return Err(Error::BadRequest(
            "epoch must be that of the announcement.".into(),
        ));
    }
    // `leave` hands the role over if the last admin goes; removing themselves would not.
    if request.removeparticipants.contains(&call.user) {
        return Err(Error::BadRequest(
            "removeparticipants cannot name you: use `leave` to remove yourself.".into(),
        ));
    }
    rates::count_change(call)?;
    let standing = store::epoch::standing(db, id, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)?;
    if standing.is_blocked {
        return Err(Error::NotAllowed("This user has blocked you."));
    }
    let number = store::epoch::number(request.epoch);
    if standing.epoch == number && standing.announcement.as_deref() == Some(announcement.text()) {
        // The first attempt's answer may be lost, along with its announcements.
        let row = seen(call, id).await?;
        let of = heard(call, &standing, row.participants());
        call.outbox.push(Event::ListChanged { of });
        return Ok(row);
    }
    if standing.epoch.checked_add(1) != Some(number) {
        return Err(Error::StaleEpoch(standing.epoch));
    }
    let signed = SignedAnnouncement {
        announcement: announcement.clone(),
        signature: request.signature,
    };
    verify(call, &signed, id, standing.card.as_deref())?;
    let check::Roster { members, successor } = roster(&standing, announcement)?;
    let add: Vec<UserId> = request.addparticipants.iter().copied().collect();
    if !request.secrets.keys().eq(&members) || !add.iter().all(|user| members.contains(user)) {
        return Err(Error::StaleRoster(roster_after(call, request).await?));
    }
    if standing.is_group {
        refuse_strangers(call, Some(id), &add, &members).await?;
    }
    let names: Vec<(UserId, &str)> = texts(&request.displaynames);
    let add: Vec<NewParticipant<'_>> = add
        .into_iter()
        .filter_map(|user_id| {
            Some(NewParticipant {
                user_id,
                secret: request.secrets.get(&user_id)?.as_str(),
                display_name: request
                    .displaynames
                    .get(&user_id)
                    .map_or("", DisplayName::as_str),
            })
        })
        .collect();
    let remove: Vec<UserId> = request.removeparticipants.iter().copied().collect();
    let limits = quota::limits(call);
    let rekey = store::epoch::Rekey {
        conversation: id,
        is_direct: !standing.is_group,
        caller: call.user,
        instance: &request.instance,
        epoch: NewEpoch {
            number,
            signed: &signed,
            members: &members,
            secrets: &request.secrets,
        },
        successor,
        names: &names,
        remove: &remove,
        add: &add,
    };
    // Whoever removes somebody has to be able to, however much they have stored.
    if remove.is_empty() {
        usage::check(call)?;
    }
    // Counted only now, as a request that is refused above stores none.
    rates::count_epoch_secrets(call, request.secrets.len())?;
    let mut changed = store::epoch::rekey(db, &rekey, &limits, call.now).await?;
    let is_done = matches!(changed, Changed::Done { .. });
    if let Changed::Done { recipients, .. } = &mut changed {
        *recipients = heard(call, &standing, std::mem::take(recipients));
    }
    group::done(call, changed, &limits)?;
    if is_done && standing.epoch > 0 {
        // The request itself is done either way.
        if let Err(error) = store::epoch::forget_unused(db, id, standing.epoch).await {
            tracing::warn!(
                error = with_causes(&error),
                "unused secrets were not deleted"
            );
        }
    }
    seen(call, id).await
}

/// Of the participants, those who are notified: in a direct conversation, not a former friend.
fn heard(call: &Call<'_>, standing: &EpochState, participants: Vec<UserId>) -> Vec<UserId> {
    if standing.is_ended {
        vec![call.user]
    } else {
        participants
    }
}

/// Refuses a roster that names people who are not friends of the caller: they could only be invited.
/// Before anyone is locked, and counted: how long it takes must not tell who exists.
///
/// # Errors
/// `StaleRoster`; `UsedUp`.
pub(super) async fn refuse_strangers(
    call: &Call<'_>,
    conversation: Option<ConversationId>,
    asked: &[UserId],
    roster: &BTreeSet<UserId>,
) -> Result<(), Error> {
    let strangers =
        store::friend::strangers(&call.services.db, call.user, conversation, asked).await?;
    if strangers.is_empty() {
        return Ok(());
    }
    rates::count_lookup(call)?;
    let others = roster.iter().filter(|user| !strangers.contains(user));
    Err(Error::StaleRoster(others.copied().collect()))
}

/// The participants of the announced epoch.
fn roster(standing: &EpochState, announcement: &Announcement) -> Result<check::Roster, Error> {
    let (Some(before), Some(members)) = (&standing.announcement, &standing.members) else {
        return Ok(check::Roster {
            members: check::first(announcement, standing.is_group)?,
            successor: None,
        });
    };
    let before = Announcement::parse(before).map_err(|error| Error::Internal(error.into()))?;
    // It follows a different history.
    if !announcement.follows(&before) {
        return Err(Error::StaleEpoch(standing.epoch));
    }
    check::next(&before, &members.iter().copied().collect(), announcement)
}

/// Verifies that an announcement is by the caller, and about this conversation. `card` is the
/// caller's newest.
fn verify(
    call: &Call<'_>,
    signed: &SignedAnnouncement,
    conversation: ConversationId,
    card: Option<&str>,
) -> Result<(), Error> {
    if signed.announcement.conversation() != conversation {
        return Err(Error::BadRequest(
            "announcement must be about this conversation.".into(),
        ));
    }
    if signed.announcement.by() != call.user {
        return Err(Error::BadRequest("announcement must be your own.".into()));
    }
    let card = card.ok_or(Error::NotAllowed(
        "You have no card yet: publish one before you announce an epoch.",
    ))?;
    let card = Card::parse(card).map_err(|error| Error::Internal(error.into()))?;
    signed
        .verify(&card)
        .map_err(|invalid| Error::BadRequest(format!("announcement is not valid: {invalid}.")))
}

/// The participants after a rekeying, as far as they are known without trying.
async fn roster_after(call: &Call<'_>, request: &Rekey) -> Result<Vec<UserId>, Error> {
    let everyone =
        store::participant::everyone_with(&call.services.db, request.conversationid, call.user);
    let everyone = everyone.await?.ok_or(Error::ConversationNotFound)?;
    let after: BTreeSet<UserId> = everyone
        .into_iter()
        .filter(|user| !request.removeparticipants.contains(user))
        .chain(request.addparticipants.iter().copied())
        .collect();
    Ok(after.into_iter().collect())
}

/// Checks the first epoch of a conversation that is about to be created with these users. Returns
/// its participants.
///
/// # Errors
/// As for [`rekey`].
pub(crate) async fn first(
    call: &Call<'_>,
    signed: &SignedAnnouncement,
    conversation: ConversationId,
    is_group: bool,
    everyone: &BTreeSet<UserId>,
    secrets: &BTreeMap<UserId, Secret>,
) -> Result<BTreeSet<UserId>, Error> {
    let announcement = &signed.announcement;
    if announcement.epoch() != Epoch::FIRST {
        return Err(Error::StaleEpoch(0));
    }
    let card = store::card::newest(&call.services.db, call.user).await?;
    verify(call, signed, conversation, card.as_deref())?;
    let members = check::first(announcement, is_group)?;
    if is_group && !announcement.admins().iter().eq([&call.user]) {
        return Err(Error::BadRequest(
            "announcement.admins must name you alone.".into(),
        ));
    }
    if members != *everyone || !secrets.keys().eq(&members) {
        return Err(Error::StaleRoster(everyone.iter().copied().collect()));
    }
    usage::check(call)?;
    Ok(members)
}

/// Gives a participant secrets of epochs that they do not have.
///
/// # Errors
/// `ConversationNotFound`; `UsedUp`, `StorageFull`; `NotAllowed`, if the caller is not an admin of the group;
/// `UserNotFound`, if the user does not take part; `StaleEpoch`, if there is no such epoch.
pub(crate) async fn share(call: &mut Call<'_>, request: &ShareEpochs) -> Result<(), Error> {
    usage::check(call)?;
    rates::count_change(call)?;
    rates::count_epoch_secrets(call, request.secrets.len())?;
    let (db, id) = (&call.services.db, request.conversationid);
    let is_silent = store::participant::is_silent(db, id, call.user).await?;
    let shared = store::epoch::share(db, id, call.user, request.userid, &request.secrets);
    match shared.await? {
        Shared::Done => {
            if !is_silent || request.userid == call.user {
                call.outbox.push(Event::ListChanged {
                    of: vec![request.userid],
                });
            }
            Ok(())
        }
        Shared::NoConversation => Err(Error::ConversationNotFound),
        Shared::NotAdmin => Err(Error::NotAllowed("Only an admin of the group may do this.")),
        Shared::NoParticipant => Err(Error::UserNotFound),
        Shared::StaleEpoch(present) => Err(Error::StaleEpoch(present)),
    }
}

/// The epochs of a conversation before one, newest first, and `true` if there are more.
///
/// # Errors
/// `ConversationNotFound`.
pub(crate) async fn page(
    call: &Call<'_>,
    conversation: ConversationId,
    before: Option<Epoch>,
    limit: Option<usize>,
) -> Result<(Vec<EpochRow>, bool), Error> {
    let before = before.map_or(i32::MAX, store::epoch::number);
    let limit = i64::try_from(limit.unwrap_or(MAX_EPOCHS))
        .map_err(|error| Error::Internal(error.into()))?;
    store::epoch::page(&call.services.db, conversation, call.user, before, limit)
        .await?
        .ok_or(Error::ConversationNotFound)
}

async fn seen(call: &Call<'_>, id: ConversationId) -> Result<ConversationRow, Error> {
    store::conversation::seen_by(&call.services.db, id, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)
}

fn texts(names: &BTreeMap<UserId, DisplayName>) -> Vec<(UserId, &str)> {
    names
        .iter()
        .map(|(user, name)| (*user, name.as_str()))
        .collect()
}
