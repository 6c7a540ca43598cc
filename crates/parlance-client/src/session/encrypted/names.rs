//! What groups are called.

use parlance_wire::id::UserId;

use crate::{
    answer::Conversation,
    e2ee::{Error as Wrong, Sealed, SigningKey, State, seal_name},
    error::Error,
    retry::MAX_TRIES,
    session::Session,
};

/// What a group is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownName {
    /// The name; empty for a group that has none.
    pub name: String,
    /// Who has given it. `None` if nobody is proven to: anybody in the group can have given it, and it
    /// is shown with a mark.
    pub by: Option<UserId>,
}

/// Names.
impl Session {
    /// What a group is called; `None` if that cannot be opened: it is of an epoch whose secret this
    /// user does not have, or an older client has given it. A direct conversation is called by the
    /// other's name.
    ///
    /// # Errors
    /// As for [`follow_epochs`](Self::follow_epochs) and [`meet`](Self::meet).
    pub async fn name(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
    ) -> Result<Option<ShownName>, Error> {
        self.follow_epochs(state, conversation).await?;
        let Ok(sealed) = Sealed::name(&conversation.displayname) else {
            return Ok(None);
        };
        let (id, epoch) = (conversation.id, sealed.epoch());
        let secrets = self.secrets_down_to(state, id, epoch).await?;
        let Some(secret) = secrets.get(&epoch) else {
            return Ok(None);
        };
        let Ok(given) = sealed.open_unsigned_name(id, secret) else {
            return Ok(None);
        };
        let mut signed = sealed.open_name(id, secret, |user| state.pins.cards(user));
        if let Err(Wrong::WrongSigner | Wrong::UnknownSigner(_)) = signed {
            // Someone who has left, or who has renewed their keys since.
            self.meet(state, &[given.by].into()).await?;
            signed = sealed.open_name(id, secret, |user| state.pins.cards(user));
        }
        Ok(Some(ShownName {
            name: given.name,
            by: signed.is_ok().then_some(given.by),
        }))
    }

    /// Calls a group by another name, for everybody in it. (The next epoch can do so, too:
    /// [`NextEpoch::name`](super::NextEpoch::name).)
    ///
    /// # Errors
    /// As for [`follow_epochs`](Self::follow_epochs). `DifferentParticipants`, `NewIdentity`: nothing
    /// may be said in the group. `NotAllowed`: it is no group, or the user is no admin.
    pub async fn rename_encrypted(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        name: &str,
    ) -> Result<(), Error> {
        for _ in 0..MAX_TRIES {
            let secret = self.follow_epochs(state, conversation).await?;
            let epoch = super::messages::check_may_send(state, conversation)?.epoch();
            let by = (self.user(), sign);
            let sealed = seal_name(conversation.id, epoch, &secret, by, name)?;
            let users = conversation.participantids.iter();
            let names = users.map(|user| (*user, sealed.clone())).collect();
            *conversation = self.rename(conversation.id, names).await?.conversation;
            // Whoever has joined with an epoch that began meanwhile cannot open it.
            if conversation.epoch == epoch.get() {
                return Ok(());
            }
        }
        Err(Error::Invalid("the epoch of the conversation"))
    }
}
