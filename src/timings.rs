//! The server's intervals and timeouts. Operators have no need to change these; tests shorten them.

use std::time::Duration;

/// Intervals and timeouts.
#[derive(Debug, Clone)]
pub struct Timings {
    /// Interval of a node's heartbeats: it records that it is alive, reads which others are, and
    /// compares who is online with its open sockets.
    pub heartbeat: Duration,
    /// A node without a heartbeat for this long counts as ended.
    pub node_timeout: Duration,
    /// A user without a socket for this long is offline.
    pub offline_after: Duration,
    /// A user who has no socket, and has not called for this long, is offline.
    pub silent_after: Duration,
    /// Interval of the purge, and of recording that this server runs.
    pub purge: Duration,
    /// How often a node repeats its sequence number on the bus.
    // Well below the four seconds after which it counts as silent: a single lost repetition must
    // not make every station resync.
    pub bus_repeat: Duration,
    /// How long the result of a readiness check is reused.
    pub probe: Duration,
    /// How often a WebSocket is pinged.
    pub ping: Duration,
    /// A WebSocket whose peer has sent nothing for this long is dropped.
    pub peer_timeout: Duration,
    /// A connection whose peer accepts no data for this long is dropped.
    pub write_timeout: Duration,
    /// An export whose peer takes longer than this for about a megabyte makes room for others.
    pub export_piece: Duration,
    /// An export that takes longer than this makes room for others.
    pub export: Duration,
    /// Maximum time for a body of usual size to arrive.
    pub body_timeout: Duration,
    /// Maximum time between two parts of a large body.
    pub body_silence: Duration,
    /// Bytes of a file that were written outside the database, but whose records were not stored, are
    /// deleted after this long.
    pub file_unfinished: Duration,
    /// No files are taken for this long after the database said that its disk is full.
    pub disk_full: Duration,
    /// A station that was pushed and did not wake up is pushed again after this long.
    pub push_again: Duration,
    /// Delay before a push is tried again; doubled with each attempt.
    pub push_retry: Duration,
    /// How often a user is notified of one stranger's request, however often it is made and withdrawn.
    pub request_told: Duration,
    /// How often repeated refusals are summarized in the log.
    pub refusal_summary: Duration,
    /// Timeouts of the database.
    pub database: DatabaseTimings,
}

/// Timeouts of the database, after which it counts as away.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseTimings {
    /// Maximum wait for a connection.
    pub acquire: Duration,
    /// Maximum time to an answer.
    pub response: Duration,
    /// PostgreSQL ends a request's statement that takes longer than this.
    pub statement: Duration,
    /// PostgreSQL ends a request's statement that waits for a lock for longer than this.
    pub lock: Duration,
}

impl Default for DatabaseTimings {
    fn default() -> Self {
        Self {
            acquire: Duration::from_secs(5),
            // Longer than a statement may take: where PostgreSQL itself ends it and says so, the
            // outcome is certain.
            response: Duration::from_secs(12),
            // No request needs longer; a slower statement is stopped instead of piling up.
            statement: Duration::from_secs(10),
            // No request holds a lock for long: a longer wait means that somebody holds it at a psql
            // prompt.
            lock: Duration::from_secs(3),
        }
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            // Three heartbeats: one may be late and one lost before every station has to resync.
            node_timeout: Duration::from_secs(15),
            // Enough to reconnect: friends are not notified when a phone changes from Wi-Fi to
            // mobile data.
            offline_after: Duration::from_secs(30),
            // Several polls of a client that polls once a minute, to save a battery.
            silent_after: Duration::from_mins(5),
            // Well below the five minutes after which `store/purge.rs` takes the clock for
            // unobserved.
            purge: Duration::from_mins(1),
            bus_repeat: Duration::from_secs(1),
            probe: Duration::from_secs(3),
            // Below the 60 seconds after which common proxies close a silent connection.
            ping: Duration::from_secs(25),
            // Two pings: the answer to one of them may be late.
            peer_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            // 64 KiB a second.
            export_piece: Duration::from_secs(16),
            export: Duration::from_hours(1),
            body_timeout: Duration::from_secs(15),
            body_silence: Duration::from_secs(5),
            // Far longer than `store/file/outside.rs` lets a write take.
            file_unfinished: Duration::from_mins(15),
            // Room that somebody makes meanwhile is left to messages.
            disk_full: Duration::from_mins(1),
            // The push service keeps the last push only, and shows it when the device is reachable again.
            push_again: Duration::from_mins(15),
            push_retry: Duration::from_secs(5),
            request_told: Duration::from_hours(1),
            refusal_summary: Duration::from_mins(1),
            database: DatabaseTimings::default(),
        }
    }
}
