//! `srv=chatserver&api=chatfriends`: friends and friend requests.

use serde::{Deserialize, Serialize};

use super::field::given;
use crate::{id::UserId, text::Email};

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Friends / List".
    List,
    /// Ours: requests a friendship, or accepts such a request. Takes an id or an address.
    Add {
        /// The user's id.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        friendid: Option<UserId>,
        /// The user's e-mail address.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        email: Option<Email>,
    },
    /// Ours: accepts a request.
    Accept {
        /// The user who sent the request.
        friendid: UserId,
    },
    /// Ours: ends a friendship, declines a request, or withdraws one.
    Remove {
        /// The friend, or the other user of the request.
        friendid: UserId,
    },
}
