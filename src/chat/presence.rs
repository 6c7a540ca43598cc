//! Presence from sockets: whoever has one open is available, unless they said otherwise; whoever has
//! had none for a while is offline. Friends hear of it.

use std::time::Duration;

use uuid::Uuid;

use super::{error::Error, event::Event};
use crate::{
    model::id::UserId,
    store::{
        Db,
        presence::{self, AvailabilityChange},
    },
};

/// This node holds a socket of a user's. What there is to announce.
pub async fn arrive(db: &Db, node: Uuid, user: UserId) -> Result<Vec<Event>, Error> {
    Ok(presence::arrive(db, node, user).await?.map(changed).into_iter().collect())
}

/// This node has held no socket of a user's for a while. What there is to announce.
pub async fn leave(db: &Db, node: Uuid, user: UserId) -> Result<Vec<Event>, Error> {
    Ok(presence::leave(db, node, user).await?.map(changed).into_iter().collect())
}

/// Ends what nodes left behind that ended longer ago than this. What there is to announce.
pub async fn reap(db: &Db, grace: Duration) -> Result<Vec<Event>, Error> {
    Ok(presence::reap(db, grace).await?.into_iter().map(changed).collect())
}

fn changed(change: AvailabilityChange) -> Event {
    Event::FriendChanged { friend: change.user_id, seen_by: change.friends }
}
