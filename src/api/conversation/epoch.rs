//! Views of epochs, and parsing the first epoch when a conversation is created.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::borrow::Cow;

use crate::{
    api::answer,
    chat::{self, Call, error::Error},
    store::rows::{ConversationRow, EpochRow},
};
use parlance_wire::{
    e2ee::{Announcement, Epoch, Signature, SignedAnnouncement},
    id::ConversationId,
};

/// An epoch, as a participant of the conversation sees it.
#[derive(Serialize)]
pub(super) struct EpochView<'a> {
    epoch: i32,
    announcement: &'a str,
    signature: Cow<'a, str>,
    secret: &'a str,
}

impl<'a> EpochView<'a> {
    /// A conversation's present epoch, unless it has none, or its announcement is too long for a
    /// list.
    pub(super) fn newest(row: &'a ConversationRow) -> Vec<Self> {
        match row.announced.as_deref() {
            Some([announcement, signature]) => vec![Self {
                epoch: row.epoch,
                announcement,
                signature: signature.into(),
                secret: &row.secret,
            }],
            _ => vec![],
        }
    }
}

impl<'a> From<&'a EpochRow> for EpochView<'a> {
    fn from(row: &'a EpochRow) -> Self {
        Self {
            epoch: row.epoch,
            announcement: &row.announcement,
            signature: STANDARD.encode(&row.signature).into(),
            secret: &row.secret,
        }
    }
}

#[derive(Serialize)]
struct EpochsView<'a> {
    epochs: Vec<EpochView<'a>>,
    hasmore: bool,
}

/// An answer with a page of a conversation's epochs.
pub(super) async fn page(
    call: &Call<'_>,
    conversation: ConversationId,
    before: Option<Epoch>,
    limit: Option<usize>,
) -> Result<Vec<u8>, Error> {
    let (rows, hasmore) = chat::epoch::page(call, conversation, before, limit).await?;
    answer::ok(EpochsView {
        epochs: rows.iter().map(EpochView::from).collect(),
        hasmore,
    })
}

/// The announcement of a first epoch, and its signature. Returns `None` if both are missing, or if
/// the client does not support epochs.
///
/// # Errors
/// `BadRequest`, if only one of them is given.
pub(in crate::api) fn first(
    call: &Call<'_>,
    announcement: Option<Box<Announcement>>,
    signature: Option<Signature>,
) -> Result<Option<SignedAnnouncement>, Error> {
    match (announcement, signature) {
        // In an older client's request, fields of these names mean nothing.
        _ if !call.version.is_v4() => Ok(None),
        (Some(announcement), Some(signature)) => Ok(Some(SignedAnnouncement {
            announcement: *announcement,
            signature,
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::BadRequest("signature is missing.".into())),
        (None, Some(_)) => Err(Error::BadRequest("announcement is missing.".into())),
    }
}
