//! The limits of a user: those that the settings give people and services, unless an operator has
//! set others (`parlance user limits`).

use crate::{settings::PerUser, store::user_limits::Allowance};

/// The limits of a user.
pub(crate) fn of(usual: &PerUser, user: &Allowance) -> PerUser {
    let usual = if user.is_service {
        usual.of_service()
    } else {
        *usual
    };
    let own = &user.own;
    PerUser {
        messages: own.messages.map_or(usual.messages, i32::unsigned_abs),
        message_bytes: own
            .message_bytes
            .map_or(usual.message_bytes, i64::unsigned_abs),
        stored_bytes: own
            .stored_bytes
            .map_or(usual.stored_bytes, i64::unsigned_abs),
        conversations: own
            .conversations
            .map_or(usual.conversations, i32::unsigned_abs),
        new_conversations: own
            .new_conversations
            .map_or(usual.new_conversations, i32::unsigned_abs),
        friend_requests: own
            .friend_requests
            .map_or(usual.friend_requests, i32::unsigned_abs),
        lookups: own.lookups.map_or(usual.lookups, i32::unsigned_abs),
        presence_changes: own
            .presence_changes
            .map_or(usual.presence_changes, i32::unsigned_abs),
        changes: own.changes.map_or(usual.changes, i32::unsigned_abs),
        own_changes: own.own_changes.map_or(usual.own_changes, i32::unsigned_abs),
        epoch_secrets: own
            .epoch_secrets
            .map_or(usual.epoch_secrets, i32::unsigned_abs),
        new_stations: own
            .new_stations
            .map_or(usual.new_stations, i32::unsigned_abs),
        file_bytes: own.file_bytes.map_or(usual.file_bytes, i64::unsigned_abs),
        file_quota: own.file_quota.map_or(usual.file_quota, i64::unsigned_abs),
    }
}
