//! `srv=chatserver&api=chatkeys`: users' keys, and the log of all cards (docs/e2ee.md).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::answer::{self, Nothing};
use crate::{
    chat::{Call, error::Error, keys},
    store::rows::CardRow,
};
use parlance_wire::{
    e2ee::{LogHead, SignKey, Signature},
    id::UserId,
    request::keys::Action,
};

#[derive(Serialize)]
struct CardsView<'a> {
    cards: BTreeMap<UserId, Vec<CardView<'a>>>,
    publickeys: BTreeMap<UserId, &'a str>,
    hasmore: bool,
}

#[derive(Serialize)]
struct CardView<'a> {
    card: &'a str,
    signatures: SignaturesView,
}

#[derive(Serialize)]
struct SignaturesView {
    sign: String,
    rsa: String,
    prev: String,
}

#[derive(Serialize)]
struct LogView<'a> {
    head: &'a LogHead,
    signature: Signature,
    key: SignKey,
    entries: String,
    hasmore: bool,
}

impl<'a> From<&'a CardRow> for CardView<'a> {
    fn from(row: &'a CardRow) -> Self {
        let prev = row.prev_signature.as_deref().unwrap_or_default();
        Self {
            card: &row.card,
            signatures: SignaturesView {
                sign: STANDARD.encode(&row.sign_signature),
                rsa: STANDARD.encode(&row.rsa_signature),
                prev: STANDARD.encode(prev),
            },
        }
    }
}

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    match action {
        Action::Publish(card) => {
            keys::publish(call, &card).await?;
            answer::ok(Nothing {})
        }
        Action::Get { userids, after } => {
            let (rows, hasmore) = keys::seen(call, &userids, &after).await?;
            let with_cards = rows.iter().filter(|row| !row.cards.is_empty());
            answer::ok(CardsView {
                cards: with_cards
                    .map(|row| (row.user_id, row.cards.iter().map(CardView::from).collect()))
                    .collect(),
                publickeys: rows
                    .iter()
                    .map(|row| (row.user_id, &*row.public_key))
                    .collect(),
                hasmore,
            })
        }
        Action::Log { after } => {
            let page = keys::log(call, after).await?;
            answer::ok(LogView {
                head: &page.head.head,
                signature: page.head.signature,
                key: call.services.identity.key,
                entries: STANDARD.encode(page.entries),
                hasmore: page.has_more,
            })
        }
    }
}
