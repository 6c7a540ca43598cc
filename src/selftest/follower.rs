//! A reader that does what docs/api.md says and no more: it downloads what it is notified of, continues from the
//! newest rows that it holds, and otherwise assumes that it has everything.

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
    history::{Held, Reader},
    keyring::{Followed, Keyring},
    ledger::View,
    people::Use,
    request::Station,
    rng::Rng,
    rows::Row,
    wire::Wire,
};
use crate::bench::sockets::Socket;

const POLL_PAUSE: Duration = Duration::from_millis(60);

pub(super) struct Follower {
    test: Arc<Test>,
    pub channel: Channel,
    /// The user and station that it reads as.
    pub who: Station,
    name: String,
    held: Mutex<BTreeMap<Id, Held>>,
    wants_to_forget: AtomicBool,
    loses_a_poll: AtomicBool,
    has_listed: AtomicBool,
}

/// The state of a reading loop.
struct State {
    wire: Wire,
    /// A socket, its node, and how often connections had been cut before.
    socket: Option<(usize, u64, Socket)>,
    receipts: BTreeMap<usize, String>,
    rng: Rng,
    /// Conversations to download.
    to_download: BTreeSet<Id>,
    wants_list: bool,
    keyring: Keyring,
    /// Conversations with messages whose secret is still unknown.
    to_follow: BTreeSet<Id>,
}

impl Follower {
    /// A reader that holds nothing yet.
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

    /// The rows that it holds, by conversation.
    pub(super) fn held(&self) -> MutexGuard<'_, BTreeMap<Id, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it read the large conversation from the beginning again, which takes more than a page.
    pub(super) fn forget_the_large_one(&self) {
        self.wants_to_forget.store(true, Ordering::Relaxed);
    }

    /// Makes it close the connection of its next poll before the answer.
    pub(super) fn lose_a_poll(&self) {
        self.loses_a_poll.store(true, Ordering::Relaxed);
    }

    /// Returns `true` once it knows its conversations: from then on it has to be notified.
    pub(super) fn has_listed(&self) -> bool {
        self.has_listed.load(Ordering::Relaxed)
    }

    /// Reads until the test is over.
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
            keyring: Keyring::default(),
            to_follow: BTreeSet::new(),
        };
        while !self.test.has_ended() {
            if self.wants_to_forget.swap(false, Ordering::Relaxed) {
                self.forget(&mut state);
            }
            let news = if self.channel.polls() {
                self.poll(&mut state).await
            } else {
                self.next_frame(&mut state).await
            };
            // Never a download without a notification or a list: a reader that looked by itself would hide what it was
            // not told.
            if let Some(news) = news {
                self.on_notification(&news, &mut state);
            }
            while !self.test.has_ended() {
                let is_done = if state.wants_list {
                    self.list(&mut state).await
                } else if let Some(conversation) = state.to_download.first().copied() {
                    self.download(conversation, &mut state).await
                } else if let Some(conversation) = state.to_follow.pop_first() {
                    self.follow(conversation, &mut state).await;
                    Some(())
                } else {
                    break;
                };
                if is_done.is_none() {
                    // It stays on the list of what to fetch: a v3 client has nothing else that reminds it.
                    tokio::time::sleep(POLL_PAUSE).await;
                }
            }
        }
    }

    fn forget(&self, state: &mut State) {
        for conversation in self.test.people.used(Use::Large) {
            if let Some(held) = self.held().get_mut(&conversation.id) {
                // A new `since` as well: rows that are read again must not count as late.
                *held = Held::new(&self.name, conversation.id, &held.instance);
                state.to_download.insert(conversation.id);
            }
        }
    }

    /// Fetches the secrets for the messages of a conversation, and opens them.
    async fn follow(&self, conversation: Id, state: &mut State) {
        let all = &self.test.people.conversations;
        let Some(conversation) = all.iter().find(|one| one.id == conversation) else {
            return;
        };
        let followed = state
            .keyring
            .follow(&self.test, &mut state.wire, conversation)
            .await;
        // Removed, or about to be: the list will show it.
        if followed == Followed::Yes {
            self.open(conversation.id, state, true);
        }
    }

    /// Opens new messages of a conversation. `is_fresh` means that the secrets were just fetched.
    fn open(&self, conversation: Id, state: &mut State, is_fresh: bool) {
        let reader = Reader {
            user: self.who.user,
            keyring: &state.keyring,
            directory: &self.test.people.directory,
            is_fresh,
        };
        let (mut all, ledger) = (self.held(), self.test.ledger());
        if let Some(held) = all.get_mut(&conversation)
            && held.open(&reader, &ledger, &self.test.cluster.findings)
        {
            state.to_follow.insert(conversation);
        }
    }

    fn check<'a>(
        &self,
        conversation: Id,
        asked: Option<Instant>,
        rows: impl Iterator<Item = (&'a str, &'a Row)>,
    ) {
        let (view, mut ledger) = (
            View {
                reader: self.who.user,
                asked,
            },
            self.test.ledger(),
        );
        for (instance, row) in rows {
            match row {
                Row::Message(row) => {
                    ledger.check_message(
                        conversation,
                        instance,
                        row,
                        view,
                        &self.test.cluster.findings,
                    );
                    if let Some(v4) = &row.v4 {
                        ledger.saw(conversation, instance, v4.seq, v4.chain);
                    }
                }
                Row::Report(row) => {
                    ledger.check_report(conversation, row, &self.test.cluster.findings);
                }
            }
        }
    }

    /// Records how long new rows took from their OK until here, except those from before the conversation was
    /// followed.
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
