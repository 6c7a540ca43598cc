//! The rules for an announcement: who signs it, what it follows, and what it may change.

use std::collections::BTreeSet;

use parlance_wire::{
    e2ee::{Announcement, Card, SignedAnnouncement},
    id::UserId,
};

use crate::e2ee::Error;

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
