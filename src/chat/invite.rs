//! Invitations to the server that users make: everyone who registers with one becomes a friend of
//! its inviter.

use chrono::TimeDelta;

use super::{Call, error::Error};
use crate::{
    settings::{Invites, Registration},
    store::{
        self,
        invite::{Created, InviteLimits, InviteRow, NewInvite},
    },
};
use parlance_wire::{
    id::InviteId, key::SecretHash, request::account::MAX_INVITE_USES, text::Email, time::Timestamp,
};

/// Maximum open invitations of a user.
const MAX_OPEN: u32 = 20;
/// Maximum invitations in an answer: more than can be open.
const MAX_LISTED: i64 = 100;
/// Lifetime of an invitation if the request does not set one.
const DEFAULT_LIFETIME: TimeDelta = TimeDelta::days(7);
/// Maximum lifetime of an invitation.
const MAX_INVITE_LIFETIME: TimeDelta = TimeDelta::days(90);

/// Creates an invitation of the caller's. Returns its id and its expiry.
///
/// # Errors
/// `RegistrationClosed`; `NotAllowed`, if only admins may; `TooLarge`, if the caller has too many
/// open ones; `BadRequest`.
pub(crate) async fn create(
    call: &Call<'_>,
    code_hash: &SecretHash,
    email: Option<&Email>,
    uses: usize,
    expires: Option<Timestamp>,
) -> Result<(InviteId, Timestamp), Error> {
    let policy = &call.services.policy;
    if policy.registration == Registration::Closed {
        return Err(Error::RegistrationClosed(
            "Registration is closed on this server.",
        ));
    }
    let expires_at = expires.unwrap_or_else(|| call.now.plus(DEFAULT_LIFETIME));
    if expires_at <= call.now || expires_at > call.now.plus(MAX_INVITE_LIFETIME) {
        return Err(Error::BadRequest(format!(
            "expires must be a time within the next {} days.",
            MAX_INVITE_LIFETIME.num_days()
        )));
    }
    if email.is_some() && uses > 1 {
        return Err(Error::BadRequest(
            "uses must be 1 for an invitation of one address.".into(),
        ));
    }
    let invite = NewInvite {
        code_hash,
        inviter: Some(call.user),
        email,
        // Always fits: it is at most `MAX_INVITE_USES`.
        uses: u32::try_from(uses.min(MAX_INVITE_USES)).unwrap_or(1),
        expires_at,
    };
    let limits = InviteLimits {
        admins_only: policy.invites == Invites::Admins,
        open: MAX_OPEN,
    };
    match store::invite::create(&call.services.db, call.user, &invite, limits, call.now).await? {
        Created::Done(id) => Ok((id, expires_at)),
        Created::NotAdmin => Err(Error::NotAllowed(
            "Only admins can invite people to this server.",
        )),
        Created::TooMany => Err(Error::TooLarge(format!(
            "You have {MAX_OPEN} open invitations, which is the maximum. Revoke one to make room."
        ))),
    }
}

/// The caller's newest invitations.
pub(crate) async fn list(call: &Call<'_>) -> Result<Vec<InviteRow>, Error> {
    Ok(store::invite::list(
        &call.services.db,
        Some(call.user),
        false,
        MAX_LISTED,
        call.now,
    )
    .await?)
}

/// Revokes an invitation of the caller's. Idempotent.
///
/// # Errors
/// `NotAllowed`, if the caller has no such invitation.
pub(crate) async fn revoke(call: &Call<'_>, invite: InviteId) -> Result<(), Error> {
    if store::invite::revoke_own(&call.services.db, call.user, invite, call.now).await? {
        Ok(())
    } else {
        Err(Error::NotAllowed("You have no such invitation."))
    }
}
