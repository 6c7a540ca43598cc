//! Groups: made by anyone, run by their admins.

use super::{Call, error::Error, event::Event};
use crate::{
    model::{
        id::{ConversationId, UserId},
        rows::ConversationRow,
    },
    store::{
        self,
        conversation::NewParticipant,
        group::{Change, Changed},
    },
};

/// A group has at most so many participants.
pub const MOST_PARTICIPANTS: usize = 5000;

/// Makes a group of the caller, who is its admin, and others.
///
/// # Errors
/// `UserNotFound`; `NotAllowed`, if someone has blocked the caller; `TooLarge`.
pub async fn create(call: &mut Call<'_>, participants: &[NewParticipant<'_>]) -> Result<ConversationRow, Error> {
    if participants.len() > MOST_PARTICIPANTS {
        return Err(full());
    }
    check_blocks(call, participants).await?;
    let id = ConversationId::random();
    store::group::create(call.db, id, call.user, participants, call.now).await?;
    call.outbox.push(Event::ListChanged { of: participants.iter().map(|p| p.user_id).collect() });
    store::conversation::seen_by(call.db, id, call.user).await?.ok_or(Error::ConversationNotFound)
}

/// Adds participants, with the secret that the caller wrapped for each. Who is in already stays as they
/// are.
pub async fn add(call: &mut Call<'_>, id: ConversationId, more: &[NewParticipant<'_>]) -> Result<ConversationRow, Error> {
    check_blocks(call, more).await?;
    change(call, id, &Change::Add(more)).await
}

/// Makes another change, and answers the group as the caller sees it then.
///
/// # Errors
/// `ConversationNotFound`; `NotAllowed`, for anyone but an admin, for what is no group, and where nobody
/// would be admin; `UserNotFound`, if the one it is about is not there.
pub async fn change(call: &mut Call<'_>, id: ConversationId, change: &Change<'_>) -> Result<ConversationRow, Error> {
    apply(call, id, change).await?;
    store::conversation::seen_by(call.db, id, call.user).await?.ok_or(Error::ConversationNotFound)
}

/// The caller goes, and sees the group no more.
pub async fn leave(call: &mut Call<'_>, id: ConversationId) -> Result<(), Error> {
    apply(call, id, &Change::Leave).await
}

async fn apply(call: &mut Call<'_>, id: ConversationId, change: &Change<'_>) -> Result<(), Error> {
    let most = i64::try_from(MOST_PARTICIPANTS).unwrap_or(i64::MAX);
    match store::group::change(call.db, id, call.user, change, most, call.now).await? {
        Changed::Done(concerned) => {
            call.outbox.push(Event::ListChanged { of: concerned });
            Ok(())
        }
        Changed::NoConversation => Err(Error::ConversationNotFound),
        Changed::NoGroup => Err(Error::NotAllowed("This conversation is no group.")),
        Changed::NotAdmin => Err(Error::NotAllowed("In a group, only an admin may do this.")),
        Changed::Full => Err(full()),
        Changed::LastAdmin => Err(Error::NotAllowed("A group has at least one admin.")),
        Changed::NoParticipant => Err(Error::UserNotFound),
    }
}

async fn check_blocks(call: &Call<'_>, participants: &[NewParticipant<'_>]) -> Result<(), Error> {
    let ids: Vec<UserId> = participants.iter().map(|p| p.user_id).collect();
    if store::group::is_blocked_by_any(call.db, call.user, &ids).await? {
        return Err(Error::NotAllowed("One of these users has blocked you."));
    }
    Ok(())
}

fn full() -> Error {
    Error::TooLarge(format!("A group takes at most {MOST_PARTICIPANTS} participants."))
}
