//! Rows: what the store reads and writes. The other shape of each noun is the wire's view in `api`.

use std::sync::Arc;

use parlance_wire::{
    chain::{Chain, DataHash},
    id::{ConversationId, CredentialId, MessageId, ReportId, StationId, UserId},
    list::ListMark,
    text::{Data, Instance, MessageType},
    time::Timestamp,
};

/// The answer to a login.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub user_id: UserId,
    /// Their full name.
    pub full_name: String,
    /// The name that others see.
    pub nick: String,
    /// Their private key, which only their password opens.
    pub encrypted_private_key: String,
    /// What they may do on this server.
    pub role: String,
    /// Which version of their encrypted private key that is.
    pub vault_version: i32,
    /// What opened the login: one of the words of `CredentialKind`.
    pub kind: String,
    /// They have other stations, which did not know this one.
    pub is_new_station: bool,
}

/// A station, as its user and operators may see it.
#[derive(Debug)]
pub(crate) struct StationRow {
    pub station_id: StationId,
    /// What its user calls it; empty, if nothing.
    pub name: String,
    /// When it logged in first; unknown of those from before this was recorded.
    pub bound_at: Option<Timestamp>,
    /// To the hour.
    pub last_seen_at: Timestamp,
    /// The name of the credential that it logged in with last, if that is still there.
    pub label: Option<String>,
}

/// A credential, as its user and operators may see it: without what is kept of its secret.
#[derive(Debug)]
pub(crate) struct CredentialRow {
    pub credential_id: CredentialId,
    /// One of the words of `CredentialKind`.
    pub kind: String,
    pub label: String,
    pub created_at: Timestamp,
    /// The last login with it, to the hour.
    pub used_at: Option<Timestamp>,
}

/// A friend, as the caller may see them.
#[derive(Debug)]
pub(crate) struct FriendRow {
    pub user_id: UserId,
    pub nick: String,
    /// For wrapping a conversation's secret.
    pub public_key: String,
    /// `offline` to those whom they blocked.
    pub availability: String,
    /// Another user's nick looks like theirs.
    pub is_alike: bool,
}

/// A request for a friendship, as the user who is asked sees it.
#[derive(Debug)]
pub(crate) struct RequestRow {
    pub user_id: UserId,
    pub nick: String,
    /// Another user's nick looks like theirs.
    pub is_alike: bool,
}

/// A conversation, as one of its participants sees it: the shared part, and their own row.
#[derive(Debug)]
pub(crate) struct ConversationRow {
    pub conversation_id: ConversationId,
    pub is_group: bool,
    pub instance: Instance,
    /// The newest message of the current instance.
    pub last_message_id: Option<MessageId>,
    /// The newest report of the current instance.
    pub last_report_id: Option<ReportId>,
    /// The newest message's chain.
    pub chain: Option<Chain>,
    /// The number of the present epoch; 0: there is none.
    pub epoch: i32,
    /// The announcement of the present epoch, and the signature over it in base64, if that is not long.
    pub announced: Option<Vec<String>>,
    /// The newest message's time; it never goes back, also after a `clear`.
    pub last_access_at: Timestamp,
    /// The reader: everything below is theirs.
    pub user_id: UserId,
    /// The conversation's secret, wrapped for the reader.
    pub secret: String,
    /// Its name, encrypted for the reader.
    pub display_name: String,
    pub is_muted: bool,
    pub is_favorite: bool,
    /// The reader hid it for good.
    pub is_hidden: bool,
    /// The instances that the reader hid.
    pub hide_id: String,
    /// The background color in the reader's list.
    pub color: String,
    /// In a direct conversation, the other participant.
    pub peer_id: Option<UserId>,
    /// In a group, all participants.
    pub group: Option<Vec<UserId>>,
    /// In the list of a v4 client: how many messages there are to be viewed, at most 999.
    pub unread: Option<i64>,
    /// In the list of a v4 client, the same in each line: up to when the list has everything.
    pub mark: Option<ListMark>,
}

impl ConversationRow {
    /// All participants, sorted by id.
    #[must_use]
    pub(crate) fn participants(&self) -> Vec<UserId> {
        let mut everyone = match (self.peer_id, &self.group) {
            (Some(peer), _) => vec![self.user_id, peer],
            (None, group) => group.clone().unwrap_or_default(),
        };
        everyone.sort_unstable();
        everyone
    }
}

/// An epoch, as one of the conversation's participants sees it.
#[derive(Debug)]
pub(crate) struct EpochRow {
    pub epoch: i32,
    /// Its announcement, as it was signed.
    pub announcement: String,
    pub signature: Vec<u8>,
    /// Its secret, wrapped for the reader; empty, if the reader has none.
    pub secret: String,
}

/// An invitation to a group, as the invited user sees it.
#[derive(Debug)]
pub(crate) struct InvitationRow {
    pub conversation_id: ConversationId,
    pub inviter_id: UserId,
    /// The inviter's name.
    pub inviter_nick: String,
    /// The group's secret, wrapped for the reader.
    pub secret: String,
    /// Its name, encrypted for the reader.
    pub display_name: String,
    pub invited_at: Timestamp,
    /// Those in the group who are friends of the reader, or whom the reader blocked, by id.
    pub known: Vec<UserId>,
}

/// A user's card, and the signatures over it.
#[derive(Debug)]
pub(crate) struct CardRow {
    /// Its text, as it was signed.
    pub card: String,
    pub sign_signature: Vec<u8>,
    pub rsa_signature: Vec<u8>,
    /// By the key of the card before, if that signed it.
    pub prev_signature: Option<Vec<u8>>,
}

/// A user's keys.
#[derive(Debug)]
pub(crate) struct KeysRow {
    pub user_id: UserId,
    /// The public key that secrets are wrapped for, and the newest card names.
    pub public_key: String,
    /// Their cards, in their order.
    pub cards: Vec<CardRow>,
}

/// A message to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub conversation_id: ConversationId,
    /// The instance of the conversation that it was written for.
    pub instance: Instance,
    /// The sender: checked, not claimed.
    pub user_id: UserId,
    pub station_id: StationId,
    /// Its sender's name for it.
    pub message_id: MessageId,
    pub r#type: MessageType,
    /// When it counts as created.
    pub created_at: Timestamp,
    /// The time of the sender's clock, where that was too far ahead.
    pub sent_at: Option<Timestamp>,
    /// When it expires.
    pub valid_until: Timestamp,
    /// `valid_until` came from the sender, and not from the configured lifetime: a retry has to repeat it.
    pub valid_until_given: bool,
    pub data: Data,
    /// The epoch whose secret it is encrypted with, 0 for none; `None`: its sender's client knows no epochs.
    pub epoch: Option<i32>,
}

/// The outcome for one [`NewMessage`].
#[derive(Debug)]
pub(crate) enum Stored {
    /// It is stored, now or since an earlier try.
    Accepted {
        /// Its time, as stored.
        created_at: Timestamp,
        /// Its end, as stored.
        valid_until: Timestamp,
        /// Its place in the conversation, if this try stored it.
        new: Option<New>,
        /// Users to notify, after a retry as well: the node that stored the message first may have lost the database's
        /// answer, and notified nobody.
        participants: Arc<[UserId]>,
    },
    /// The same id names other content.
    IdConflict,
    /// The conversation has another instance by now: this one.
    StaleInstance(Instance),
    /// The conversation has another epoch by now: this one, or 0 for none.
    StaleEpoch(i32),
    /// The other one blocked the sender.
    Blocked,
    /// No such conversation, for this user.
    NoConversation,
}

/// The place of a new message in its conversation.
#[derive(Debug)]
pub(crate) struct New {
    pub seq: i64,
    /// The message before it.
    pub after: Option<MessageId>,
    /// The hash over all up to it.
    pub chain: Chain,
}

/// The head of a conversation's history. Equal heads mean equal histories, apart from what expired: the chain stands
/// for all messages, and the id of the newest report for those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryHead {
    /// The conversation's current instance.
    pub instance: Instance,
    /// The number of the newest row.
    pub last_seq: i64,
    /// The newest report.
    pub last_report_id: Option<ReportId>,
    /// The newest message's chain.
    pub chain: Option<Chain>,
    /// How many messages were erased: that leaves everything else as it was.
    pub erased: i64,
}

/// One row of a conversation's history.
#[derive(Debug)]
pub(crate) enum HistoryRow {
    Message(MessageRow),
    Report(ReportRow),
}

/// A message, as stored.
#[derive(Debug, Clone)]
pub(crate) struct MessageRow {
    pub seq: i64,
    /// Its sender's name for it.
    pub message_id: MessageId,
    pub r#type: String,
    /// When it counts as created.
    pub created_at: Timestamp,
    /// When it expires.
    pub valid_until: Timestamp,
    pub data: String,
    pub user_id: UserId,
    pub station_id: StationId,
    /// The hash over all up to it.
    pub chain: Chain,
}

/// A message, as far as it is needed to check a chain. Its text may have expired.
#[derive(Debug)]
pub(crate) struct LinkRow {
    pub seq: i64,
    /// Its sender's name for it.
    pub message_id: MessageId,
    /// The hash of its `Data`.
    pub data_hash: DataHash,
    /// The hash over all up to it.
    pub chain: Chain,
}

/// A report, as stored.
#[derive(Debug)]
pub(crate) struct ReportRow {
    pub report_id: ReportId,
    /// `delivered` or `viewed`.
    pub r#type: String,
    /// When the server received it.
    pub created_at: Timestamp,
    /// The end of its message.
    pub valid_until: Timestamp,
    /// The user who received or saw the message.
    pub user_id: UserId,
    pub station_id: StationId,
    pub message_id: MessageId,
}
