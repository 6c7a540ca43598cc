//! Friendships and blocks. Two users are friends once both have requested it.

use super::{Call, error::Error};
use crate::notify::event::Event;
use crate::store::{self, friend::Relation};
use parlance_wire::id::UserId;

/// Requests a friendship, or accepts such a request. Idempotent. If the other user has blocked the
/// caller, they are not notified, and the caller does not learn of the block.
pub(crate) async fn add(call: &mut Call<'_>, friend: UserId) -> Result<(), Error> {
    let relation = relation(call, friend).await?;
    // Answered as if it were stored, as the caller must not learn of the block.
    if relation.blocked {
        return Ok(());
    }
    let is_new = store::friend::request(&call.services.db, call.user, friend, call.now).await?;
    if is_new.ok_or(Error::UserNotFound)? {
        announce(call, friend);
    }
    Ok(())
}

/// Accepts a request. Idempotent.
///
/// # Errors
/// `NotAllowed`, if there is no request to answer.
pub(crate) async fn accept(call: &mut Call<'_>, friend: UserId) -> Result<(), Error> {
    // Not one statement with `add`: if the request is withdrawn in between, this becomes a request by the caller, which
    // the other user may accept or ignore.
    if !relation(call, friend).await?.incoming {
        return Err(Error::NotAllowed("There is no request from this user."));
    }
    add(call, friend).await
}

/// Ends a friendship, declines or withdraws a request, or forgets a friend who has left.
/// Idempotent.
pub(crate) async fn remove(call: &mut Call<'_>, friend: UserId) -> Result<(), Error> {
    if store::friend::forget_left(&call.services.db, call.user, friend).await? {
        announce(call, friend);
        return Ok(());
    }
    relation(call, friend).await?;
    if store::friend::withdraw(&call.services.db, call.user, friend).await? {
        announce(call, friend);
    }
    Ok(())
}

/// Blocks a user, who then cannot write into the direct conversation, cannot befriend the caller,
/// and sees the caller offline. Their invitations, and those to groups that they administer, are
/// hidden. Idempotent.
pub(crate) async fn block(call: &mut Call<'_>, user: UserId) -> Result<(), Error> {
    let relation = relation(call, user).await?;
    let is_new = store::block::block(&call.services.db, call.user, user, call.now).await?;
    if is_new.ok_or(Error::UserNotFound)? {
        announce_block(call, user, &relation);
    }
    Ok(())
}

/// Removes a block. Idempotent.
pub(crate) async fn unblock(call: &mut Call<'_>, user: UserId) -> Result<(), Error> {
    let relation = relation(call, user).await?;
    if store::block::unblock(&call.services.db, call.user, user).await? {
        announce_block(call, user, &relation);
    }
    Ok(())
}

/// The relation between the caller and another user.
///
/// # Errors
/// `UserNotFound`; `BadRequest`, if the other user is the caller.
pub(crate) async fn relation(call: &Call<'_>, other: UserId) -> Result<Relation, Error> {
    if other == call.user {
        return Err(Error::BadRequest("You cannot do this to yourself.".into()));
    }
    store::friend::relation(&call.services.db, call.user, other)
        .await?
        .ok_or(Error::UserNotFound)
}

/// Announces a block or its end. The caller's stations fetch requests and invitations again; a
/// friend sees the caller go offline or come back. Nobody else must learn of it.
fn announce_block(call: &mut Call<'_>, other: UserId, relation: &Relation) {
    call.outbox.push(Event::ListChanged {
        of: vec![call.user],
    });
    call.outbox.push(Event::FriendChanged {
        friend: other,
        seen_by: vec![call.user],
    });
    if relation.outgoing && relation.incoming {
        call.outbox.push(Event::FriendChanged {
            friend: call.user,
            seen_by: vec![other],
        });
    }
}

fn announce(call: &mut Call<'_>, other: UserId) {
    // To both users, because the friend lists on the caller's other stations change as well.
    call.outbox.push(Event::FriendChanged {
        friend: call.user,
        seen_by: vec![other],
    });
    call.outbox.push(Event::FriendChanged {
        friend: other,
        seen_by: vec![call.user],
    });
}
