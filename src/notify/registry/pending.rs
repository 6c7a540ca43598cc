//! The pending notifications of one station.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Fetched, Poll, subscription::Subscriber};
use crate::notify::{
    changes::Changes,
    event::{Event, NewRow},
};
use parlance_wire::{id::Receipt, version::ClientVersion};

/// Pending notifications that nobody polls for in this time are dropped.
// A client that runs polls far more often; one that comes back later resyncs.
pub(super) const IDLE: Duration = Duration::from_mins(15);

/// What one station has not been notified of.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) changes: Changes,
    /// The answer to the last poll, until the station shows that it has it.
    pub(super) in_flight: Option<InFlight>,
    pub(super) polled_at: Instant,
    /// The station's socket.
    pub(super) subscriber: Option<Arc<Subscriber>>,
}

/// An answer to a poll that may not have arrived.
#[derive(Debug)]
pub(super) struct InFlight {
    changes: Changes,
    pub(super) receipt: Receipt,
    connection: Option<u64>,
}

impl Pending {
    /// Of a station that was not known: it has to resync.
    pub(super) fn new() -> Self {
        Self {
            changes: Changes::resync(),
            in_flight: None,
            polled_at: Instant::now(),
            subscriber: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.subscriber.is_none() && self.polled_at.elapsed() >= IDLE
    }

    pub(super) fn add(&mut self, event: &Event, rows: &[Arc<NewRow>]) {
        let subscriber = self.subscriber.as_ref();
        if matches!(event, Event::StationAdded { .. })
            && subscriber.is_some_and(|subscriber| !subscriber.version.is_v4())
        {
            return;
        }
        self.changes.add(
            event,
            rows,
            subscriber.map_or(ClientVersion::V3, |subscriber| subscriber.version),
        );
        if let Some(subscriber) = subscriber.filter(|_| !self.changes.is_empty()) {
            subscriber.wake();
        }
    }

    /// Answers a poll.
    pub(super) fn poll(&mut self, poll: Poll, receipt: Receipt) -> Changes {
        let in_flight = self.in_flight.as_ref();
        if in_flight.is_some_and(|in_flight| Some(in_flight.receipt) == poll.received) {
            self.in_flight = None;
        }
        self.ack(poll.connection);
        // Taken by a poll beside a socket, rows would be missing from the socket's frames.
        if self.subscriber.is_some() {
            return self.changes.ids();
        }
        self.redeliver();
        self.polled_at = Instant::now();
        self.take_in_flight(receipt, poll.connection)
    }

    /// Takes what is pending, and keeps its ids until the station shows that it has them.
    fn take_in_flight(&mut self, receipt: Receipt, connection: Option<u64>) -> Changes {
        let changes = std::mem::take(&mut self.changes);
        if !changes.is_empty() {
            self.in_flight = Some(InFlight {
                changes: changes.ids(),
                receipt,
                connection,
            });
        }
        changes
    }

    /// The station has sent another request on this connection of its own.
    // A client sends it after the answer before, or in order: so it has that answer.
    pub(super) fn ack(&mut self, connection: Option<u64>) {
        let in_flight = self.in_flight.as_ref();
        if connection.is_some()
            && in_flight.is_some_and(|in_flight| in_flight.connection == connection)
        {
            self.in_flight = None;
        }
    }

    /// The station was given what the answer with this receipt had named.
    pub(super) fn fetched(&mut self, receipt: Receipt, what: Fetched) {
        let Some(in_flight) = self
            .in_flight
            .as_mut()
            .filter(|in_flight| in_flight.receipt == receipt)
        else {
            return;
        };
        match what {
            Fetched::Conversation(conversation) => {
                in_flight.changes.conversations.remove(&conversation);
            }
            Fetched::List => (in_flight.changes.list, in_flight.changes.resync) = (false, false),
            Fetched::Friends => in_flight.changes.friends.clear(),
            Fetched::Stations => in_flight.changes.stations.clear(),
        }
        if in_flight.changes.is_empty() {
            self.in_flight = None;
        }
    }

    /// Adds the answer that may not have arrived to what is pending.
    pub(super) fn redeliver(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            self.changes.add_again(in_flight.changes);
        }
    }
}
