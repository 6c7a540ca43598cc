//! The epochs of a conversation: verifying them, and announcing the next one.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Announcement, Card, Changes, Head, MemberKey, RosterHash, SignedAnnouncement, roster},
    id::{ConversationId, UserId},
    key::PublicKey,
    text::Secret,
};
use serde::{Deserialize, Serialize};

use super::{EpochSecret, Error, SigningKey};
use crate::keys::KeyPair;

/// The participants and their keys.
pub type Members = BTreeMap<UserId, MemberKey>;

/// The epochs of a conversation, as far as a client has verified them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    newest: Announcement,
    members: Members,
}

/// An epoch that is about to be announced: `create` or `rekey`.
#[derive(Debug)]
pub struct NewEpoch {
    /// The announcement to send.
    pub announcement: SignedAnnouncement,
    /// Its secret.
    pub secret: EpochSecret,
    members: Members,
}

impl NewEpoch {
    /// Wraps the secret for each participant; `keys` has their keys.
    ///
    /// # Errors
    /// `WrongRoster`: a key is missing. `Key`: not an RSA key.
    pub fn wrap(
        &self,
        keys: &BTreeMap<UserId, PublicKey>,
    ) -> Result<BTreeMap<UserId, Secret>, Error> {
        self.members
            .keys()
            .map(|user| {
                let key = keys.get(user).ok_or(Error::WrongRoster)?;
                Ok::<_, Error>((*user, self.secret.wrap(key)?))
            })
            .collect()
    }

    /// The state once the server has accepted it.
    #[must_use]
    pub fn accepted(&self) -> Epochs {
        Epochs {
            newest: self.announcement.announcement.clone(),
            members: self.members.clone(),
        }
    }
}

/// The creator of an announcement.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a> {
    /// The user.
    pub user: UserId,
    /// The key of their newest card.
    pub key: &'a SigningKey,
}

/// The first epoch of a conversation, which is new or had none. `admins` is empty in a direct
/// conversation.
///
/// # Errors
/// `Invalid`: the creator is not a member, or an admin is not.
pub fn first_epoch(
    maker: Maker<'_>,
    conversation: ConversationId,
    members: Members,
    admins: BTreeSet<UserId>,
    head: Head,
) -> Result<NewEpoch, Error> {
    let secret = EpochSecret::generate()?;
    let changes = Changes {
        roster: roster(&members),
        admins,
        added: members.keys().copied().collect(),
        removed: BTreeSet::new(),
        commit: secret.commitment(),
        by: maker.user,
        head,
    };
    let announcement = Announcement::first(conversation, changes)?;
    new_epoch(maker, announcement, secret, members)
}

fn new_epoch(
    maker: Maker<'_>,
    announcement: Announcement,
    secret: EpochSecret,
    members: Members,
) -> Result<NewEpoch, Error> {
    let signature = maker.key.sign(&announcement.signed_text())?;
    Ok(NewEpoch {
        announcement: SignedAnnouncement {
            announcement,
            signature,
        },
        secret,
        members,
    })
}

impl Epochs {
    /// Starts with the newest epoch of a conversation that was unknown. Its roster, which must be
    /// `members` and include the creator, is trusted on first use.
    ///
    /// # Errors
    /// `ForkedEpoch`: it is another conversation's. `WrongRoster`, `NotAMember`, `UnknownSigner`,
    /// `WrongSigner`.
    pub fn begin<'a>(
        conversation: ConversationId,
        newest: &SignedAnnouncement,
        members: Members,
        cards_of: impl Fn(UserId) -> &'a [Card],
    ) -> Result<Self, Error> {
        let announcement = &newest.announcement;
        if announcement.conversation() != conversation {
            return Err(Error::ForkedEpoch(announcement.epoch()));
        }
        if !members.contains_key(&announcement.by()) {
            return Err(Error::NotAMember(announcement.by()));
        }
        if roster(&members) != announcement.roster()
            || !announcement
                .admins()
                .iter()
                .all(|admin| members.contains_key(admin))
        {
            return Err(Error::WrongRoster);
        }
        verify(newest, cards_of(announcement.by()))?;
        Ok(Self {
            newest: announcement.clone(),
            members,
        })
    }

    /// The newest announcement.
    #[must_use]
    pub fn newest(&self) -> &Announcement {
        &self.newest
    }

    /// The participants.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Verifies the announcements after the newest known one, oldest first. `cards_of` returns a
    /// user's pinned cards, and `member` the user's present entry in a roster. On an error, nothing
    /// is changed.
    ///
    /// The last announcement's roster is compared as a whole; in earlier ones, someone may have had
    /// a different card.
    ///
    /// # Errors
    /// `OldEpoch`, `SkippedEpoch`, `ForkedEpoch`, `NotAMember`, `NotAnAdmin`, `WrongChanges`,
    /// `UnknownSigner`, `WrongSigner`, `WrongRoster`.
    pub fn follow<'a>(
        &mut self,
        announcements: &[SignedAnnouncement],
        cards_of: impl Fn(UserId) -> &'a [Card],
        member: impl Fn(UserId) -> Option<MemberKey>,
    ) -> Result<(), Error> {
        let mut newest = self.newest.clone();
        let mut users: BTreeSet<UserId> = self.members.keys().copied().collect();
        for signed in announcements {
            let next = &signed.announcement;
            check_order(&newest, next)?;
            if !users.contains(&next.by()) {
                return Err(Error::NotAMember(next.by()));
            }
            verify(signed, cards_of(next.by()))?;
            check_changes(&users, newest.admins(), next)?;
            users.retain(|user| !next.removed().contains(user));
            users.extend(next.added());
            newest = next.clone();
        }
        if !announcements.is_empty() {
            self.members = self.resolve(newest.roster(), &users, member)?;
            self.newest = newest;
        }
        Ok(())
    }

    /// The members with their keys. Each has the newest card that is known here or, if the
    /// announcement's creator did not know it yet, the previous one.
    fn resolve(
        &self,
        announced: RosterHash,
        users: &BTreeSet<UserId>,
        member: impl Fn(UserId) -> Option<MemberKey>,
    ) -> Result<Members, Error> {
        let newest: Members = users
            .iter()
            .map(|user| {
                let key = member(*user).ok_or(Error::UnknownSigner(*user))?;
                Ok::<_, Error>((*user, key))
            })
            .collect::<Result<_, Error>>()?;
        let mut before = newest.clone();
        for (user, key) in &self.members {
            if let Some(of_before) = before.get_mut(user) {
                *of_before = *key;
            }
        }
        [newest, before]
            .into_iter()
            .find(|members| roster(members) == announced)
            .ok_or(Error::WrongRoster)
    }

    /// Announces the next epoch, with a new secret and these `members` and `admins`. Participants
    /// who are not in `members` are removed, new ones are added.
    ///
    /// # Errors
    /// The reasons for which others would refuse it: `NotAMember`, `NotAnAdmin`, `WrongChanges`.
    /// `Invalid`: there are no more numbers.
    pub fn rekey(
        &self,
        maker: Maker<'_>,
        members: Members,
        admins: BTreeSet<UserId>,
        head: Head,
    ) -> Result<NewEpoch, Error> {
        if !self.members.contains_key(&maker.user) {
            return Err(Error::NotAMember(maker.user));
        }
        let secret = EpochSecret::generate()?;
        let not_in = |one: &Members, other: &Members| -> BTreeSet<UserId> {
            let only = one.keys().filter(|user| !other.contains_key(user));
            only.copied().collect()
        };
        let changes = Changes {
            roster: roster(&members),
            admins,
            added: not_in(&members, &self.members),
            removed: not_in(&self.members, &members),
            commit: secret.commitment(),
            by: maker.user,
            head,
        };
        let announcement = self.newest.next(changes)?;
        check_changes(
            &self.members.keys().copied().collect(),
            self.newest.admins(),
            &announcement,
        )?;
        new_epoch(maker, announcement, secret, members)
    }

    /// The secret of the newest epoch, from the caller's wrapped copy.
    ///
    /// # Errors
    /// `WrongSecret`: it is not the announced one.
    pub fn secret(&self, wrapped: &str, pair: &KeyPair) -> Result<EpochSecret, Error> {
        open_secret(&self.newest, wrapped, pair)
    }

    /// To be called before anything is sent: checks that the server lists exactly the users in the
    /// roster. If not, rekey first, or stop and show who is unexpected.
    ///
    /// # Errors
    /// `DifferentParticipants`.
    pub fn check_participants(&self, listed: &BTreeSet<UserId>) -> Result<(), Error> {
        let unexpected: Vec<UserId> = listed
            .iter()
            .filter(|user| !self.members.contains_key(user))
            .copied()
            .collect();
        let missing: Vec<UserId> = self
            .members
            .keys()
            .filter(|user| !listed.contains(user))
            .copied()
            .collect();
        if unexpected.is_empty() && missing.is_empty() {
            Ok(())
        } else {
            Err(Error::DifferentParticipants {
                unexpected,
                missing,
            })
        }
    }
}

/// Checks that these announcements, newest first, precede one that was verified: each contains the
/// hash of the previous one. So a client that starts late can read old messages, as far as it gets
/// their secrets.
///
/// # Errors
/// `ForkedEpoch`: of the first that does not.
pub fn check_older(newest: &Announcement, older: &[SignedAnnouncement]) -> Result<(), Error> {
    let mut after = newest;
    for signed in older {
        let announcement = &signed.announcement;
        if !after.follows(announcement) {
            return Err(Error::ForkedEpoch(announcement.epoch()));
        }
        after = announcement;
    }
    Ok(())
}

/// The secret of an epoch, from the caller's wrapped copy; also of an old one, whose announcement
/// was checked before.
///
/// # Errors
/// `WrongSecret`: it is not the announced one.
pub fn open_secret(
    announcement: &Announcement,
    wrapped: &str,
    pair: &KeyPair,
) -> Result<EpochSecret, Error> {
    let secret = EpochSecret::unwrap(wrapped, pair)?;
    if secret.commitment() == announcement.commit() {
        Ok(secret)
    } else {
        Err(Error::WrongSecret)
    }
}

fn verify(signed: &SignedAnnouncement, cards: &[Card]) -> Result<(), Error> {
    if cards.is_empty() {
        return Err(Error::UnknownSigner(signed.announcement.by()));
    }
    if cards.iter().any(|card| signed.verify(card).is_ok()) {
        Ok(())
    } else {
        Err(Error::WrongSigner)
    }
}

fn check_order(known: &Announcement, next: &Announcement) -> Result<(), Error> {
    let offered = next.epoch();
    if next.follows(known) {
        Ok(())
    } else if offered < known.epoch() || next.hash() == known.hash() {
        Err(Error::OldEpoch(offered))
    } else if offered == known.epoch() || Some(offered) == known.epoch().next() {
        Err(Error::ForkedEpoch(offered))
    } else {
        Err(Error::SkippedEpoch(offered))
    }
}

/// Checks that the creator may make these changes. Any member may remove people; only an admin adds
/// people or changes admins. If the last admin is gone, the announcement of that names one of the
/// remaining members.
fn check_changes(
    members: &BTreeSet<UserId>,
    admins: &BTreeSet<UserId>,
    next: &Announcement,
) -> Result<(), Error> {
    let stays = |user: &UserId| members.contains(user) && !next.removed().contains(user);
    let fits = next.removed().is_subset(members)
        && next.added().is_disjoint(members)
        && stays(&next.by())
        && next
            .admins()
            .iter()
            .all(|user| stays(user) || next.added().contains(user))
        // A group always has an admin, a direct conversation never does.
        && next.admins().is_empty() == admins.is_empty();
    if !fits {
        return Err(Error::WrongChanges);
    }
    let left: BTreeSet<UserId> = admins.difference(next.removed()).copied().collect();
    let is_succession = !admins.is_empty()
        && left.is_empty()
        && next.admins().len() == 1
        && next.admins().iter().all(stays);
    let needs_admin = !next.added().is_empty() || (*next.admins() != left && !is_succession);
    if needs_admin && !admins.contains(&next.by()) {
        return Err(Error::NotAnAdmin(next.by()));
    }
    Ok(())
}
