//! Friendships and blocks. Two users are friends once both have requested it.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{Call, buckets::KeyedState, error::Error, quota, rates};
use crate::notify::event::Event;
use crate::store::{
    self,
    friend::{Relation, Requested},
};
use parlance_wire::id::UserId;

/// Changes of one request that are announced at once within a period: that it is made, withdrawn, and
/// both once more. What follows is announced at the period's end.
const AT_ONCE: u32 = 4;

/// Throttles announcements of friend requests. In a node's memory: each node counts for itself.
pub(crate) struct ToldRequests {
    period: Duration,
    told: KeyedState<(UserId, UserId), Option<Told>>,
}

/// Changes of one request within a period.
struct Told {
    since: Instant,
    changes: u32,
}

impl fmt::Debug for ToldRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToldRequests").finish_non_exhaustive()
    }
}

impl ToldRequests {
    /// Nothing was announced yet.
    pub(crate) fn new(period: Duration) -> Self {
        Self {
            period,
            told: KeyedState::new(period * 2),
        }
    }

    /// How long to wait with the announcement of a change at this moment. Returns `None` if an
    /// announcement that waits already will cover it.
    fn delay(&self, from: UserId, to: UserId, now: Instant) -> Option<Duration> {
        self.told.with(
            (from, to),
            || None,
            |told| match told {
                Some(Told { since, changes }) if now < *since + self.period => {
                    *changes += 1;
                    match *changes {
                        ..=AT_ONCE => Some(Duration::ZERO),
                        // One announcement at the period's end covers this change and all later ones.
                        count if count == AT_ONCE + 1 => Some(*since + self.period - now),
                        _ => None,
                    }
                }
                _ => {
                    *told = Some(Told {
                        since: now,
                        changes: 1,
                    });
                    Some(Duration::ZERO)
                }
            },
        )
    }
}

/// Requests a friendship, or accepts such a request. Idempotent. A user who has blocked the caller, or
/// who does not exist, is not notified, and the caller learns of neither.
///
/// # Errors
/// `UsedUp`; `BadRequest`, if the other user is the caller.
pub(crate) async fn add(call: &mut Call<'_>, friend: UserId) -> Result<(), Error> {
    let relation = relation(call, friend).await?;
    let (db, limits) = (&call.services.db, quota::limits(call));
    let requested = if relation.incoming && relation.blocked {
        Requested::Nothing
    } else if relation.incoming {
        store::friend::answer(db, call.user, friend, call.now).await?
    } else {
        // Also if one is pending already: otherwise the quota would reveal users who never get one.
        let reaches = relation.exists && !relation.blocked;
        store::friend::request(db, call.user, friend, reaches, &limits, call.now).await?
    };
    match requested {
        Requested::New if relation.incoming => announce(call, friend),
        Requested::New => announce_request(call, friend),
        Requested::Nothing => {}
        Requested::NoUser => return Err(Error::UserNotFound),
        Requested::Exceeded(exceeded) => return Err(quota::refusal(exceeded, &limits)),
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
        return Err(Error::NotAllowed(
            "This user has not sent you a friend request.",
        ));
    }
    add(call, friend).await
}

/// Ends a friendship, declines or withdraws a request, or forgets a friend who has left. After a
/// friendship neither writes into the direct conversation. Idempotent.
///
/// # Errors
/// `UsedUp`; `BadRequest`, if the other user is the caller.
pub(crate) async fn remove(call: &mut Call<'_>, friend: UserId) -> Result<(), Error> {
    let relation = relation(call, friend).await?;
    rates::count_change(call)?;
    if store::friend::forget_left(&call.services.db, call.user, friend).await? {
        announce(call, friend);
        return Ok(());
    }
    if store::friend::withdraw(&call.services.db, call.user, friend).await? {
        match (relation.incoming, relation.blocked) {
            (true, false) => announce(call, friend),
            (true, true) => call.outbox.push(Event::FriendChanged {
                friend,
                seen_by: vec![call.user],
            }),
            (false, false) => announce_request(call, friend),
            // It was never seen.
            (false, true) => {}
        }
    }
    Ok(())
}

/// Blocks a user, who then cannot write into the direct conversation, cannot befriend the caller,
/// and sees the caller offline. Their invitations, and those to groups that they administer, are
/// hidden. Idempotent.
pub(crate) async fn block(call: &mut Call<'_>, user: UserId) -> Result<(), Error> {
    let relation = relation(call, user).await?;
    rates::count_change(call)?;
    let is_new = store::block::block(&call.services.db, call.user, user, call.now).await?;
    if is_new.ok_or(Error::UserNotFound)? {
        announce_block(call, user, &relation);
    }
    Ok(())
}

/// Removes a block. Idempotent.
pub(crate) async fn unblock(call: &mut Call<'_>, user: UserId) -> Result<(), Error> {
    let relation = relation(call, user).await?;
    rates::count_change(call)?;
    if store::block::unblock(&call.services.db, call.user, user).await? {
        announce_block(call, user, &relation);
    }
    Ok(())
}

/// The relation between the caller and another user, who need not exist.
///
/// # Errors
/// `BadRequest`, if the other user is the caller; `UsedUp`, if the caller named too many strangers.
pub(crate) async fn relation(call: &Call<'_>, other: UserId) -> Result<Relation, Error> {
    if other == call.user {
        return Err(Error::BadRequest("You cannot do this to yourself.".into()));
    }
    let relation = store::friend::relation(&call.services.db, call.user, other).await?;
    if !relation.is_friendship() {
        rates::count_lookup(call)?;
    }
    Ok(relation)
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
    if relation.is_friendship() && !relation.blocked {
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

/// Announces a request, or that it was withdrawn, to the other user; only a few times an hour, as a
/// stranger must not keep their phone awake. The caller's own stations hear nothing: it would tell
/// that the request was stored, and so that there is such a user, who has not blocked the caller.
fn announce_request(call: &mut Call<'_>, other: UserId) {
    let told = Event::FriendChanged {
        friend: call.user,
        seen_by: vec![other],
    };
    match call.services.told.delay(call.user, other, Instant::now()) {
        Some(Duration::ZERO) => call.outbox.push(told),
        Some(delay) => call.later.push((delay, told)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_of_a_few_times_an_hour_and_of_the_last_state_in_the_end() {
        let ids = ["1", "2", "3"].map(|digit| UserId::parse(&digit.repeat(32)).unwrap());
        let (told, start) = (ToldRequests::new(Duration::from_hours(1)), Instant::now());
        let delay =
            |from, minutes| told.delay(ids[from], ids[2], start + Duration::from_mins(minutes));
        for minutes in [0, 1, 2, 3] {
            assert_eq!(delay(0, minutes), Some(Duration::ZERO));
        }
        // The next change within the hour is announced at its end, and the others with it.
        assert_eq!(delay(0, 20), Some(Duration::from_mins(40)));
        assert_eq!((delay(0, 30), delay(0, 59)), (None, None));
        // Others' requests are announced at once.
        assert_eq!(delay(1, 30), Some(Duration::ZERO));
        assert_eq!(delay(0, 61), Some(Duration::ZERO));
    }
}
