//! Rows that the store reads and writes. Those of a history convert to the wire's form, as caches and
//! sockets keep them rendered; for other rows that clients see, `api` has a view.

use std::{collections::BTreeSet, sync::Arc};

use parlance_wire::{
    chain::Chain,
    history::{MessageView, ReportView},
    id::{ConversationId, CredentialId, FileId, MessageId, ReportId, StationId, UserId},
    list::ListMark,
    request::conversation::SentMessage,
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
    word::{Availability, CredentialKind, ReportType, UserRole},
};

/// The result of a login.
#[derive(Debug)]
pub(crate) struct AccountRow {
    pub user_id: UserId,
    /// Their full name.
    pub full_name: String,
    /// The name that others see.
    pub nick: String,
    /// Their private key, encrypted with their password.
    pub encrypted_private_key: String,
    /// Their role on this server.
    pub role: UserRole,
    /// The version of their encrypted private key.
    pub vault_version: i32,
    /// The kind of key that opened the login.
    pub kind: CredentialKind,
    /// Whether they have other stations, and this one is new.
    pub is_new_station: bool,
    /// Whether the station is bound. It is not if too many new ones were bound today.
    pub is_admitted: bool,
    /// Seconds until the day ends.
    pub seconds_left: i64,
}

/// A station, as shown to its user and to operators.
#[derive(Debug)]
pub(crate) struct StationRow {
    pub station_id: StationId,
    /// The user's name for it, or empty.
    pub name: String,
    /// When it first logged in, if that was recorded.
    pub bound_at: Option<Timestamp>,
    /// To the hour.
    pub last_seen_at: Timestamp,
    /// The label of the credential of its last login, if that credential still exists.
    pub label: Option<String>,
}

/// A credential, as shown to its user and to operators, without its hash.
#[derive(Debug)]
pub(crate) struct CredentialRow {
    pub credential_id: CredentialId,
    pub kind: CredentialKind,
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
    /// The key for which a conversation's secret is wrapped.
    pub public_key: String,
    /// `offline` to those whom they blocked.
    pub availability: Availability,
    /// Whether another user's nick looks like theirs.
    pub is_alike: bool,
}

/// A friend request, as the requested user sees it.
#[derive(Debug)]
pub(crate) struct RequestRow {
    pub user_id: UserId,
    pub nick: String,
    /// Whether another user's nick looks like theirs.
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
    /// The number of the present epoch, or 0 for none.
    pub epoch: i32,
    /// The announcement of the present epoch, and its signature in base64, unless that is too long
    /// for a list.
    pub announced: Option<Vec<String>>,
    /// The newest message's time, which never decreases, even with a `clear`.
    pub last_access_at: Timestamp,
    /// The reader, whose own data follows.
    pub user_id: UserId,
    /// The conversation's secret, wrapped for the reader.
    pub secret: String,
    /// Its name, encrypted for the reader.
    pub display_name: String,
    pub is_muted: bool,
    pub is_favorite: bool,
    /// Whether the reader hid it for good.
    pub is_hidden: bool,
    /// The instances that the reader hid.
    pub hide_id: String,
    /// The background color in the reader's list.
    pub color: String,
    /// In a direct conversation, the other participant.
    pub peer_id: Option<UserId>,
    /// In a group, all participants.
    pub group: Option<Vec<UserId>>,
    /// In the list of a v4 client: number of unread messages, at most 999.
    pub unread: Option<i64>,
    /// In the list of a v4 client, the same in each line: up to when the list has everything.
    pub mark: Option<ListMark>,
    /// In a group, its admins. Not in the list of a v3 client.
    pub admins: Option<Vec<UserId>>,
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

    /// The admins of a group, sorted by id; a direct conversation has none.
    #[must_use]
    pub(crate) fn admins(&self) -> Vec<UserId> {
        let mut admins = self
            .admins
            .clone()
            .filter(|_| self.is_group)
            .unwrap_or_default();
        admins.sort_unstable();
        admins
    }
}

/// An epoch, as one of the conversation's participants sees it.
#[derive(Debug)]
pub(crate) struct EpochRow {
    pub epoch: i32,
    /// Its announcement, as signed.
    pub announcement: String,
    pub signature: Vec<u8>,
    /// Its secret, wrapped for the reader; empty if the reader has none.
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
    /// The participants who are friends of the reader, or whom the reader blocked, by id.
    pub known: Vec<UserId>,
}

/// A user's card, and the signatures over it.
#[derive(Debug)]
pub(crate) struct CardRow {
    /// Its text, as signed.
    pub card: String,
    pub sign_signature: Vec<u8>,
    pub rsa_signature: Vec<u8>,
    /// The signature by the previous card's key, if that signed it.
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
    /// The conversation's instance, according to the sender.
    pub instance: Instance,
    /// The authenticated sender.
    pub user_id: UserId,
    pub station_id: StationId,
    pub sent: SentMessage,
    /// The sender's time, unless that was too far ahead.
    pub created_at: Timestamp,
    /// When it expires, according to the sender or the configured lifetime.
    pub valid_until: Timestamp,
    /// Until when it is kept, if the operator keeps nothing for as long as that.
    pub keep_until: Option<Timestamp>,
    /// The epoch whose secret encrypts it, or 0 for none; `None` if the sender's client knows no
    /// epochs.
    pub epoch: Option<i32>,
    /// The sender has reached their storage limit: only a message that is stored already is
    /// accepted.
    pub is_full: bool,
    /// The sender's files that are to end with it.
    pub files: BTreeSet<FileId>,
}

/// The outcome for one [`NewMessage`].
#[derive(Debug)]
pub(crate) enum Stored {
    /// It is stored, now or since an earlier attempt.
    Accepted {
        /// Its time, as stored.
        created_at: Timestamp,
        /// Its end, as stored.
        valid_until: Timestamp,
        /// Its place in the conversation, if this attempt stored it.
        new: Option<New>,
        /// Users to notify, even after a retry: the node that stored the message first may have
        /// lost the database's answer, and notified nobody.
        participants: Arc<[UserId]>,
    },
    /// The id belongs to a message with other content.
    IdConflict,
    /// The conversation's present instance is another one: this one.
    StaleInstance(Instance),
    /// The conversation's present epoch is another one: this one, or 0 for none.
    StaleEpoch(i32),
    /// The other participant has blocked the sender.
    Blocked,
    /// The two participants of a direct conversation are no longer friends.
    Ended,
    /// The sender has reached their storage limit.
    Full,
    /// The sender has no such file in this conversation, or it is not complete, or another message has
    /// it.
    NoFile,
    /// There is no such conversation for this user.
    NoConversation,
}

/// The place of a new message in its conversation.
#[derive(Debug)]
pub(crate) struct New {
    pub seq: i64,
    /// The preceding message.
    pub after: Option<MessageId>,
    /// The hash over all messages up to it.
    pub chain: Chain,
}

/// The head of a conversation's history. Equal heads mean equal histories, except for expired rows:
/// the chain covers all messages, and the newest report's id the reports before it.
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
    /// Number of erased messages, which nothing else here shows.
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
    /// The sender's id for it.
    pub message_id: MessageId,
    pub r#type: String,
    /// Its time: the sender's, unless that was too far ahead.
    pub created_at: Timestamp,
    /// When it expires.
    pub valid_until: Timestamp,
    pub data: String,
    pub user_id: UserId,
    pub station_id: StationId,
    /// The hash over all messages up to it.
    pub chain: Chain,
}

impl MessageRow {
    /// The message as a client of this version sees it.
    pub(crate) fn view(&self, version: ClientVersion) -> MessageView<'_> {
        MessageView {
            id: self.message_id,
            r#type: &self.r#type,
            created: self.created_at,
            valid_until: self.valid_until,
            data: Some(&self.data),
            user: version.is_v4().then_some(self.user_id),
            station: version.is_v4().then_some(self.station_id),
            seq: version.is_v4().then_some(self.seq),
            chain: version.is_v4().then_some(self.chain),
        }
    }
}

/// A report, as stored.
#[derive(Debug)]
pub(crate) struct ReportRow {
    pub report_id: ReportId,
    pub r#type: ReportType,
    /// When the server received it.
    pub created_at: Timestamp,
    /// The end of its message's validity.
    pub valid_until: Timestamp,
    /// The user who received or saw the message.
    pub user_id: UserId,
    pub station_id: StationId,
    pub message_id: MessageId,
}

impl ReportRow {
    /// The report as clients see it.
    pub(crate) fn view(&self) -> ReportView {
        ReportView {
            id: self.report_id,
            r#type: self.r#type,
            created: self.created_at,
            valid_until: self.valid_until,
            user: self.user_id,
            station: self.station_id,
            message_id: self.message_id,
        }
    }
}
