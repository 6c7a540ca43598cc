//! Clients that write: several messages at once, the same one twice, again long after, and altered; and now and then
//! one where it is quiet.

mod message;
mod quietly;

use std::{collections::HashSet, sync::Arc};

use tokio::task::JoinSet;

pub(super) use self::quietly::{fill, last_words, write_quietly};
use super::{
    Test,
    findings::Kind,
    form::{Id, dashed},
    pen::Pen,
    people::{Conversation, Use},
    request::Station,
    rng::Rng,
    sent::Sent,
    wire::Wire,
};

/// Maximum messages that are sent at once.
pub(super) const AT_ONCE: usize = 8;

/// A writer with several connections, each from a station of its own.
pub(super) struct Writer {
    test: Arc<Test>,
    number: usize,
    who: usize,
    user: Id,
    pens: Vec<Pen>,
    rng: Rng,
}

impl Writer {
    /// The writer with this number.
    pub(super) fn new(test: Arc<Test>, number: usize, rng: Rng) -> Option<Self> {
        let pens = std::mem::take(test.lanes().get_mut(number)?);
        let who = pens.first()?.who;
        Some(Self {
            number,
            who,
            user: test.people.writers.get(who)?.user,
            pens,
            rng,
            test,
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
                break;
            };
            match self.rng.below(100) {
                0..=29 => {
                    let count = 4 + self.rng.below(AT_ONCE - 3);
                    self.several(&conversation, count).await;
                }
                30..=69 => self.several(&conversation, 1).await,
                70..=79 => self.at_once(&conversation).await,
                80..=89 => self.again(&conversation).await,
                _ => self.altered(&conversation).await,
            }
        }
        // The clients keep their counts for its next turn.
        if let Some(lanes) = test.lanes().get_mut(self.number) {
            *lanes = self.pens;
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

    /// Sends new messages concurrently, each over its own connection and from its own station:
    /// messages from one station would have to wait for each other.
    async fn several(&mut self, conversation: &Conversation, count: usize) {
        self.test.pace(count).await;
        let mut tasks = JoinSet::new();
        let free = self.pens.len().saturating_sub(count);
        for mut pen in self.pens.drain(free..) {
            let (test, conversation) = (self.test.clone(), conversation.clone());
            tasks.spawn(async move {
                if let Some(sent) = pen.write(&test, &conversation, None).await {
                    pen.deliver(&test, sent).await;
                }
                pen
            });
        }
        while let Some(Ok(pen)) = tasks.join_next().await {
            self.pens.push(pen);
        }
    }

    /// Sends the same message on two connections at the same moment, to two nodes where there are two.
    async fn at_once(&mut self, conversation: &Conversation) {
        self.test.pace(2).await;
        let test = self.test.clone();
        let Some(pen) = self.pens.first_mut() else {
            return;
        };
        let Some(sent) = pen.write(&test, conversation, None).await else {
            return;
        };
        let mut twin = Wire::new(sent.sender, self.who + 1, self.rng.fork());
        let asked = sent.add();
        let (one, other) = tokio::join!(
            pen.wire.insist(&test.cluster, &asked),
            twin.insist(&test.cluster, &asked)
        );
        // Both carry the same message: if its epoch has ended, neither is stored, and it is sent
        // once more.
        match &other.result {
            Ok(answer) => test.is_answered(&sent, answer, other.answered),
            Err(refusal)
                if refusal.is("stale_epoch") && one.result.is_err()
                    || refusal.is("stale_instance") && test.is_cleared_often(conversation.id) => {}
            Err(refusal) => {
                let what = format!("add of {}, twice at once", dashed(sent.id));
                test.cluster.findings.add_refusal(&what, refusal);
            }
        }
        pen.finish(&test, sent, one).await;
    }

    /// Repeats a message that was answered OK before, perhaps long ago.
    async fn again(&mut self, conversation: &Conversation) {
        self.test.pace(1).await;
        let Some(sent) = self.one_of_mine(conversation) else {
            return;
        };
        let mut wire = self.wire(sent.sender);
        let insisted = wire.insist(&self.test.cluster, &sent.add()).await;
        match insisted.result {
            Ok(answer) => self.test.is_answered(&sent, &answer, insisted.answered),
            Err(refusal)
                if refusal.is("stale_instance")
                    && self.test.is_cleared_often(sent.conversation) => {}
            // Even if its epoch has ended: a retry is not judged by its epoch.
            Err(refusal) => {
                let what = format!("add of {} once more", dashed(sent.id));
                self.test.cluster.findings.add_refusal(&what, &refusal);
            }
        }
    }

    /// Sends other content under the id of a message that was answered OK.
    async fn altered(&mut self, conversation: &Conversation) {
        let Some(sent) = self.one_of_mine(conversation) else {
            return;
        };
        let mut wire = self.wire(sent.sender);
        self.test.pace(1).await;
        // Repeated as well, and perhaps at another node: every node has to find the first content.
        let result = wire
            .insist(&self.test.cluster, &sent.add_altered())
            .await
            .result;
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
        (sent.sender.user == self.user).then(|| sent.clone())
    }

    /// An additional connection of a station, to a random node.
    fn wire(&mut self, at: Station) -> Wire {
        Wire::new(at, self.who + self.rng.below(2), self.rng.fork())
    }
}

/// Sends a message of the published form until it is answered OK, or its instance is gone.
async fn deliver(test: &Test, wire: &mut Wire, sent: &Sent) {
    let insisted = wire.insist(&test.cluster, &sent.add()).await;
    match insisted.result {
        Ok(answer) => test.is_answered(sent, &answer, insisted.answered),
        Err(refusal) => test
            .cluster
            .findings
            .add_refusal(&format!("add of {}", dashed(sent.id)), &refusal),
    }
}

/// Number of messages that were answered OK, in all instances, and of the encrypted ones among
/// them.
pub(super) fn count_answered(test: &Test) -> (usize, usize) {
    let ledger = test.ledger();
    let answered: HashSet<_> = ledger
        .sent
        .values()
        .filter(|sent| sent.answered.is_some())
        .map(|sent| (sent.conversation, sent.id, sent.sealed.is_some()))
        .collect();
    let sealed = answered.iter().filter(|(.., is_sealed)| *is_sealed);
    (answered.len(), sealed.count())
}
