//! Follows epochs, and announces the next one.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Epoch, MemberKey},
    id::{ConversationId, UserId},
    key::PublicKey,
    request::epoch::Rekey,
    text::{DisplayName, Instance, Secret},
    time::Timestamp,
};

use crate::{
    answer::{self, Conversation},
    e2ee::{self, EpochSecret, Epochs, Members, NewEpoch, Pins, SignedAnnouncement, State},
    error::Error,
    retry::MAX_TRIES,
    session::Session,
};

/// Announcing and following epochs.
impl Session {
    /// Announces an epoch of an existing conversation, with its secret; in a group also with other
    /// participants: those whom the announcement adds, and without those in `remove`, whom an admin
    /// removes in the same call. (Users who have left are only in the announcement.)
    ///
    /// # Errors
    /// `StaleEpoch`: someone was faster, and their epoch has to be followed. `StaleRoster`: the
    /// participants are not those of the announcement, or one of them has a newer card.
    pub async fn announce(
        &self,
        instance: &Instance,
        epoch: &NewEpoch,
        keys: &BTreeMap<UserId, PublicKey>,
        displaynames: BTreeMap<UserId, DisplayName>,
        remove: BTreeSet<UserId>,
    ) -> Result<Conversation, Error> {
        let announcement = epoch.announcement.announcement.clone();
        self.send_rekey(Rekey {
            conversationid: announcement.conversation(),
            instance: instance.clone(),
            epoch: announcement.epoch(),
            secrets: epoch.wrap(keys)?,
            displaynames,
            removeparticipants: remove,
            addparticipants: match announcement.epoch() {
                // The first one adds everyone, and they take part already.
                Epoch::FIRST => BTreeSet::new(),
                _ => announcement.added().clone(),
            },
            announcement,
            signature: epoch.announcement.signature,
        })
        .await
    }

    /// Follows the epochs of a conversation to the newest, and meets everyone in it. Returns the
    /// newest one's secret. `conversation` is as the server listed it; if that is older than the
    /// newest epoch, it is listed again.
    ///
    /// # Errors
    /// `Encryption`: as for [`Epochs::begin`], [`Epochs::follow`] and [`meet`](Self::meet); the
    /// state keeps its epochs. As for [`Epochs::secret`]: the epochs were followed, but the user's
    /// copy of the secret is of no use, until [`rekey`](Self::rekey) makes another one. `NoEpochs`:
    /// older clients alone use the conversation. `Invalid`: the server does not show its epochs.
    /// `NotAParticipant`.
    pub async fn follow_epochs(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
    ) -> Result<EpochSecret, Error> {
        let wrapped = self.follow_announcements(state, conversation).await?;
        let Some(epochs) = state.epochs.get(&conversation.id) else {
            return Err(Error::Invalid("the conversation's epoch"));
        };
        Ok(self.open_secret(epochs.newest(), wrapped.as_str())?)
    }

    /// Like [`follow_epochs`](Self::follow_epochs), but returns the user's copy of the newest
    /// secret as it is: empty if there is none.
    pub(super) async fn follow_announcements(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
    ) -> Result<Secret, Error> {
        let id = conversation.id;
        for _ in 0..MAX_TRIES {
            let known = state.epochs.get(&id);
            let page = self
                .epochs_since(id, known.map(|known| known.newest().epoch()))
                .await?;
            let Some(newest) = page.first() else {
                return Err(if known.is_none() && conversation.epoch == 0 {
                    Error::NoEpochs
                } else {
                    Error::Invalid("the conversation's epoch")
                });
            };
            let number = newest.announcement.announcement.epoch();
            // The list names a newer one: the server withholds its announcement.
            if number.get() < conversation.epoch {
                return Err(e2ee::Error::OldEpoch(number).into());
            }
            // The list is older: participants and epoch have to be of the same moment.
            if number.get() > conversation.epoch {
                *conversation = self.listed(id).await?;
                continue;
            }
            let epochs = match known.cloned() {
                None => self.begin_epochs(state, id, &page).await?,
                Some(known) => self.go_on(state, known, &page).await?,
            };
            // People are shown the one or the other, as the list says. Also of epochs that were kept:
            // an earlier version of this client followed those of a direct conversation with others.
            let (me, is_direct) = (self.user(), epochs.newest().admins().is_empty());
            let is_of_both =
                |user: &UserId| *user == me || ConversationId::between(me, *user) == id;
            if conversation.isgroup == is_direct
                || is_direct && !epochs.members().keys().all(is_of_both)
            {
                return Err(e2ee::Error::WrongRoster.into());
            }
            let secret = newest.secret.clone();
            state.set_epochs(id, epochs, Timestamp::now());
            return Ok(secret);
        }
        Err(Error::Invalid("the list of conversations"))
    }

    /// `page` has all epochs, newest first.
    async fn begin_epochs(
        &self,
        state: &mut State,
        conversation: ConversationId,
        page: &[answer::Epoch],
    ) -> Result<Epochs, Error> {
        let all: Vec<SignedAnnouncement> =
            page.iter().map(|one| one.announcement.clone()).collect();
        let users = everyone_after(BTreeSet::new(), all.iter().rev());
        let met = self.meet(state, &users).await?;
        let Some((newest, older)) = all.split_first() else {
            return Err(Error::Invalid("the conversation's epoch"));
        };
        let epochs = Epochs::begin(
            conversation,
            newest,
            older,
            |user| state.pins.cards(user),
            |user| keys(state, &met.keys, user),
        )?;
        // What is looked for as the direct conversation with one of them must not be a group.
        let me = self.user();
        let is_direct = users
            .iter()
            .any(|user| *user != me && ConversationId::between(me, *user) == conversation);
        if is_direct && !epochs.newest().admins().is_empty() {
            return Err(e2ee::Error::WrongRoster.into());
        }
        Ok(epochs)
    }

    /// `page` has all epochs from the newest known one on, newest first.
    async fn go_on(
        &self,
        state: &mut State,
        mut known: Epochs,
        page: &[answer::Epoch],
    ) -> Result<Epochs, Error> {
        let before = known.newest().epoch();
        let mut newer: Vec<SignedAnnouncement> = page
            .iter()
            .map(|one| one.announcement.clone())
            .filter(|one| one.announcement.epoch() > before)
            .collect();
        newer.reverse();
        if !newer.is_empty() {
            let users = known.members().keys().copied().collect();
            let users = everyone_after(users, &newer);
            let met = self.meet(state, &users).await?;
            let state = &*state;
            let pins = &state.pins;
            known.follow(
                &newer,
                |user| pins.cards(user),
                |user| keys(state, &met.keys, user),
            )?;
        }
        // Also if nothing is newer: the server may show another announcement of the same number.
        match page.first().map(|one| &one.announcement.announcement) {
            Some(newest) if newest == known.newest() => Ok(known),
            Some(newest) if newest.epoch() < before => {
                Err(e2ee::Error::OldEpoch(newest.epoch()).into())
            }
            _ => Err(e2ee::Error::ForkedEpoch(before).into()),
        }
    }

    /// The epochs of a conversation from one on, or all; newest first.
    pub(super) async fn epochs_since(
        &self,
        id: ConversationId,
        known: Option<Epoch>,
    ) -> Result<Vec<answer::Epoch>, Error> {
        let mut all: Vec<answer::Epoch> = vec![];
        loop {
            let before = all.last().map(|one| one.announcement.announcement.epoch());
            let page = self.epochs(id, before).await?;
            let is_last = !page.hasmore || page.epochs.is_empty();
            all.extend(page.epochs);
            let oldest = all.last().map(|one| one.announcement.announcement.epoch());
            // Including the known one, which the server has to show again.
            if is_last || known.is_some_and(|known| oldest <= Some(known)) {
                return Ok(all);
            }
        }
    }

    /// The conversation as the server lists it now.
    ///
    /// # Errors
    /// `NotAParticipant`: it does not.
    pub async fn listed(&self, id: ConversationId) -> Result<Conversation, Error> {
        let listed = self.list().await?.into_iter().find(|one| one.id == id);
        listed.ok_or(Error::NotAParticipant)
    }
}

fn member(pins: &Pins, keys: &BTreeMap<UserId, PublicKey>, user: UserId) -> Option<MemberKey> {
    pins.member(user, keys.get(&user).map(PublicKey::hash))
}

/// A user's entries in rosters, the newest first. For a deleted account, only the log has them.
fn keys(state: &State, keys: &BTreeMap<UserId, PublicKey>, user: UserId) -> Vec<MemberKey> {
    let pinned = state.pins.keys(user, keys.get(&user).map(PublicKey::hash));
    if !pinned.is_empty() {
        return pinned;
    }
    let logged = state.log.cards(user).unwrap_or_default();
    logged.into_iter().map(MemberKey::Card).collect()
}

/// The members with their keys. Nobody is left out because the server withholds their key.
pub(super) fn members(
    pins: &Pins,
    keys: &BTreeMap<UserId, PublicKey>,
    users: &BTreeSet<UserId>,
) -> Result<Members, e2ee::Error> {
    users
        .iter()
        .map(|user| {
            let member = member(pins, keys, *user).ok_or(e2ee::Error::UnknownSigner(*user))?;
            Ok((*user, member))
        })
        .collect()
}

/// Everyone whose cards are needed to follow these announcements: their creators, and the
/// participants after them.
fn everyone_after<'a>(
    mut users: BTreeSet<UserId>,
    newer: impl IntoIterator<Item = &'a SignedAnnouncement>,
) -> BTreeSet<UserId> {
    let mut makers = BTreeSet::new();
    for one in newer.into_iter().map(|one| &one.announcement) {
        users.retain(|user| !one.removed().contains(user));
        users.extend(one.added());
        makers.insert(one.by());
    }
    users.union(&makers).copied().collect()
}
