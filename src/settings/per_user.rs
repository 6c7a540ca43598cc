//! The limits of one user.

use super::{Error, variables::Variables};

/// The limits of a service user, as a multiple of those of a person.
const SERVICE_FACTOR: u32 = 10;
/// Maximum of each number: as much as the database's type holds.
const MAX: u32 = 1_000_000_000;
/// Maximum of each number of bytes: far more than any disk has.
const MAX_BYTES: u64 = 1 << 50;

/// The limits of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerUser {
    /// `MESSAGES_PER_MINUTE`: maximum messages sent per minute.
    pub messages: u32,
    /// `MESSAGE_BYTES_PER_MINUTE`: maximum bytes of messages sent per minute.
    pub message_bytes: u64,
    /// `STORED_BYTES_PER_USER`: maximum bytes of stored messages.
    pub stored_bytes: u64,
    /// `CONVERSATIONS_PER_USER`: maximum conversations that the user takes part in.
    pub conversations: u32,
    /// `NEW_CONVERSATIONS_PER_DAY`: maximum conversations created per day (UTC).
    pub new_conversations: u32,
    /// `FRIEND_REQUESTS_PER_DAY`: maximum friend requests per day (UTC).
    pub friend_requests: u32,
    /// `LOOKUPS_PER_HOUR`: maximum calls per hour that name somebody who is not a friend.
    pub lookups: u32,
    /// `PRESENCE_CHANGES_PER_MINUTE`: maximum changes of the availability per minute.
    pub presence_changes: u32,
    /// `CHANGES_PER_MINUTE`: maximum changes per minute that all participants of a conversation, or all friends,
    /// are notified of, other than messages.
    pub changes: u32,
    /// `OWN_CHANGES_PER_MINUTE`: maximum changes per minute that concern the user alone.
    pub own_changes: u32,
    /// `EPOCH_SECRETS_PER_HOUR`: maximum secrets of epochs per hour, one for each participant.
    pub epoch_secrets: u32,
    /// `NEW_STATIONS_PER_DAY`: maximum new stations per day (UTC).
    pub new_stations: u32,
    /// `FILE_BYTES_PER_HOUR`: maximum bytes of files uploaded per hour, also of those that are deleted
    /// again.
    pub file_bytes: u64,
    /// `FILE_QUOTA`: maximum bytes of all files; 0, if there are to be none.
    pub file_quota: u64,
}

impl PerUser {
    pub(super) fn read(env: &Variables<'_>) -> Result<Self, Error> {
        Ok(Self {
            // A day's outbox of 500 messages leaves at once; 50 a second are more than anyone
            // writes.
            messages: env.number("MESSAGES_PER_MINUTE", 3000, 1..=MAX)?,
            // A thousand of the largest messages.
            message_bytes: env.bytes("MESSAGE_BYTES_PER_MINUTE", 64 << 20, 64 << 10..=MAX_BYTES)?,
            stored_bytes: env.bytes("STORED_BYTES_PER_USER", 4 << 30, 64 << 10..=MAX_BYTES)?,
            conversations: env.number("CONVERSATIONS_PER_USER", 1000, 1..=1_000_000)?,
            new_conversations: env.number("NEW_CONVERSATIONS_PER_DAY", 100, 1..=1_000_000)?,
            friend_requests: env.number("FRIEND_REQUESTS_PER_DAY", 200, 1..=MAX)?,
            lookups: env.number("LOOKUPS_PER_HOUR", 1000, 1..=MAX)?,
            presence_changes: env.number("PRESENCE_CHANGES_PER_MINUTE", 60, 1..=MAX)?,
            // Two a second are more than anyone does by hand.
            changes: env.number("CHANGES_PER_MINUTE", 120, 1..=MAX)?,
            // Ten a second, or a long list put in order at once.
            own_changes: env.number("OWN_CHANGES_PER_MINUTE", 600, 1..=MAX)?,
            // Ten epochs of the largest group, about 25 MB.
            epoch_secrets: env.number("EPOCH_SECRETS_PER_HOUR", 50_000, 1..=MAX)?,
            new_stations: env.number("NEW_STATIONS_PER_DAY", 10, 1..=MAX)?,
            // A FILE_QUOTA's worth, four times over.
            file_bytes: env.bytes("FILE_BYTES_PER_HOUR", 4 << 30, 1 << 20..=MAX_BYTES)?,
            file_quota: env.bytes("FILE_QUOTA", 1 << 30, 0..=MAX_BYTES)?,
        })
    }

    /// The limits of a service user, if these are those of a person.
    #[must_use]
    pub fn of_service(self) -> Self {
        let times = |limit: u32| limit.saturating_mul(SERVICE_FACTOR);
        let times_bytes = |limit: u64| limit.saturating_mul(u64::from(SERVICE_FACTOR));
        Self {
            messages: times(self.messages),
            message_bytes: times_bytes(self.message_bytes),
            stored_bytes: times_bytes(self.stored_bytes),
            conversations: times(self.conversations),
            new_conversations: times(self.new_conversations),
            friend_requests: times(self.friend_requests),
            lookups: times(self.lookups),
            presence_changes: times(self.presence_changes),
            changes: times(self.changes),
            own_changes: times(self.own_changes),
            epoch_secrets: times(self.epoch_secrets),
            new_stations: times(self.new_stations),
            file_bytes: times_bytes(self.file_bytes),
            file_quota: times_bytes(self.file_quota),
        }
    }
}
