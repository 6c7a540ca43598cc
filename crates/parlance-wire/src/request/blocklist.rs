//! `srv=chatserver&api=chatblocklist`: the users and conversations that the caller does not want to
//! see.

use serde::{Deserialize, Serialize};

use crate::id::UserId;

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Blocklist".
    Blocklist,
    /// Ours: blocks a user.
    Block {
        /// The user to block.
        userid: UserId,
    },
    /// Ours: unblocks a user.
    Unblock {
        /// The user to unblock.
        userid: UserId,
    },
}
