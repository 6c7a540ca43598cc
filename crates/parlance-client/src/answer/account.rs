//! What the calls about one's own account answer.

use parlance_wire::{
    id::{InviteId, UserId},
    time::Timestamp,
};
use serde::Deserialize;

/// A new invitation.
#[derive(Debug, Clone, Deserialize)]
pub struct NewInvite {
    /// Its id, for revoking it.
    pub inviteid: InviteId,
    /// Its code. The server does not show it again.
    pub invite: String,
    /// The link that a web client opens.
    pub link: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// How the user is called.
#[derive(Debug, Clone, Deserialize)]
pub struct Profile {
    /// Their full name.
    pub fullname: String,
    /// The short name that others see.
    pub nick: String,
}

/// The caller's invitations, the newest first.
#[derive(Debug, Clone, Deserialize)]
pub struct Invites {
    /// At most 100.
    pub invites: Vec<Invite>,
}

/// An invitation of the caller's.
#[derive(Debug, Clone, Deserialize)]
pub struct Invite {
    /// Its id.
    pub inviteid: InviteId,
    /// The one address that it is for; empty for any.
    pub email: String,
    /// How many people it is for.
    pub uses: u32,
    /// Who has registered with it.
    pub usedby: Vec<UserId>,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Somebody can still register with it.
    pub open: bool,
}
