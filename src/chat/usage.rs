//! The limit of what users store. Each node has a list of the users who have reached theirs, which
//! is renewed once a minute (`server/usage.rs`).

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use super::{Call, error::Error};
use parlance_wire::id::UserId;

/// The users who have stored as much as they may, with the bytes of their messages.
#[derive(Debug, Default)]
pub(crate) struct Full(RwLock<HashMap<UserId, i64>>);

impl Full {
    /// Replaces the list.
    pub(crate) fn replace(&self, users: HashMap<UserId, i64>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = users;
    }

    /// Returns `true` if the caller has stored as much as they may.
    pub(crate) fn has(&self, call: &Call<'_>) -> bool {
        let users = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Compared again, as an operator may have raised the limit a moment ago.
        users
            .get(&call.user)
            .is_some_and(|bytes| bytes.unsigned_abs() >= call.allowed.limits.stored_bytes)
    }
}

/// Checks that the caller may store more.
///
/// # Errors
/// `StorageFull`.
pub(crate) fn check(call: &Call<'_>) -> Result<(), Error> {
    if call.services.full.has(call) {
        return Err(refusal(call));
    }
    Ok(())
}

/// The refusal of a message or an epoch of a user who has reached their storage limit.
// Not `rate_limited`, as waiting alone may not help.
pub(crate) fn refusal(call: &Call<'_>) -> Error {
    Error::StorageFull(format!(
        "Your messages, and the keys of your conversations, have reached the limit of {} bytes. Erase messages, clear \
         conversations, or wait until some expire.",
        call.allowed.limits.stored_bytes
    ))
}
