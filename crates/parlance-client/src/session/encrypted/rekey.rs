//! Creates and announces the next epoch, after any that others announce first.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{e2ee::Head, id::UserId, time::Timestamp};

use super::epochs::members;
use crate::{
    answer::Conversation,
    e2ee::{self, EpochSecret, Epochs, Maker, SigningKey, State, seal_name},
    error::{Error, ErrorCode},
    retry::Attempts,
    session::Session,
};

/// The next epoch of a conversation, as its creator wants it.
#[derive(Debug, Clone)]
pub struct NextEpoch<'a> {
    /// Users who join the group with it. Only an admin adds people.
    pub add: BTreeSet<UserId>,
    /// The admins of the group from it on: only an admin changes them, after calling
    /// [`set_role`](Session::set_role) for each who becomes one, or is one no longer. `None`: those of
    /// the epoch before who stay.
    pub admins: Option<BTreeSet<UserId>>,
    /// Users who are removed from the group with it, which only an admin may do. Users who have
    /// left by themselves are not listed.
    pub remove: BTreeSet<UserId>,
    /// The newest message that the creator has seen.
    pub head: Head,
    /// The conversation's name, for everyone. With `None` the names stay, encrypted as they are.
    pub name: Option<&'a str>,
}

/// Beginning the next epoch.
impl Session {
    /// Begins the next epoch of a conversation, with a new secret for the participants who are in
    /// an epoch already, and for those whom `next` adds. If someone else is faster, their epoch is
    /// followed, and the one after it begun. Returns the secret; `conversation` is then as the
    /// server shows it.
    ///
    /// # Errors
    /// As for [`follow_epochs`](Self::follow_epochs); `DifferentParticipants`: the server lists
    /// someone who is neither in the roster nor to be added. `NewIdentity`: of somebody, which was
    /// not accepted yet.
    pub async fn rekey(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        next: &NextEpoch<'_>,
    ) -> Result<EpochSecret, Error> {
        let mut attempts = Attempts::default();
        loop {
            let begun = self.rekey_once(state, sign, conversation, next).await;
            if !attempts.goes_on(&begun, is_late) {
                return begun;
            }
            *conversation = self.listed(conversation.id).await?;
        }
    }

    async fn rekey_once(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        next: &NextEpoch<'_>,
    ) -> Result<EpochSecret, Error> {
        // Not its secret: a new one takes the place of one that is of no use.
        self.follow_announcements(state, conversation).await?;
        let Some(epochs) = state.epochs.get(&conversation.id).cloned() else {
            return Err(Error::Invalid("the conversation's epoch"));
        };
        let listed: BTreeSet<UserId> = conversation.participantids.iter().copied().collect();
        let wanted = |user: &UserId| next.add.contains(user) || epochs.members().contains_key(user);
        let unexpected: Vec<UserId> = listed.iter().filter(|one| !wanted(one)).copied().collect();
        // The server's word alone gives nobody the secret.
        if !unexpected.is_empty() {
            return Err(e2ee::Error::DifferentParticipants {
                unexpected,
                missing: vec![],
            }
            .into());
        }
        let users: BTreeSet<UserId> = listed
            .union(&next.add)
            .filter(|user| !next.remove.contains(user))
            .copied()
            .collect();
        let met = self.meet(state, &users).await?;
        state.pins.may_send(users.iter().copied())?;
        let members = members(&state.pins, &met.keys, &users)?;
        let maker = Maker {
            user: self.user(),
            key: sign,
        };
        // The server's list alone appoints nobody: it could name whomever it likes.
        let admins = match &next.admins {
            Some(admins) => admins.clone(),
            None => admins(&epochs, &users, &conversation.admins),
        };
        let new = epochs.rekey(maker, members, admins, next.head)?;
        let number = new.announcement.announcement.epoch();
        let names = match next.name {
            None => BTreeMap::new(),
            Some(name) => {
                let by = (self.user(), sign);
                let sealed = seal_name(conversation.id, number, &new.secret, by, name)?;
                users.iter().map(|user| (*user, sealed.clone())).collect()
            }
        };
        // Whoever is not listed any more has left already.
        let remove = next.remove.intersection(&listed).copied().collect();
        *conversation = self
            .announce(&conversation.instance, &new, &met.keys, names, remove)
            .await?;
        state.set_epochs(conversation.id, new.accepted(), Timestamp::now());
        Ok(new.secret)
    }
}

/// Returns `true` if the server is ahead: its present state is then followed, and the call
/// repeated.
pub(super) fn is_late(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::StaleEpoch | ErrorCode::StaleRoster | ErrorCode::StaleInstance)
    )
}

/// The admins who stay. If none does, the one whom the server made an admin, among those who were
/// there; its word counts only then, when nobody is left who could appoint one.
fn admins(epochs: &Epochs, users: &BTreeSet<UserId>, listed: &[UserId]) -> BTreeSet<UserId> {
    let before = epochs.newest().admins();
    let stay: BTreeSet<UserId> = before.intersection(users).copied().collect();
    if !stay.is_empty() || before.is_empty() {
        return stay;
    }
    let were = users
        .iter()
        .filter(|user| epochs.members().contains_key(user));
    let successor = were
        .clone()
        .find(|user| listed.contains(user))
        // None of the server's admins was there: the server takes whoever is announced.
        .or(were.clone().next());
    successor.copied().into_iter().collect()
}
