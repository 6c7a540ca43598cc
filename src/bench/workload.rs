//! The workloads: each is a kind of request, made for a fixture.

use clap::ValueEnum;

use super::{
    fixture::{Fixture, Needs, caller},
    options::Bench,
    requests::{self, Signer, UnsignedRequest},
};
use crate::store::seed::message_id;

/// Number of distinct requests of a read-only workload; they are sent repeatedly.
const DIFFERENT: usize = 1000;
const PAGE: usize = 50;

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Messages into many conversations
    Add,
    /// Messages into one conversation
    AddHot,
    /// Messages, one after the other
    AddAlone,
    /// Reports (viewed), one message each
    Reports,
    /// The newest 50 messages of a long conversation
    Download,
    /// The 50 messages before one in the middle of a long conversation
    DownloadPartial,
    /// The list of a user with 50 conversations
    List,
    /// The list of a user with 1,000 conversations
    ListLong,
    /// What has changed in it, as version 4 asks: 3 of 1,000; and all of it
    ListKnown,
    /// Setting and clearing the favorite flag
    Flags,
    /// Notification polling
    Poll,
    /// A mix of 20 requests: 8 polls, 5 messages, 4 downloads, 1 list, 1 report, 1 flag
    Mix,
    /// New secrets for a group of 5,000, and messages to it meanwhile
    Rekey,
    /// Files, 1 MiB at a time: up and down, in PostgreSQL, in a directory, and in FILE_STORE if that
    /// is a bucket; beside an actix handler and nginx; 20 of 100 MiB at once; over slow lines, and ones
    /// that stop. By itself
    Files,
    /// WebSockets that are open and receive nothing
    SocketsIdle,
    /// Messages, each pushed to a WebSocket
    SocketsPush,
}

/// The parts of a fixture that these workloads need.
pub(super) fn needs(workloads: &[Workload]) -> Needs {
    let any = |some: &[Workload]| some.iter().any(|one| workloads.contains(one));
    Needs {
        long: any(&[Workload::Download, Workload::DownloadPartial]),
        short_lists: any(&[Workload::List]),
        long_lists: any(&[Workload::ListLong, Workload::ListKnown]),
    }
}

impl Workload {
    /// All workloads, in the order in which they are measured.
    pub(super) const ALL: &'static [Self] = &[
        Self::Add,
        Self::AddHot,
        Self::AddAlone,
        Self::Reports,
        Self::Download,
        Self::DownloadPartial,
        Self::List,
        Self::ListLong,
        Self::ListKnown,
        Self::Flags,
        Self::Poll,
        Self::Mix,
        Self::Rekey,
        Self::SocketsPush,
        Self::SocketsIdle,
    ];

    /// Its name on the command line.
    #[must_use]
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// The number of connections, unless the options set it.
    #[must_use]
    pub(super) fn connections(self) -> usize {
        match self {
            Self::Add | Self::AddHot | Self::Reports | Self::Mix => 64,
            Self::AddAlone => 1,
            Self::Files => 4,
            _ => 16,
        }
    }

    /// The number of requests per run, unless the options set it.
    #[must_use]
    pub(super) fn operations(self) -> usize {
        match self {
            Self::Add | Self::AddHot | Self::Poll => 40_000,
            Self::AddAlone => 4_000,
            Self::ListLong | Self::ListKnown => 3_000,
            Self::Files => 256,
            _ => 20_000,
        }
    }

    /// The floor that does the same amount of work, if there is one.
    #[must_use]
    pub(super) fn floor(self) -> Option<&'static str> {
        match self {
            Self::Add => Some("pgbench, spread"),
            Self::AddHot => Some("pgbench, one row"),
            Self::AddAlone => Some("pgbench, alone"),
            Self::Poll => Some("a bare actix endpoint"),
            _ => None,
        }
    }

    /// The requests of one run; `from` requests were made for earlier runs.
    pub(super) fn requests(
        self,
        fixture: &Fixture,
        bench: &Bench,
        signer: &Signer,
        count: usize,
        from: usize,
    ) -> Result<Vec<Vec<u8>>, String> {
        let is_new = matches!(
            self,
            Self::Add
                | Self::AddHot
                | Self::AddAlone
                | Self::Reports
                | Self::Mix
                | Self::SocketsPush
        );
        // Writes have to be new each time. Reads may repeat, which saves signing and memory.
        let count = if is_new { count } else { count.min(DIFFERENT) };
        let asked = |number: usize| self.asked(fixture, bench, from + number);
        if (0..count.min(1)).any(|number| asked(number).is_none()) {
            return Err(format!(
                "{} has nothing to work on: more --users, --conversations or --messages are needed",
                self.name()
            ));
        }
        // Reports run out where conversations have few messages; polls make up the rest.
        let anyone = fixture
            .users
            .first()
            .copied()
            .and_then(caller)
            .ok_or("there are no users")?;
        signer.requests(count, |number| {
            asked(number).unwrap_or_else(|| requests::poll(anyone))
        })
    }

    fn asked(self, fixture: &Fixture, bench: &Bench, number: usize) -> Option<UnsignedRequest> {
        let instance = &fixture.instance;
        Some(match self {
            Self::Add | Self::AddAlone | Self::SocketsPush => {
                let (caller, pair) = fixture.of_many(number, number / fixture.many.len().max(1))?;
                requests::add(caller, pair.conversation_id, instance, bench.bytes)
            }
            // A single conversation: all writers wait for the same row lock, the worst case for
            // batches.
            Self::AddHot => {
                let (caller, pair) = fixture.of_many(0, number)?;
                requests::add(caller, pair.conversation_id, instance, bench.bytes)
            }
            Self::Reports => {
                // Both participants report each message once: a repeated report stores nothing.
                let round = number / fixture.many.len().max(1);
                let (caller, pair) = fixture.of_many(number, round)?;
                let seq = 1 + round / 2;
                let message =
                    message_id(pair.conversation_id, seq).filter(|_| seq <= fixture.messages)?;
                requests::viewed(caller, pair.conversation_id, instance, Some(message))
            }
            Self::Download => {
                let (caller, pair) = fixture.of_long(number)?;
                let first = message_id(
                    pair.conversation_id,
                    fixture.long_messages.saturating_sub(PAGE) + 1,
                );
                requests::download(caller, pair.conversation_id, instance, first)
            }
            Self::DownloadPartial => {
                let (caller, pair) = fixture.of_long(number)?;
                let mut asked =
                    requests::of(caller, "downloadpartial", pair.conversation_id, instance);
                let middle = message_id(pair.conversation_id, fixture.long_messages / 2 + 1)?;
                asked
                    .fields
                    .as_object_mut()?
                    .insert("lastmessageid".into(), middle.to_string().into());
                asked
            }
            Self::List => requests::list(
                *fixture
                    .short_lists
                    .get(number % fixture.short_lists.len().max(1))?,
            ),
            Self::ListLong => requests::list(
                *fixture
                    .long_lists
                    .get(number % fixture.long_lists.len().max(1))?,
            ),
            // On and off in turn, so that each request changes something.
            Self::Flags => {
                let (caller, pair) = fixture.of_many(number / 2, 0)?;
                requests::of(
                    caller,
                    if number.is_multiple_of(2) {
                        "favorite"
                    } else {
                        "unfavorite"
                    },
                    pair.conversation_id,
                    instance,
                )
            }
            Self::Poll => requests::poll(caller(
                *fixture.users.get(number % fixture.users.len().max(1))?,
            )?),
            Self::Mix => {
                let (caller, pair) = fixture.of_many(number / 20 * 7 + number % 7, number)?;
                let newest = message_id(pair.conversation_id, fixture.messages);
                match number % 20 {
                    0..=4 => requests::add(caller, pair.conversation_id, instance, bench.bytes),
                    5..=8 => requests::download(caller, pair.conversation_id, instance, newest),
                    9 => requests::list(caller),
                    10 => requests::viewed(caller, pair.conversation_id, instance, newest),
                    11 => requests::of(caller, "mute", pair.conversation_id, instance),
                    _ => requests::poll(caller),
                }
            }
            Self::SocketsIdle | Self::Rekey | Self::ListKnown | Self::Files => return None,
        })
    }
}
