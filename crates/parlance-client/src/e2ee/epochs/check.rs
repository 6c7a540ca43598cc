//! The rules for an announcement: who signs it, what it follows, and what it may change.

use std::collections::BTreeSet;

use parlance_wire::{
    e2ee::{Announcement, Card, SignedAnnouncement},
    id::{ConversationId, UserId},
};

use crate::e2ee::Error;

/// Checks that a conversation without admins, which is a direct one, is that of the two users whose
/// id it has, and that nobody else was ever in it: whoever signs its first epoch could add somebody.
/// `all` are its announcements, and `newest` is the last of them.
pub(super) fn check_direct<'a>(
    newest: &Announcement,
    all: impl IntoIterator<Item = &'a Announcement>,
) -> Result<(), Error> {
    if !newest.admins().is_empty() {
        return Ok(());
    }
    let users: BTreeSet<&UserId> = all.into_iter().flat_map(Announcement::added).collect();
    let (first, last) = (users.first(), users.last());
    let is_of_both = first.zip(last).is_some_and(|(first, last)| {
        users.len() == 2 && ConversationId::between(**first, **last) == newest.conversation()
    });
    if is_of_both {
        Ok(())
    } else {
        Err(Error::WrongRoster)
    }
}

pub(super) fn verify(signed: &SignedAnnouncement, cards: &[Card]) -> Result<(), Error> {
    if cards.is_empty() {
        return Err(Error::UnknownSigner(signed.announcement.by()));
    }
    // By any of them: it may have been signed before its creator's keys were renewed.
    if cards.iter().any(|card| signed.verify(card).is_ok()) {
        Ok(())
    } else {
        Err(Error::WrongSigner)
    }
}

pub(super) fn check_order(known: &Announcement, next: &Announcement) -> Result<(), Error> {
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
pub(super) fn check_changes(
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
