//! The user's group of one: saved messages, and settings that the user's devices share.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::id::UserId;
use serde_json::Value;

use super::Received;
use crate::{
    answer::Conversation,
    e2ee::{Content, Kind, SigningKey, State},
    error::Error,
    session::Session,
};

/// Saved messages.
impl Session {
    /// The user's group of one, which all their devices find, and which is created unless there is
    /// one: for saved messages, and for settings that the user's devices share.
    ///
    /// ```no_run
    /// use parlance_client::{
    ///     NewMessage, Reader, Session,
    ///     e2ee::{Kind, SigningKey, State},
    /// };
    ///
    /// # async fn run(session: Session, mut state: State, sign: SigningKey) -> Result<(), parlance_client::Error> {
    /// let mut saved = session.saved_messages(&mut state, &sign).await?;
    /// let (mut reader, mut drafts) = (Reader::new(), None);
    /// // Later settings take the place of earlier ones.
    /// for received in session.read(&mut state, &mut saved, &mut reader).await? {
    ///     if let Some(settings) = received.settings(session.user()) {
    ///         drafts = settings.get("drafts").cloned().or(drafts);
    ///     }
    /// }
    /// let settings = Kind::Settings([("drafts".into(), "Dear Ann,".into())].into());
    /// let message = NewMessage::new(settings);
    /// session.say(&mut state, &sign, &mut saved, &reader, message).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`meet`](Self::meet), [`name`](Self::name) and
    /// [`begin_group`](Self::begin_group).
    pub async fn saved_messages(
        &self,
        state: &mut State,
        sign: &SigningKey,
    ) -> Result<Conversation, Error> {
        let me = self.user();
        let mut own = self.list().await?;
        own.retain(|one| one.isgroup && one.epoch > 0 && one.participantids == [me]);
        // Two devices may have created one each: all take the same.
        own.sort_by_key(|one| one.id);
        for mut one in own {
            // A group that all others have left keeps its name.
            let name = self.name(state, &mut one).await?;
            if name.is_some_and(|name| name.name.is_empty()) && self.was_always_own(&one).await? {
                return Ok(one);
            }
        }
        self.begin_group(state, sign, &BTreeSet::new(), "").await
    }

    /// Whether nobody else was ever in a group of one, by its epochs: somebody could make a group
    /// without a name, and leave it, to read what is saved there.
    async fn was_always_own(&self, group: &Conversation) -> Result<bool, Error> {
        let me = self.user();
        let epochs = self.epochs_since(group.id, None).await?;
        Ok(epochs.iter().all(|epoch| {
            let announced = &epoch.announcement.announcement;
            let mut users = announced.added().iter().chain(announced.removed());
            announced.by() == me && users.all(|user| *user == me)
        }))
    }
}

impl Received {
    /// The settings that a device of the user's shares with this message, if it is such a one. In any
    /// other conversation than [`Session::saved_messages`] they mean nothing.
    #[must_use]
    pub fn settings(&self, me: UserId) -> Option<&BTreeMap<String, Value>> {
        let opened = self.content.as_ref().ok()?;
        match &opened.body.content {
            Content::Known(Kind::Settings(settings)) if self.message.user == me => Some(settings),
            _ => None,
        }
    }
}
