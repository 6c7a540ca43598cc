//! When a call is sent again.

use std::time::Duration;

use parlance_wire::{
    key::Credential,
    request::{Signed, conversation, conversationgroup},
};

use crate::error::Error;

/// When a call is sent again, and when it is given up.
///
/// Pauses double from `first_pause`, up to `max_pause`; a random part keeps clients apart that failed together. Where
/// the server says how long to wait (`Retry-After`), that holds, if it is not longer than `max_pause`.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Maximum times that a call is sent, the first one included.
    pub attempts: u32,
    /// The pause after the first failure.
    pub first_pause: Duration,
    /// The longest pause. If the server asks for a longer one, the call fails at once.
    pub max_pause: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(250),
            max_pause: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// The pause before the next attempt, after `failures` in a row. Returns `None` when the call is given up.
    /// `repeatable`: the server may do it twice without harm.
    pub(crate) fn pause(&self, failures: u32, error: &Error, repeatable: bool) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        match error {
            // 429 is refused before anything is done. After a 503 nobody knows.
            Error::Refused(refusal)
                if refusal.is_temporary() && (repeatable || refusal.status == 429) =>
            {
                let pause = refusal
                    .retry_after
                    .unwrap_or_else(|| self.backoff(failures));
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
        // Between half of it and all of it.
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

/// Whether an action changes nothing when it is done a second time.
///
/// Not: a second `create` makes a second group, a second `addparticipants` counts its invitations again; and `clear`
/// and `leave` are answered with an error, as what they ask for is done.
pub(crate) fn is_repeatable(action: &Signed<Credential>) -> bool {
    use conversationgroup::Action::{AddParticipants, Create, Leave};
    !matches!(
        action,
        Signed::ConversationGroup(Create { .. } | AddParticipants { .. } | Leave { .. })
            | Signed::Conversation(conversation::Action::Clear { .. })
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
            version: None,
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
