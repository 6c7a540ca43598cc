//! How a reader is notified: by polls, or by frames of a socket.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Follower, POLL_PAUSE, State};
use crate::selftest::{
    channel::Channel,
    findings::Kind,
    form::{Id, read_plain},
    request::{Request, V4},
    rows::{self, Event},
};

/// Percentage of polls whose connection is closed before the answer is read.
const LOST_POLL_PERCENT: usize = 10;
/// Of a thousand reads of a socket, the number that cut it.
const CUTS_PER_THOUSAND: usize = 8;

impl Follower {
    /// Polls; now and then without reading the answer, after which it only polls again.
    pub(super) async fn poll(&self, state: &mut State) -> Option<Value> {
        tokio::time::sleep(
            POLL_PAUSE + Duration::from_millis(u64::try_from(state.rng.below(200)).unwrap_or(0)),
        )
        .await;
        // In a quiet round polls pause, so that the answer that each loses is the one with the last words.
        if self.test.are_pollers_waiting.load(Ordering::Relaxed) {
            return None;
        }
        // Mostly one node: both remember what a station has to be told, so the other one would make up for a lost
        // answer.
        let node = state.wire.node(
            &self.test.cluster,
            if self.test.is_writing() { 5 } else { 0 },
        );
        let mut asked = Request {
            api: "chatnotification",
            version: self.channel.version(),
            fields: json!({ "action": "download" }),
        };
        if let Some(receipt) = state.receipts.get(&node) {
            asked = asked.with("received", receipt.as_str());
        }
        if self.loses_a_poll.swap(false, Ordering::Relaxed)
            || self.test.is_writing() && state.rng.percent(LOST_POLL_PERCENT)
        {
            self.test.lost_polls.fetch_add(1, Ordering::Relaxed);
            state
                .wire
                .ask_and_go(&self.test.cluster, node, &asked)
                .await;
            return None;
        }
        let answer = state
            .wire
            .ask_for(&self.test.cluster, node, &asked, "a poll")
            .await?;
        let receipt = answer
            .get("receipt")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if self.channel.version() >= V4
            && let Some(receipt) = receipt
        {
            // By node: a receipt means something only to the node that gave it.
            state.receipts.insert(node, receipt);
        }
        Some(answer)
    }

    /// Returns the next frame, or `None` when there is none within a moment.
    pub(super) async fn next_frame(&self, state: &mut State) -> Option<Value> {
        let cluster = &self.test.cluster;
        let home = state.wire.node(cluster, 0);
        // Only while writing, so that in the end every reader can be told.
        let is_cut = state.rng.below(1000) < CUTS_PER_THOUSAND && self.test.is_writing();
        let cuts_now = *cluster.cuts().borrow();
        // Dropped without a closing handshake, as by a network that goes away.
        state
            .socket
            .take_if(|(node, cuts, _)| is_cut || *cuts != cuts_now || !cluster.is_running(*node));
        state.wire.leave_ended(cluster);
        if state.socket.is_none() {
            match state
                .wire
                .listen(cluster, home, self.channel.version())
                .await
            {
                Some(socket) => state.socket = Some((home, cuts_now, socket)),
                None => tokio::time::sleep(POLL_PAUSE).await,
            }
        }
        let (.., socket) = state.socket.as_mut()?;
        // A short wait, so that cuts and the end of the run are noticed.
        match tokio::time::timeout(Duration::from_millis(100), socket.next()).await {
            Err(_) | Ok(Some(Ok(Message::Pong(_)))) => None,
            Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str(&text).ok(),
            Ok(Some(Ok(Message::Ping(payload)))) => {
                // Otherwise the server drops the socket, which would be the test's own fault.
                let _ = socket.send(Message::Pong(payload)).await;
                None
            }
            Ok(_) => {
                state.socket = None;
                None
            }
        }
    }

    /// Takes the rows that came with a notification, and notes what to download.
    pub(super) fn on_notification(&self, news: &Value, state: &mut State) {
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
            let is_complete = self.append(*conversation, events);
            self.open(*conversation, state, false);
            if is_complete {
                complete.insert(*conversation);
            }
        }
        // What came with the frame as a whole need not be downloaded; everything else that it names must be.
        state.to_download.extend(
            named("conversationchangedof")
                .filter_map(read_plain)
                .filter(|conversation| !complete.contains(conversation)),
        );
        state.wants_list |= named("conversationlistchangedof").next().is_some();
    }

    /// Takes the events of a conversation in a frame. Returns `true` when that is everything.
    fn append(&self, conversation: Id, events: &[Event]) -> bool {
        let mut all = self.held();
        // Its rows are judged all the same: they must not be those of somebody else's conversation.
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
        let taken = match self.channel {
            Channel::Letter if held.append_by_the_first(events, &self.test.cluster.findings) => {
                events.len()
            }
            Channel::Letter => 0,
            _ => held.append_each(events, &self.test.cluster.findings),
        };
        // What follows takes the same lock.
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
}
