//! Stations: devices that users log in from.

use super::{Db, error::Result};
use parlance_wire::id::{StationId, UserId};

/// The user who was last seen at a station: for unsigned notification polling, where it is allowed.
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
