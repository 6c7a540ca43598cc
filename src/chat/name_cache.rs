//! Caches the names of users until any user changes: `server/users.rs` then calls
//! [`NameCache::forget`]. So each change of a name has to send a `store::notice::Notice`.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use super::error::Error;
use crate::store::{self, Db};
use parlance_wire::id::UserId;

/// Maximum number of cached names. Beyond it all are evicted, which is rare, and simpler than
/// tracking their use.
const MAX_NAMES: usize = 200_000;

/// The names that were read since the last change.
#[derive(Debug, Default)]
pub(crate) struct NameCache(RwLock<Names>);

#[derive(Debug, Default)]
struct Names {
    by_user: HashMap<UserId, Arc<str>>,
    /// Counts changes, so that names that were read before a change are not cached after it.
    generation: u64,
    /// The number of changes of nicks in the database, according to the newest list.
    nick_changes: i64,
}

impl NameCache {
    /// The names of these users. A user who does not exist has none.
    ///
    /// # Errors
    /// Database errors, if a name is not cached.
    pub(crate) async fn of(
        &self,
        db: &Db,
        users: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<str>>, Error> {
        let mut unknown = vec![];
        // The generation is read before the database: a change in between must not be overwritten
        // with the old name.
        let (mut names, generation): (HashMap<_, _>, _) = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let look_up = |user: UserId| {
                let name = known.by_user.get(&user);
                if name.is_none() {
                    unknown.push(user);
                }
                name.map(|name| (user, name.clone()))
            };
            let names = users.into_iter().filter_map(look_up).collect();
            (names, known.generation)
        };
        let counters = db.counters();
        counters.cache_hits.names.inc_by(names.len() as u64);
        counters.cache_misses.names.inc_by(unknown.len() as u64);
        // One statement for all missing names, outside the lock, as it may take as long as the
        // database does.
        if !unknown.is_empty() {
            let read: Vec<(UserId, Arc<str>)> = store::user::nicks(db, &unknown)
                .await?
                .into_iter()
                .map(|(user, name)| (user, name.into()))
                .collect();
            self.insert(&read, generation);
            names.extend(read);
        }
        Ok(names)
    }

    /// Caches names, unless a user has changed since this generation.
    fn insert(&self, read: &[(UserId, Arc<str>)], generation: u64) {
        let mut known = self.locked();
        if known.generation != generation {
            return;
        }
        // Before the names are added: those of one group must not evict each other.
        if known.by_user.len() + read.len() > MAX_NAMES {
            known.by_user.clear();
        }
        known.by_user.extend(read.iter().cloned());
    }

    /// Forgets all names if the database has had more changes of nicks than were seen here. The notice
    /// of one comes a moment after its commit, and a list whose mark includes the change must not show
    /// the name from before.
    pub(crate) fn catch_up(&self, nick_changes: i64) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.nick_changes >= nick_changes {
            return;
        }
        // `forget` takes the same lock for writing.
        drop(known);
        self.forget();
        let mut known = self.locked();
        known.nick_changes = known.nick_changes.max(nick_changes);
    }

    /// Forgets all names, because a user has changed.
    pub(crate) fn forget(&self) {
        let mut known = self.locked();
        known.by_user.clear();
        known.generation += 1;
    }

    fn locked(&self) -> RwLockWriteGuard<'_, Names> {
        // A panic while the lock is held cannot leave a name half-changed, so a poisoned lock is
        // still good.
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_read_before_a_change_is_not_cached_after_it() {
        let cache = NameCache::default();
        let user = UserId::parse(&"1".repeat(32)).unwrap();
        let read = [(user, Arc::from("Ann"))];
        let cached = || cache.locked().by_user.contains_key(&user);

        let generation = cache.locked().generation;
        cache.forget();
        cache.insert(&read, generation);
        assert!(!cached());

        let generation = cache.locked().generation;
        cache.insert(&read, generation);
        assert!(cached());
        cache.forget();
        assert!(!cached());
    }

    #[test]
    fn names_are_forgotten_for_a_list_that_is_newer_than_the_last_one() {
        let cache = NameCache::default();
        let user = UserId::parse(&"1".repeat(32)).unwrap();
        let keeps = |nick_changes| {
            let generation = cache.locked().generation;
            cache.insert(&[(user, Arc::from("Ann"))], generation);
            cache.catch_up(nick_changes);
            cache.locked().by_user.contains_key(&user)
        };
        assert!(!keeps(5));
        assert!(keeps(5));
        // A list that was read before the newest one, and arrives after it.
        assert!(keeps(4));
        assert!(!keeps(6));
    }
}
