//! Gives participants the secrets of earlier epochs.

use std::collections::BTreeMap;

use parlance_wire::{
    e2ee::Epoch,
    id::UserId,
    request::{conversationgroup::MAX_PARTICIPANTS, epoch::ShareEpochs},
};

use crate::{
    answer::Conversation,
    e2ee::{self, State},
    error::Error,
    session::Session,
};

/// Sharing earlier epochs.
impl Session {
    /// Lets a participant read what was written before they joined: gives them the secrets that this
    /// user has of the epochs before the newest one. In a group, only an admin may. Returns the number of
    /// epochs.
    ///
    /// # Errors
    /// As for [`follow_epochs`](Self::follow_epochs) and [`meet`](Self::meet). `NotAMember`: they are in
    /// no epoch yet. `NewIdentity`: theirs was not accepted yet. `UnknownSigner`: nothing can be
    /// wrapped for them.
    pub async fn share_history(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
        user: UserId,
    ) -> Result<usize, Error> {
        self.follow_epochs(state, conversation).await?;
        let id = conversation.id;
        let met = self.meet(state, &[user].into()).await?;
        let Some(epochs) = state.epochs.get(&id) else {
            return Err(Error::Invalid("the conversation's epoch"));
        };
        if !epochs.members().contains_key(&user) {
            return Err(e2ee::Error::NotAMember(user).into());
        }
        state.pins.may_send([user])?;
        let key = met.keys.get(&user);
        let key = key.ok_or(e2ee::Error::UnknownSigner(user))?;
        let newest = epochs.newest().epoch();
        let known = self.secrets_down_to(state, id, Epoch::FIRST).await?;
        let older: Vec<_> = known.range(..newest).collect();
        for some in older.chunks(MAX_PARTICIPANTS) {
            let wrapped = some
                .iter()
                .map(|(epoch, secret)| Ok((**epoch, secret.wrap(key)?)));
            let secrets = wrapped.collect::<Result<BTreeMap<_, _>, e2ee::Error>>()?;
            self.share_epochs(ShareEpochs {
                conversationid: id,
                userid: user,
                secrets,
            })
            .await?;
        }
        Ok(older.len())
    }
}
