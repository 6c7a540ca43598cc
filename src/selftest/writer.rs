//! Clients that write: several messages at once, the same one twice, again long after, and altered; and now and then
//! one where it is quiet.

mod quietly;

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::task::JoinSet;

pub(super) use self::quietly::{fill, last_words, write_quietly};
use super::{
    Test,
    findings::Kind,
    form::{Id, dashed},
    people::{Conversation, Use},
    request::{Request, Station, V3},
    rng::Rng,
    sent::Sent,
    wire::Wire,
};

/// Maximum messages that are sent at once.
const AT_ONCE: usize = 8;
/// Bytes of a message that is too large for a frame.
const OVER_FRAME: usize = 33_000;

/// A writer with several connections.
pub(super) struct Writer {
    test: Arc<Test>,
    who: usize,
    station: Station,
    wires: Vec<Wire>,
    rng: Rng,
}

impl Writer {
    /// A writer for the user of this number.
    pub(super) fn new(test: Arc<Test>, who: usize, rng: Rng) -> Option<Self> {
        let station = *test.people.writers.get(who)?;
        Some(Self {
            test,
            who,
            station,
            wires: vec![],
            rng,
        })
    }

    /// Writes until writing ends.
    pub(super) async fn run(mut self) {
        let test = self.test.clone();
        let conversations: Vec<Conversation> = test
            .people
            .conversations
            .iter()
            .filter(|one| self.may_write(one))
            .cloned()
            .collect();
        while test.is_writing() {
            let Some(conversation) = self.rng.pick(&conversations).cloned() else {
                return;
            };
            let count = match self.rng.below(100) {
                0..=29 => 4 + self.rng.below(AT_ONCE - 3),
                30..=69 => 1,
                70..=79 => {
                    self.at_once(&conversation).await;
                    continue;
                }
                80..=89 => {
                    self.again(&conversation).await;
                    continue;
                }
                _ => {
                    self.altered(&conversation).await;
                    continue;
                }
            };
            test.pace(count).await;
            let messages = (0..count)
                .filter_map(|_| test.new_message(&conversation, self.who, None, &mut self.rng));
            let messages: Vec<_> = messages.collect();
            self.send(messages.into_iter().map(|sent| (sent, 0)).collect())
                .await;
        }
    }

    fn may_write(&self, conversation: &Conversation) -> bool {
        match conversation.r#use {
            Use::Busy | Use::Cleared => conversation.members.contains(&self.who),
            // A member who may be removed only reads: whether their message is accepted would depend on the moment.
            Use::Group => {
                conversation.members.contains(&self.who)
                    && conversation.members.last() != Some(&self.who)
            }
            Use::Large | Use::Quiet | Use::LastWords => false,
        }
    }

    /// Sends messages, each over a connection of its own, to its usual node or this many further.
    async fn send(&mut self, messages: Vec<(Sent, usize)>) {
        let mut tasks = JoinSet::new();
        for (sent, elsewhere) in messages {
            // A connection each: on one, the server would see them one after the other.
            let mut wire = self.wire();
            let test = self.test.clone();
            tasks.spawn(async move {
                wire.home += elsewhere;
                deliver(&test, &mut wire, &sent).await;
                wire.home -= elsewhere;
                wire
            });
        }
        while let Some(Ok(wire)) = tasks.join_next().await {
            self.wires.push(wire);
        }
    }

    /// Sends the same message on two connections at the same moment, to two nodes where there are two.
    async fn at_once(&mut self, conversation: &Conversation) {
        self.test.pace(2).await;
        if let Some(sent) = self
            .test
            .new_message(conversation, self.who, None, &mut self.rng)
        {
            self.send(vec![(sent.clone(), 0), (sent, 1)]).await;
        }
    }

    /// Repeats a message that was answered OK before, perhaps long ago.
    async fn again(&mut self, conversation: &Conversation) {
        self.test.pace(1).await;
        if let Some(sent) = self.one_of_mine(conversation) {
            let elsewhere = self.rng.below(2);
            self.send(vec![(sent, elsewhere)]).await;
        }
    }

    /// Sends other content under the id of a message that was answered OK.
    async fn altered(&mut self, conversation: &Conversation) {
        let Some(sent) = self.one_of_mine(conversation) else {
            return;
        };
        let mut wire = self.wire();
        self.test.pace(1).await;
        let asked = Request::on("add", sent.conversation, &sent.instance, V3)
            .with("message", sent.document(true));
        // Repeated as well, and perhaps at another node: every node has to find the first content.
        let result = wire.insist(&self.test.cluster, &asked).await.result;
        self.wires.push(wire);
        match result {
            Ok(_) => {
                let says = || format!("{} with other content was answered OK", dashed(sent.id));
                self.test.cluster.findings.add(Kind::Altered, says);
            }
            Err(refusal) if refusal.is("message_id_conflict") => {}
            Err(refusal)
                if refusal.is("stale_instance")
                    && self.test.is_cleared_often(sent.conversation) => {}
            Err(refusal) => self
                .test
                .cluster
                .findings
                .add_refusal("add of a known id", &refusal),
        }
    }

    fn one_of_mine(&mut self, conversation: &Conversation) -> Option<Sent> {
        let ledger = self.test.ledger();
        let id = *self.rng.pick(ledger.answered.get(&conversation.id)?)?;
        let sent = ledger.sent.get(&(conversation.id, id))?;
        (sent.sender == self.station).then(|| sent.clone())
    }

    /// A connection that is not in use.
    fn wire(&mut self) -> Wire {
        self.wires
            .pop()
            .unwrap_or_else(|| Wire::new(self.station, self.who, self.rng.fork()))
    }
}

/// Sends a message until it is answered OK, or its instance is gone.
pub(super) async fn deliver(test: &Test, wire: &mut Wire, sent: &Sent) {
    let insisted = wire.insist(&test.cluster, &add(sent)).await;
    match insisted.result {
        Ok(answer) => test.is_answered(sent, &answer, insisted.answered),
        Err(refusal)
            if refusal.is("stale_instance") && test.is_cleared_often(sent.conversation) => {}
        Err(refusal) => test
            .cluster
            .findings
            .add_refusal(&format!("add of {}", dashed(sent.id)), &refusal),
    }
}

/// The request that sends a message.
pub(super) fn add(sent: &Sent) -> Request {
    Request::on("add", sent.conversation, &sent.instance, V3).with("message", sent.document(false))
}

impl Test {
    /// A new message by a member of a conversation, recorded in the ledger before it is sent.
    pub(super) fn new_message(
        &self,
        conversation: &Conversation,
        who: usize,
        bytes: Option<usize>,
        rng: &mut Rng,
    ) -> Option<Sent> {
        let instance = self.ledger().instances.get(&conversation.id)?.clone();
        self.new_message_for(conversation, who, &instance, bytes, rng)
    }

    /// A new message for this instance.
    pub(super) fn new_message_for(
        &self,
        conversation: &Conversation,
        who: usize,
        instance: &str,
        bytes: Option<usize>,
        rng: &mut Rng,
    ) -> Option<Sent> {
        let sender: Station = *self.people.writers.get(who)?;
        let number = Id::from(self.numbers.fetch_add(1, Ordering::Relaxed));
        // Also ids that sort low or high, whenever they are sent: no order may be derived from ids.
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
        let sent = Sent::new(sender, conversation.id, instance, id, bytes, rng);
        // Before it is sent: a reader may be shown it before its sender is answered.
        self.ledger()
            .sent
            .insert((conversation.id, id), sent.clone());
        Some(sent)
    }

    /// Records that a message was answered OK.
    pub(super) fn is_answered(&self, sent: &Sent, answer: &serde_json::Value, at: Instant) {
        self.ledger().is_answered(
            sent.conversation,
            sent.id,
            answer,
            at,
            &self.cluster.findings,
        );
    }

    /// Returns `true` when a message to this conversation may come too late for its instance.
    fn is_cleared_often(&self, conversation: Id) -> bool {
        self.people
            .used(Use::Cleared)
            .iter()
            .any(|one| one.id == conversation)
    }
}

/// Number of messages that were answered OK, in all instances.
pub(super) fn count_answered(test: &Test) -> usize {
    let ledger = test.ledger();
    let answered: HashSet<_> = ledger
        .sent
        .values()
        .filter(|sent| sent.answered.is_some())
        .map(|sent| (sent.conversation, sent.id))
        .collect();
    answered.len()
}
