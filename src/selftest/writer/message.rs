//! New messages, of a random form.

use std::{sync::atomic::Ordering, time::Instant};

use crate::selftest::{
    Test,
    form::Id,
    people::{Conversation, Use},
    request::Station,
    rng::Rng,
    sent::Sent,
};

/// Bytes of a message that is too large for a frame.
const OVER_FRAME: usize = 33_000;

impl Test {
    /// Creates a message of the published form, and records it in the ledger before it is sent,
    /// because readers may see it before its sender gets the answer. `instance` is given if it is
    /// not the present one.
    pub(in crate::selftest) fn new_message(
        &self,
        conversation: &Conversation,
        sender: Station,
        instance: Option<&str>,
        bytes: Option<usize>,
        rng: &mut Rng,
    ) -> Option<Sent> {
        let sent = self.unsent_message(conversation, sender, instance, bytes, rng)?;
        self.ledger().is_sent(&sent);
        Some(sent)
    }

    /// A new message that is not in the ledger.
    pub(in crate::selftest) fn unsent_message(
        &self,
        conversation: &Conversation,
        sender: Station,
        instance: Option<&str>,
        bytes: Option<usize>,
        rng: &mut Rng,
    ) -> Option<Sent> {
        let instance = match instance {
            Some(instance) => instance.to_owned(),
            None => self.ledger().instances.get(&conversation.id)?.clone(),
        };
        let number = Id::from(self.numbers.fetch_add(1, Ordering::Relaxed));
        // Also ids that sort low or high: no order may be derived from ids.
        let id = match rng.below(10) {
            0 | 1 => number,
            2 | 3 => Id::MAX - number,
            _ => (Id::from(rng.next_u64()) << 64) | Id::from(rng.next_u64()),
        };
        let bytes = bytes.unwrap_or_else(|| {
            if rng.percent(2) {
                OVER_FRAME + rng.below(20_000)
            } else {
                40 + rng.below(500)
            }
        });
        Some(Sent::new(
            sender,
            conversation.id,
            &instance,
            id,
            bytes,
            rng,
        ))
    }

    /// Records that a message was answered OK.
    pub(in crate::selftest) fn is_answered(
        &self,
        sent: &Sent,
        answer: &serde_json::Value,
        at: Instant,
    ) {
        self.ledger().is_answered(
            sent.conversation,
            sent.id,
            answer,
            at,
            &self.cluster.findings,
        );
    }

    /// Returns `true` if a message to this conversation may come too late for its instance.
    pub(in crate::selftest) fn is_cleared_often(&self, conversation: Id) -> bool {
        self.people
            .used(Use::Cleared)
            .iter()
            .any(|one| one.id == conversation)
    }
}
