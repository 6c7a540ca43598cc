//! `srv=chatserver&api=chatlogin`, signed: what users do with their own account, and whom they invite to the server.
//! All of it is version 4's.
//!
//! Generic over what it holds of a secret, as [`login`](super::login) is.

use serde::{Deserialize, Serialize};

use super::{PageSize, field::given};
use crate::{
    id::InviteId,
    key::SecretHash,
    text::{Email, FullName, Nick},
    time::Timestamp,
};

/// Maximum people who register with one invitation of a user's.
pub const MAX_INVITE_USES: usize = 100;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// Makes an invitation to register. Those who use it become friends of the caller.
    Invite {
        /// The one address that may register with it.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        email: Option<Email>,
        /// How many people may register with it; 1 if it is not given.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        uses: PageSize<MAX_INVITE_USES>,
        /// Until when; a week if it is not given.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        expires: Option<Timestamp>,
    },
    /// The caller's newest invitations.
    Invites,
    /// Ends an invitation of the caller's.
    RevokeInvite {
        /// Its id, not its code.
        inviteid: InviteId,
    },
    /// Changes how the user is called. What is not given stays.
    Profile {
        /// Their full name.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        fullname: Option<FullName>,
        /// The short name that others see.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        nick: Option<Nick>,
    },
    /// Everything that the server has of the user, in one answer.
    Export,
    /// Deletes the user's account, for good.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    Delete {
        /// One of the user's apikeys: a station that was left open is not enough.
        apikey: Secret,
    },
}
