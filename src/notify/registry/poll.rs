//! Polling stations: the answer to a poll is kept until the station acknowledges it.

use std::time::Instant;

use super::{Notifications, Pending};
use crate::notify::event::Changes;
use parlance_wire::{
    id::{ConversationId, Receipt, StationId, UserId},
    version::ClientVersion,
};

/// The part of a poll that acknowledges earlier answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poll {
    /// The connection of the poll, unless a proxy is the peer.
    pub connection: Option<u64>,
    /// The receipt of the last answer that the station received.
    pub received: Option<Receipt>,
    /// The station's client version.
    pub version: ClientVersion,
}

/// Data that a station has fetched, and need not be notified of again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fetched {
    /// A conversation, by `download`.
    Conversation(ConversationId),
    /// The list of conversations.
    List,
    /// The list of friends.
    Friends,
    /// The list of stations.
    Stations,
}

/// An answer to a poll that may not have arrived.
#[derive(Debug)]
pub(super) struct InFlight {
    changes: Changes,
    receipt: Receipt,
    connection: Option<u64>,
}

impl Notifications {
    /// Takes the pending changes of a station, along with those of an unacknowledged answer. An
    /// unknown station has to resync. While the station has a socket, a poll takes nothing: the
    /// socket still gets it.
    pub(crate) fn poll(&self, user: UserId, station: StationId, poll: Poll) -> (Changes, Receipt) {
        let receipt = Receipt::random();
        let mut inner = self.locked();
        if !inner.has_room_for(user) {
            return (Changes::resync(), receipt);
        }
        let pending = inner.station_or_new(user, station);
        (pending.poll(poll, receipt), receipt)
    }

    /// Acknowledges the previous answer on a connection, as its station has sent another request
    /// there.
    pub(crate) fn ack(&self, user: UserId, station: StationId, connection: u64) {
        if let Some(pending) = self.locked().station(user, station) {
            pending.ack(Some(connection));
        }
    }

    /// The receipt of the station's unacknowledged answer. Read it before anything is fetched, and
    /// pass it to [`Notifications::fetched`].
    pub(crate) fn in_flight(&self, user: UserId, station: StationId) -> Option<Receipt> {
        let mut inner = self.locked();
        let pending = inner.station(user, station)?;
        pending.in_flight.as_ref().map(|answer| answer.receipt)
    }

    /// Records that a station has fetched what the answer with this receipt named, so that it is
    /// not named again.
    pub(crate) fn fetched(
        &self,
        user: UserId,
        station: StationId,
        receipt: Receipt,
        what: Fetched,
    ) {
        if let Some(pending) = self.locked().station(user, station) {
            pending.fetched(receipt, what);
        }
    }
}

impl Pending {
    /// Answers a poll.
    fn poll(&mut self, poll: Poll, receipt: Receipt) -> Changes {
        self.polls_as = poll.version;
        // Acknowledged first: what this poll confirms must not be sent again.
        let in_flight = self.in_flight.as_ref();
        if in_flight.is_some_and(|in_flight| Some(in_flight.receipt) == poll.received) {
            self.in_flight = None;
        }
        self.ack(poll.connection);
        // A station with a socket gets nothing here, as the socket's frames would leave out what
        // the poll took.
        if self.subscriber.is_some() {
            return self.changes.ids();
        }
        self.redeliver();
        self.polled_at = Instant::now();
        self.take_in_flight(receipt, poll.connection)
    }

    /// Takes what is pending, and keeps its ids until the station acknowledges them.
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

    /// Acknowledges the answer that was sent on this connection.
    // HTTP/1.1 answers in order, and a client sends its next request once it has the answer.
    fn ack(&mut self, connection: Option<u64>) {
        let in_flight = self.in_flight.as_ref();
        if connection.is_some()
            && in_flight.is_some_and(|in_flight| in_flight.connection == connection)
        {
            self.in_flight = None;
        }
    }

    /// Removes what was fetched from the answer with this receipt.
    fn fetched(&mut self, receipt: Receipt, what: Fetched) {
        // If the receipt differs, the fetch may have begun before the changes that are named now
        // were committed.
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

    /// Adds the changes of an unacknowledged answer to the pending ones.
    pub(super) fn redeliver(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            self.changes.add_again(in_flight.changes);
        }
    }
}
