//! Limits of failed logins, registrations and invalid signatures: a token bucket per address and, for logins, per user. An
//! attempt takes a token before it is made, which is refunded if it succeeds, so that simultaneous attempts count.

use std::{
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::{policy::EvictionPolicy, sync::Cache};

use super::address::network;
use crate::chat::error::Error;
use parlance_wire::id::UserId;

/// An address may fail this many times as often as a user, as several people may share it.
const ADDRESS_FACTOR: u32 = 6;
/// Maximum addresses or users that each limit remembers. Beyond it the least recently used are evicted.
const MAX_KEYS: u64 = 100_000;
/// How long an empty bucket takes to refill.
const LOGINS_REFILL: Duration = Duration::from_mins(1);
const REGISTRATIONS_REFILL: Duration = Duration::from_hours(1);
const SIGNATURES_REFILL: Duration = Duration::from_mins(1);

/// The remaining attempts of each address and user.
pub(super) struct Limits {
    addresses: Buckets<IpAddr>,
    users: Buckets<UserId>,
    prelogins: Buckets<IpAddr>,
    registrations: Buckets<IpAddr>,
    signatures: Buckets<IpAddr>,
}

impl Limits {
    /// Limits of failed logins per minute and user, registrations per hour and address, and invalid
    /// signatures per minute and address.
    pub(super) fn new(logins: u32, registrations: u32, signatures: u32) -> Self {
        Self {
            addresses: Buckets::new(logins.saturating_mul(ADDRESS_FACTOR), LOGINS_REFILL),
            prelogins: Buckets::new(logins.saturating_mul(ADDRESS_FACTOR), LOGINS_REFILL),
            users: Buckets::new(logins, LOGINS_REFILL),
            registrations: Buckets::new(registrations, REGISTRATIONS_REFILL),
            signatures: Buckets::new(signatures, SIGNATURES_REFILL),
        }
    }

    /// Takes a login attempt from the address and, if one is claimed, the user.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_login(&self, address: IpAddr, user: Option<UserId>) -> Result<(), Error> {
        self.addresses.take(network(address))?;
        if let Some(user) = user {
            // If this one is empty, the address does not get its token back: an address that keeps
            // trying pays for it.
            self.users.take(user)?;
        }
        Ok(())
    }

    /// Takes one attempt at `prelogin` from the address, without a refund. The limit is that of
    /// failed logins, as the answers tell accounts of the published form apart: searching for users
    /// this way is no faster than by logging in.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next attempt.
    pub(super) fn take_prelogin(&self, address: IpAddr) -> Result<(), Error> {
        self.prelogins.take(network(address))
    }

    /// Takes a registration from the address. It is never refunded.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn take_registration(&self, address: IpAddr) -> Result<(), Error> {
        self.registrations.take(network(address))
    }

    /// Checks that signatures from an address are still verified.
    ///
    /// # Errors
    /// `RateLimited`, with the time until the next one.
    pub(super) fn check_signatures(&self, address: IpAddr) -> Result<(), Error> {
        self.signatures.check(&network(address))
    }

    /// Counts an invalid signature.
    pub(super) fn count_bad_signature(&self, address: IpAddr) {
        // Concurrent requests may have emptied the bucket since the check. This one is refused
        // anyway.
        let _ = self.signatures.take(network(address));
    }

    /// Refunds the attempt of a login that did not fail.
    pub(super) fn refund_login(&self, address: IpAddr, user: Option<UserId>) {
        self.addresses.refund(network(address));
        if let Some(user) = user {
            self.users.refund(user);
        }
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
                // The default policy prefers frequently used keys, and may evict a new one at once:
                // its bucket would be full again at the next attempt.
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(MAX_KEYS)
                // By then it is full again, like a new one.
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

    /// Like [`Buckets::take`], but takes nothing, and remembers no new key.
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

    fn refund(&self, key: K) {
        self.with(key, |bucket, _| bucket.tokens += 1.0);
    }

    fn with<T>(&self, key: K, work: impl FnOnce(&mut Bucket, Duration) -> T) -> T {
        let full = || {
            Arc::new(Mutex::new(Bucket {
                tokens: self.size,
                at: Instant::now(),
            }))
        };
        // Shared, so that the cache's lock is not held during the work.
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
