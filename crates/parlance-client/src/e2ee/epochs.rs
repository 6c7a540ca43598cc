//! The epochs of a conversation: what a client checks before it believes one, and how it announces the next.

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

/// Who takes part, and with which keys.
pub type Members = BTreeMap<UserId, MemberKey>;

/// The epochs of one conversation, as far as a client has checked them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    newest: Announcement,
    members: Members,
}

/// An epoch that is about to be announced: `create` or `rekey`.
#[derive(Debug)]
pub struct NewEpoch {
    /// What is sent.
    pub announcement: SignedAnnouncement,
    /// Its secret.
    pub secret: EpochSecret,
    members: Members,
}

impl NewEpoch {
    /// The secret, wrapped for each who takes part. `keys` has all of them.
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

    /// The state after the server took it.
    #[must_use]
    pub fn accepted(&self) -> Epochs {
        Epochs {
            newest: self.announcement.announcement.clone(),
            members: self.members.clone(),
        }
    }
}

/// Who makes an announcement.
#[derive(Debug, Clone, Copy)]
pub struct Maker<'a> {
    /// The user.
    pub user: UserId,
    /// The key of their newest card.
    pub key: &'a SigningKey,
}

/// The first epoch of a conversation: a new one, or one that had none. `admins` is empty in a direct conversation.
///
/// # Errors
/// `Invalid`: the maker is not among the members, or an admin is not.
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
    /// Begins with the newest epoch of a conversation that was not known: what is trusted on first use is its roster,
    /// which must be `members`, and that its maker is one of them.
    ///
    /// # Errors
    /// `ForkedEpoch`: it is another conversation's. `WrongRoster`, `NotAMember`, `UnknownSigner`, `WrongSigner`.
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

    /// Who takes part.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Goes on with the announcements after the newest that is known, the oldest first. `cards_of` answers a user's
    /// cards, as they are pinned, and `member` what stands for them in a roster now. Nothing is changed on an error.
    ///
    /// The roster of the last is compared whole; in those before it, someone's card may have been another one.
    ///
    /// # Errors
    /// `OldEpoch`, `SkippedEpoch`, `ForkedEpoch`, `NotAMember`, `NotAnAdmin`, `WrongChanges`, `UnknownSigner`,
    /// `WrongSigner`, `WrongRoster`.
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

    /// The members with their keys. Each has the newest card that is known here, or, if the announcement's maker did not
    /// know that one yet, the card of before.
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

    /// Announces the next epoch, with a new secret: of `members` and `admins` as they are to be. Who was there and is
    /// not in `members` is removed, who was not is added.
    ///
    /// # Errors
    /// What the others would refuse it for: `NotAMember`, `NotAnAdmin`, `WrongChanges`. `Invalid`: there are no more
    /// numbers.
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
    /// `WrongSecret`: not the one that was announced, whoever wrapped it.
    pub fn secret(&self, wrapped: &str, pair: &KeyPair) -> Result<EpochSecret, Error> {
        open_secret(&self.newest, wrapped, pair)
    }

    /// Before anything is sent: whether the server lists exactly those who are in the roster. If not: rekey first, or
    /// stop, and say who is unexpected.
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

/// Whether these announcements are those before one that was checked, the newest first: each names the hash of the one
/// before it. So a client that begins late can read old messages, as far as it gets their secrets.
///
/// # Errors
/// `ForkedEpoch`: of the first that is not.
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

/// The secret of an epoch, from the caller's wrapped copy: also of an old one, whose announcement was checked before.
///
/// # Errors
/// `WrongSecret`: not the one that was announced.
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

/// Whether these changes are its maker's to make. Anyone may remove people; only an admin adds them, or changes who is
/// one. Where the last admin is gone, whoever says so names one of those who stay.
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
        // A group always has an admin, and a direct conversation never.
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
