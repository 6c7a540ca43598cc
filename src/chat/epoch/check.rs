//! The checks of announcements that every participant's client makes as well (docs/e2ee.md).

use std::collections::BTreeSet;

use parlance_wire::{e2ee::Announcement, id::UserId};

use crate::chat::error::Error;

/// The participants of an announced epoch.
pub(super) struct Roster {
    pub members: BTreeSet<UserId>,
    /// The only admin, if none of the admins of the epoch before stays.
    pub successor: Option<UserId>,
}

/// Checks the first announcement of a conversation. Returns the participants in its roster.
///
/// # Errors
/// `BadRequest`.
pub(super) fn first(next: &Announcement, is_group: bool) -> Result<BTreeSet<UserId>, Error> {
    admins_fit(next, is_group, next.added())?;
    Ok(next.added().clone())
}

/// Checks an announcement that follows another one, whose roster has these members. Returns its
/// roster.
///
/// # Errors
/// `BadRequest`; `NotAllowed`: its creator may not make these changes.
pub(super) fn next(
    before: &Announcement,
    members: &BTreeSet<UserId>,
    next: &Announcement,
) -> Result<Roster, Error> {
    if !next.removed().is_subset(members) || !next.added().is_disjoint(members) {
        return Err(Error::BadRequest(
            "announcement.removed must name members of the epoch before, and announcement.added others.".into(),
        ));
    }
    let stay: BTreeSet<UserId> = members.difference(next.removed()).copied().collect();
    if !stay.contains(&next.by()) {
        return Err(Error::NotAllowed(
            "You are not a member of the present epoch. Ask an admin to add you.",
        ));
    }
    let after = stay.union(next.added()).copied().collect();
    admins_fit(next, !before.admins().is_empty(), &after)?;
    // Any member may announce that someone is gone. Only an admin adds people or changes admins;
    // but if no admin is left, the announcement of that names a new one.
    let left: BTreeSet<UserId> = before
        .admins()
        .difference(next.removed())
        .copied()
        .collect();
    let is_succession = !before.admins().is_empty()
        && left.is_empty()
        && next.admins().len() == 1
        && next.admins().is_subset(&stay);
    let needs_admin = !next.added().is_empty() || (*next.admins() != left && !is_succession);
    if needs_admin && !before.admins().contains(&next.by()) {
        return Err(Error::NotAllowed(
            "Only an admin of the present epoch may add members or change its admins.",
        ));
    }
    Ok(Roster {
        members: after,
        successor: next.admins().first().copied().filter(|_| is_succession),
    })
}

/// A group has admins, who are members; a direct conversation has none.
fn admins_fit(
    next: &Announcement,
    is_group: bool,
    members: &BTreeSet<UserId>,
) -> Result<(), Error> {
    if next.admins().is_empty() == is_group || !next.admins().is_subset(members) {
        return Err(Error::BadRequest(
            "announcement.admins must name members, and in a direct conversation nobody.".into(),
        ));
    }
    Ok(())
}
