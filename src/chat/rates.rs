//! How fast each user may write, change things, begin epochs, and look up others. The limits are those
//! of the call's user; each node counts for itself.

mod reserved;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use self::reserved::Reserved;
use super::{
    Call,
    buckets::{Bucket, KeyedState, Size, locked},
    error::Error,
};
use crate::{clock::Clock, settings::PerUser};
use parlance_wire::id::UserId;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// What each user has used up of their limits.
pub(crate) struct Rates {
    by_user: KeyedState<UserId, Buckets>,
    clock: Clock,
}

/// A user's limits, and how much of them is left.
#[derive(Debug, Clone)]
pub(crate) struct Allowed {
    pub limits: PerUser,
    left: Arc<Mutex<Buckets>>,
    clock: Clock,
}

#[derive(Debug)]
struct Buckets {
    messages: Bucket,
    message_bytes: Bucket,
    presence_changes: Bucket,
    lookups: Bucket,
    changes: Reserved,
    own_changes: Reserved,
    epoch_secrets: Bucket,
    file_bytes: Bucket,
}

impl Buckets {
    fn full(limits: &PerUser, now: Instant) -> Self {
        Self {
            messages: Bucket::full(messages(limits), now),
            message_bytes: Bucket::full(message_bytes(limits), now),
            presence_changes: Bucket::full(presence_changes(limits), now),
            lookups: Bucket::full(lookups(limits), now),
            changes: Reserved::full(changes(limits), now),
            own_changes: Reserved::full(own_changes(limits), now),
            epoch_secrets: Bucket::full(epoch_secrets(limits), now),
            file_bytes: Bucket::full(file_bytes(limits), now),
        }
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

impl Rates {
    /// By this clock, everyone may do everything that their limits allow.
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            // Until the slowest one is full again, like a new one.
            by_user: KeyedState::new(HOUR * 2),
            clock: clock.clone(),
        }
    }

    /// How much a user with these limits may still do.
    pub(crate) fn of(&self, user: UserId, limits: PerUser) -> Allowed {
        let now = self.clock.instant();
        Allowed {
            limits,
            left: self.by_user.get(user, || Buckets::full(&limits, now)),
            clock: self.clock.clone(),
        }
    }
}

fn messages(limits: &PerUser) -> Size {
    size(limits.messages.into(), MINUTE)
}

fn message_bytes(limits: &PerUser) -> Size {
    size(limits.message_bytes, MINUTE)
}

fn presence_changes(limits: &PerUser) -> Size {
    size(limits.presence_changes.into(), MINUTE)
}

fn lookups(limits: &PerUser) -> Size {
    size(limits.lookups.into(), HOUR)
}

fn file_bytes(limits: &PerUser) -> Size {
    size(limits.file_bytes, HOUR)
}

fn changes(limits: &PerUser) -> Size {
    size(limits.changes.into(), MINUTE)
}

fn own_changes(limits: &PerUser) -> Size {
    size(limits.own_changes.into(), MINUTE)
}

fn epoch_secrets(limits: &PerUser) -> Size {
    size(limits.epoch_secrets.into(), HOUR)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the largest limit is 2^50, which f64 holds"
)]
fn size(tokens: u64, refill: Duration) -> Size {
    Size {
        tokens: tokens as f64,
        refill,
    }
}

/// Counts a message of the caller.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_message(call: &Call<'_>, bytes: usize) -> Result<(), Error> {
    let Allowed {
        limits,
        left,
        clock,
    } = &call.allowed;
    let now = clock.instant();
    let bytes = size(u64::try_from(bytes).unwrap_or(u64::MAX), MINUTE).tokens;
    let mut left = locked(left);
    // Only checked at first: a message that is refused for its bytes must not use up a message.
    left.messages
        .check(messages(limits), 1.0, now)
        .map_err(|wait| {
            let sentence = format!(
                "You can send at most {} messages a minute. Send the rest in a moment.",
                limits.messages
            );
            Error::UsedUp(sentence, wait)
        })?;
    let size = message_bytes(limits);
    left.message_bytes.take(size, bytes, now).map_err(|wait| {
        let sentence = format!(
            "You can send at most {} bytes of messages a minute. Send the rest in a moment.",
            limits.message_bytes
        );
        Error::UsedUp(sentence, wait)
    })?;
    // Cannot fail, as it was checked under the same lock.
    let _ = left.messages.take(messages(limits), 1.0, now);
    Ok(())
}

/// Takes some of one of the caller's limits; `sentence` says what the limit is.
fn take(
    call: &Call<'_>,
    from: impl FnOnce(&mut Buckets, &PerUser, Instant) -> Result<(), Duration>,
    sentence: impl FnOnce(&PerUser) -> String,
) -> Result<(), Error> {
    let Allowed {
        limits,
        left,
        clock,
    } = &call.allowed;
    from(&mut locked(left), limits, clock.instant())
        .map_err(|wait| Error::UsedUp(sentence(limits), wait))
}

/// Counts a change of the caller's availability.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_presence_change(call: &Call<'_>) -> Result<(), Error> {
    take(
        call,
        |left, limits, now| {
            left.presence_changes
                .take(presence_changes(limits), 1.0, now)
        },
        |limits| {
            format!(
                "You can change your availability at most {} times a minute. Try again in a moment.",
                limits.presence_changes
            )
        },
    )
}

/// Counts a call that names somebody who is not the caller's friend: how soon it is answered could
/// tell something of them.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_lookup(call: &Call<'_>) -> Result<(), Error> {
    take(
        call,
        |left, limits, now| left.lookups.take(lookups(limits), 1.0, now),
        |limits| {
            format!(
                "You can name somebody who is not your friend at most {} times an hour. Try again later.",
                limits.lookups
            )
        },
    )
}

/// Counts bytes of files that the caller is about to send.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_file_bytes(call: &Call<'_>, bytes: u64) -> Result<(), Error> {
    let bytes = size(bytes, HOUR).tokens;
    take(
        call,
        |left, limits, now| left.file_bytes.take(file_bytes(limits), bytes, now),
        |limits| {
            format!(
                "You can upload at most {} bytes of files an hour. Send the rest later.",
                limits.file_bytes
            )
        },
    )
}

/// Counts a change that others are notified of, also one that turns out to change nothing: a request
/// that is sent again is announced again.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_change(call: &Call<'_>) -> Result<(), Error> {
    take(
        call,
        |left, limits, now| left.changes.take(changes(limits), call.station, now),
        |limits| {
            format!(
                "You can make at most {} changes a minute of your vault, or that others are notified of. Try again in a moment.",
                limits.changes
            )
        },
    )
}

/// Counts a change that concerns the caller alone, also one that turns out to change nothing.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_own_change(call: &Call<'_>) -> Result<(), Error> {
    take(
        call,
        |left, limits, now| {
            left.own_changes
                .take(own_changes(limits), call.station, now)
        },
        |limits| {
            format!(
                "You can make at most {} changes of your own settings a minute. Try again in a moment.",
                limits.own_changes
            )
        },
    )
}

/// Counts the secrets of an epoch, which are stored for each participant.
///
/// # Errors
/// `UsedUp`.
pub(crate) fn count_epoch_secrets(call: &Call<'_>, secrets: usize) -> Result<(), Error> {
    let secrets = size(u64::try_from(secrets).unwrap_or(u64::MAX), HOUR).tokens;
    take(
        call,
        |left, limits, now| left.epoch_secrets.take(epoch_secrets(limits), secrets, now),
        |limits| {
            format!(
                "You can store at most {} secrets of epochs an hour. Try again later.",
                limits.epoch_secrets
            )
        },
    )
}
