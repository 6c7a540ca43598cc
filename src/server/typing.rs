//! How often it is announced that a user is typing: the same for one socket and for many.

use std::time::Duration;

use crate::{chat::buckets::Buckets, clock::Clock};
use parlance_wire::id::{ConversationId, UserId};

/// Minimum time between two announcements of one user in one conversation.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum conversations in which a user is announced within [`INTERVAL`].
const MAX_CONVERSATIONS: u32 = 10;

/// Recent announcements of each user.
pub(super) struct Typing {
    by_conversation: Buckets<(UserId, ConversationId)>,
    by_user: Buckets<UserId>,
}

impl Typing {
    /// By this clock, nobody was announced lately.
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            by_conversation: Buckets::new(1, INTERVAL, clock),
            by_user: Buckets::new(MAX_CONVERSATIONS, INTERVAL, clock),
        }
    }

    /// Whether it may be announced that this user is typing in this conversation.
    pub(super) fn may_announce(&self, user: UserId, conversation: ConversationId) -> bool {
        self.by_conversation.check(&(user, conversation)).is_ok()
            && self.by_user.check(&user).is_ok()
    }

    /// Like [`Typing::may_announce`], and counts the announcement.
    pub(super) fn take(&self, user: UserId, conversation: ConversationId) -> bool {
        self.by_conversation.take((user, conversation)).is_ok() && self.by_user.take(user).is_ok()
    }
}
