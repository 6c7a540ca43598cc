//! A limit of which each of a user's stations has a part in reserve. Whoever has stolen one of them and
//! uses up the limit does not keep the owner, at another one, from replacing password and keys.

use std::{collections::HashMap, time::Duration};

use parlance_wire::id::StationId;
use tokio::time::Instant;

use crate::chat::buckets::{Bucket, Size};

/// A station's reserve is this part of the limit, but at least one change.
const PART: f64 = 10.0;
/// Stations whose reserves are remembered. Beyond that, those that are full are forgotten.
const MANY: usize = 100;

/// What is left of a limit.
#[derive(Debug)]
pub(super) struct Reserved {
    of_user: Bucket,
    /// Of stations that have used some of it.
    of_stations: HashMap<StationId, Bucket>,
}

impl Reserved {
    /// Nothing of it is used up.
    pub(super) fn full(size: Size, now: Instant) -> Self {
        Self {
            of_user: Bucket::full(size, now),
            of_stations: HashMap::new(),
        }
    }

    /// Takes one change of a station: from what the user has, or else from its reserve, which is only
    /// left if the station has not used the limit up itself.
    ///
    /// # Errors
    /// The time until there is one.
    pub(super) fn take(
        &mut self,
        size: Size,
        station: StationId,
        now: Instant,
    ) -> Result<(), Duration> {
        let part = Size {
            tokens: (size.tokens / PART).max(1.0),
            ..size
        };
        if self.of_stations.len() >= MANY {
            self.of_stations
                .retain(|_, reserve| reserve.check(part, part.tokens, now).is_err());
        }
        let reserve = self
            .of_stations
            .entry(station)
            .or_insert_with(|| Bucket::full(part, now));
        let reserved = reserve.take(part, 1.0, now);
        self.of_user
            .take(size, 1.0, now)
            .or_else(|wait| reserved.map_err(|until_reserved| wait.min(until_reserved)))
    }
}
