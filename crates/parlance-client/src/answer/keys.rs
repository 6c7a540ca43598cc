//! Cards, the key log, and epochs (docs/e2ee.md), as the server hands them out. None of it is checked yet.

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
pub struct Cards {
    /// Each user's, in their order.
    pub cards: BTreeMap<UserId, Vec<SignedCard>>,
    /// Each user's public key; also of those without cards.
    pub publickeys: BTreeMap<UserId, PublicKey>,
    /// There are more.
    pub hasmore: bool,
}

/// A part of the key log.
#[derive(Debug, Clone, Deserialize)]
pub struct KeyLogPage {
    /// The head of the whole log.
    pub head: LogHead,
    /// The server's signature over it.
    pub signature: Signature,
    /// The server's key, as it says.
    pub key: SignKey,
    /// Base64 of the entries, 72 bytes each.
    pub entries: String,
    /// There are more after them.
    pub hasmore: bool,
}

/// An epoch of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub struct Epoch {
    /// Its number.
    pub epoch: u32,
    /// Its announcement, with its maker's signature.
    #[serde(flatten)]
    pub announcement: SignedAnnouncement,
    /// The caller's copy of its secret, wrapped; empty, if the caller has none.
    pub secret: Secret,
}

/// A page of a conversation's epochs, the newest first.
#[derive(Debug, Clone, Deserialize)]
pub struct Epochs {
    /// The epochs.
    pub epochs: Vec<Epoch>,
    /// There are more before them.
    pub hasmore: bool,
}
