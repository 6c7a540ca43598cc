//! What a station hears: what changed, each once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::event::{Event, Fresh};
use crate::model::id::{ConversationId, UserId};

/// News of more ids than this are replaced by "everything may have changed".
const MOST_IDS: usize = 10_000;
/// So many bytes of rows are kept for a v4 socket that is busy. What is left out is still named.
const MOST_FRESH_BYTES: usize = 32 * 1024;

/// What a station hears: ids, each once.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Conversations with new content.
    pub conversations: BTreeSet<ConversationId>,
    /// Whether the user's own list changed, or the station has to compare everything.
    pub list: bool,
    /// Friends to look at again.
    pub friends: BTreeSet<UserId>,
    /// What is new, whole, in the order of commits; for v4 sockets. Of a conversation it is all or nothing: whoever
    /// appends what is here has what is new.
    pub fresh: BTreeMap<(ConversationId, i64), Arc<Fresh>>,
    /// Who is writing something, where; for v4 sockets.
    pub typing: BTreeSet<(ConversationId, UserId)>,
    fresh_bytes: usize,
    /// Conversations of which something is not at hand, or has no room.
    left_out: BTreeSet<ConversationId>,
}

impl News {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty() && !self.list && self.friends.is_empty() && self.typing.is_empty()
    }

    /// Everything may have changed.
    #[must_use]
    pub fn everything() -> Self {
        Self { list: true, ..Self::default() }
    }

    /// Adds what happened; for a v4 socket, with the rows.
    pub fn add(&mut self, event: &Event, is_v4: bool) {
        match event {
            Event::ConversationChanged { conversation, fresh, .. } => {
                self.conversations.insert(*conversation);
                if is_v4 {
                    self.add_fresh(*conversation, fresh);
                }
            }
            Event::ListChanged { .. } => self.list = true,
            Event::FriendChanged { friend, .. } => {
                self.friends.insert(*friend);
            }
            Event::Typing { conversation, user, .. } if is_v4 => {
                self.typing.insert((*conversation, *user));
            }
            Event::Typing { .. } => {}
        }
        if self.conversations.len() + self.friends.len() + self.typing.len() > MOST_IDS {
            *self = Self::everything();
        }
    }

    fn add_fresh(&mut self, conversation: ConversationId, fresh: &[Arc<Fresh>]) {
        let bytes: usize = fresh.iter().map(|fresh| fresh.bytes()).sum();
        if fresh.is_empty() || self.fresh_bytes + bytes > MOST_FRESH_BYTES {
            self.leave_out(conversation);
        } else if !self.left_out.contains(&conversation) {
            self.fresh_bytes += bytes;
            self.fresh.extend(fresh.iter().map(|fresh| ((conversation, fresh.seq), fresh.clone())));
        }
    }

    /// A conversation has news that can only be named.
    pub fn leave_out(&mut self, conversation: ConversationId) {
        if self.left_out.insert(conversation) {
            for (_, fresh) in self.fresh.extract_if((conversation, i64::MIN)..=(conversation, i64::MAX), |_, _| true) {
                self.fresh_bytes -= fresh.bytes();
            }
        }
    }

    /// All that was there before can only be named.
    pub fn leave_all_out(&mut self) {
        self.left_out.clone_from(&self.conversations);
        self.fresh.clear();
        self.fresh_bytes = 0;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{
        chain::Chain,
        id::{MessageId, StationId},
        rows::{HistoryRow, MessageRow},
        text::Instance,
        time::Timestamp,
    };

    /// A message of so many bytes, in the conversation with this number.
    pub(in crate::chat) fn written(n: usize, seq: i64, bytes: usize) -> Event {
        let user_id = UserId::parse(&format!("{:032x}", 1)).unwrap();
        let conversation = conversation(n);
        let row = MessageRow {
            seq,
            message_id: MessageId::random(),
            r#type: String::new(),
            created_at: Timestamp::now(),
            valid_until: Timestamp::now(),
            data: "x".repeat(bytes),
            user_id,
            station_id: StationId::random(),
            chain: Chain::beginning(conversation, &Instance::random()),
        };
        let fresh = Fresh { instance: Instance::random(), seq, after: String::new(), row: HistoryRow::Message(row) };
        Event::ConversationChanged { conversation, participants: Arc::from([user_id]), fresh: vec![Arc::new(fresh)] }
    }

    fn conversation(n: usize) -> ConversationId {
        ConversationId::parse(&format!("{n:032x}")).unwrap()
    }

    #[test]
    fn of_a_conversation_all_that_is_new_is_told_whole_or_nothing() {
        let whole = |events: &[Event]| {
            let mut news = News::default();
            for event in events {
                news.add(event, true);
            }
            assert_eq!(news.conversations.len(), 2);
            news.fresh.keys().map(|(_, seq)| *seq).collect::<Vec<_>>()
        };
        let named = Event::ConversationChanged { conversation: conversation(1), participants: Arc::from([]), fresh: vec![] };
        assert_eq!(whole(&[written(1, 1, 0), written(2, 7, 0), written(1, 2, 0)]), [1, 2, 7]);
        // Something that is not at hand, and something that is too large.
        assert_eq!(whole(&[written(1, 1, 0), written(2, 7, 0), named, written(1, 2, 0)]), [7]);
        assert_eq!(whole(&[written(1, 1, 0), written(2, 7, 0), written(1, 2, MOST_FRESH_BYTES), written(1, 3, 0)]), [7]);
        // What is left out makes room.
        let large = MOST_FRESH_BYTES - 1000;
        assert_eq!(whole(&[written(1, 1, large), written(1, 2, large), written(2, 7, large)]), [7]);
    }
}
