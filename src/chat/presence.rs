//! Presence from sockets: whoever has one open is available, unless they said otherwise; whoever has
//! had none for a while is offline. Friends hear of it.

use std::time::Duration;

use uuid::Uuid;

use super::error::Error;
use crate::notify::event::Event;
use crate::store::{
    Db,
    presence::{self, AvailabilityChange},
};
use parlance_wire::id::UserId;

/// Maximum users whose state is written at once.
pub(crate) const MAX_BATCH: usize = 500;

/// This node holds sockets of these users. What there is to announce.
pub(crate) async fn arrive(db: &Db, node: Uuid, users: &[UserId]) -> Result<Vec<Event>, Error> {
    Ok(changed(presence::socket_opened(db, node, users).await?))
}

/// This node has held no socket of these users for a while. What there is to announce.
pub(crate) async fn leave(db: &Db, node: Uuid, users: &[UserId]) -> Result<Vec<Event>, Error> {
    Ok(changed(presence::socket_closed(db, node, users).await?))
}

/// Ends what nodes left behind that ended longer ago than this. What there is to announce.
pub(crate) async fn reap(db: &Db, grace: Duration) -> Result<Vec<Event>, Error> {
    let most = i64::try_from(MAX_BATCH).map_err(|error| Error::Internal(error.into()))?;
    Ok(changed(presence::expire(db, grace, most).await?))
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
