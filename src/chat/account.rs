//! A user's own account: how they are called, and its end.

use super::{Call, error::Error, quota};
use crate::store::{
    self,
    profile::{Changed, Profile},
};
use parlance_wire::{
    key::SecretHash,
    text::{FullName, Nick},
};

/// Changes how the caller is called. Whoever sees their nick is told of a new one. Idempotent.
///
/// # Errors
/// `BadRequest` without a name; `DailyLimit`.
pub(crate) async fn change_names(
    call: &Call<'_>,
    full_name: Option<&FullName>,
    nick: Option<&Nick>,
) -> Result<Profile, Error> {
    if full_name.is_none() && nick.is_none() {
        return Err(Error::BadRequest(
            "fullname or nick must be given.".to_owned(),
        ));
    }
    let limits = quota::limits(call);
    match store::profile::change(&call.services.db, call.user, full_name, nick, &limits).await? {
        Changed::Done(profile) => Ok(profile),
        Changed::NoUser => Err(Error::UserNotFound),
        Changed::Exceeded(exceeded) => Err(quota::refusal(exceeded, &limits)),
    }
}

/// Deletes the caller's account, and tells everyone whom it concerns. The content of their messages is erased afterwards.
///
/// # Errors
/// `LoginFailed`, if the key is not one of theirs.
pub(crate) async fn delete(call: &Call<'_>, apikey: &SecretHash) -> Result<(), Error> {
    let db = &call.services.db;
    if !store::access::opens(db, call.user, apikey).await?
        || !store::deletion::delete(db, call.user, None, call.now).await?
    {
        return Err(Error::LoginFailed);
    }
    Ok(())
}
