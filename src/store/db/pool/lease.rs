//! A connection while it is in use.

use std::time::Instant;

use sqlx::{Connection, PgConnection};
use tokio::sync::SemaphorePermit;

use super::{Idle, MAX_CONNECTION_LIFETIME, Pool};
use crate::store::error::Result;

/// A connection in use. Dropping it closes the connection and abandons whatever is in progress on
/// it, including locks.
pub(in crate::store::db) struct Lease<'a> {
    pub(super) pool: &'a Pool,
    pub(super) held: Idle,
    pub(super) _permit: SemaphorePermit<'a>,
}

impl Lease<'_> {
    pub(in crate::store::db) fn connection(&mut self) -> &mut PgConnection {
        &mut self.held.connection
    }

    /// Returns the connection to the pool unless the result says that it is unusable. Passes the
    /// result on.
    pub(in crate::store::db) async fn release<T>(self, result: Result<T>) -> Result<T> {
        let Self {
            pool,
            held,
            _permit,
        } = self;
        match &result {
            // The idle ones most likely ended as well, as with a restart of the database.
            Err(error) if error.ends_connection() => pool.locked().idle.clear(),
            // After `close`, nobody would empty the idle list again.
            _ if held.opened_at.elapsed() < MAX_CONNECTION_LIFETIME
                && !pool.permits.is_closed() =>
            {
                pool.locked().idle.push(Idle {
                    since: Instant::now(),
                    ..held
                });
            }
            _ => drop(held.connection.close().await),
        }
        pool.returned.notify_one();
        result
    }
}
