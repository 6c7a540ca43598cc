//! What happened, and whom it concerns. The truth is in the tables.

use std::sync::Arc;

use crate::model::{
    id::{ConversationId, UserId},
    rows::HistoryRow,
    text::Instance,
};

/// Something that stations have to hear of.
#[derive(Debug, Clone)]
pub enum Event {
    /// A conversation has new content.
    ConversationChanged {
        /// Which.
        conversation: ConversationId,
        /// Everyone in it, whoever wrote: the writer has other stations.
        participants: Arc<[UserId]>,
        /// What is new, as far as it is at hand. It may be left out: then it is downloaded.
        fresh: Vec<Arc<Fresh>>,
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
    /// Someone is writing a message.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// The others.
        others: Vec<UserId>,
    },
}

impl Event {
    /// Whom it concerns.
    #[must_use]
    pub fn concerned(&self) -> &[UserId] {
        match self {
            Self::ConversationChanged { participants, .. } => participants,
            Self::ListChanged { of } => of,
            Self::FriendChanged { seen_by, .. } => seen_by,
            Self::Typing { others, .. } => others,
        }
    }
}

/// A row that was just stored, with what a client needs to know whether it holds the one before.
#[derive(Debug)]
pub struct Fresh {
    /// The life of the conversation that it is in.
    pub instance: Instance,
    /// Its number in the conversation.
    pub seq: i64,
    /// The row of the same kind before it, as the wire writes its id; empty if it is the first.
    pub after: String,
    /// The row.
    pub row: HistoryRow,
}

impl Fresh {
    /// About how many bytes it takes on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let data = match &self.row {
            HistoryRow::Message(row) => row.data.len(),
            HistoryRow::Report(_) => 0,
        };
        data + 400
    }
}
