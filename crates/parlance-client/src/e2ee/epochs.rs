//! The epochs of a conversation: verifying them, and announcing the next one.

mod check;
mod members;
mod new;

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Announcement, Card, MemberKey, SignedAnnouncement},
    id::{ConversationId, UserId},
};
use serde::{Deserialize, Serialize};

use super::{EpochSecret, Error};
use crate::keys::KeyPair;
use check::{check_changes, check_direct, check_order, verify};
use members::{resolve, users_after};
pub use new::{Maker, NewEpoch, first_epoch};

/// The participants and their keys.
pub type Members = BTreeMap<UserId, MemberKey>;

/// The epochs of a conversation, as far as a client has verified them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epochs {
    newest: Announcement,
    members: Members,
}

impl Epochs {
    /// Starts with the newest epoch of a conversation that was unknown, which is trusted on first
    /// use. `older` are all announcements before it, newest first: who takes part follows from
    /// them, not from the server's list. `cards_of` returns a user's pinned cards, and `keys` what
    /// stood for a user in rosters one after the other, the newest first.
    ///
    /// # Errors
    /// `ForkedEpoch`: it is another conversation's, or does not follow the older ones.
    /// `WrongRoster`: an announcement is missing, the roster is not that of the participants, or a
    /// direct conversation has others than the two whose id it has.
    /// `NotAMember`, `UnknownSigner`, `WrongSigner`.
    pub fn begin<'a>(
        conversation: ConversationId,
        newest: &SignedAnnouncement,
        older: &[SignedAnnouncement],
        cards_of: impl Fn(UserId) -> &'a [Card],
        keys: impl Fn(UserId) -> Vec<MemberKey>,
    ) -> Result<Self, Error> {
        let announcement = &newest.announcement;
        if announcement.conversation() != conversation {
            return Err(Error::ForkedEpoch(announcement.epoch()));
        }
        // Their signatures need no check: each is named by its hash in one that was signed later.
        check_older(announcement, older)?;
        let before = older.iter().rev().map(|one| &one.announcement);
        let all = before.chain([announcement]);
        let users = users_after(all.clone())?;
        check_direct(announcement, all)?;
        if !users.contains(&announcement.by()) {
            return Err(Error::NotAMember(announcement.by()));
        }
        if !announcement.admins().is_subset(&users) {
            return Err(Error::WrongRoster);
        }
        let members = resolve(announcement.roster(), &users, &Members::new(), keys)?;
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

    /// The participants of the newest epoch, and the keys for which its secret is wrapped.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Verifies the announcements after the newest known one, oldest first. `cards_of` and `keys`
    /// are as for [`begin`](Self::begin). On an error, nothing is changed.
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
        keys: impl Fn(UserId) -> Vec<MemberKey>,
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
            self.members = resolve(newest.roster(), &users, &self.members, keys)?;
            self.newest = newest;
        }
        Ok(())
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
