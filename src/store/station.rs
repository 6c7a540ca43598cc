//! Stations: devices that users log in from.

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::{Result, impossible},
    notice::{self, Notice},
};
use crate::{
    settings::PerUser,
    store::rows::{AccountRow, StationRow},
};
use parlance_wire::{
    id::{CredentialId, StationId, UserId},
    key::SecretHash,
    text::StationName,
    time::Timestamp,
    word::{CredentialKind, UserRole},
};

/// A station that logs in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arriving<'a> {
    pub station: StationId,
    /// The user's name for it, if the client sends one.
    pub name: Option<&'a StationName>,
}

/// Binds the station to the account that a key opens, and returns the account. Returns `None` for
/// an unknown key, for a key of another user than the claimed one, and for a disabled user; the
/// caller must not be able to tell these apart.
///
/// A user keeps the `max` stations seen last; the others have to log in again. A station is not bound
/// if it is new and the user has had as many new ones today as the settings allow.
pub(crate) async fn log_in(
    db: &Db,
    key_hash: &SecretHash,
    claimed: Option<UserId>,
    arriving: Arriving<'_>,
    max: i32,
    usual: &PerUser,
    now: Timestamp,
) -> Result<Option<AccountRow>> {
    db.run(async |c| {
        sqlx::query_file_as!(
            AccountRow,
            "src/store/sql/log_in.sql",
            key_hash.as_bytes(),
            claimed as _,
            arriving.station as _,
            max,
            now as _,
            arriving.name.map(StationName::as_str),
            i32::try_from(usual.new_stations).unwrap_or(i32::MAX),
            i32::try_from(usual.of_service().new_stations).unwrap_or(i32::MAX),
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// A user's stations; the one that was seen last comes first.
pub(crate) async fn list(db: &Db, user: UserId) -> Result<Vec<StationRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            StationRow,
            r#"select station_id as "station_id: StationId", name, bound_at as "bound_at: Timestamp",
                   last_seen_at as "last_seen_at: Timestamp", c.label as "label?"
            from stations s
            left join credentials c on c.user_id = s.user_id and c.credential_id = s.credential_id
            where s.user_id = $1 order by s.last_seen_at desc, s.station_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Selects the stations of a user to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    One(StationId),
    /// All but this one.
    AllBut(StationId),
    /// The stations whose last login was with this credential.
    With(CredentialId),
    All,
}

/// Ends stations of a user. They have to log in again, and every node closes their sockets. Returns
/// their number.
pub(crate) async fn end(db: &Db, user: UserId, which: Which) -> Result<u64> {
    db.transaction(async |c| Ok(End::Commit(end_in(c, user, which).await?)))
        .await
}

/// Like [`end`], for an operator.
pub(crate) async fn end_by(
    db: &Db,
    user: UserId,
    which: Which,
    by: &Actor,
    now: Timestamp,
) -> Result<u64> {
    db.transaction(async |c| {
        let ended = end_in(c, user, which).await?;
        if ended == 0 {
            return Ok(End::Rollback(0));
        }
        let details = [match which {
            Which::One(station) => ("station", station.to_string()),
            _ => ("stations", ended.to_string()),
        }];
        audit::append(c, by, Change::UserForgetStation, &user, details, now).await?;
        Ok(End::Commit(ended))
    })
    .await
}

/// Like [`end`], within a transaction.
pub(super) async fn end_in(c: &mut PgConnection, user: UserId, which: Which) -> sqlx::Result<u64> {
    let (one, all_but, with) = match which {
        Which::One(station) => (Some(station), None, None),
        Which::AllBut(station) => (None, Some(station), None),
        Which::With(credential) => (None, None, Some(credential)),
        Which::All => (None, None, None),
    };
    let ended = sqlx::query!(
        "delete from stations
        where user_id = $1 and ($2::uuid is null or station_id = $2) and ($3::uuid is null or station_id <> $3)
            and ($4::uuid is null or credential_id = $4)",
        user as _,
        one as _,
        all_but as _,
        with as _,
    )
    .execute(&mut *c)
    .await?
    .rows_affected();
    // Only then: a notice takes a lock that every commit with notices waits for.
    if ended > 0 {
        notice::send(c, [Notice::Stations(user)]).await?;
    }
    Ok(ended)
}

/// Tells if a station's socket may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StationState {
    /// The user has logged in from it.
    Known,
    /// It was signed out, or the user is gone.
    Unknown,
    /// The user is disabled.
    Disabled,
}

/// The standing of each of these stations.
pub(crate) async fn standing(
    db: &Db,
    stations: &[(UserId, StationId)],
) -> Result<Vec<((UserId, StationId), StationState)>> {
    let (users, ids): (Vec<UserId>, Vec<StationId>) = stations.iter().copied().unzip();
    let rows = db
        .run(async |c| {
            // Looked up one by one: the plan of a join would depend on the number of rows at the
            // time of planning.
            sqlx::query!(
                r#"select (select true from stations s where s.user_id = o.user_id and s.station_id = o.station_id) is not null
                       as "is_known!",
                       (select u.disabled_at from users u where u.user_id = o.user_id) is not null as "is_disabled!"
                from unnest($1::uuid[], $2::uuid[]) with ordinality as o (user_id, station_id, place)
                order by place"#,
                users as _,
                ids as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    if rows.len() != stations.len() {
        return Err(impossible("as many answers as stations"));
    }
    let standings = rows
        .iter()
        .map(|row| match (row.is_disabled, row.is_known) {
            (true, _) => StationState::Disabled,
            (false, false) => StationState::Unknown,
            (false, true) => StationState::Known,
        });
    Ok(stations.iter().copied().zip(standings).collect())
}

/// Returns `true` if this user, or with `None` any user, has logged in from the station.
pub(crate) async fn is_known(db: &Db, user: Option<UserId>, station: StationId) -> Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (
                select from stations where station_id = $2 and ($1::uuid is null or user_id = $1)
            ) as "known!""#,
            user as _,
            station as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// The user who was last seen at a station, for unsigned notification polling.
pub(crate) async fn last_user_of(db: &Db, station: StationId) -> Result<Option<UserId>> {
    db.run(async |c| {
        // Two users may share a device.
        sqlx::query_scalar!(
            r#"select s.user_id as "user_id: UserId" from stations s
        join users u using (user_id)
        where s.station_id = $1 and u.disabled_at is null
        order by s.last_seen_at desc limit 1"#,
            station as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}
