//! The usual classes of attack, each tried: another's object, another's name, SQL in a page's fields, lines in the log,
//! the time that a login takes, what a browser may be made to do.

mod identity;
mod leak;
mod sql;

use parlance::store::backup::{Snapshot, Tables};

use crate::world::World;

/// Everything that the database holds, but for who was seen when.
async fn everything(world: &World) -> Tables {
    let mut snapshot = Snapshot::take(&world.store).await.unwrap();
    let mut tables = snapshot.tables().await.unwrap();
    snapshot.release().await.unwrap();
    for moving in ["public.stations", "public.nodes", "public.listeners"] {
        tables.remove(moving);
    }
    tables
}
