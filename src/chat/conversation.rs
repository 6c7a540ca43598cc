//! Conversations: creating and clearing them, and their properties in a user's own list.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Call, epoch, error::Error, friend, quota, rates};
use crate::notify::event::Event;
use crate::store::{
    self,
    conversation::{Cleared, Created, NewParticipant},
    epoch::NewEpoch,
    participant::Property,
    rows::ConversationRow,
};
use parlance_wire::{
    e2ee::SignedAnnouncement,
    id::{ConversationId, UserId},
    list::{Known, ListMark},
    text::{DisplayName, Instance, Secret},
};

const FRIENDS_ONLY: &str = "You can only start a conversation with a friend.";

/// Creates the direct conversation with a friend, with its first epoch if one is announced.
/// Idempotent for both users: they get the same conversation, even if both create it at the same
/// time.
///
/// # Errors
/// `NotAllowed`, if the other user is not a friend; `BadRequest`, if a secret or a name is missing;
/// `TooLarge`, if one of the two has the maximum number of conversations; `UsedUp`; for the
/// epoch, as for [`epoch::rekey`].
pub(crate) async fn create(
    call: &mut Call<'_>,
    other: UserId,
    secrets: &BTreeMap<UserId, Secret>,
    display_names: &BTreeMap<UserId, DisplayName>,
    first: Option<&SignedAnnouncement>,
) -> Result<ConversationRow, Error> {
    let relation = friend::relation(call, other).await?;
    // The id is derived from the two users, so that both create the same conversation.
    let id = ConversationId::between(call.user, other);
    // Before the checks below, as the participants keep a conversation after the friendship has
    // ended, and may create it again.
    if let Some(there) = store::conversation::seen_by(&call.services.db, id, call.user).await? {
        return Ok(there);
    }
    if !relation.is_friendship() {
        return Err(Error::NotAllowed(FRIENDS_ONLY));
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
    let both = BTreeSet::from([call.user, other]);
    if let Some(signed) = first {
        epoch::first(call, signed, id, false, &both, secrets).await?;
    }
    let first = first.map(|signed| NewEpoch {
        number: 1,
        signed,
        members: &both,
        secrets,
    });
    let limits = quota::limits(call);
    match store::conversation::create_direct(
        &call.services.db,
        id,
        &participants,
        first.as_ref(),
        &limits,
        call.now,
    )
    .await?
    {
        Created::New => call.outbox.push(Event::ListChanged {
            of: vec![call.user, other],
        }),
        Created::Existing => {}
        Created::NoUser => return Err(Error::UserNotFound),
        Created::NotFriends => return Err(Error::NotAllowed(FRIENDS_ONLY)),
        Created::StaleRoster => return Err(Error::StaleRoster(both.into_iter().collect())),
        Created::Exceeded(exceeded) => return Err(quota::refusal(exceeded, &limits)),
    }
    // Read, not built from the request: if the other user was first, the stored secrets are theirs.
    store::conversation::seen_by(&call.services.db, id, call.user)
        .await?
        .ok_or(Error::ConversationNotFound)
}

/// Changes to the caller's list since a mark.
#[derive(Debug)]
pub(crate) struct ListChanges {
    /// The lines that may have changed, the newest first.
    pub rows: Vec<ConversationRow>,
    /// All conversations of the list, if they are not those that the client knows.
    pub conversations: Option<Vec<ConversationId>>,
    /// The mark of the list with these changes.
    pub mark: Option<ListMark>,
}

/// The changes to the caller's list since this mark; the whole list, if the mark is of no use.
pub(crate) async fn changed_since(call: &Call<'_>, known: Known) -> Result<ListChanges, Error> {
    let db = &call.services.db;
    let compared = match known {
        Known::Nothing => None,
        Known::Since(mark) => store::list::compare(db, call.user, &mark).await?,
    };
    if let Some(compared) = compared.filter(|compared| compared.is_known) {
        // No second round trip if nothing has changed.
        let rows = if compared.changed.is_empty() {
            vec![]
        } else {
            store::conversation::some_with_unread(db, call.user, &compared.changed).await?
        };
        return Ok(ListChanges {
            rows,
            conversations: compared.conversations,
            mark: Some(compared.mark),
        });
    }
    let rows = store::conversation::list_with_unread(db, call.user).await?;
    Ok(ListChanges {
        conversations: Some(rows.iter().map(|row| row.conversation_id).collect()),
        mark: rows.first().and_then(|row| row.mark),
        rows,
    })
}

/// Clears a conversation for everyone: it gets a new instance.
///
/// # Errors
/// `UsedUp`; `StaleInstance`; `NotAllowed`, if the caller is not an admin of the group, or was blocked by the other user.
pub(crate) async fn clear(
    call: &mut Call<'_>,
    id: ConversationId,
    instance: &Instance,
) -> Result<ConversationRow, Error> {
    rates::count_change(call)?;
    let db = &call.services.db;
    let is_silent = store::participant::is_silent(db, id, call.user).await?;
    match store::conversation::clear(db, id, call.user, instance).await? {
        None => Err(Error::ConversationNotFound),
        Some(Cleared::Contended) => Err(Error::Unavailable {
            // Certain: each attempt was rolled back, so no station has to resync.
            source: "the members of the group keep changing".into(),
            uncertain: false,
        }),
        Some(Cleared::NotAdmin) => Err(Error::NotAllowed(
            "Only an admin of the group may clear it.",
        )),
        Some(Cleared::Blocked) => Err(Error::NotAllowed("This user has blocked you.")),
        Some(Cleared::StaleInstance(present)) => Err(Error::StaleInstance(present)),
        Some(Cleared::Done(row)) => {
            let participants: Arc<[UserId]> = if is_silent {
                Arc::from([call.user])
            } else {
                row.participants().into()
            };
            // Both: the list shows the instance, and the conversation's rows are gone.
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
    // Only the caller's own stations: properties are private.
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
