//! Knows the epochs of the messages that are read.

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::{Announcement, Epoch},
    id::ConversationId,
};

use super::{Reader, Secret};
use crate::{
    e2ee::{self, EpochSecret, Epochs, State, check_older},
    error::Error,
    session::Session,
};

impl Session {
    /// The secrets that the user has of a conversation's epochs, from the newest one that was followed
    /// down to this one, or further.
    pub(in crate::session::encrypted) async fn secrets_down_to(
        &self,
        state: &State,
        conversation: ConversationId,
        epoch: Epoch,
    ) -> Result<BTreeMap<Epoch, EpochSecret>, Error> {
        let mut reader = Reader::new();
        self.fetch_epochs_down_to(state, &mut reader, conversation, epoch)
            .await?;
        let all = reader.epochs.into_iter();
        let opened = all.filter_map(|(epoch, (_, secret))| match secret {
            Secret::Opened(secret) => Some((epoch, secret)),
            Secret::Absent | Secret::Wrong => None,
        });
        Ok(opened.collect())
    }

    /// Fetches the announcements and secrets from the newest epoch down to this one.
    pub(super) async fn fetch_epochs_down_to(
        &self,
        state: &State,
        reader: &mut Reader,
        conversation: ConversationId,
        epoch: Epoch,
    ) -> Result<(), Error> {
        let Some(newest) = state.epochs.get(&conversation).map(Epochs::newest) else {
            return Ok(());
        };
        if reader.epochs.contains_key(&epoch) || epoch > newest.epoch() {
            return Ok(());
        }
        let mut after: Option<Announcement> = None;
        loop {
            let before = after.as_ref().map(Announcement::epoch);
            let page = self.epochs(conversation, before).await?;
            for one in &page.epochs {
                let announcement = &one.announcement.announcement;
                match &after {
                    // Begun since: it is followed by the next call.
                    None if announcement.epoch() > newest.epoch() => continue,
                    None if announcement == newest => {}
                    None => return Err(e2ee::Error::ForkedEpoch(announcement.epoch()).into()),
                    Some(later) => check_older(later, std::slice::from_ref(&one.announcement))?,
                }
                let secret = match one.secret.as_str() {
                    "" => Secret::Absent,
                    wrapped => match self.open_secret(announcement, wrapped) {
                        Ok(secret) => Secret::Opened(secret),
                        Err(_) if announcement.epoch() < newest.epoch() => Secret::Wrong,
                        // `read` has opened the newest one's before: this copy is another one.
                        Err(error) => return Err(error.into()),
                    },
                };
                let known = (announcement.clone(), secret);
                reader.epochs.insert(announcement.epoch(), known);
                after = Some(announcement.clone());
            }
            let is_last = !page.hasmore || page.epochs.is_empty() || after.is_none();
            if reader.epochs.contains_key(&epoch) || is_last {
                return Ok(());
            }
        }
    }
}
