//! Who takes part in an announced epoch, with which keys: the announcement has a hash over them.

use std::collections::BTreeSet;

use parlance_wire::{
    e2ee::{Announcement, MemberKey, RosterHash, roster},
    id::UserId,
};

use super::Members;
use crate::e2ee::Error;

/// Maximum rosters that are compared with an announced one. An announcement that still has to be
/// followed is older than few of the cards, so that those are among the first.
const MAX_ROSTERS: usize = 1000;

/// What may stand for each user in a roster, the newest first.
type Choices = Vec<(UserId, Vec<MemberKey>)>;

/// The members of an announced epoch. Its creator may not have known anybody's newest card: each
/// has one of theirs from the one in `before` on. `keys` returns what stood for a user one after
/// the other, the newest first.
pub(super) fn resolve(
    announced: RosterHash,
    users: &BTreeSet<UserId>,
    before: &Members,
    keys: impl Fn(UserId) -> Vec<MemberKey>,
) -> Result<Members, Error> {
    let choices = users
        .iter()
        .map(|user| {
            let keys = keys(*user);
            let since = match before.get(user) {
                None => keys,
                Some(known) => {
                    let newer = keys.into_iter().take_while(|key| key != known);
                    newer.chain([*known]).collect()
                }
            };
            if since.is_empty() {
                return Err(Error::UnknownSigner(*user));
            }
            Ok((*user, since))
        })
        .collect::<Result<Choices, Error>>()?;
    let newest: Members = choices
        .iter()
        .filter_map(|(user, keys)| Some((*user, *keys.first()?)))
        .collect();
    let oldest: Members = choices
        .iter()
        .filter_map(|(user, keys)| Some((*user, *keys.last()?)))
        .collect();
    // No search if all have the newest card, or all the oldest, as after a long absence.
    if let Some(members) = [&newest, &oldest]
        .into_iter()
        .find(|members| roster(members) == announced)
    {
        return Ok(members.clone());
    }
    let renewed = choices.into_iter().filter(|(_, keys)| keys.len() > 1);
    let mut search = Search {
        announced,
        choices: renewed.collect(),
        members: newest,
        left: MAX_ROSTERS,
    };
    let most = search.choices.iter().map(|(_, keys)| keys.len() - 1).sum();
    let is_found = (1..=most).any(|steps| search.left > 0 && search.finds(0, steps));
    if is_found {
        Ok(search.members)
    } else {
        Err(Error::WrongRoster)
    }
}

struct Search {
    announced: RosterHash,
    /// Of users with several cards.
    choices: Choices,
    members: Members,
    /// How many more rosters are compared.
    left: usize,
}

impl Search {
    /// Goes back by this many cards in total, from the user with this index on. If the roster is
    /// found, it is in `members`; otherwise `members` stays unchanged.
    fn finds(&mut self, index: usize, steps: usize) -> bool {
        if steps == 0 {
            self.left = self.left.saturating_sub(1);
            return roster(&self.members) == self.announced;
        }
        let Some((user, keys)) = self.choices.get(index).cloned() else {
            return false;
        };
        for (back, key) in keys.iter().enumerate().take(steps.saturating_add(1)).rev() {
            if self.left == 0 {
                break;
            }
            self.members.insert(user, *key);
            if self.finds(index + 1, steps - back) {
                return true;
            }
        }
        if let Some(newest) = keys.first() {
            self.members.insert(user, *newest);
        }
        false
    }
}

/// Those who take part after these announcements, which are all of a conversation's, oldest first.
///
/// # Errors
/// `WrongRoster`: they are not all, or their changes do not fit.
pub(super) fn users_after<'a>(
    announcements: impl IntoIterator<Item = &'a Announcement>,
) -> Result<BTreeSet<UserId>, Error> {
    let mut users = BTreeSet::new();
    let mut number = 0;
    for one in announcements {
        number += 1;
        let fits = one.epoch().get() == number
            && one.added().iter().all(|user| !users.contains(user))
            && one.removed().iter().all(|user| users.contains(user));
        if !fits {
            return Err(Error::WrongRoster);
        }
        users.retain(|user| !one.removed().contains(user));
        users.extend(one.added());
    }
    Ok(users)
}
