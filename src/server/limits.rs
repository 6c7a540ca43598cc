//! Limits of logins, questions before a login, registrations and invalid signatures. What is limited
//! are failures: an attempt takes a token before it is made, which is refunded if it succeeds, so that
//! simultaneous attempts count. Failures are counted by user and address; known users are not refused
//! because of others' failures. How often one key logs in is limited, too (`logins`).

mod logins;

use std::{net::IpAddr, time::Duration};

use moka::sync::Cache;

pub(super) use self::logins::{Logins, Success};
use super::address::network;
use crate::{
    chat::{buckets::Buckets, error::Error},
    clock::Clock,
};
use parlance_wire::id::{StationId, UserId};

/// An address may fail this many times as often as a user, as several people may share it.
const ADDRESS_FACTOR: u32 = 6;
/// All addresses together may fail this many times as often as a user, in logins that name no user.
const UNNAMED_FACTOR: u32 = 100;
/// Failure allowance, as a multiple of the address's, for users who recently signed correctly from
/// there.
const FAMILIAR_FACTOR: u32 = 10;
/// Failed logins of a user within an hour, from all addresses together, beyond which unknown
/// clients are slowed down: to as many as become free again within the hour.
const GUESSES: u32 = 100;
/// Logins from a known station may fail this many times as often within an hour, from all addresses
/// together, as a user within a minute. Limited because everyone who writes with a user learns the
/// ids of their stations.
const STATION_FACTOR: u32 = 100;
/// Unknown stations for which an address may make the server look, per minute, once it was refused:
/// each costs a read.
const STATIONS_ASKED: u32 = 600;
/// How long an empty bucket takes to refill.
const LOGINS_REFILL: Duration = Duration::from_mins(1);
const GUESSES_REFILL: Duration = Duration::from_hours(1);
const REGISTRATIONS_REFILL: Duration = Duration::from_hours(1);
const SIGNATURES_REFILL: Duration = Duration::from_mins(1);
/// How long a user is known at an address after a good signature from there.
const FAMILIAR_FOR: Duration = Duration::from_hours(1);
/// Maximum users at addresses that are known; the least used are forgotten.
const MAX_FAMILIAR: u64 = 100_000;

/// Who is known at an address: a station, or any station of a user.
type Known = (Option<UserId>, Option<StationId>, IpAddr);

/// The remaining attempts of each address and user.
pub(super) struct AttemptLimits {
    addresses: Buckets<IpAddr>,
    unnamed: Buckets<()>,
    users: Buckets<(UserId, IpAddr)>,
    guesses: Buckets<UserId>,
    known: Buckets<Known>,
    guesses_at: Buckets<(Option<UserId>, StationId)>,
    stations_asked: Buckets<IpAddr>,
    prelogins: Buckets<IpAddr>,
    known_prelogins: Buckets<Known>,
    confirmations: Buckets<(UserId, StationId)>,
    confirmation_guesses: Buckets<(UserId, StationId)>,
    registrations: Buckets<IpAddr>,
    signatures: Buckets<IpAddr>,
    familiar_signatures: Buckets<(UserId, IpAddr)>,
    familiar: Cache<(UserId, IpAddr), ()>,
}

/// A login or a `prelogin`, with what it claims.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    network: IpAddr,
    user: Option<UserId>,
    station: Option<StationId>,
    /// Whether it counts among those of the known.
    is_known: bool,
}

impl Attempt {
    /// An attempt from an address, not counted yet.
    pub(super) fn new(address: IpAddr, user: Option<UserId>, station: Option<StationId>) -> Self {
        Self {
            network: network(address),
            user,
            station,
            is_known: false,
        }
    }

    /// The user whom it names.
    pub(super) fn user(&self) -> Option<UserId> {
        self.user
    }

    /// The network that it comes from.
    fn network(&self) -> IpAddr {
        self.network
    }

    /// The station that it names.
    pub(super) fn station(&self) -> Option<StationId> {
        self.station
    }

    /// The same attempt, of a known station or, if that is not what is known, of a user who signed
    /// well from the address.
    pub(super) fn of_known(self, by_station: bool) -> Self {
        Self {
            // Any other station could be invented.
            station: self.station.filter(|_| by_station),
            is_known: true,
            ..self
        }
    }

    fn known(&self) -> Known {
        (self.user, self.station, self.network)
    }
}

impl AttemptLimits {
    /// Limits of failed logins per minute and user, registrations per hour and address, and invalid
    /// signatures per minute and address.
    pub(super) fn new(logins: u32, registrations: u32, signatures: u32, clock: &Clock) -> Self {
        let of_logins = |factor| logins.saturating_mul(factor);
        Self {
            addresses: Buckets::new(of_logins(ADDRESS_FACTOR), LOGINS_REFILL, clock),
            unnamed: Buckets::new(of_logins(UNNAMED_FACTOR), LOGINS_REFILL, clock),
            users: Buckets::new(logins, LOGINS_REFILL, clock),
            guesses: Buckets::new(logins.max(GUESSES), GUESSES_REFILL, clock),
            known: Buckets::new(logins, LOGINS_REFILL, clock),
            guesses_at: Buckets::new(of_logins(STATION_FACTOR), GUESSES_REFILL, clock),
            stations_asked: Buckets::new(STATIONS_ASKED, LOGINS_REFILL, clock),
            prelogins: Buckets::new(of_logins(ADDRESS_FACTOR), LOGINS_REFILL, clock),
            known_prelogins: Buckets::new(logins, LOGINS_REFILL, clock),
            confirmations: Buckets::new(logins, LOGINS_REFILL, clock),
            confirmation_guesses: Buckets::new(logins.max(GUESSES), GUESSES_REFILL, clock),
            registrations: Buckets::new(registrations, REGISTRATIONS_REFILL, clock),
            signatures: Buckets::new(signatures, SIGNATURES_REFILL, clock),
            familiar_signatures: Buckets::new(
                signatures.saturating_mul(FAMILIAR_FACTOR),
                SIGNATURES_REFILL,
                clock,
            ),
            familiar: Cache::builder()
                .max_capacity(MAX_FAMILIAR)
                .time_to_idle(FAMILIAR_FOR)
                .build(),
        }
    }

    /// Takes a login attempt: from the address, and from the user there and everywhere, or from all
    /// that name no user.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_login(&self, attempt: &Attempt) -> Result<(), Error> {
        self.addresses
            .take(attempt.network)
            .map_err(Error::RateLimited)?;
        let taken = match attempt.user {
            None => self.unnamed.take(()),
            Some(user) => {
                let at = (user, attempt.network);
                self.users.take(at).and_then(|()| {
                    self.guesses
                        .take(user)
                        .inspect_err(|_| self.users.refund(at))
                })
            }
        };
        // A refused attempt is not examined, so it must not use up the other limit either.
        taken.map_err(|wait| {
            self.addresses.refund(attempt.network);
            Error::RateLimited(wait)
        })
    }

    /// Returns `true` if the user who is named signed well from the address within the hour.
    pub(super) fn is_familiar(&self, attempt: &Attempt) -> bool {
        attempt
            .user
            .is_some_and(|user| self.familiar.contains_key(&(user, attempt.network)))
    }

    /// Takes the right to look the attempt's station up.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn take_station_asked(&self, attempt: &Attempt) -> Result<(), Error> {
        self.stations_asked
            .take(attempt.network)
            .map_err(Error::RateLimited)
    }

    /// Takes a login attempt of the known, from what these have for themselves.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_known_login(&self, attempt: &Attempt) -> Result<(), Error> {
        let at = attempt.known();
        let taken = self.known.take(at).and_then(|()| match attempt.station {
            Some(station) => self
                .guesses_at
                .take((attempt.user, station))
                .inspect_err(|_| self.known.refund(at)),
            None => Ok(()),
        });
        taken.map_err(Error::RateLimited)
    }

    /// Refunds the attempt of a login that did not fail.
    pub(super) fn refund_login(&self, attempt: &Attempt) {
        if attempt.is_known {
            self.known.refund(attempt.known());
            if let Some(station) = attempt.station {
                self.guesses_at.refund((attempt.user, station));
            }
            return;
        }
        self.addresses.refund(attempt.network);
        match attempt.user {
            None => self.unnamed.refund(()),
            Some(user) => {
                self.users.refund((user, attempt.network));
                self.guesses.refund(user);
            }
        }
    }

    /// Takes one attempt at `prelogin` from the address, without a refund. The limit is that of
    /// failed logins: there is no use for more.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_prelogin(&self, attempt: &Attempt) -> Result<(), Error> {
        self.prelogins
            .take(attempt.network)
            .map_err(Error::RateLimited)
    }

    /// Takes one attempt at `prelogin` of the known, from what these have for themselves.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_known_prelogin(&self, attempt: &Attempt) -> Result<(), Error> {
        self.known_prelogins
            .take(attempt.known())
            .map_err(Error::RateLimited)
    }

    /// Takes an attempt to confirm a signed request with the user's apikey. Nobody else can use it
    /// up, as only that station signs; a thief of the station guesses as slowly as at login.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_confirmation(&self, user: UserId, station: StationId) -> Result<(), Error> {
        let at = (user, station);
        let taken = self.confirmations.take(at).and_then(|()| {
            self.confirmation_guesses
                .take(at)
                .inspect_err(|_| self.confirmations.refund(at))
        });
        taken.map_err(Error::RateLimited)
    }

    /// Refunds the attempt of a confirmation that did not fail.
    pub(super) fn refund_confirmation(&self, user: UserId, station: StationId) {
        self.confirmations.refund((user, station));
        self.confirmation_guesses.refund((user, station));
    }

    /// Takes a registration from the address. It is never refunded.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn take_registration(&self, address: IpAddr) -> Result<(), Error> {
        self.registrations
            .take(network(address))
            .map_err(Error::RateLimited)
    }

    /// Checks that signatures from an address, of this user, are still verified.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn check_signatures(
        &self,
        address: IpAddr,
        user: Option<UserId>,
    ) -> Result<(), Error> {
        let network = network(address);
        let Err(wait) = self.signatures.check(&network) else {
            return Ok(());
        };
        let familiar = user
            .map(|user| (user, network))
            .filter(|at| self.familiar.contains_key(at));
        match familiar {
            Some(at) => self
                .familiar_signatures
                .check(&at)
                .map_err(Error::RateLimited),
            None => Err(Error::RateLimited(wait)),
        }
    }

    /// Counts an invalid signature that named this user.
    pub(super) fn count_bad_signature(&self, address: IpAddr, user: Option<UserId>) {
        let network = network(address);
        // Concurrent requests may have emptied the bucket since the check. This one is refused
        // anyway.
        let _ = self.signatures.take(network);
        if let Some(at) = user.map(|user| (user, network))
            && self.familiar.contains_key(&at)
        {
            let _ = self.familiar_signatures.take(at);
        }
    }

    /// Notes that a user signed well from a network.
    pub(super) fn note_good_signature(&self, network: IpAddr, user: UserId) {
        self.familiar.insert((user, network), ());
    }
}
