//! Token buckets: each key has one, which fills up steadily, and each attempt takes from it. They
//! are in a node's memory, so each node counts for itself.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use crate::clock::Clock;

/// Maximum keys that are remembered. Beyond it the least recently used are evicted.
const MAX_KEYS: u64 = 100_000;

/// A bucket's size, and how long it takes to fill up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Tokens of a full bucket.
    pub tokens: f64,
    /// How long an empty one takes to become full.
    pub refill: Duration,
}

/// The tokens that are left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(size: Size, now: Instant) -> Self {
        Self {
            tokens: size.tokens,
            at: now,
        }
    }

    /// Takes tokens.
    ///
    /// # Errors
    /// The time until there are enough.
    pub(crate) fn take(&mut self, size: Size, tokens: f64, now: Instant) -> Result<(), Duration> {
        self.check(size, tokens, now)?;
        self.tokens -= tokens;
        Ok(())
    }

    /// Checks that these tokens could be taken.
    ///
    /// # Errors
    /// The time until there are enough.
    pub(crate) fn check(&mut self, size: Size, tokens: f64, now: Instant) -> Result<(), Duration> {
        let share = now.duration_since(self.at).as_secs_f64() / size.refill.as_secs_f64();
        self.tokens = (self.tokens + share * size.tokens).min(size.tokens);
        self.at = now;
        // More than it holds can be taken from a full one, which is then in debt: otherwise it
        // could never be taken.
        let missing = tokens.min(size.tokens) - self.tokens;
        if missing > 0.0 {
            return Err(size.refill.mul_f64(missing / size.tokens));
        }
        Ok(())
    }

    /// Gives tokens back.
    pub(crate) fn refund(&mut self, tokens: f64) {
        // It may exceed the size: the next check cuts it off.
        self.tokens += tokens;
    }
}

/// Values that are kept for a while after their last use, each changed under its own lock.
pub(crate) struct KeyedState<K, T>(Cache<K, Arc<Mutex<T>>>);

impl<K: Hash + Eq + Send + Sync + 'static, T: Send + 'static> KeyedState<K, T> {
    /// Remembers each key for this long after its last use.
    pub(crate) fn new(kept: Duration) -> Self {
        let by_key = Cache::builder()
            // The default policy prefers frequently used keys, and may evict a new one at once: its
            // bucket would be full again at the next attempt.
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(MAX_KEYS)
            .time_to_idle(kept)
            .build();
        Self(by_key)
    }

    /// The value of a key, or a new one. Shared, so that the cache's lock is not held during work on it.
    pub(crate) fn get(&self, key: K, new: impl FnOnce() -> T) -> Arc<Mutex<T>> {
        self.0.get_with(key, || Arc::new(Mutex::new(new())))
    }

    /// Changes the value of a key, or a new one.
    pub(crate) fn with<R>(
        &self,
        key: K,
        new: impl FnOnce() -> T,
        work: impl FnOnce(&mut T) -> R,
    ) -> R {
        work(&mut locked(&self.get(key, new)))
    }

    /// Changes the value of a key, if there is one, and remembers no new key.
    pub(crate) fn with_known<R>(&self, key: &K, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        let value = self.0.get(key)?;
        Some(work(&mut locked(&value)))
    }
}

/// Locks a value of [`KeyedState`].
pub(crate) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held cannot leave a number half-changed, so a poisoned lock is
    // still good.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bucket for each key, all of one size.
pub(crate) struct Buckets<K> {
    size: Size,
    clock: Clock,
    by_key: KeyedState<K, Bucket>,
    /// When something was taken last, unless all are full since.
    taken_at: Mutex<Option<Instant>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> Buckets<K> {
    /// Full buckets of this size.
    pub(crate) fn new(tokens: u32, refill: Duration, clock: &Clock) -> Self {
        Self {
            size: Size {
                tokens: f64::from(tokens),
                refill,
            },
            clock: clock.clone(),
            // By then it is full again, like a new one.
            by_key: KeyedState::new(refill * 2),
            taken_at: Mutex::new(None),
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// The time until there is one.
    pub(crate) fn take(&self, key: K) -> Result<(), Duration> {
        let now = self.clock.instant();
        self.with(key, |bucket| bucket.take(self.size, 1.0, now))?;
        *locked(&self.taken_at) = Some(now);
        Ok(())
    }

    /// Like [`Buckets::take`], but takes nothing, and remembers no new key.
    ///
    /// # Errors
    /// The time until there is one.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        // Each request checks, and hardly any bucket was ever used.
        if self.are_full() {
            return Ok(());
        }
        self.by_key
            .with_known(key, |bucket| {
                bucket.check(self.size, 1.0, self.clock.instant())
            })
            .unwrap_or(Ok(()))
    }

    /// Gives a token back.
    pub(crate) fn refund(&self, key: K) {
        self.with(key, |bucket| bucket.refund(1.0));
    }

    fn are_full(&self) -> bool {
        let mut taken_at = locked(&self.taken_at);
        if taken_at.is_some_and(|at| self.clock.since(at) >= self.size.refill) {
            *taken_at = None;
        }
        taken_at.is_none()
    }

    fn with<R>(&self, key: K, work: impl FnOnce(&mut Bucket) -> R) -> R {
        self.by_key
            .with(key, || Bucket::full(self.size, self.clock.instant()), work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_bucket_holds_is_taken_from_a_full_one_and_repaid() {
        let size = Size {
            tokens: 10.0,
            refill: Duration::from_mins(1),
        };
        let clock = Clock::default();
        let mut bucket = Bucket::full(size, clock.instant());
        assert!(bucket.take(size, 25.0, clock.instant()).is_ok());
        let wait = bucket.take(size, 1.0, clock.instant()).unwrap_err();
        // 16 tokens, at 6 seconds each.
        assert!((95..=96).contains(&wait.as_secs()), "{wait:?}");
        bucket.refund(25.0);
        assert!(bucket.take(size, 10.0, clock.instant()).is_ok());
        assert!(bucket.take(size, 1.0, clock.instant()).is_err());
    }

    #[test]
    fn a_bucket_fills_up_again_as_the_clock_goes_on() {
        let clock = Clock::default();
        let buckets = Buckets::new(2, Duration::from_mins(2), &clock);
        assert!(buckets.take("ann").is_ok() && buckets.take("ann").is_ok());
        let wait = buckets.take("ann").unwrap_err();
        assert!(buckets.check(&"ann").is_err() && buckets.check(&"ben").is_ok());
        clock.advance(wait);
        assert!(buckets.take("ann").is_ok() && buckets.take("ann").is_err());
        clock.advance(Duration::from_mins(2));
        assert!(buckets.take("ann").is_ok() && buckets.take("ann").is_ok());
    }
}
