//! The fields of requests about epochs, the successive secrets of a conversation (docs/e2ee.md).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::conversationgroup::{MAX_PARTICIPANTS, ids};
use crate::{
    e2ee::{Announcement, Epoch, Signature},
    id::{ConversationId, UserId},
    text::{DisplayName, Instance, Secret},
};

/// Maximum epochs in a page.
pub const MAX_EPOCHS: usize = 50;

/// The fields of `rekey`: the next epoch of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rekey {
    /// The conversation whose next epoch begins.
    pub conversationid: ConversationId,
    /// Its instance, according to the caller.
    pub instance: Instance,
    /// The number of the new epoch.
    pub epoch: Epoch,
    /// The epoch's announcement, signed by the caller.
    pub announcement: Announcement,
    /// The signature by the caller's signing key.
    pub signature: Signature,
    /// The new secret, wrapped for exactly the participants of the epoch.
    pub secrets: BTreeMap<UserId, Secret>,
    /// The name, encrypted with the new secret, for some or all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub displaynames: BTreeMap<UserId, DisplayName>,
    /// Users who leave the group in the same step, without the caller.
    #[serde(
        default,
        deserialize_with = "ids",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub removeparticipants: BTreeSet<UserId>,
    /// Users who join the group in the same step: all of them, or nothing is done.
    #[serde(
        default,
        deserialize_with = "ids",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub addparticipants: BTreeSet<UserId>,
}

/// The fields of `shareepochs`, which gives a participant the secrets of epochs that they do not
/// have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShareEpochs {
    /// The conversation of the epochs.
    pub conversationid: ConversationId,
    /// The participant who gets the secrets.
    pub userid: UserId,
    /// The secrets, wrapped for them, by epoch.
    #[serde(deserialize_with = "secrets")]
    pub secrets: BTreeMap<Epoch, Secret>,
}

/// Parses secrets by epoch. The keys of a JSON object are strings, unlike numbers elsewhere.
fn secrets<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Epoch, Secret>, D::Error> {
    let texts = BTreeMap::<String, Secret>::deserialize(from)?;
    // As many as `rekey` sends, in a body of the same size.
    if texts.len() > MAX_PARTICIPANTS {
        return Err(de::Error::custom(format_args!(
            "expected the secrets of at most {MAX_PARTICIPANTS} epochs"
        )));
    }
    texts
        .into_iter()
        .map(|(epoch, secret)| {
            let epoch = epoch.parse().ok().and_then(Epoch::new);
            Ok((
                epoch.ok_or_else(|| {
                    de::Error::custom("expected an object with the numbers of epochs as its keys")
                })?,
                secret,
            ))
        })
        .collect()
}
