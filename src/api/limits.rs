//! This server's limits, which v4 clients learn at login.

use serde::Serialize;

use crate::{
    chat,
    settings::{PerUser, Settings},
};
use parlance_wire::{
    request::{
        conversation::MAX_ERASED, conversationgroup::MAX_PARTICIPANTS, notification::MAX_FRAME,
        reports::MAX_MESSAGE_IDS,
    },
    text::EncryptedKey,
};

/// This server's limits. They spare clients requests that would be refused.
#[derive(Serialize)]
pub(super) struct LimitsView {
    /// Bytes of a message's `Data`.
    messagebytes: usize,
    /// Bytes of a request.
    bodybytes: usize,
    /// Bytes of `rsakey`.
    rsakeybytes: usize,
    /// Bytes of a socket's frame.
    framebytes: usize,
    /// Participants of a group.
    participants: usize,
    conversations: u32,
    /// Per day (UTC).
    newconversations: u32,
    stations: i32,
    /// Open at the same time.
    sockets: usize,
    /// In progress at the same time.
    requests: usize,
    /// Ids of one report.
    messageids: usize,
    /// Ids of one `erase`.
    erasedids: usize,
    /// Bytes of a file, encrypted, without the 16 bytes that this adds to each record; 0 if there are
    /// to be no files.
    file: u64,
    /// Bytes of all files of this user; 0 if there are to be none.
    filequota: u64,
    /// Bytes that the files of this user count.
    fileused: u64,
    /// Bytes of files, an hour.
    filebytes: u64,
    /// Seconds by which a client's clock may be wrong.
    clockdifference: i64,
    /// Seconds until a message without a `ValidUntil` expires.
    messagelifetime: i64,
    /// Seconds for which an expired message is kept.
    expirygrace: i64,
}

impl LimitsView {
    /// The limits, for a user with limits of their own, whose files count this many bytes.
    pub(super) fn of(settings: &Settings, own: &PerUser, fileused: u64) -> Self {
        Self {
            messagebytes: settings.max_message_bytes,
            bodybytes: settings.max_body_bytes,
            rsakeybytes: EncryptedKey::MAX_BYTES,
            framebytes: MAX_FRAME,
            participants: MAX_PARTICIPANTS,
            conversations: own.conversations,
            newconversations: own.new_conversations,
            stations: chat::user::MAX_STATIONS,
            sockets: settings.sockets_per_user,
            requests: settings.requests_per_user,
            messageids: MAX_MESSAGE_IDS,
            erasedids: MAX_ERASED,
            file: settings.max_file_bytes.min(own.file_quota),
            filequota: own.file_quota,
            fileused,
            filebytes: own.file_bytes,
            clockdifference: settings.signature_window.num_seconds(),
            messagelifetime: settings.message_lifetime.num_seconds(),
            expirygrace: settings.expiry_grace.num_seconds(),
        }
    }
}
