//! Conversations: created, cleared, and their properties in one's own list.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{Call, error::Error, friend, quota};
use crate::notify::event::Event;
use crate::store::{
    self,
    conversation::{Cleared, Comparison, Created, NewParticipant},
    participant::Property,
    rows::ConversationRow,
};
use parlance_wire::{
    id::{ConversationId, ListVersion, UserId},
    text::{DisplayName, Instance, Secret},
};

/// Creates the direct conversation with a friend. Idempotent, whichever of the two asks: both get the same one, even if they
/// ask at the same moment.
///
/// # Errors
/// `NotAllowed`, if the other user is no friend; `BadRequest`, if a secret or a name is missing; `TooLarge`, if one of the two
/// is in the maximum of conversations; `DailyLimit`.
pub(crate) async fn create(
    call: &mut Call<'_>,
    other: UserId,
    secrets: &BTreeMap<UserId, Secret>,
    display_names: &BTreeMap<UserId, DisplayName>,
) -> Result<ConversationRow, Error> {
    let relation = friend::relation(call, other).await?;
    // The id follows from the two users, so that both create the same one without asking each other.
    let id = ConversationId::between(call.user, other);
    if let Some(there) = store::conversation::seen_by(&call.services.db, id, call.user).await? {
        return Ok(there);
    }
    if !relation.outgoing || !relation.incoming {
        return Err(Error::NotAllowed(
            "You can only start a conversation with a friend.",
        ));
    }
    if relation.blocked {
        return Err(Error::NotAllowed("This user has blocked you."));
    }
    let participant = |user_id: UserId| {
        Ok::<_, Error>(NewParticipant {
            user_id,
            secret: secrets
                .get(&user_id)
                .ok_or_else(|| missing("secrets"))?
                .as_str(),
            display_name: display_names
                .get(&user_id)
                .ok_or_else(|| missing("displaynames"))?
                .as_str(),
        })
    };
    let participants = [participant(call.user)?, participant(other)?];
    let limits = quota::limits(call);
    match store::conversation::create_direct(
        &call.services.db,
        id,
        &participants,
        &limits,
        call.now,
    )
    .await?
    {
        Created::New => call.outbox.push(Event::ListChanged {
            of: vec![call.user, other],
        }),
        Created::Existing => {}
        Created::Exceeded(exceeded) => return Err(quota::refusal(exceeded, &limits)),
    }
    store::conversation::seen_by(&call.services.db, id, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)
}

/// A page of the caller's list: at most `limit` conversations, starting after `after`. Returns them, and `true` if there are
/// more.
///
/// # Errors
/// `ConversationNotFound`, if `after` is no conversation of the caller's.
pub(crate) async fn page(
    call: &Call<'_>,
    after: Option<ConversationId>,
    limit: Option<usize>,
) -> Result<(Vec<ConversationRow>, bool), Error> {
    let limit = limit.unwrap_or(usize::MAX);
    // One more than asked for shows whether there are more.
    let mut rows =
        store::conversation::page(&call.services.db, call.user, after, limit.saturating_add(1))
            .await?;
    // Only an empty page may come from a wrong `after`: the usual page needs no second round trip.
    if let Some(after) = after.filter(|_| rows.is_empty()) {
        store::conversation::seen_by(&call.services.db, after, call.user)
            .await?
            .ok_or(Error::ConversationNotFound)?;
    }
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows, has_more))
}

/// The lines of the caller's list that differ from those that a client holds, and the conversations that are none of the
/// caller's any more.
pub(crate) async fn changed_since(
    call: &Call<'_>,
    known: &BTreeMap<ConversationId, ListVersion>,
) -> Result<(Vec<ConversationRow>, Vec<ConversationId>), Error> {
    let db = &call.services.db;
    let versions: Vec<_> = known.values().copied().collect();
    let Comparison { changed, total } =
        store::conversation::compare(db, call.user, &versions).await?;
    let rows = if changed.is_empty() {
        vec![]
    } else {
        store::conversation::some_with_unread(db, call.user, &changed).await?
    };
    let new = changed.iter().filter(|id| !known.contains_key(id)).count();
    // As many as there are, but for the new ones: then none is gone, and most often that is so. One that is left
    // afterwards is gone the next time.
    let remaining = usize::try_from(total).map_err(|error| Error::Internal(error.into()))? - new;
    let gone = if known.len() == remaining && rows.len() == changed.len() {
        vec![]
    } else {
        let known: Vec<_> = known.keys().copied().collect();
        let kept = store::conversation::those_of(db, call.user, &known).await?;
        let kept: HashSet<_> = kept.into_iter().collect();
        known.into_iter().filter(|id| !kept.contains(id)).collect()
    };
    Ok((rows, gone))
}

/// Clears a conversation for everyone: it gets a new instance.
///
/// # Errors
/// `StaleInstance`; `NotAllowed` for a member of a group who is no admin, and for a user whom the other one blocked.
pub(crate) async fn clear(
    call: &mut Call<'_>,
    id: ConversationId,
    instance: &Instance,
) -> Result<ConversationRow, Error> {
    match store::conversation::clear(&call.services.db, id, call.user, instance).await? {
        None => Err(Error::ConversationNotFound),
        Some(Cleared::Contended) => Err(Error::Unavailable {
            source: "who is in the group keeps changing".into(),
            uncertain: false,
        }),
        Some(Cleared::NotAdmin) => Err(Error::NotAllowed(
            "Only an admin of the group may clear it.",
        )),
        Some(Cleared::Blocked) => Err(Error::NotAllowed("This user has blocked you.")),
        Some(Cleared::StaleInstance(present)) => Err(Error::StaleInstance(present)),
        Some(Cleared::Done(row)) => {
            let participants: Arc<[UserId]> = row.participants().into();
            // Both: the instance is on the list, and the rows of the conversation are gone.
            call.outbox.push(Event::ListChanged {
                of: participants.to_vec(),
            });
            call.outbox.push(Event::ConversationChanged {
                conversation: id,
                participants,
                new: None,
            });
            Ok(*row)
        }
    }
}

/// Sets a property of a conversation in the caller's own list. Idempotent.
pub(crate) async fn set_property(
    call: &mut Call<'_>,
    id: ConversationId,
    property: &Property,
) -> Result<ConversationRow, Error> {
    let row =
        store::participant::set_property(&call.services.db, id, call.user, property, call.now)
            .await?
            .ok_or(Error::ConversationNotFound)?;
    // Only the caller's own stations: a property is nobody else's business.
    call.outbox.push(Event::ListChanged {
        of: vec![call.user],
    });
    Ok(row)
}

fn missing(field: &str) -> Error {
    Error::BadRequest(format!(
        "{field} must have an entry for each of the two participants."
    ))
}
