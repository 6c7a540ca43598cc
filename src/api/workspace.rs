//! `srv=chatowner&api=workspace`: registers host names for users.

use super::answer::{self, Nothing};
use crate::{
    chat::error::Error,
    store::{
        Db,
        workspace::{self, Registered},
    },
};
use parlance_wire::{id::UserId, request::workspace::Action, time::Timestamp};

/// Maximum workspaces of a user.
// Names are first come, first served: without a limit, one user could take every name that others
// may want.
const MAX_WORKSPACES: i64 = 100;

/// Performs an action.
pub(crate) async fn perform(
    db: &Db,
    user: UserId,
    now: Timestamp,
    action: Action,
) -> Result<Vec<u8>, Error> {
    let Action::WorkspaceRegister { workspacename } = action;
    match workspace::register(db, &workspacename, user, MAX_WORKSPACES, now).await? {
        Registered::Owned => answer::ok(Nothing {}),
        Registered::Taken => Err(Error::AlreadyExists(
            "This workspace belongs to someone else.",
        )),
        Registered::NoUser => Err(Error::UserNotFound),
        Registered::TooMany => Err(Error::NotAllowed("A user can have at most 100 workspaces.")),
    }
}
