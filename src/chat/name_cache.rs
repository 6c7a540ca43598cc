//! What users are called, cached until a user changes: `server/users.rs` then calls [`NameCache::forget`]. Whoever
//! changes a name sends a `store::notice::Notice`.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use super::error::Error;
use crate::store::{self, Db};
use parlance_wire::id::UserId;

/// Maximum names kept. Beyond it all are forgotten: simpler than an order of use, and rare.
const MAX_NAMES: usize = 200_000;

/// The names that were read since the last change.
#[derive(Debug, Default)]
pub(crate) struct NameCache(RwLock<HashMap<UserId, Arc<str>>>);

impl NameCache {
    /// The names of these users. A user who does not exist has none.
    ///
    /// # Errors
    /// Those of the database, if a name is not cached.
    pub(crate) async fn of(
        &self,
        db: &Db,
        users: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, Arc<str>>, Error> {
        let mut unknown = vec![];
        let mut names: HashMap<_, _> = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let look_up = |user: UserId| {
                let name = known.get(&user);
                if name.is_none() {
                    unknown.push(user);
                }
                name.map(|name| (user, name.clone()))
            };
            users.into_iter().filter_map(look_up).collect()
        };
        // One statement for all that are missing, outside the lock: it may take as long as the database does.
        if !unknown.is_empty() {
            let read = store::user::nicks(db, &unknown).await?;
            let mut known = self.locked();
            // Before the names are added: those of one group must not evict each other.
            if known.len() + read.len() > MAX_NAMES {
                known.clear();
            }
            for (user, name) in read {
                let name: Arc<str> = name.into();
                known.insert(user, name.clone());
                names.insert(user, name);
            }
        }
        Ok(names)
    }

    /// Forgets all names: a user has changed.
    pub(crate) fn forget(&self) {
        self.locked().clear();
    }

    fn locked(&self) -> RwLockWriteGuard<'_, HashMap<UserId, Arc<str>>> {
        // Nothing panics while it holds the lock; if it did, names are still names.
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
