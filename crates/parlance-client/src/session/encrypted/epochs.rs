//! Epochs are followed, and the next one is announced.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Epoch, Head, MemberKey},
    id::{ConversationId, UserId},
    key::PublicKey,
    request::epoch::Rekey,
    text::{DisplayName, Instance},
};

use crate::{
    answer::{self, Conversation},
    e2ee::{
        self, EpochSecret, Epochs, Maker, Members, NewEpoch, Pins, SignedAnnouncement, SigningKey,
        State, seal_name,
    },
    error::{Error, ErrorCode},
    session::Session,
};

/// How often a call is made anew, where others are faster each time.
const MAX_TRIES: usize = 10;

/// The next epoch of a conversation, as its maker wants it.
#[derive(Debug, Clone)]
pub struct NextEpoch<'a> {
    /// Who joins the group with it. Only an admin adds people.
    pub add: BTreeSet<UserId>,
    /// Who is taken out of the group with it. Only an admin does so; who has left by themselves is not named.
    pub remove: BTreeSet<UserId>,
    /// The newest message that the maker has seen.
    pub head: Head,
    /// The conversation's name, for everyone; `None`: the names stay, encrypted as they are.
    pub name: Option<&'a str>,
}

/// Epochs.
impl Session {
    /// Announces an epoch of a conversation that there is, with its secret; in a group also with other participants: those
    /// whom the announcement adds, and without those in `remove`, whom an admin takes out in the same call. (Who has left
    /// is in the announcement alone.)
    ///
    /// # Errors
    /// `StaleEpoch`: someone was faster; follow theirs. `StaleRoster`: others take part than the announcement says.
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
                // The first one adds everyone, and they are there.
                Epoch::FIRST => BTreeSet::new(),
                _ => announcement.added().clone(),
            },
            announcement,
            signature: epoch.announcement.signature,
        })
        .await
    }

    /// Follows the epochs of a conversation to the newest, and meets everyone in it. Returns the newest one's secret.
    /// `conversation` is as the server listed it; where that is older than the newest epoch, it is listed again.
    ///
    /// # Errors
    /// `Encryption`: as [`Epochs::begin`], [`Epochs::follow`], [`Epochs::secret`] and [`meet`](Self::meet); the state has
    /// the epochs that it had then. `Invalid`: the conversation has no epoch. `NotAParticipant`.
    pub async fn follow_epochs(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
    ) -> Result<EpochSecret, Error> {
        let id = conversation.id;
        for _ in 0..MAX_TRIES {
            let known = state.epochs.get(&id);
            let page = self
                .epochs_since(id, known.map(|known| known.newest().epoch()))
                .await?;
            let Some(newest) = page.first() else {
                return Err(Error::Invalid("the conversation's epoch"));
            };
            let number = newest.announcement.announcement.epoch();
            if number.get() < conversation.epoch {
                return Err(e2ee::Error::OldEpoch(number).into());
            }
            if number.get() > conversation.epoch {
                *conversation = self.listed(id).await?;
                continue;
            }
            let epochs = match known.cloned() {
                None => {
                    self.begin_epochs(state, conversation, &newest.announcement)
                        .await?
                }
                Some(known) => self.go_on(state, known, &page).await?,
            };
            let secret = epochs.secret(newest.secret.as_str(), &self.identity().pair)?;
            state.epochs.insert(id, epochs);
            return Ok(secret);
        }
        Err(Error::Invalid("the list of conversations"))
    }

    async fn begin_epochs(
        &self,
        state: &mut State,
        conversation: &Conversation,
        newest: &SignedAnnouncement,
    ) -> Result<Epochs, Error> {
        let users: BTreeSet<UserId> = conversation.participantids.iter().copied().collect();
        let met = self.meet(state, &users).await?;
        let members = members(&state.pins, &met.keys, &users)?;
        let pins = &state.pins;
        Ok(Epochs::begin(conversation.id, newest, members, |user| {
            pins.cards(user)
        })?)
    }

    /// `page`: all epochs from the newest that is known on, the newest first.
    async fn go_on(
        &self,
        state: &mut State,
        mut known: Epochs,
        page: &[answer::Epoch],
    ) -> Result<Epochs, Error> {
        let before = known.newest().epoch();
        let mut news: Vec<SignedAnnouncement> = page
            .iter()
            .map(|one| one.announcement.clone())
            .filter(|one| one.announcement.epoch() > before)
            .collect();
        news.reverse();
        if !news.is_empty() {
            let met = self.meet(state, &everyone_after(&known, &news)).await?;
            let pins = &state.pins;
            known.follow(
                &news,
                |user| pins.cards(user),
                |user| member(pins, &met.keys, user),
            )?;
        }
        match page.first().map(|one| &one.announcement.announcement) {
            Some(newest) if newest == known.newest() => Ok(known),
            Some(newest) if newest.epoch() < before => {
                Err(e2ee::Error::OldEpoch(newest.epoch()).into())
            }
            _ => Err(e2ee::Error::ForkedEpoch(before).into()),
        }
    }

    /// Begins the next epoch of a conversation, with a new secret for those who take part and have an epoch already, and
    /// for whom `next` adds. Where someone else is faster, theirs is followed, and the one after it begun. Returns the
    /// secret; `conversation` is as the server shows it then.
    ///
    /// # Errors
    /// As [`follow_epochs`](Self::follow_epochs); `DifferentParticipants`: the server lists someone who is not in the
    /// roster, and is not to be added. `NewIdentity`: somebody's, that nobody has looked at.
    pub async fn rekey(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        next: &NextEpoch<'_>,
    ) -> Result<EpochSecret, Error> {
        for _ in 1..MAX_TRIES {
            match self.rekey_once(state, sign, conversation, next).await {
                Err(error) if is_late(&error) => {
                    *conversation = self.listed(conversation.id).await?;
                }
                done => return done,
            }
        }
        self.rekey_once(state, sign, conversation, next).await
    }

    async fn rekey_once(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        next: &NextEpoch<'_>,
    ) -> Result<EpochSecret, Error> {
        self.follow_epochs(state, conversation).await?;
        let Some(epochs) = state.epochs.get(&conversation.id).cloned() else {
            return Err(Error::Invalid("the conversation's epoch"));
        };
        let listed: BTreeSet<UserId> = conversation.participantids.iter().copied().collect();
        let wanted = |user: &UserId| next.add.contains(user) || epochs.members().contains_key(user);
        let unexpected: Vec<UserId> = listed.iter().filter(|one| !wanted(one)).copied().collect();
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
        let admins = admins(&epochs, &users, self.user());
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
        let remove = next.remove.intersection(&listed).copied().collect();
        *conversation = self
            .announce(&conversation.instance, &new, &met.keys, names, remove)
            .await?;
        state.epochs.insert(conversation.id, new.accepted());
        Ok(new.secret)
    }

    /// The epochs of a conversation from one on, or the newest; the newest first.
    async fn epochs_since(
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
            if is_last || known.is_none_or(|known| oldest <= Some(known)) {
                return Ok(all);
            }
        }
    }

    /// A conversation, as the server lists it now.
    pub(super) async fn listed(&self, id: ConversationId) -> Result<Conversation, Error> {
        let listed = self.list().await?.into_iter().find(|one| one.id == id);
        listed.ok_or(Error::NotAParticipant)
    }
}

/// Whether the server has gone on meanwhile: what it has now is followed, and the call made again.
fn is_late(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::StaleEpoch | ErrorCode::StaleRoster | ErrorCode::StaleInstance)
    )
}

fn member(pins: &Pins, keys: &BTreeMap<UserId, PublicKey>, user: UserId) -> Option<MemberKey> {
    pins.member(user, keys.get(&user).map(PublicKey::hash))
}

/// Nobody is left out because the server tells no key of theirs.
fn members(
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

/// Everyone whose cards it takes to follow these announcements: who made them, and who takes part after them.
fn everyone_after(known: &Epochs, news: &[SignedAnnouncement]) -> BTreeSet<UserId> {
    let mut users: BTreeSet<UserId> = known.members().keys().copied().collect();
    let mut makers = BTreeSet::new();
    for one in news.iter().map(|one| &one.announcement) {
        users.retain(|user| !one.removed().contains(user));
        users.extend(one.added());
        makers.insert(one.by());
    }
    users.union(&makers).copied().collect()
}

/// The admins who stay; where none does, the maker is one.
fn admins(epochs: &Epochs, users: &BTreeSet<UserId>, maker: UserId) -> BTreeSet<UserId> {
    let before = epochs.newest().admins();
    let stay: BTreeSet<UserId> = before.intersection(users).copied().collect();
    if stay.is_empty() && !before.is_empty() {
        BTreeSet::from([maker])
    } else {
        stay
    }
}
