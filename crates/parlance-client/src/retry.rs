//! Decides when a call is repeated.

use std::time::Duration;

use parlance_wire::{
    key::Credential,
    request::{Signed, account, conversation, conversationgroup},
};

use crate::error::Error;

/// When calls are repeated, and when they are given up.
///
/// Pauses double from `first_pause` to `max_pause`. They have a random part, so that clients that
/// failed together do not return together. If the server sends `Retry-After`, that is used instead,
/// provided that it is not longer than `max_pause`.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Maximum attempts, including the first.
    pub attempts: u32,
    /// The pause after the first failure.
    pub first_pause: Duration,
    /// The longest pause. If the server asks for a longer one, the call fails at once.
    pub max_pause: Duration,
    /// Maximum time for an answer.
    pub timeout: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            // With the pauses below, callers do not notice a server that restarts within two seconds.
            attempts: 5,
            first_pause: Duration::from_millis(250),
            max_pause: Duration::from_secs(10),
            // Longer than the server's own limits, so that its answer comes first: 5 s for a connection, 10 s for a
            // statement.
            timeout: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// The pause before the next attempt, after `failures` in a row. Returns `None` to give up.
    /// `repeatable` means that carrying out the call twice does no harm.
    pub(crate) fn pause(&self, failures: u32, error: &Error, repeatable: bool) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        match error {
            // 429 is refused before anything is done. After a 503 it may have been done.
            Error::Refused(refusal)
                if refusal.is_temporary()
                    && (repeatable || matches!(refusal.status, 408 | 429)) =>
            {
                let pause = refusal
                    .retry_after
                    .unwrap_or_else(|| self.backoff(failures));
                // The daily limit may require hours: a call must not block for that long.
                (pause <= self.max_pause).then_some(pause)
            }
            Error::Transport(_) | Error::Socket(_) | Error::SocketTimeout if repeatable => {
                Some(self.backoff(failures))
            }
            _ => None,
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let pause = self.first_pause.saturating_mul(doubled).min(self.max_pause);
        // Between half of it and all of it: clients that failed together must not return together.
        pause / 2 + pause.mul_f64(f64::from(random_byte()) / 512.0)
    }
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without random numbers all clients wait equally long, which is no reason to fail.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    byte
}

/// Maximum attempts because others were faster each time.
// Not for ever: a server could pretend that somebody is.
pub(crate) const MAX_TRIES: usize = 10;

/// The attempts of a call for which others can be faster.
// A function that takes the call would make futures that cannot be sent to another thread.
#[derive(Debug, Default)]
pub(crate) struct Attempts(usize);

impl Attempts {
    /// Counts an attempt. Returns `true` if somebody else was faster, and the call is to be made again.
    pub(crate) fn goes_on<T>(
        &mut self,
        attempt: &Result<T, Error>,
        is_late: impl Fn(&Error) -> bool,
    ) -> bool {
        self.0 += 1;
        self.0 < MAX_TRIES && attempt.as_ref().is_err_and(is_late)
    }
}

/// Returns `true` if repeating an action changes nothing.
///
/// These are not safe to repeat: a second `invite` creates another invitation, a second `create`
/// another group (unless its first epoch names the group's id), and a second `addparticipants` counts its invitations again. A repeated `delete`,
/// `clear` or `leave` would be refused because it has already been carried out. A second
/// `changekeys` would be signed with a key that the server may have replaced.
pub(crate) fn is_repeatable(action: &Signed<Credential>) -> bool {
    use conversationgroup::Action::{AddParticipants, Create, Leave};
    !matches!(
        action,
        Signed::Account(
            account::Action::Invite { .. }
                | account::Action::Delete { .. }
                | account::Action::ChangeKeys(_)
        ) | Signed::ConversationGroup(
            Create {
                announcement: None,
                ..
            } | AddParticipants { .. }
                | Leave { .. }
        ) | Signed::Conversation(conversation::Action::Clear { .. })
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorCode, Refusal};

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        Error::Refused(Refusal {
            status,
            code: ErrorCode::Unknown,
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
            instance: None,
            epoch: None,
            version: None,
            card: None,
            was_uncertain: false,
        })
    }

    #[test]
    fn a_retry_waits_as_long_as_the_server_says_or_gives_up() {
        let retry = Retry::default();
        let pause = |error, repeatable| retry.pause(1, &error, repeatable);
        assert_eq!(
            pause(refused(429, Some(3)), false),
            Some(Duration::from_secs(3))
        );
        assert_eq!(pause(refused(429, Some(86_400)), true), None);
        assert_eq!(pause(refused(503, Some(2)), false), None);
        assert_eq!(pause(refused(403, None), true), None);
        assert_eq!(retry.pause(5, &refused(429, Some(1)), true), None);
    }

    #[test]
    fn pauses_double_up_to_the_longest_one() {
        let retry = Retry::default();
        for (failures, least, most) in [(1, 125, 250), (2, 250, 500), (30, 5_000, 10_000)] {
            let pause = retry.backoff(failures).as_millis();
            assert!((least..=most).contains(&pause), "{failures}: {pause}");
        }
    }
}
