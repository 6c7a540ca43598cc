//! Presence: a user with an open socket is what they chose to be, at first available; a user
//! without one for a while is offline, and so is one who never had one and has not called for a
//! while. Friends are notified of changes.

use std::time::Duration;

use uuid::Uuid;

use super::error::Error;
use crate::notify::event::Event;
use crate::store::{
    Db,
    presence::{self, AvailabilityChange, call},
};
use parlance_wire::id::UserId;

/// Maximum number of users whose state is written at once.
// One statement locks their rows: the restart of a node with 20,000 sockets must not lock all of
// them at the same time.
pub(crate) const MAX_BATCH: usize = 500;

/// Records how many sockets this node holds of each of these users. Returns the changes to announce.
pub(crate) async fn set_online(
    db: &Db,
    node: Uuid,
    sockets: &[(UserId, i32)],
) -> Result<Vec<Event>, Error> {
    Ok(changed(presence::socket_opened(db, node, sockets).await?))
}

/// Records that this node has held no socket of these users for a while. Returns the changes to announce.
pub(crate) async fn set_offline(
    db: &Db,
    node: Uuid,
    users: &[UserId],
) -> Result<Vec<Event>, Error> {
    Ok(changed(presence::socket_closed(db, node, users).await?))
}

/// Sets users offline whose node ended longer ago than this. Returns the changes to announce.
// Any node may do so, as the one that held their sockets is gone.
pub(crate) async fn expire(db: &Db, grace: Duration) -> Result<Vec<Event>, Error> {
    let max = i64::try_from(MAX_BATCH).map_err(|error| Error::Internal(error.into()))?;
    Ok(changed(presence::expire(db, grace, max).await?))
}

/// Sets users offline who have no socket, and have not called for this long. Returns the changes to
/// announce.
pub(crate) async fn expire_silent(db: &Db, silent_after: Duration) -> Result<Vec<Event>, Error> {
    let max = i64::try_from(MAX_BATCH).map_err(|error| Error::Internal(error.into()))?;
    Ok(changed(call::expire(db, silent_after, max).await?))
}

fn changed(changes: Vec<AvailabilityChange>) -> Vec<Event> {
    changes
        .into_iter()
        .map(|change| Event::FriendChanged {
            friend: change.user_id,
            seen_by: change.friends,
        })
        .collect()
}
