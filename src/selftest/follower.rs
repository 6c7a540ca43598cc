//! A reader that does what docs/api.md says and no more: it looks where it is told to, goes on from the newest rows that
//! it holds, and believes that it has everything otherwise.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Test,
    dice::Dice,
    findings::Kind,
    form::{Id, dashed, plain, read_dashed, read_plain},
    history::Held,
    ledger::View,
    people::Use,
    rows::{self, Event, Page, Row},
    way::Way,
    wire::{Answer, Asked, Station, V4, Wire},
};
use crate::bench::sockets::Socket;

const PAUSE: Duration = Duration::from_millis(60);
/// Of a hundred polls, so many are hung up on before their answer is read.
const LOST_POLLS: usize = 10;
/// Of a thousand frames, so many are followed by a cut of the socket.
const CUTS: usize = 8;

/// Someone who reads.
pub(super) struct Follower {
    test: Arc<Test>,
    pub way: Way,
    /// Who, and where.
    pub who: Station,
    name: String,
    held: Mutex<BTreeMap<Id, Held>>,
    wants_to_forget: AtomicBool,
    loses_a_poll: AtomicBool,
    has_listed: AtomicBool,
}

/// What a reader does with.
struct Hands {
    wire: Wire,
    /// A socket, its node, and how often connections had been cut before.
    socket: Option<(usize, u64, Socket)>,
    receipts: BTreeMap<usize, String>,
    dice: Dice,
    /// Conversations to look at.
    due: BTreeSet<Id>,
    is_list_due: bool,
}

impl Follower {
    /// One that holds nothing yet.
    pub(super) fn new(test: Arc<Test>, way: Way, who: Station) -> Self {
        let name = format!("{} of {}", way.label(), plain(who.user));
        Self {
            test,
            way,
            who,
            name,
            held: Mutex::default(),
            wants_to_forget: AtomicBool::new(false),
            loses_a_poll: AtomicBool::new(false),
            has_listed: AtomicBool::new(false),
        }
    }

    /// What it holds.
    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<Id, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it has to read the large conversation from its beginning again: more than a page.
    pub(super) fn forget_the_large_one(&self) {
        self.wants_to_forget.store(true, Ordering::Relaxed);
    }

    /// It will hang up on its next poll.
    pub(super) fn lose_a_poll(&self) {
        self.loses_a_poll.store(true, Ordering::Relaxed);
    }

    /// Whether it knows its conversations: what is new is told to it from then on.
    pub(super) fn has_listed(&self) -> bool {
        self.has_listed.load(Ordering::Relaxed)
    }

    /// Reads until it is over.
    pub(super) async fn run(&self, home: usize, mut dice: Dice) {
        let wire = Wire::new(self.who, home, dice.fork());
        let (socket, receipts) = (None, BTreeMap::new());
        let mut hands = Hands {
            wire,
            socket,
            receipts,
            dice,
            due: BTreeSet::new(),
            is_list_due: false,
        };
        while !self.test.is_over() {
            if self.wants_to_forget.swap(false, Ordering::Relaxed) {
                self.forget(&mut hands);
            }
            let news = if self.way.polls() {
                self.poll(&mut hands).await
            } else {
                self.listen(&mut hands).await
            };
            if let Some(news) = news {
                self.hear(&news, &mut hands);
            }
            while !self.test.is_over() {
                let is_done = if hands.is_list_due {
                    self.list(&mut hands).await
                } else if let Some(conversation) = hands.due.first().copied() {
                    self.download(conversation, &mut hands).await
                } else {
                    break;
                };
                if is_done.is_none() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn forget(&self, hands: &mut Hands) {
        for conversation in self.test.people.used(Use::Large) {
            if let Some(held) = self.held().get_mut(&conversation.id) {
                *held = Held::new(&self.name, conversation.id, &held.instance);
                hands.due.insert(conversation.id);
            }
        }
    }

    /// Asks what is new; now and then without reading the answer, after which it only asks again.
    async fn poll(&self, hands: &mut Hands) -> Option<Value> {
        tokio::time::sleep(
            PAUSE + Duration::from_millis(u64::try_from(hands.dice.below(200)).unwrap_or(0)),
        )
        .await;
        if self.test.are_pollers_waiting.load(Ordering::Relaxed) {
            return None;
        }
        // Both nodes remember what a station has to be told: one that asks both is told by the other what it lost.
        let node = hands.wire.node(
            &self.test.cluster,
            if self.test.is_writing() { 5 } else { 0 },
        );
        let mut asked = Asked {
            api: "chatnotification",
            version: self.way.version(),
            fields: json!({ "action": "download" }),
        };
        if let Some(receipt) = hands.receipts.get(&node) {
            asked = asked.with("received", receipt.as_str());
        }
        if self.loses_a_poll.swap(false, Ordering::Relaxed)
            || self.test.is_writing() && hands.dice.percent(LOST_POLLS)
        {
            self.test.lost_polls.fetch_add(1, Ordering::Relaxed);
            hands
                .wire
                .ask_and_go(&self.test.cluster, node, &asked)
                .await;
            return None;
        }
        let answer = hands
            .wire
            .ask_for(&self.test.cluster, node, &asked, "a poll")
            .await?;
        let receipt = answer
            .get("receipt")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if self.way.version() >= V4
            && let Some(receipt) = receipt
        {
            hands.receipts.insert(node, receipt);
        }
        Some(answer)
    }

    /// Hears the next frame, if there is one soon.
    async fn listen(&self, hands: &mut Hands) -> Option<Value> {
        let cluster = &self.test.cluster;
        let home = hands.wire.node(cluster, 0);
        let is_cut = hands.dice.below(1000) < CUTS && self.test.is_writing();
        let cuts_now = *cluster.cuts().borrow();
        hands
            .socket
            .take_if(|(node, cuts, _)| is_cut || *cuts != cuts_now || !cluster.is_running(*node));
        hands.wire.leave_ended(cluster);
        if hands.socket.is_none() {
            match hands.wire.listen(cluster, home, self.way.version()).await {
                Some(socket) => hands.socket = Some((home, cuts_now, socket)),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        let (.., socket) = hands.socket.as_mut()?;
        match tokio::time::timeout(Duration::from_millis(100), socket.next()).await {
            Err(_) | Ok(Some(Ok(Message::Pong(_)))) => None,
            Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str(&text).ok(),
            Ok(Some(Ok(Message::Ping(payload)))) => {
                let _ = socket.send(Message::Pong(payload)).await;
                None
            }
            Ok(_) => {
                hands.socket = None;
                None
            }
        }
    }

    /// Takes what came with a notification, and remembers where to look.
    fn hear(&self, news: &Value, hands: &mut Hands) {
        let named = |field: &str| {
            news.get(field)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
        };
        let Some(events) = rows::events(news) else {
            self.test.cluster.findings.add(Kind::Altered, || {
                format!("a frame is not of the documented form: {news}")
            });
            return;
        };
        let mut complete = BTreeSet::new();
        for (conversation, events) in &events {
            let gaps = rows::gaps(events);
            self.test.cluster.findings.add_many(Kind::Gaps, gaps, || {
                format!("in a frame of {} events to {}", events.len(), self.name)
            });
            if self.append(*conversation, events) {
                complete.insert(*conversation);
            }
        }
        hands.due.extend(
            named("conversationchangedof")
                .filter_map(read_plain)
                .filter(|conversation| !complete.contains(conversation)),
        );
        hands.is_list_due |= named("conversationlistchangedof").next().is_some();
    }

    /// Takes a frame's events of a conversation. Whether it has everything by that.
    fn append(&self, conversation: Id, events: &[Event]) -> bool {
        let mut all = self.held();
        let Some(held) = all.get_mut(&conversation) else {
            self.check(
                conversation,
                None,
                events
                    .iter()
                    .map(|event| (event.instance.as_str(), &event.row)),
            );
            return false;
        };
        let taken = match self.way {
            Way::Letter if held.append_by_the_first(events, &self.test.cluster.findings) => {
                events.len()
            }
            Way::Letter => 0,
            _ => held.append_each(events, &self.test.cluster.findings),
        };
        drop(all);
        let new = events.get(..taken).unwrap_or_default();
        self.check(
            conversation,
            None,
            new.iter()
                .map(|event| (event.instance.as_str(), &event.row)),
        );
        self.time(conversation, new.iter().map(|event| &event.row));
        taken == events.len()
    }

    fn check<'a>(
        &self,
        conversation: Id,
        asked: Option<Instant>,
        rows: impl Iterator<Item = (&'a str, &'a Row)>,
    ) {
        let (view, ledger) = (
            View {
                reader: self.who.user,
                asked,
            },
            self.test.ledger(),
        );
        for (instance, row) in rows {
            match row {
                Row::Message(row) => ledger.check_message(
                    conversation,
                    instance,
                    row,
                    view,
                    &self.test.cluster.findings,
                ),
                Row::Report(row) => {
                    ledger.check_report(conversation, row, &self.test.cluster.findings);
                }
            }
        }
    }

    /// Counts how long new rows took from their OK until here; not those from before the conversation was followed.
    fn time<'a>(&self, conversation: Id, rows: impl Iterator<Item = &'a Row>) {
        let Some(since) = self.held().get(&conversation).map(|held| held.since) else {
            return;
        };
        let (ledger, mut latencies) = (self.test.ledger(), self.test.latencies());
        for row in rows {
            let answered = ledger.answered_at(conversation, row);
            let Some(answered) = answered.filter(|answered| *answered > since) else {
                continue;
            };
            let wait = self.test.cluster.wait_since(answered);
            let says = || format!("{} to {}", dashed(row.id()), self.name);
            latencies.add(
                self.way,
                wait,
                self.test.plan.bound,
                &self.test.cluster.findings,
                says,
            );
        }
    }

    /// Compares the list with what is held. `None`: it has to be tried again.
    async fn list(&self, hands: &mut Hands) -> Option<()> {
        let asked_at = Instant::now();
        let node = hands.wire.node(&self.test.cluster, 20);
        let asked = Asked {
            api: "chatconversation",
            version: self.way.version(),
            fields: json!({ "action": "list" }),
        };
        let answer = hands
            .wire
            .ask_for(&self.test.cluster, node, &asked, "a list")
            .await?;
        hands.is_list_due = false;
        self.has_listed.store(true, Ordering::Relaxed);
        let (mut all, ledger, findings) =
            (self.held(), self.test.ledger(), &self.test.cluster.findings);
        let view = View {
            reader: self.who.user,
            asked: Some(asked_at),
        };
        let mut listed = vec![];
        for row in answer
            .get("conversations")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default();
            let (Some(id), instance) = (read_plain(text("id")), text("instance")) else {
                findings.add(Kind::Altered, || {
                    format!("a conversation in a list has no id: {row}")
                });
                continue;
            };
            ledger.check_listed(id, instance, row, view, findings);
            listed.push(id);
            let held = all
                .entry(id)
                .or_insert_with(|| Held::new(&self.name, id, instance));
            if held.instance != instance {
                *held = Held::new(&self.name, id, instance);
            }
            let [message, report] =
                ["lastmessageid", "lastreportid"].map(|field| read_dashed(text(field)));
            if message != held.messages.last().copied() || report != held.reports.last().copied() {
                hands.due.insert(id);
            } else if self.way.version() >= V4
                && message.is_some()
                && held.chain.map(hex::encode).as_deref() != Some(text("chain"))
            {
                findings.add(Kind::BrokenLinks, || {
                    format!(
                        "the list's chain of {} is not that of {}",
                        plain(id),
                        self.name
                    )
                });
            }
        }
        let theirs = self
            .test
            .people
            .of(self.who.user)
            .map(|conversation| conversation.id);
        ledger.check_list(&listed, theirs, view, findings);
        all.retain(|id, _| listed.contains(id));
        hands.due.retain(|id| listed.contains(id));
        Some(())
    }

    /// Goes on in a conversation: a v3 client by one page, until it is told of it again. `None`: it has to be tried again.
    async fn download(&self, conversation: Id, hands: &mut Hands) -> Option<()> {
        let Some((instance, cursor)) = self
            .held()
            .get(&conversation)
            .map(|held| (held.instance.clone(), held.cursor()))
        else {
            // One that it does not know is in the list.
            hands.due.remove(&conversation);
            hands.is_list_due = true;
            return Some(());
        };
        let mut asked = Asked::on("download", conversation, &instance, self.way.version());
        for (field, value) in cursor {
            asked = asked.with(field, value);
        }
        let asked_at = Instant::now();
        let node = hands.wire.node(
            &self.test.cluster,
            if self.way == Way::SocketV3 { 75 } else { 20 },
        );
        let page = match hands.wire.ask(&self.test.cluster, node, &asked).await {
            Answer::Done(page) => page,
            Answer::Refused(refusal) if refusal.is("stale_instance") => {
                hands.is_list_due = true;
                hands.due.remove(&conversation);
                return Some(());
            }
            Answer::Refused(refusal) if !refusal.passes() => {
                let is_removed = self
                    .test
                    .ledger()
                    .was_in(conversation, self.who.user, asked_at)
                    != Some(true);
                if !(is_removed && refusal.is("conversation_not_found")) {
                    self.test
                        .cluster
                        .findings
                        .add_refusal("a download", &refusal);
                }
                hands.due.remove(&conversation);
                return Some(());
            }
            _ => return None,
        };
        let Some(page) = Page::read(&page) else {
            self.test.cluster.findings.add(Kind::Altered, || {
                format!("a page is not of the documented form: {page}")
            });
            hands.due.remove(&conversation);
            return Some(());
        };
        if !page.has_more || self.way.version() < V4 {
            hands.due.remove(&conversation);
        }
        let view = View {
            reader: self.who.user,
            asked: Some(asked_at),
        };
        self.test
            .ledger()
            .check_page(conversation, &instance, view, &self.test.cluster.findings);
        let new = match self.held().get_mut(&conversation) {
            Some(held) => held.take_page(page, &self.test.cluster.findings),
            None => vec![],
        };
        self.check(
            conversation,
            Some(asked_at),
            new.iter().map(|row| (instance.as_str(), row)),
        );
        self.time(conversation, new.iter());
        Some(())
    }
}
