//! The channels by which readers learn what is new.

use serde::Serialize;

use super::request::{V3, V4};

/// How a reader learns what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Channel {
    /// A v4 socket that checks `after` of the first event of each kind only, as docs/api.md allows. A gap within a
    /// frame loses it a row for good, where other readers would download it.
    Letter,
    /// A v4 socket; it checks `after` of each event.
    Each,
    /// A v4 client that polls.
    PollV4,
    /// A v3 client that polls.
    PollV3,
    /// A v3 socket.
    SocketV3,
}

impl Channel {
    /// Its name in the report.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Letter => "v4 socket, by the letter",
            Self::Each => "v4 socket, each event",
            Self::PollV4 => "v4 polls",
            Self::PollV3 => "v3 polls",
            Self::SocketV3 => "v3 socket",
        }
    }

    /// The client version that it says it is.
    pub(super) fn version(self) -> i64 {
        if matches!(self, Self::PollV3 | Self::SocketV3) {
            V3
        } else {
            V4
        }
    }

    /// Polls, where others have a socket.
    pub(super) fn polls(self) -> bool {
        matches!(self, Self::PollV3 | Self::PollV4)
    }
}
