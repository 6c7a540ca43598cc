//! A user's ways in, as operators list and end them: the keys that open their login, and their stations.

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
    notice::{self, Notice},
};
use parlance_wire::{
    id::{StationId, UserId},
    key::SecretHash,
    time::Timestamp,
};

/// A key that opens a user's login. Nothing of the key itself is kept.
#[derive(Debug)]
pub(crate) struct KeyRow {
    /// The first 16 hex digits of its hash.
    pub key_id: String,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A user's keys, the oldest first.
pub(crate) async fn keys(db: &Db, user: UserId) -> Result<Vec<KeyRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            KeyRow,
            r#"select left(encode(key_hash, 'hex'), 16) as "key_id!", label, created_at as "created_at: Timestamp"
            from credentials where user_id = $1 order by created_at, key_hash"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Whether this is one of the user's keys.
pub(crate) async fn opens(db: &Db, user: UserId, key_hash: &SecretHash) -> Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (select from credentials where key_hash = $2 and user_id = $1) as "opens!""#,
            user as _,
            key_hash.as_bytes(),
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// Revokes a user's key: nobody logs in with it any more. Stations that did stay. Returns whether there was such a key.
pub(crate) async fn revoke_key(
    db: &Db,
    user: UserId,
    key_id: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        let revoked = sqlx::query_scalar!(
            "delete from credentials where user_id = $1 and left(encode(key_hash, 'hex'), 16) = $2 returning label",
            user as _,
            key_id,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(label) = revoked else {
            return Ok(End::Rollback(false));
        };
        let details = [("key", key_id.to_owned()), ("label", label)];
        audit::append(c, by, Change::UserRevoke, &user, details, now).await?;
        Ok(End::Commit(true))
    })
    .await
}

/// A station that a user has logged in from.
#[derive(Debug)]
pub(crate) struct StationRow {
    /// Its id, which its client chose.
    pub station_id: StationId,
    /// When it was last seen, to the hour.
    pub last_seen_at: Timestamp,
}

/// A user's stations, the one seen last first.
pub(crate) async fn stations(db: &Db, user: UserId) -> Result<Vec<StationRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            StationRow,
            r#"select station_id as "station_id: StationId", last_seen_at as "last_seen_at: Timestamp"
            from stations where user_id = $1 order by last_seen_at desc, station_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Forgets a station of a user's, or all of them: they have to log in again, and their sockets are closed on every node.
/// Returns how many there were.
pub(crate) async fn forget_stations(
    db: &Db,
    user: UserId,
    station: Option<StationId>,
    by: &Actor,
    now: Timestamp,
) -> Result<u64> {
    db.transaction(async |c| {
        let forgotten = sqlx::query!(
            "delete from stations where user_id = $1 and ($2::uuid is null or station_id = $2)",
            user as _,
            station as _,
        )
        .execute(&mut *c)
        .await?
        .rows_affected();
        if forgotten == 0 {
            return Ok(End::Rollback(0));
        }
        let details = [match station {
            Some(station) => ("station", station.to_string()),
            None => ("stations", forgotten.to_string()),
        }];
        audit::append(c, by, Change::UserForgetStation, &user, details, now).await?;
        notice::send(c, [Notice::User(user)]).await?;
        Ok(End::Commit(forgotten))
    })
    .await
}
