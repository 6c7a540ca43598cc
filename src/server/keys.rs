//! Caches users' public keys, and the stations that they have logged in from: parsing an RSA key
//! takes longer than verifying a signature.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

use crate::{
    chat::error::Error,
    store::{self, Db},
};
use parlance_wire::{
    id::{StationId, UserId},
    key::{PublicKey, VerifyingKey},
    time::Timestamp,
};

/// Maximum users whose parsed keys are cached; each takes about 3 KB.
const MAX_KEYS: u64 = 20_000;
/// A key is read again after this.
// Changes are announced (`users.rs`); this bounds how long a disabled user can sign if an
// announcement is lost.
const LIFETIME: Duration = Duration::from_mins(1);

/// The keys of users who sent requests recently.
pub(super) struct Keys {
    by_user: Cache<UserId, Arc<UserKey>>,
    /// Counts invalidations, so that a key that was read before one is not cached after it.
    generation: AtomicU64,
}

/// A user's key, and the other conditions under which their signature is accepted.
pub(super) struct UserKey {
    pub key: VerifyingKey,
    pub disabled: bool,
    /// The stations from which the user is known to have logged in.
    stations: Mutex<BTreeSet<StationId>>,
}

impl Default for Keys {
    fn default() -> Self {
        let by_user = Cache::builder()
            .max_capacity(MAX_KEYS)
            .time_to_live(LIFETIME)
            .build();
        Self {
            by_user,
            generation: AtomicU64::new(0),
        }
    }
}

impl Keys {
    /// Frees the memory of expired entries, as the cache only does so when it is used.
    pub(super) fn evict_idle(&self) {
        self.by_user.run_pending_tasks();
    }

    /// Changes whenever a user's right to sign may have changed.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets a user's key and stations.
    pub(super) fn forget_user(&self, user: UserId) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.by_user.invalidate(&user);
    }

    /// Forgets all keys: a user has changed. Rare.
    pub(super) fn forget(&self) {
        // The generation first: a reader that compares it from now on does not cache what it read
        // before.
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.by_user.invalidate_all();
    }

    /// A user's key, and `true` if they have logged in from the station or none is given. Returns `None` if there is no
    /// such user.
    ///
    /// # Errors
    /// Those of the database, if the key or the station is not cached.
    pub(super) async fn of(
        &self,
        db: &Db,
        user: UserId,
        station: Option<StationId>,
        now: Timestamp,
    ) -> Result<Option<(Arc<UserKey>, bool)>, Error> {
        let cached = self.by_user.get(&user);
        if let Some(cached) =
            cached.filter(|key| station.is_none_or(|station| key.stations().contains(&station)))
        {
            return Ok(Some((cached, true)));
        }
        // Read before the database: a change that is announced in between must not be overwritten
        // with the earlier state.
        let generation = self.generation();
        let Some(row) = Box::pin(store::user::identity(db, user, station, now)).await? else {
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
                stations: Mutex::default(),
            })
        };
        // Only a known station is remembered, as an unknown one may log in a moment from now.
        if let Some(station) = station.filter(|_| row.station_known) {
            key.stations().insert(station);
        }
        if self.generation() == generation {
            self.by_user.insert(user, key.clone());
        }
        Ok(Some((key, station.is_none() || row.station_known)))
    }
}

impl UserKey {
    fn stations(&self) -> MutexGuard<'_, BTreeSet<StationId>> {
        // A panic while the lock is held cannot leave the set half-changed, so a poisoned lock is
        // still good.
        self.stations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
