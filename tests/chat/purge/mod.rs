//! What expired and what was cleared goes, and nobody waits for it.

mod batch;
mod expire;

use chrono::TimeDelta;
use parlance::store;
use parlance_wire::time::Timestamp;

use crate::world::World;

/// Moves all messages back: stored, and ended, at least `days` ago.
async fn age(world: &World, days: u32) {
    world
        .sql(&format!("update messages set stored_at = now() - interval '{days} days', valid_until = least(valid_until, now() - interval '{days} days')"))
        .await;
}

/// Purges what ended more than `days` ago.
async fn purge(world: &World, days: u32) -> u64 {
    store::purge::expired(
        &world.store,
        Timestamp::now().plus(-TimeDelta::days(days.into())),
    )
    .await
    .unwrap()
}
