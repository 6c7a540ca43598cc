//! How epochs are shown, and read where a conversation is created with one.

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

/// An epoch, as one of the conversation's participants sees it.
#[derive(Serialize)]
pub(super) struct EpochView<'a> {
    epoch: i32,
    announcement: &'a str,
    signature: Cow<'a, str>,
    secret: &'a str,
}

impl<'a> EpochView<'a> {
    /// A conversation's present epoch; none, if there is none, or its announcement is too long for a list.
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

/// The announcement of a first epoch, and the signature over it. `None` without both, and for a client that knows no epochs.
///
/// # Errors
/// `BadRequest`, if there is one without the other.
pub(in crate::api) fn first(
    call: &Call<'_>,
    announcement: Option<Box<Announcement>>,
    signature: Option<Signature>,
) -> Result<Option<SignedAnnouncement>, Error> {
    match (announcement, signature) {
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
