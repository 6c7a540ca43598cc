//! Ids and times in the form of docs/api.md, written separately from the server's code.

use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};
use parlance_client::{ConversationId, Instance, MessageId, StationId, UserId};

/// The id of anything: 128 bits.
pub(super) type Id = u128;

/// The form of user, station and conversation ids: 32 digits.
pub(super) fn plain(id: Id) -> String {
    format!("{id:032x}")
}

/// The form of message and report ids: a UUID.
pub(super) fn dashed(id: Id) -> String {
    let digits = plain(id);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

/// Reads the form without dashes, in lower case. Returns `None` for any other form.
pub(super) fn read_plain(text: &str) -> Option<Id> {
    let fits = text.len() == 32
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| Id::from_str_radix(text, 16).ok())?
}

/// Reads the form with dashes, in lower case. Returns `None` for any other form.
pub(super) fn read_dashed(text: &str) -> Option<Id> {
    let id = read_plain(&text.replace('-', ""))?;
    // Written again and compared: dashes in other places are a mistake of the server's that a lenient reader would
    // miss.
    (dashed(id) == text).then_some(id)
}

/// The client library's id of a user. The `None` here and below never occurs: there is an id for
/// each number.
pub(super) fn user(id: Id) -> Option<UserId> {
    UserId::parse(&plain(id))
}

/// The client library's id of a station.
pub(super) fn station(id: Id) -> Option<StationId> {
    StationId::parse(&plain(id))
}

/// The client library's id of a conversation.
pub(super) fn conversation(id: Id) -> Option<ConversationId> {
    ConversationId::parse(&plain(id))
}

/// The client library's id of a message.
pub(super) fn message(id: Id) -> Option<MessageId> {
    MessageId::parse(&dashed(id))
}

/// The client library's form of an instance.
pub(super) fn instance(text: &str) -> Option<Instance> {
    Instance::parse(text)
}

/// Now, in Unix seconds.
pub(super) fn now() -> i64 {
    DateTime::<Utc>::from(SystemTime::now()).timestamp()
}

/// The form of a time, of Unix seconds.
pub(super) fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// Reads a time, as Unix seconds. Returns `None` for any other form.
pub(super) fn read_time(text: &str) -> Option<i64> {
    let seconds = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
        .ok()?
        .and_utc()
        .timestamp();
    // chrono also reads a month of one digit.
    (time(seconds) == text).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_are_read_in_their_documented_form_only() {
        let id = read_dashed("fc2515cb-e483-4f64-936b-98f680565c96").unwrap();
        assert_eq!(plain(id), "fc2515cbe4834f64936b98f680565c96");
        assert_eq!(read_plain(&plain(id)), Some(id));
        for wrong in [
            "fc2515cbe4834f64936b98f680565c96",
            "FC2515CB-e483-4f64-936b-98f680565c96",
            "fc2515-cbe483-4f64-936b-98f680565c96",
            "",
        ] {
            assert_eq!(read_dashed(wrong), None, "{wrong}");
        }
        assert_eq!(read_time("2024-03-08 14:12:48"), Some(1_709_907_168));
        for wrong in [
            "2024-3-08 14:12:48",
            "2024-03-08T14:12:48",
            "2024-03-08 14:12:48Z",
            "2024-03-08",
        ] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }
}
