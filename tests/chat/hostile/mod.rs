//! The usual classes of attack: another user's object, another user's name, SQL in the fields of a
//! page, lines in the log, the duration of a login, and the actions that a browser may be tricked
//! into.

mod browser;
mod identity;
mod leak;
mod sql;

use parlance::store::backup::{Snapshot, Tables};

use crate::world::World;

/// The contents of the whole database, except when users were last seen.
async fn everything(world: &World) -> Tables {
    let mut snapshot = Snapshot::take(&world.store).await.unwrap();
    let mut tables = snapshot.tables().await.unwrap();
    snapshot.release().await.unwrap();
    for moving in ["public.stations", "public.nodes", "public.listeners"] {
        tables.remove(moving);
    }
    tables
}
