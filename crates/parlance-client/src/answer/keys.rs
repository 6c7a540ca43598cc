//! Cards, the key log, and epochs (docs/e2ee.md), as the server returns them, still unverified.

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::{LogHead, SignKey, Signature, SignedAnnouncement, SignedCard},
    id::UserId,
    key::PublicKey,
    text::Secret,
};
use serde::Deserialize;

/// A page of cards.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cards {
    /// Each user's cards, in order.
    pub cards: BTreeMap<UserId, Vec<SignedCard>>,
    /// Each user's public key, whether or not they have a card.
    pub publickeys: BTreeMap<UserId, PublicKey>,
    /// Whether there are more.
    pub hasmore: bool,
}

/// A part of the key log.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeyLogPage {
    /// The head of the whole log.
    pub head: LogHead,
    /// The server's signature over it.
    pub signature: Signature,
    /// The server's key, according to the server.
    pub key: SignKey,
    /// Base64 of the entries, 72 bytes each.
    pub entries: String,
    /// Whether there are more entries.
    pub hasmore: bool,
}

/// An epoch of a conversation.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Epoch {
    /// Its number: counted from 1, without gaps.
    pub epoch: u32,
    /// Its announcement, signed by its creator.
    #[serde(flatten)]
    pub announcement: SignedAnnouncement,
    /// The caller's copy of its secret, wrapped; empty if the caller has none.
    pub secret: Secret,
}

/// A page of a conversation's epochs, the newest first.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Epochs {
    /// Newest first.
    pub epochs: Vec<Epoch>,
    /// Whether there are earlier ones.
    pub hasmore: bool,
}
