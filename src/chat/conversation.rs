//! Conversations: made, cleared, and arranged in one's own list.

use std::{collections::BTreeMap, sync::Arc};

use super::{Call, error::Error, event::Event, friend};
use crate::{
    model::{
        id::{ConversationId, UserId},
        rows::ConversationRow,
        text::{DisplayName, Instance, Secret},
    },
    store::{
        self,
        conversation::{Cleared, NewParticipant},
        participant::Arrangement,
    },
};

/// The direct conversation with a friend. If it is there already, the existing one is answered,
/// whoever made it: of two who create it at the same moment, both get the same.
///
/// # Errors
/// `NotAllowed`, if the other one is no friend; `BadRequest`, if a secret or a name is missing.
pub async fn create(
    call: &mut Call<'_>,
    other: UserId,
    secrets: &BTreeMap<UserId, Secret>,
    display_names: &BTreeMap<UserId, DisplayName>,
) -> Result<ConversationRow, Error> {
    let standing = friend::standing(call, other).await?;
    let id = ConversationId::between(call.user, other);
    if let Some(there) = store::conversation::seen_by(call.db, id, call.user).await? {
        return Ok(there);
    }
    if !standing.asked || !standing.is_asked {
        return Err(Error::NotAllowed("A conversation takes a friend."));
    }
    if standing.is_blocked {
        return Err(Error::NotAllowed("This user has blocked you."));
    }
    let participant = |user_id: UserId| {
        Ok::<_, Error>(NewParticipant {
            user_id,
            secret: secrets.get(&user_id).ok_or_else(|| missing("secrets"))?.as_str(),
            display_name: display_names.get(&user_id).ok_or_else(|| missing("displaynames"))?.as_str(),
        })
    };
    let participants = [participant(call.user)?, participant(other)?];
    if store::conversation::create_direct(call.db, id, &participants, call.now).await? {
        call.outbox.push(Event::ListChanged { of: vec![call.user, other] });
    }
    store::conversation::seen_by(call.db, id, call.user).await?.ok_or(Error::ConversationNotFound)
}

/// Clears a conversation for everyone: a new instance begins.
///
/// # Errors
/// `StaleInstance`; `NotAllowed` in a group for anyone but an admin, and for one whom the other one blocked.
pub async fn clear(call: &mut Call<'_>, id: ConversationId, instance: &Instance) -> Result<ConversationRow, Error> {
    match store::conversation::clear(call.db, id, call.user, instance).await? {
        None => Err(Error::ConversationNotFound),
        Some(Cleared::NotAdmin) => Err(Error::NotAllowed("In a group, only an admin may clear.")),
        Some(Cleared::Blocked) => Err(Error::NotAllowed("This user has blocked you.")),
        Some(Cleared::Stale(present)) => Err(Error::StaleInstance(present)),
        Some(Cleared::Done(row)) => {
            let participants: Arc<[UserId]> = row.participants().into();
            call.outbox.push(Event::ListChanged { of: participants.to_vec() });
            call.outbox.push(Event::ConversationChanged { conversation: id, participants, new: None });
            Ok(*row)
        }
    }
}

/// Arranges a conversation in the caller's own list. Twice is as once.
pub async fn arrange(call: &mut Call<'_>, id: ConversationId, change: &Arrangement) -> Result<ConversationRow, Error> {
    let row = store::participant::arrange(call.db, id, call.user, change, call.now).await?.ok_or(Error::ConversationNotFound)?;
    call.outbox.push(Event::ListChanged { of: vec![call.user] });
    Ok(row)
}

fn missing(field: &str) -> Error {
    Error::BadRequest(format!("{field} takes an entry for each of the two participants."))
}
