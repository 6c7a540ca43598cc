//! A budget of bytes with limits in total, per address and per key: no single address or user can
//! use up what others need, only many addresses together can.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout_at};

use crate::chat::error::Error;

/// How long [`Share::take_when_free`] waits.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The delay after which a refused client may try again.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct BudgetLimits {
    /// Maximum bytes in total.
    pub total: usize,
    /// Maximum bytes of one address.
    pub per_address: usize,
    /// Maximum bytes of one key.
    pub per_key: usize,
}

/// The bytes that are held, and their limits.
#[derive(Debug)]
pub(super) struct Budget<K> {
    limits: BudgetLimits,
    held: Mutex<Held<K>>,
    /// Notified whenever bytes are released.
    released: Notify,
}

#[derive(Debug)]
struct Held<K> {
    total: usize,
    by_key: HashMap<K, usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl<K: Hash + Eq + Copy> Budget<K> {
    /// Creates a budget of which nothing is used.
    pub(super) fn new(limits: BudgetLimits) -> Arc<Self> {
        let held = Held {
            total: 0,
            by_key: HashMap::new(),
            by_address: HashMap::new(),
        };
        Arc::new(Self {
            limits,
            held: Mutex::new(held),
            released: Notify::new(),
        })
    }

    /// An empty share.
    pub(super) fn share(self: &Arc<Self>, key: K, address: IpAddr) -> Share<K> {
        Share {
            budget: self.clone(),
            key,
            address,
            bytes: 0,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<K>> {
        // A panic while the lock is held cannot leave a sum half-changed, so a poisoned lock is
        // still good.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if nothing is taken, and no key is remembered.
    #[cfg(test)]
    pub(super) fn is_unused(&self) -> bool {
        let held = self.held();
        held.total == 0 && held.by_key.is_empty() && held.by_address.is_empty()
    }
}

/// The bytes that one holder has taken, released when it is dropped.
#[derive(Debug)]
pub(super) struct Share<K: Hash + Eq + Copy> {
    budget: Arc<Budget<K>>,
    key: K,
    address: IpAddr,
    bytes: usize,
}

impl<K: Hash + Eq + Copy> Share<K> {
    /// Takes bytes. A share may exceed the limits if its key and address hold nothing else, as a
    /// large answer could otherwise never be sent.
    ///
    /// # Errors
    /// `RateLimited`, if the key or the address holds too much; `Unavailable`, if all together do.
    // 429 asks the one client that holds too much to slow down; 503 says that the server is full.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes == 0 {
            return Ok(());
        }
        let BudgetLimits {
            total,
            per_address,
            per_key,
        } = self.budget.limits;
        let exceeds = |used: usize, max: usize| used > self.bytes && used + bytes > max;
        let mut held = self.budget.held();
        // All sums are checked and updated under one lock: otherwise two shares could both fit at
        // the same moment.
        let by_key = held.by_key.get(&self.key).copied().unwrap_or(0);
        let by_address = held.by_address.get(&self.address).copied().unwrap_or(0);
        if exceeds(by_key, per_key) || exceeds(by_address, per_address) {
            return Err(Error::RateLimited(RETRY_AFTER));
        }
        if exceeds(held.total, total) {
            return Err(Error::Unavailable {
                source: "the memory for bodies and answers is used up".into(),
                uncertain: false,
            });
        }
        hold(&mut held, self.key, self.address, bytes);
        drop(held);
        self.bytes += bytes;
        Ok(())
    }

    /// Takes bytes, as soon as they are free.
    ///
    /// # Errors
    /// As [`Share::take`], if they are not within [`TAKE_TIMEOUT`].
    pub(super) async fn take_when_free(&mut self, bytes: usize) -> Result<(), Error> {
        let deadline = tokio::time::Instant::now() + TAKE_TIMEOUT;
        let budget = self.budget.clone();
        loop {
            // Created before looking, so that bytes released from here on are not missed.
            let released = budget.released.notified();
            let Err(refusal) = self.take(bytes) else {
                return Ok(());
            };
            if timeout_at(deadline, released).await.is_err() {
                return Err(refusal);
            }
        }
    }

    /// Number of bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes bytes regardless of the limits, for something that can no longer be refused.
    pub(super) fn force(&mut self, bytes: usize) {
        hold(&mut self.budget.held(), self.key, self.address, bytes);
        self.bytes += bytes;
    }
}

fn hold<K: Hash + Eq>(held: &mut Held<K>, key: K, address: IpAddr, bytes: usize) {
    held.total += bytes;
    *held.by_key.entry(key).or_default() += bytes;
    *held.by_address.entry(address).or_default() += bytes;
}

impl<K: Hash + Eq + Copy> Drop for Share<K> {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.budget.held();
        held.total -= self.bytes;
        release(&mut held.by_key, &self.key, self.bytes);
        release(&mut held.by_address, &self.address, self.bytes);
        // Notified without the lock, which those who are woken take at once.
        drop(held);
        self.budget.released.notify_waiters();
    }
}

/// Releases bytes of a key. A key that holds nothing is removed, so that the map does not grow.
fn release<K: Hash + Eq>(held: &mut HashMap<K, usize>, key: &K, bytes: usize) {
    if let Some(used) = held.get_mut(key) {
        *used -= bytes;
        if *used == 0 {
            held.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn budget() -> Arc<Budget<u8>> {
        Budget::new(BudgetLimits {
            total: 100,
            per_address: 50,
            per_key: 20,
        })
    }

    fn take(budget: &Arc<Budget<u8>>, key: u8, at: u8, bytes: usize) -> Result<Share<u8>, Error> {
        let mut share = budget.share(key, address(at));
        share.take(bytes).map(|()| share)
    }

    #[test]
    fn each_key_and_each_address_has_a_limit_and_dropping_a_permit_returns_it() {
        let budget = budget();
        let first = [
            take(&budget, 1, 1, 10).unwrap(),
            take(&budget, 1, 1, 10).unwrap(),
        ];
        // The key is full at any address; another key is not, until the address is full.
        assert!(matches!(take(&budget, 1, 2, 1), Err(Error::RateLimited(_))));
        let others = [
            take(&budget, 2, 1, 20).unwrap(),
            take(&budget, 3, 1, 10).unwrap(),
        ];
        assert!(matches!(take(&budget, 4, 1, 1), Err(Error::RateLimited(_))));
        // The total is full.
        let elsewhere = [
            take(&budget, 5, 2, 20).unwrap(),
            take(&budget, 6, 2, 20).unwrap(),
            take(&budget, 7, 3, 10).unwrap(),
        ];
        assert!(matches!(
            take(&budget, 8, 4, 1),
            Err(Error::Unavailable {
                uncertain: false,
                ..
            })
        ));
        drop(first);
        assert!(take(&budget, 8, 4, 1).is_ok() && take(&budget, 4, 1, 20).is_ok());
        drop((others, elsewhere));
        assert!(budget.is_unused());
    }

    #[test]
    fn a_single_share_may_exceed_the_limits() {
        let budget = budget();
        let large = take(&budget, 1, 1, 21).unwrap();
        assert!(take(&budget, 1, 1, 1).is_err());
        drop(large);
        // The same, piece by piece.
        let mut pieces = budget.share(1, address(1));
        pieces.take(40).unwrap();
        pieces.take(40).unwrap();
        assert!(take(&budget, 1, 1, 1).is_err());
        drop(pieces);
        assert!(budget.is_unused());
    }

    #[test]
    fn forced_bytes_count_against_the_limits() {
        let budget = budget();
        let mut forced = budget.share(1, address(1));
        forced.take(20).unwrap();
        forced.force(100);
        assert!(
            take(&budget, 1, 2, 1).is_err()
                && take(&budget, 2, 1, 1).is_err()
                && take(&budget, 3, 3, 1).is_err()
        );
        drop(forced);
        assert!(budget.is_unused());
    }
}
