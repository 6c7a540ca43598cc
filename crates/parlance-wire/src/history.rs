//! Messages, reports and links of the chain, key for key as `download`, `transcript` and sockets show
//! them. Borrowed, so that the server writes them without a copy of `Data`; what a client reads is
//! in `parlance_client::answer`.

use serde::Serialize;

use crate::{
    chain::{Chain, DataHash},
    id::{MessageId, ReportId, StationId, UserId},
    time::Timestamp,
    word::ReportType,
};

/// A message. The answer to `add` has only what the server may have changed, and clients before
/// version 4 do not see the fields from `user` on.
#[derive(Debug, Serialize)]
pub struct MessageView<'a> {
    /// The sender's id for it.
    #[serde(rename = "ID")]
    pub id: MessageId,
    /// `Message`, or another type that clients agree on.
    #[serde(rename = "Type")]
    pub r#type: &'a str,
    /// The sender's time, unless that was too far ahead.
    #[serde(rename = "Created")]
    pub created: Timestamp,
    /// When it expires.
    #[serde(rename = "ValidUntil")]
    pub valid_until: Timestamp,
    /// Its ciphertext.
    #[serde(rename = "Data", skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a str>,
    /// The sender.
    #[serde(rename = "User", skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The sender's station.
    #[serde(rename = "Station", skip_serializing_if = "Option::is_none")]
    pub station: Option<StationId>,
    /// Its number in the conversation, counted together with reports.
    #[serde(rename = "Seq", skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The hash over all messages up to it.
    #[serde(rename = "Chain", skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
}

/// A report, the same for all client versions.
#[derive(Debug, Serialize)]
pub struct ReportView {
    /// The server's id for it.
    #[serde(rename = "ID")]
    pub id: ReportId,
    /// Whether the message was delivered or viewed.
    #[serde(rename = "Type")]
    pub r#type: ReportType,
    /// When the server received it.
    #[serde(rename = "Created")]
    pub created: Timestamp,
    /// When it expires, together with its message.
    #[serde(rename = "ValidUntil")]
    pub valid_until: Timestamp,
    /// The user who received or saw the message.
    #[serde(rename = "User")]
    pub user: UserId,
    /// The station that reported it.
    #[serde(rename = "Station")]
    pub station: StationId,
    /// The message.
    #[serde(rename = "MessageID")]
    pub message_id: MessageId,
}

/// The part of a message that is needed to verify a chain. Its text may have expired.
#[derive(Debug, Serialize)]
pub struct Link {
    /// The message's number in the conversation.
    #[serde(rename = "Seq")]
    pub seq: i64,
    /// The sender's id for it.
    #[serde(rename = "ID")]
    pub message_id: MessageId,
    /// The hash of its `Data`.
    #[serde(rename = "DataHash")]
    pub data_hash: DataHash,
    /// The hash over all messages up to it.
    #[serde(rename = "Chain")]
    pub chain: Chain,
}
