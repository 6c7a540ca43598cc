//! Presence from sockets: whoever has one open is available, unless they said otherwise; whoever has
//! had none for a while is offline. Friends hear of it.

use uuid::Uuid;

use super::{error::Error, event::Event};
use crate::{
    model::{id::UserId, time::Timestamp},
    store::{
        Db,
        presence::{self, Seen},
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

/// Ends what nodes that are gone left behind. What there is to announce.
pub async fn reap(db: &Db, now: Timestamp) -> Result<Vec<Event>, Error> {
    Ok(presence::reap(db, now).await?.into_iter().map(changed).collect())
}

fn changed(seen: Seen) -> Event {
    Event::FriendChanged { friend: seen.user_id, seen_by: seen.friends }
}
