//! `srv=chatserver&api=chatkeys`: the keys of users (docs/e2ee.md). All of it is ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{e2ee::SignedCard, id::UserId};

/// Maximum users in a request for cards.
pub const MAX_USERS: usize = 1000;

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Publishes the caller's next card.
    Publish(Box<SignedCard>),
    /// Gets the cards of users.
    Get {
        /// The users whose cards to return.
        #[serde(deserialize_with = "users")]
        userids: BTreeSet<UserId>,
        /// The number of the newest card that the caller has of some of them; only later ones are
        /// returned.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        after: BTreeMap<UserId, u32>,
    },
    /// Gets a part of the key log.
    Log {
        /// Number of entries that the caller has already.
        #[serde(default)]
        after: u32,
    },
}

fn users<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<UserId>, D::Error> {
    let users = BTreeSet::deserialize(from)?;
    if users.len() > MAX_USERS {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_USERS} user ids"
        )));
    }
    Ok(users)
}
