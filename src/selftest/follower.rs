//! A reader that does what docs/api.md says and no more: it looks where it is told to, goes on from the newest rows that
//! it holds, and believes that it has everything otherwise.

mod fetch;
mod notifications;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Test,
    channel::Channel,
    form::{Id, dashed, plain},
    history::Held,
    ledger::View,
    people::Use,
    request::Station,
    rng::Rng,
    rows::Row,
    wire::Wire,
};
use crate::bench::sockets::Socket;

const POLL_PAUSE: Duration = Duration::from_millis(60);

/// Someone who reads.
pub(super) struct Follower {
    test: Arc<Test>,
    pub channel: Channel,
    /// Who, and where.
    pub who: Station,
    name: String,
    held: Mutex<BTreeMap<Id, Held>>,
    wants_to_forget: AtomicBool,
    loses_a_poll: AtomicBool,
    has_listed: AtomicBool,
}

/// What changes while a reader reads.
struct State {
    wire: Wire,
    /// A socket, its node, and how often connections had been cut before.
    socket: Option<(usize, u64, Socket)>,
    receipts: BTreeMap<usize, String>,
    rng: Rng,
    /// Conversations to download.
    to_download: BTreeSet<Id>,
    wants_list: bool,
}

impl Follower {
    /// One that holds nothing yet.
    pub(super) fn new(test: Arc<Test>, channel: Channel, who: Station) -> Self {
        let name = format!("{} of {}", channel.label(), plain(who.user));
        Self {
            test,
            channel,
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

    /// It knows its conversations: from then on it has to be told what is new.
    pub(super) fn has_listed(&self) -> bool {
        self.has_listed.load(Ordering::Relaxed)
    }

    /// Reads until it is over.
    pub(super) async fn run(&self, home: usize, mut rng: Rng) {
        let wire = Wire::new(self.who, home, rng.fork());
        let (socket, receipts) = (None, BTreeMap::new());
        let mut state = State {
            wire,
            socket,
            receipts,
            rng,
            to_download: BTreeSet::new(),
            wants_list: false,
        };
        while !self.test.is_over() {
            if self.wants_to_forget.swap(false, Ordering::Relaxed) {
                self.forget(&mut state);
            }
            let news = if self.channel.polls() {
                self.poll(&mut state).await
            } else {
                self.next_frame(&mut state).await
            };
            if let Some(news) = news {
                self.on_notification(&news, &mut state);
            }
            while !self.test.is_over() {
                let is_done = if state.wants_list {
                    self.list(&mut state).await
                } else if let Some(conversation) = state.to_download.first().copied() {
                    self.download(conversation, &mut state).await
                } else {
                    break;
                };
                if is_done.is_none() {
                    tokio::time::sleep(POLL_PAUSE).await;
                }
            }
        }
    }

    fn forget(&self, state: &mut State) {
        for conversation in self.test.people.used(Use::Large) {
            if let Some(held) = self.held().get_mut(&conversation.id) {
                *held = Held::new(&self.name, conversation.id, &held.instance);
                state.to_download.insert(conversation.id);
            }
        }
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
                self.channel,
                wait,
                self.test.plan.bound,
                &self.test.cluster.findings,
                says,
            );
        }
    }
}
