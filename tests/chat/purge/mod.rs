//! Expired and cleared rows are purged, without blocking anyone.

mod batch;
mod expire;

use chrono::TimeDelta;
use parlance::store;
use parlance_wire::time::Timestamp;

use crate::world::World;

/// Ages all messages: stored, and ended, at least `days` ago.
async fn age(world: &World, days: u32) {
    world
        .sql(&format!("update messages set stored_at = now() - interval '{days} days', valid_until = least(valid_until, now() - interval '{days} days')"))
        .await;
}

/// Purges messages that ended more than `days` ago.
async fn purge(world: &World, days: u32) -> u64 {
    store::purge::expired(
        &world.store,
        Timestamp::now().plus(-TimeDelta::days(days.into())),
    )
    .await
    .unwrap()
}
