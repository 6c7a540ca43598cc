//! How many failed logins are let through: a token bucket per address and per user. A try takes a
//! token before it is made and gets it back if it succeeds, so that tries at the same moment count.
//! And how many signatures that do not fit: an address that sends many is not looked at for a while.

use std::{
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::{policy::EvictionPolicy, sync::Cache};

use crate::chat::error::Error;
use parlance_wire::id::UserId;

/// An address may fail so many times as often as a user: many people may share one.
const ADDRESS_FACTOR: u32 = 6;
/// So many addresses and users are remembered.
const MOST: u64 = 100_000;
/// How soon a bucket of login tries, and one of registrations, is full again.
const LOGINS_REFILL: Duration = Duration::from_mins(1);
const REGISTRATIONS_REFILL: Duration = Duration::from_hours(1);
const SIGNATURES_REFILL: Duration = Duration::from_mins(1);

/// What is left of everyone's tries.
pub(super) struct Limits {
    addresses: Buckets<IpAddr>,
    users: Buckets<UserId>,
    registrations: Buckets<IpAddr>,
    signatures: Buckets<IpAddr>,
}

impl Limits {
    /// With so many failed tries a minute for a user, and so many registrations an hour and bad signatures a
    /// minute for an address.
    pub(super) fn new(tries: u32, registrations: u32, signatures: u32) -> Self {
        Self {
            addresses: Buckets::new(tries.saturating_mul(ADDRESS_FACTOR), LOGINS_REFILL),
            users: Buckets::new(tries, LOGINS_REFILL),
            registrations: Buckets::new(registrations, REGISTRATIONS_REFILL),
            signatures: Buckets::new(signatures, SIGNATURES_REFILL),
        }
    }

    /// Takes a try from the address and, where one is claimed, the user.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next try.
    pub(super) fn take(&self, address: IpAddr, user: Option<UserId>) -> Result<(), Error> {
        self.addresses.take(network(address))?;
        if let Some(user) = user {
            self.users.take(user)?;
        }
        Ok(())
    }

    /// Takes a registration from the address; it does not come back.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn take_registration(&self, address: IpAddr) -> Result<(), Error> {
        self.registrations.take(network(address))
    }

    /// Whether signatures from an address are still looked at.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn check_signatures(&self, address: IpAddr) -> Result<(), Error> {
        self.signatures.check(&network(address))
    }

    /// A signature did not fit.
    pub(super) fn count_bad_signature(&self, address: IpAddr) {
        // An address with nothing left is not looked at any more: nothing is left to take.
        let _ = self.signatures.take(network(address));
    }

    /// Gives a try back that did not fail.
    pub(super) fn give_back(&self, address: IpAddr, user: Option<UserId>) {
        self.addresses.give_back(network(address));
        if let Some(user) = user {
            self.users.give_back(user);
        }
    }
}

/// What counts as one address: of IPv6 one customer's network (/64).
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

struct Buckets<K> {
    size: f64,
    refill: Duration,
    by_key: Cache<K, Arc<Mutex<Bucket>>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Buckets<K> {
    fn new(size: u32, refill: Duration) -> Self {
        Self {
            size: f64::from(size),
            refill,
            by_key: Cache::builder()
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(MOST)
                .time_to_idle(refill * 2)
                .build(),
        }
    }

    fn take(&self, key: K) -> Result<(), Error> {
        self.with(key, |bucket, per_token| {
            if bucket.tokens >= 1.0 {
                bucket.tokens -= 1.0;
                Ok(())
            } else {
                Err(Error::RateLimited(per_token.mul_f64(1.0 - bucket.tokens)))
            }
        })
    }

    /// As [`Buckets::take`], but takes nothing. One that nothing was taken from is not remembered.
    fn check(&self, key: &K) -> Result<(), Error> {
        let Some(bucket) = self.by_key.get(key) else {
            return Ok(());
        };
        self.fill(&bucket, |bucket, per_token| {
            if bucket.tokens >= 1.0 {
                Ok(())
            } else {
                Err(Error::RateLimited(per_token.mul_f64(1.0 - bucket.tokens)))
            }
        })
    }

    fn give_back(&self, key: K) {
        self.with(key, |bucket, _| bucket.tokens += 1.0);
    }

    fn with<T>(&self, key: K, work: impl FnOnce(&mut Bucket, Duration) -> T) -> T {
        let full = || {
            Arc::new(Mutex::new(Bucket {
                tokens: self.size,
                at: Instant::now(),
            }))
        };
        let bucket = self.by_key.get_with(key, full);
        self.fill(&bucket, work)
    }

    fn fill<T>(&self, bucket: &Mutex<Bucket>, work: impl FnOnce(&mut Bucket, Duration) -> T) -> T {
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let share = now.duration_since(bucket.at).as_secs_f64() / self.refill.as_secs_f64();
        bucket.tokens = (bucket.tokens + share * self.size).min(self.size);
        bucket.at = now;
        work(&mut bucket, self.refill.div_f64(self.size))
    }
}
