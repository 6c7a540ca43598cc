//! Caches users' public keys, and the stations that they have logged in from: parsing an RSA key
//! takes longer than verifying a signature.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    hint::black_box,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

use crate::{
    chat::{
        allowance,
        error::Error,
        rates::{Allowed, Rates},
    },
    clock::Clock,
    settings::PerUser,
    store::{self, Db},
};
use parlance_wire::{
    id::{StationId, UserId},
    key::{PublicKey, VerifyingKey},
    time::Timestamp,
};

/// Maximum users whose parsed keys are cached; each takes about 3 KB.
const MAX_KEYS: u64 = 20_000;
/// Counts of invalidations. Users who share one cost each other a read, or a second handshake.
const GENERATIONS: usize = 4096;
/// Maximum networks that are remembered with a key.
const MAX_NETWORKS: usize = 8;
/// A key is read again after this.
// Changes are announced (`users.rs`); this bounds how long a disabled user can sign if an
// announcement is lost.
const LIFETIME: Duration = Duration::from_mins(1);
/// A key whose private half nobody has, against which signatures of users who do not exist are
/// verified.
const STAND_IN: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA82B8kcvS3PB8R2gkPK6rW5tzcJN/i0UT0GVgAjAhN3IAnhlWHzrP\
    kqfIe7zMODIB+hKZ9K8epHrBoriRQo8qc+vWYfub9P6SF+8e11+GJHgk34CCfpWWc6t3vvAaIasJ8bDcLn9jQy51TyMuxqna\
    Dvxcq6kh8/Pjh7tN9MwWaBuiYrZDpkj3V9/xVW67YbU85gXZqr1VZd3WD54lfs9XgxWz1iEeLFY62/jUGddoX121pGm99/1q\
    UMGo0wWE3JCjwc1uLuozegAezQ5k5mRVO/7KgZgrcs9oFHTIr364zUUSThmYdDWdZ47lQn+qO1UXdCUIchOGJkVKfGRjQVNI\
    BQIDAQAB";

/// The keys of users who sent requests recently.
pub(super) struct Keys {
    by_user: Cache<UserId, Arc<UserKey>>,
    /// Ids that are no users, kept for as long as keys, so that the time of an answer does not tell
    /// the two apart.
    absent: Cache<UserId, ()>,
    stand_in: VerifyingKey,
    /// The limits of a person, from the settings.
    usual: PerUser,
    rates: Rates,
    generations: Generations,
    /// Counts registrations, for the same reason.
    registrations: AtomicU64,
}

/// Counts invalidations, so that a key that was read before one is not cached after it.
// One count for all would let a user who signs stations out again and again keep everybody's keys
// from being cached.
struct Generations {
    of_all: AtomicU64,
    /// The counts by a hash of the user's id that nobody can predict.
    by_hash: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Generations {
    fn new() -> Self {
        Self {
            of_all: AtomicU64::new(0),
            by_hash: std::iter::repeat_with(AtomicU64::default)
                .take(GENERATIONS)
                .collect(),
            hasher: RandomState::new(),
        }
    }

    /// Only grows.
    fn of(&self, user: UserId) -> u64 {
        self.of_all.load(Ordering::Acquire) + self.slot(user).load(Ordering::Acquire)
    }

    fn slot(&self, user: UserId) -> &AtomicU64 {
        let hash = self.hasher.hash_one(user);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lowest bits are as good as all"
        )]
        let slot = self.by_hash.get(hash as usize % GENERATIONS);
        // There is each of them. The count of all would be right, too.
        slot.unwrap_or(&self.of_all)
    }
}

/// A user's key, and the other conditions under which their signature is accepted.
pub(super) struct UserKey {
    pub key: VerifyingKey,
    pub disabled: bool,
    pub allowed: Allowed,
    /// The stations from which the user is known to have logged in.
    stations: Mutex<BTreeSet<StationId>>,
    /// The networks from which the user has signed since the key was read.
    networks: Mutex<BTreeSet<IpAddr>>,
}

impl Keys {
    /// An empty cache. `usual` is what the settings allow a person.
    ///
    /// # Errors
    /// The stand-in for absent keys does not parse.
    pub(super) fn new(usual: PerUser, clock: &Clock) -> Result<Self, &'static str> {
        let stand_in = PublicKey::parse(STAND_IN).ok_or("the stand-in key does not parse")?;
        Ok(Self {
            by_user: Cache::builder()
                .max_capacity(MAX_KEYS)
                .time_to_live(LIFETIME)
                .build(),
            absent: Cache::builder()
                .max_capacity(MAX_KEYS)
                .time_to_live(LIFETIME)
                .build(),
            stand_in: stand_in.into(),
            usual,
            rates: Rates::new(clock),
            generations: Generations::new(),
            registrations: AtomicU64::new(0),
        })
    }

    /// Frees the memory of expired entries, as a cache only does so when it is used.
    pub(super) fn evict_idle(&self) {
        self.by_user.run_pending_tasks();
        self.absent.run_pending_tasks();
    }

    /// Changes whenever the user's right to sign may have changed.
    pub(super) fn generation(&self, user: UserId) -> u64 {
        self.generations.of(user)
    }

    /// Forgets a user's key and stations.
    pub(super) fn forget_user(&self, user: UserId) {
        self.generations.slot(user).fetch_add(1, Ordering::AcqRel);
        self.by_user.invalidate(&user);
    }

    /// Forgets all keys: a user has changed. Rare.
    pub(super) fn forget(&self) {
        // The generation first: a reader that compares it from now on does not cache what it read
        // before.
        self.generations.of_all.fetch_add(1, Ordering::AcqRel);
        self.by_user.invalidate_all();
    }

    /// Notes that there is such a user now.
    pub(super) fn registered(&self, user: UserId) {
        self.registrations.fetch_add(1, Ordering::AcqRel);
        self.absent.invalidate(&user);
    }

    /// A user's key. Returns `None` if there is no such user.
    ///
    /// # Errors
    /// Those of the database, if the key is not cached.
    pub(super) async fn of(
        &self,
        db: &Db,
        user: UserId,
        station: Option<StationId>,
        now: Timestamp,
    ) -> Result<Option<Arc<UserKey>>, Error> {
        let counters = db.counters();
        let cached = self.by_user.get(&user);
        if cached.is_some() || self.absent.contains_key(&user) {
            counters.cache_hits.keys.inc();
            return Ok(cached);
        }
        counters.cache_misses.keys.inc();
        Ok(self.read(db, user, station, now).await?.map(|(key, _)| key))
    }

    /// Returns `true` if it is cached that there is such a user, who has logged in from the station.
    pub(super) fn has_station(&self, user: UserId, station: StationId) -> bool {
        self.by_user
            .get(&user)
            .is_some_and(|key| key.stations().contains(&station))
    }

    /// Returns `true` if the owner of this key has logged in from the station.
    ///
    /// # Errors
    /// Those of the database, if that is not cached.
    // Not together with the key: a signature that is wrong is refused before this, so that a user
    // costs no more reads than an id without a user.
    pub(super) async fn is_known(
        &self,
        db: &Db,
        (user, key): (UserId, &UserKey),
        station: StationId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if key.stations().contains(&station) {
            return Ok(true);
        }
        let read = self.read(db, user, Some(station), now).await?;
        Ok(read.is_some_and(|(_, is_known)| is_known))
    }

    /// Reads a key, and whether the station is known; caches both.
    async fn read(
        &self,
        db: &Db,
        user: UserId,
        station: Option<StationId>,
        now: Timestamp,
    ) -> Result<Option<(Arc<UserKey>, bool)>, Error> {
        // Read before the database: a change that is announced in between must not be overwritten
        // with the earlier state.
        let generation = self.generation(user);
        let registrations = self.registrations.load(Ordering::Acquire);
        let Some(row) = Box::pin(store::user::identity(db, user, station, now)).await? else {
            if self.registrations.load(Ordering::Acquire) == registrations {
                self.absent.insert(user, ());
            }
            // The same work as for a user, whose key is parsed.
            let _ = PublicKey::parse(black_box(STAND_IN));
            return Ok(None);
        };
        let key = if let Some(cached) = self.by_user.get(&user) {
            cached
        } else {
            let key = PublicKey::parse(&row.public_key).ok_or_else(|| {
                Error::Internal(format!("the public key of {user} does not parse").into())
            })?;
            Arc::new(UserKey {
                key: key.into(),
                disabled: row.disabled,
                allowed: self
                    .rates
                    .of(user, allowance::of(&self.usual, &row.allowance)),
                stations: Mutex::default(),
                networks: Mutex::default(),
            })
        };
        // Only a known station is remembered, as an unknown one may log in a moment from now.
        if let Some(station) = station.filter(|_| row.station_known) {
            key.stations().insert(station);
        }
        if self.generation(user) == generation {
            self.by_user.insert(user, key.clone());
        }
        Ok(Some((key, row.station_known)))
    }

    /// Verifies a signature against no user's key: it never fits.
    pub(super) fn verify_in_vain(&self, text: &[u8], signature: &[u8]) {
        let _ = self.stand_in.verifies(text, signature);
    }
}

impl UserKey {
    /// Notes that the user signed from a network. Returns `false` if that was noted before.
    pub(super) fn note_network(&self, network: IpAddr) -> bool {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        // For a user with more networks, each request is noted.
        if networks.len() < MAX_NETWORKS {
            networks.insert(network)
        } else {
            !networks.contains(&network)
        }
    }

    fn stations(&self) -> MutexGuard<'_, BTreeSet<StationId>> {
        // A panic while the lock is held cannot leave the set half-changed, so a poisoned lock is
        // still good.
        self.stations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
