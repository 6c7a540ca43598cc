//! Announcing the next epoch.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Announcement, Changes, Head, SignedAnnouncement, roster},
    id::{ConversationId, UserId},
    key::PublicKey,
    text::Secret,
};

use super::{Epochs, Members, check::check_changes};
use crate::e2ee::{EpochSecret, Error, SigningKey};

/// An epoch that is about to be announced: `create` or `rekey`.
#[derive(Debug)]
pub struct NewEpoch {
    /// The announcement to send.
    pub announcement: SignedAnnouncement,
    /// To seal messages with, once the server has accepted the epoch.
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
    /// Who is named as its creator.
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
        // As others will check it: an epoch that they refuse must not be sent.
        check_changes(
            &self.members.keys().copied().collect(),
            self.newest.admins(),
            &announcement,
        )?;
        new_epoch(maker, announcement, secret, members)
    }
}
