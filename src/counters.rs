//! Counters of the layers below `server`, which shows them at `/metrics`. One set for each
//! [`Db`](crate::store::Db), because all code that stores something has one at hand.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

/// A label that tells series of one name apart, and its value. Both from closed sets.
pub(crate) type Label = [(&'static str, &'static str); 1];
pub(crate) type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// Upper bounds in seconds. An `add` takes about 5 ms; apart from waiting for a connection, nothing
/// takes longer than the database's statement timeout of 10 s.
pub(crate) const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Upper bounds of a batch's entries, of which it has at most a few hundred (`store/batcher.rs`).
const ENTRIES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The counters. Clones share their values.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    pub messages_stored: Counter,
    /// Bytes of the `Data` of stored messages.
    pub message_bytes: Counter,
    /// Messages that were sent again after they had been stored.
    pub message_retries: Counter,
    pub reports_stored: Counter,
    /// Entries of each batch, by kind.
    pub batch_size: Histograms,
    /// Time that each batch took, by kind.
    pub batch_seconds: Histograms,
    /// Batches that were refused as a whole, and split, by kind.
    pub batch_splits: Family<Label, Counter>,
    /// Time that callers waited for a connection. Those who got one at once are not in it.
    // They are nearly all, and a histogram is behind a lock.
    pub db_wait_seconds: Histogram,
    /// Failures of the database, by class.
    pub db_errors: Family<Label, Counter>,
    pub cache_hits: CacheCounters,
    pub cache_misses: CacheCounters,
    /// Restarts of the embedded PostgreSQL.
    pub embedded_restarts: Counter,
}

/// A number for each cache.
// Fields instead of a map: the keys are looked up with each request.
#[derive(Debug, Clone, Default)]
pub(crate) struct CacheCounters {
    pub keys: Counter,
    pub names: Counter,
    pub pages: Counter,
}

impl CacheCounters {
    /// Each cache's name, with its number.
    pub(crate) fn by_name(&self) -> [(&'static str, &Counter); 3] {
        [
            ("keys", &self.keys),
            ("names", &self.names),
            ("pages", &self.pages),
        ]
    }
}

impl Default for Counters {
    fn default() -> Self {
        let of_seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            messages_stored: Counter::default(),
            message_bytes: Counter::default(),
            message_retries: Counter::default(),
            reports_stored: Counter::default(),
            batch_size: Family::new_with_constructor(|| Histogram::new(ENTRIES)),
            batch_seconds: Family::new_with_constructor(of_seconds),
            batch_splits: Family::default(),
            db_wait_seconds: of_seconds(),
            db_errors: Family::default(),
            cache_hits: CacheCounters::default(),
            cache_misses: CacheCounters::default(),
            embedded_restarts: Counter::default(),
        }
    }
}

impl Counters {
    /// Counts a batch.
    pub(crate) fn count_batch(&self, kind: &'static str, entries: usize, took: Duration) {
        let label = [("kind", kind)];
        // A batch has at most a few hundred entries.
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.batch_size
            .get_or_create(&label)
            .observe(entries.into());
        let seconds = self.batch_seconds.get_or_create(&label);
        seconds.observe(took.as_secs_f64());
    }
}
