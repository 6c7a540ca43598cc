//! Limits the pool to the connections that an operator's database allows.

use sqlx::postgres::PgConnectOptions;

use super::{Db, Error, db};
use crate::store::sqlstate;

/// Connections left for commands while a server runs: a backup takes three.
const FOR_COMMANDS: u32 = 3;
/// The connection that listens for notices, in addition to those of the pool.
const LISTENER: u32 = 1;

/// The number of connections for the pool: as many as wanted, or fewer if the database allows
/// fewer.
///
/// # Errors
/// The database cannot be queried, or allows too few.
pub(super) async fn affordable(options: &PgConnectOptions, wanted: u32) -> Result<u32, Error> {
    let needed = wanted + LISTENER;
    let offer = offer(options).await?;
    // Reserved connections may exceed the limit, which leaves none.
    let limit = u32::try_from(offer.connections).unwrap_or(0);
    if limit < 1 + LISTENER {
        return Err(Error::TooFewConnections { limit });
    }
    if limit >= needed + FOR_COMMANDS {
        tracing::debug!(
            "this node opens up to {needed} connections to the database (DATABASE_CONNECTIONS and one)"
        );
        return Ok(wanted);
    }
    let affordable = limit.saturating_sub(LISTENER + FOR_COMMANDS).max(1);
    tracing::warn!(
        "the database allows {limit} connections, and this node wants {needed} (DATABASE_CONNECTIONS and one) beside {FOR_COMMANDS} for commands: it uses {}. Raise the role's, the database's or the server's limit, or lower DATABASE_CONNECTIONS",
        affordable + LISTENER
    );
    Ok(affordable)
}

/// # Errors
/// A pooler is in between; the database cannot be queried.
pub(super) async fn refuse_pooler(options: &PgConnectOptions) -> Result<(), Error> {
    offer(options).await.map(|_| ())
}

async fn offer(options: &PgConnectOptions) -> Result<db::Offer, Error> {
    match db::offer(&Db::new(options.clone(), 1)).await {
        Ok(offer) if offer.has_settings => Ok(offer),
        // A pooler that drops unknown settings instead of refusing them.
        Ok(_) => Err(Error::Pooler),
        Err(error) if is_pooler(&error) => Err(Error::Pooler),
        Err(error) => Err(Error::Unreachable(error)),
    }
}

/// Returns `true` for the refusal with which `PgBouncer` answers a session's settings.
fn is_pooler(error: &sqlx::Error) -> bool {
    // Not by its SQLSTATE alone, which has other causes, too.
    sqlstate::is_protocol_violation(error)
        && error
            .as_database_error()
            .is_some_and(|error| error.message().contains("startup parameter"))
}
