//! How often one key logs in: who knows it may not keep the database busy with that.

use std::net::IpAddr;

use super::{Attempt, LOGINS_REFILL};
use crate::{
    chat::{buckets::Buckets, error::Error},
    clock::Clock,
};
use parlance_wire::{id::StationId, key::SecretHash};

/// The remaining logins of each key.
pub(in crate::server) struct Logins {
    at_networks: Buckets<(SecretHash, IpAddr)>,
    /// Of stations that have logged in before: a thief who uses up what the key has at the owner's
    /// address does not keep the owner out.
    at_stations: Buckets<(SecretHash, StationId)>,
}

/// A login that is counted, as long as it may succeed.
#[derive(Debug)]
pub(in crate::server) enum Success {
    AtNetwork(SecretHash, IpAddr),
    AtStation(SecretHash, StationId),
}

impl Logins {
    /// Limits of logins per minute.
    pub(in crate::server) fn new(logins: u32, clock: &Clock) -> Self {
        Self {
            at_networks: Buckets::new(logins, LOGINS_REFILL, clock),
            at_stations: Buckets::new(logins, LOGINS_REFILL, clock),
        }
    }

    /// Takes a login from what the key has at the network.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(in crate::server) fn take(
        &self,
        key: &SecretHash,
        attempt: &Attempt,
    ) -> Result<Success, Error> {
        let at = (key.clone(), attempt.network());
        self.at_networks
            .take(at.clone())
            .map_err(Error::RateLimited)?;
        Ok(Success::AtNetwork(at.0, at.1))
    }

    /// Takes a login from what the key has at a station that has logged in before.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(in crate::server) fn take_at_station(
        &self,
        key: &SecretHash,
        station: StationId,
    ) -> Result<Success, Error> {
        let at = (key.clone(), station);
        self.at_stations
            .take(at.clone())
            .map_err(Error::RateLimited)?;
        Ok(Success::AtStation(at.0, at.1))
    }

    /// Refunds a login that failed, which is counted elsewhere.
    pub(in crate::server) fn refund(&self, success: Success) {
        match success {
            Success::AtNetwork(key, network) => self.at_networks.refund((key, network)),
            Success::AtStation(key, station) => self.at_stations.refund((key, station)),
        }
    }
}
