//! Those who write: several messages at once, the same one twice, again long after, and altered; and now and then one
//! where it is quiet.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    Test,
    dice::Dice,
    findings::Kind,
    form::{Id, dashed, plain},
    people::{Conversation, Use},
    sent::Sent,
    wire::{Answer, Asked, Station, V3, Wire},
};

/// So many messages are sent at once, at most.
const AT_ONCE: usize = 8;
/// How large a message is that fills pages, and how many there are: together more than 4 MiB.
const LARGE: usize = 60_000;
const LARGE_MESSAGES: usize = 96;
/// Larger than what a frame holds.
const MIDDLING: usize = 33_000;

/// Someone who writes, over several connections.
pub(super) struct Writer {
    test: Arc<Test>,
    who: usize,
    station: Station,
    wires: Vec<Wire>,
    dice: Dice,
}

impl Writer {
    /// The user with this place.
    pub(super) fn new(test: Arc<Test>, who: usize, dice: Dice) -> Option<Self> {
        let station = *test.people.writers.get(who)?;
        Some(Self {
            test,
            who,
            station,
            wires: vec![],
            dice,
        })
    }

    /// Writes for as long as it is time to.
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
            let Some(conversation) = self.dice.pick(&conversations).cloned() else {
                return;
            };
            let count = match self.dice.below(100) {
                0..=29 => 4 + self.dice.below(AT_ONCE - 3),
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
                .filter_map(|_| test.new_message(&conversation, self.who, None, &mut self.dice));
            let messages: Vec<_> = messages.collect();
            self.send(messages.into_iter().map(|sent| (sent, 0)).collect())
                .await;
        }
    }

    fn may_write(&self, conversation: &Conversation) -> bool {
        match conversation.r#use {
            Use::Busy | Use::Cleared => conversation.members.contains(&self.who),
            // Who may be removed only reads.
            Use::Group => {
                conversation.members.contains(&self.who)
                    && conversation.members.last() != Some(&self.who)
            }
            Use::Large | Use::Quiet | Use::LastWords => false,
        }
    }

    /// Sends messages, each over a connection of its own, with a node's place added to the usual one.
    async fn send(&mut self, messages: Vec<(Sent, usize)>) {
        let mut tasks = JoinSet::new();
        for (sent, elsewhere) in messages {
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

    /// The same message on two connections, to two nodes where there are two, at the same moment.
    async fn at_once(&mut self, conversation: &Conversation) {
        self.test.pace(2).await;
        if let Some(sent) = self
            .test
            .new_message(conversation, self.who, None, &mut self.dice)
        {
            self.send(vec![(sent.clone(), 0), (sent, 1)]).await;
        }
    }

    /// One that was answered OK long ago, or just now.
    async fn again(&mut self, conversation: &Conversation) {
        self.test.pace(1).await;
        if let Some(sent) = self.one_of_mine(conversation) {
            let elsewhere = self.dice.below(2);
            self.send(vec![(sent, elsewhere)]).await;
        }
    }

    /// One that was answered OK, with other content under its id.
    async fn altered(&mut self, conversation: &Conversation) {
        let Some(sent) = self.one_of_mine(conversation) else {
            return;
        };
        let mut wire = self.wire();
        self.test.pace(1).await;
        let asked = Asked::on("add", sent.conversation, &sent.instance, V3)
            .with("message", sent.document(true));
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
        let id = *self.dice.pick(ledger.answered.get(&conversation.id)?)?;
        let sent = ledger.sent.get(&(conversation.id, id))?;
        (sent.sender == self.station).then(|| sent.clone())
    }

    /// A connection that is not in use.
    fn wire(&mut self) -> Wire {
        self.wires
            .pop()
            .unwrap_or_else(|| Wire::new(self.station, self.who, self.dice.fork()))
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

/// How a message is sent.
pub(super) fn add(sent: &Sent) -> Asked {
    Asked::on("add", sent.conversation, &sent.instance, V3).with("message", sent.document(false))
}

impl Test {
    /// A new message by a member of a conversation, in the book before it is sent.
    pub(super) fn new_message(
        &self,
        conversation: &Conversation,
        who: usize,
        bytes: Option<usize>,
        dice: &mut Dice,
    ) -> Option<Sent> {
        let instance = self.ledger().instances.get(&conversation.id)?.clone();
        self.new_message_for(conversation, who, &instance, bytes, dice)
    }

    /// A new message for this instance.
    pub(super) fn new_message_for(
        &self,
        conversation: &Conversation,
        who: usize,
        instance: &str,
        bytes: Option<usize>,
        dice: &mut Dice,
    ) -> Option<Sent> {
        let sender: Station = *self.people.writers.get(who)?;
        let number = Id::from(self.numbers.fetch_add(1, Ordering::Relaxed));
        // Ids that sort low or high, whenever they are sent; and the usual ones.
        let id = match dice.below(10) {
            0 | 1 => number,
            2 | 3 => Id::MAX - number,
            _ => (Id::from(dice.roll()) << 64) | Id::from(dice.roll()),
        };
        let bytes = bytes.unwrap_or_else(|| {
            if dice.percent(2) {
                MIDDLING + dice.below(20_000)
            } else {
                40 + dice.below(500)
            }
        });
        let sent = Sent::new(sender, conversation.id, instance, id, bytes, dice);
        self.ledger()
            .sent
            .insert((conversation.id, id), sent.clone());
        Some(sent)
    }

    /// A message was answered OK.
    pub(super) fn is_answered(&self, sent: &Sent, answer: &serde_json::Value, at: Instant) {
        self.ledger().is_answered(
            sent.conversation,
            sent.id,
            answer,
            at,
            &self.cluster.findings,
        );
    }

    /// Whether a message to it may be too late for its instance.
    fn is_cleared_often(&self, conversation: Id) -> bool {
        self.people
            .used(Use::Cleared)
            .iter()
            .any(|one| one.id == conversation)
    }
}

/// Writes one message now and then into each quiet conversation.
pub(super) async fn write_quietly(test: Arc<Test>, mut dice: Dice) {
    let conversations: Vec<Conversation> = test
        .people
        .used(Use::Quiet)
        .into_iter()
        .chain(test.people.used(Use::Large))
        .cloned()
        .collect();
    let pause = |dice: &mut Dice| {
        Duration::from_millis(u64::try_from(1500 + dice.below(test.plan.quiet_millis)).unwrap_or(0))
    };
    let mut due: Vec<Instant> = conversations
        .iter()
        .map(|_| Instant::now() + pause(&mut dice))
        .collect();
    let mut tasks = JoinSet::new();
    while test.is_writing() {
        for (conversation, due) in conversations.iter().zip(&mut due) {
            if *due > Instant::now() {
                continue;
            }
            *due = Instant::now() + pause(&mut dice);
            let Some(who) = dice.pick(&conversation.members).copied() else {
                continue;
            };
            let Some(sent) = test.new_message(conversation, who, Some(100), &mut dice) else {
                continue;
            };
            let (test, mut wire) = (test.clone(), Wire::new(sent.sender, who, dice.fork()));
            tasks.spawn(async move { deliver(&test, &mut wire, &sent).await });
        }
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while tasks.join_next().await.is_some() {}
}

/// Fills the large conversation, a few messages at once.
pub(super) async fn fill(test: Arc<Test>, mut dice: Dice) {
    for conversation in test.people.used(Use::Large) {
        for who in &conversation.members {
            let Some(mut writer) = Writer::new(test.clone(), *who, dice.fork()) else {
                continue;
            };
            for _ in 0..LARGE_MESSAGES / 8 {
                let messages = (0..4)
                    .filter_map(|_| test.new_message(conversation, *who, Some(LARGE), &mut dice));
                let messages: Vec<_> = messages.map(|sent| (sent, 0)).collect();
                test.pace(messages.len()).await;
                writer.send(messages).await;
            }
        }
    }
}

/// Has a node answer a message in each of some conversations where nothing else happens. What it does not answer is sent
/// elsewhere.
pub(super) async fn last_words(test: &Test, node: usize, dice: &mut Dice) {
    let mut unanswered = vec![];
    for conversation in test.people.used(Use::LastWords) {
        let Some(who) = dice.pick(&conversation.members).copied() else {
            continue;
        };
        let Some(sent) = test.new_message(conversation, who, Some(100), dice) else {
            continue;
        };
        let mut wire = Wire::new(sent.sender, node, dice.fork());
        match wire.ask(&test.cluster, node, &add(&sent)).await {
            Answer::Done(answer) => test.is_answered(&sent, &answer, Instant::now()),
            Answer::Refused(refusal) if !refusal.passes() => {
                test.cluster.findings.add_refusal(
                    &format!("add of last words in {}", plain(sent.conversation)),
                    &refusal,
                );
            }
            _ => unanswered.push((wire, sent)),
        }
    }
    for (mut wire, sent) in unanswered {
        deliver(test, &mut wire, &sent).await;
    }
}

/// Messages that were answered OK, in all instances.
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
