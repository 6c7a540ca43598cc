//! What happened, and whom it concerns. Hints only: the truth is in the tables.

use crate::model::id::{ConversationId, UserId};

/// Something that stations have to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A conversation has new content.
    ConversationChanged {
        /// Which.
        conversation: ConversationId,
        /// Everyone in it, whoever wrote: the writer has other stations.
        participants: Vec<UserId>,
    },
    /// A user's list of conversations is another one now.
    ListChanged {
        /// Whose lists.
        of: Vec<UserId>,
    },
    /// Friends should look at a user again: their availability, their friendship.
    FriendChanged {
        /// At whom.
        friend: UserId,
        /// Who should look.
        seen_by: Vec<UserId>,
    },
}
