//! How long the server waits for what. No operator needs to change these; tests shorten them.

use std::time::Duration;

/// The server's intervals and time limits.
#[derive(Debug, Clone)]
pub struct Timings {
    /// How often a node says in the database that it is alive, looks which others are, and compares who is online
    /// with the sockets that it holds.
    pub heartbeat: Duration,
    /// A node that has not said so for this long has ended.
    pub node_timeout: Duration,
    /// Who has had no socket for this long is offline.
    pub offline_after: Duration,
    /// How often what was cleared or has expired is deleted, and noted that this server runs.
    pub purge: Duration,
    /// How often a node repeats its number on the bus.
    // Well below the four seconds after which it counts as unheard: one repetition that is lost must not make every
    // station resync.
    pub bus_repeat: Duration,
    /// Whoever asks more often whether the node is ready is told what was found out last.
    pub probe: Duration,
    /// How often a WebSocket is pinged.
    pub ping: Duration,
    /// A WebSocket whose peer has said nothing for this long is dropped.
    pub peer_timeout: Duration,
    /// A connection whose peer takes nothing of what is sent to it for this long is dropped.
    pub write_timeout: Duration,
    /// A body that is no larger than usual has to arrive in this time.
    pub body_timeout: Duration,
    /// Of a large body something has to arrive at least this often.
    pub body_silence: Duration,
    /// How often repeated refusals are summed up in the log.
    pub refusal_summary: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            node_timeout: Duration::from_secs(15),
            offline_after: Duration::from_secs(30),
            purge: Duration::from_mins(1),
            bus_repeat: Duration::from_secs(1),
            probe: Duration::from_secs(3),
            ping: Duration::from_secs(25),
            peer_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(15),
            body_silence: Duration::from_secs(5),
            refusal_summary: Duration::from_mins(1),
        }
    }
}
