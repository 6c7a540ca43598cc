//! Files give way to messages. While messages are stored, the records that a node stores and reads are
//! spread over time, so that a message finds a free processor and a free disk. Otherwise files are as fast as
//! both allow.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Bytes a second for each worker thread, while messages are stored. Two threads can store eight times as much
/// in a directory as both have then (BENCHMARKS.md, Files).
const RATE: u32 = 16 << 20;
/// How long after a message more are expected.
const BUSY: Duration = Duration::from_secs(1);

/// A node's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second, while messages are stored.
    rate: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Messages that were stored when records were last stored or read.
    messages: u64,
    /// When messages were last known to be stored.
    busy: Option<Instant>,
    /// When the next record has its turn.
    next: Instant,
}

impl Pace {
    pub(super) fn new(workers: usize) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        Self {
            rate: f64::from(RATE) * f64::from(workers),
            state: Mutex::new(State {
                messages: 0,
                busy: None,
                next: Instant::now(),
            }),
        }
    }

    /// Waits until this many bytes may be stored or read. `messages`: the number that the node has stored.
    pub(super) async fn give_way(&self, bytes: u64, messages: u64) {
        if let Some(turn) = self.turn(bytes, messages, Instant::now()) {
            sleep_until(turn).await;
        }
    }

    /// When it is the turn of these bytes. Returns `None` if no messages are stored beside them.
    fn turn(&self, bytes: u64, messages: u64, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.messages != messages {
            state.messages = messages;
            state.busy = Some(now);
        }
        state.busy.filter(|busy| now - *busy < BUSY)?;
        let turn = state.next.max(now);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a request has far less than 2^52 bytes"
        )]
        let bytes = bytes as f64;
        state.next = turn + Duration::from_secs_f64(bytes / self.rate);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const OF_A_SECOND: u64 = 2 * RATE as u64;

    #[test]
    fn files_wait_only_beside_messages() {
        let (pace, now) = (Pace::new(2), Instant::now());
        assert_eq!(pace.turn(OF_A_SECOND, 0, now), None);
        assert_eq!(pace.turn(OF_A_SECOND, 0, now), None);
        // Messages were stored since.
        assert_eq!(pace.turn(OF_A_SECOND, 7, now), Some(now));
        assert_eq!(pace.turn(OF_A_SECOND / 2, 7, now), Some(now + SECOND));
        assert_eq!(pace.turn(1, 7, now), Some(now + SECOND * 3 / 2));
        // And none since that.
        assert_eq!(pace.turn(OF_A_SECOND, 7, now + BUSY), None);
    }

    #[test]
    fn time_in_which_no_file_was_stored_is_not_made_up_for() {
        let (pace, begin) = (Pace::new(2), Instant::now());
        assert_eq!(pace.turn(OF_A_SECOND, 1, begin), Some(begin));
        let later = begin + 10 * SECOND;
        assert_eq!(pace.turn(OF_A_SECOND, 2, later), Some(later));
        assert_eq!(pace.turn(OF_A_SECOND, 3, later), Some(later + SECOND));
    }
}
