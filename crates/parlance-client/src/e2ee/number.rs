//! Safety numbers, and the text of a QR code, with which two people check without the server that
//! they have each other's keys.

use aws_lc_rs::digest::{Context, SHA512};
use parlance_wire::{
    chain::Chain,
    e2ee::{Card, CardHash},
    id::{ConversationId, UserId},
};

/// Rounds of SHA-512 for one half of a number, which slow down a search for keys with the same
/// number.
const ROUNDS: u32 = 5200;

/// The number that two people compare: 60 digits in groups of five. It is the same on both sides,
/// and changes with either's signing key.
#[must_use]
pub fn safety_number(one: &Card, other: &Card) -> String {
    // In the order of the ids, so that both people see the same number.
    let (first, second) = if one.user() <= other.user() {
        (one, other)
    } else {
        (other, one)
    };
    let groups: Vec<String> = half(first).into_iter().chain(half(second)).collect();
    groups.join(" ")
}

fn half(card: &Card) -> Vec<String> {
    let (key, user) = (card.sign(), card.user());
    let mut hash = [key.as_bytes().as_slice(), user.as_bytes()].concat();
    for _ in 0..ROUNDS {
        let mut context = Context::new(&SHA512);
        context.update(&hash);
        context.update(key.as_bytes());
        hash = context.finish().as_ref().to_vec();
    }
    let groups = hash.chunks_exact(5).take(6);
    groups
        .map(|group| {
            let number = group
                .iter()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect()
}

/// The contents of a QR code: a person's card, and the transcript of a conversation as they see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The user who shows it.
    pub user: UserId,
    /// The card that they hold.
    pub card: CardHash,
    /// The conversation whose transcripts are compared.
    pub conversation: ConversationId,
    /// The number of a message.
    pub seq: i64,
    /// The transcript's hash at that message.
    pub chain: Chain,
}

impl Code {
    /// The text of the QR code.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self {
            user,
            card,
            conversation,
            seq,
            chain,
        } = self;
        format!("parlance:1:{user}:{card}:{conversation}:{seq}:{chain:?}")
    }

    /// Parses the text of a QR code. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("parlance:1:")?.split(':');
        let mut next = || parts.next();
        let code = Self {
            user: UserId::parse(next()?)?,
            card: card_hash(next()?)?,
            conversation: ConversationId::parse(next()?)?,
            seq: next()?.parse().ok()?,
            chain: Chain::parse(next()?)?,
        };
        // Only the canonical text is valid.
        (code.to_text() == text).then_some(code)
    }
}

pub(super) fn card_hash(hex: &str) -> Option<CardHash> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    Some(CardHash::from_bytes(bytes))
}
