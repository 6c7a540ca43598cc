//! The state that a client keeps between two starts, so that a server cannot show it another past:
//! pins, epochs, counters, the key log. It contains no secrets.
//!
//! In memory it is a value; in a file it is JSON, written as a whole.

use std::{collections::BTreeMap, path::Path};

use parlance_wire::{
    e2ee::{Epoch, Head},
    id::ConversationId,
    text::Instance,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Epochs, Error, KeyLog, OwnCards, Pins, Reading, private_file};

/// After this many days an epoch has lasted long enough.
const MAX_DAYS: i64 = 30;
/// After this many messages an epoch has lasted long enough.
const MAX_MESSAGES: i64 = 10_000;

/// Everything that a client remembers of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The contacts' cards.
    pub pins: Pins,
    /// The key log.
    pub log: KeyLog,
    /// The user's own cards.
    pub own_cards: OwnCards,
    /// The epochs of each conversation.
    pub epochs: BTreeMap<ConversationId, Epochs>,
    /// How far each conversation has been read, and in which instance.
    pub readings: BTreeMap<ConversationId, (Instance, Reading)>,
    /// The newest message of each conversation that was read, and in which instance.
    // Files of earlier versions have none.
    #[serde(default)]
    pub heads: BTreeMap<ConversationId, (Instance, Head)>,
    /// The newest messages that other stations of the user's have read, according to the vault,
    /// where they are newer than what was read here. The next reading has to come to each of them.
    #[serde(default)]
    pub vault_heads: BTreeMap<ConversationId, Head>,
    /// The user's copies, wrapped, of the secrets that conversations had before their first epoch. The
    /// server tells them no more once that has begun.
    #[serde(default)]
    pub secrets_before: BTreeMap<ConversationId, String>,
    /// When the newest epoch of a conversation was first seen here
    /// ([`is_epoch_due`](Self::is_epoch_due)).
    #[serde(default)]
    pub epochs_seen: BTreeMap<ConversationId, (Epoch, Timestamp)>,
    /// The highest version of the vault that was seen.
    pub vault_version: u64,
}

impl State {
    /// The state of a client without contacts, with the key log that it has followed. The server's
    /// key is trusted on first use.
    #[must_use]
    pub fn new(log: KeyLog) -> Self {
        Self {
            pins: Pins::new(log.server()),
            log,
            own_cards: OwnCards::new(),
            epochs: BTreeMap::new(),
            readings: BTreeMap::new(),
            heads: BTreeMap::new(),
            vault_heads: BTreeMap::new(),
            secrets_before: BTreeMap::new(),
            epochs_seen: BTreeMap::new(),
            vault_version: 0,
        }
    }

    /// How far an instance of a conversation has been read. With a new instance, reading starts
    /// over.
    pub fn reading(&mut self, conversation: ConversationId, instance: &Instance) -> &mut Reading {
        let (kept, reading) = self
            .readings
            .entry(conversation)
            .or_insert_with(|| (instance.clone(), Reading::default()));
        if kept != instance {
            *kept = instance.clone();
            *reading = Reading::default();
        }
        reading
    }

    /// Takes the epochs of a conversation, as they were followed or begun, and notes when the newest
    /// one was first seen.
    pub fn set_epochs(&mut self, conversation: ConversationId, epochs: Epochs, now: Timestamp) {
        self.seen_since(conversation, epochs.newest().epoch(), now);
        self.epochs.insert(conversation, epochs);
    }

    /// Returns `true` if the next epoch of a conversation is due: 30 days after the newest one was
    /// first seen here, or 10,000 messages after it began. An epoch without messages protects
    /// nothing that a new one would not. `newest` is the newest message, and `now` is by the
    /// caller's clock, also from one start to the next.
    pub fn is_epoch_due(
        &mut self,
        conversation: ConversationId,
        newest: Head,
        now: Timestamp,
    ) -> bool {
        let Some(epochs) = self.epochs.get(&conversation) else {
            return false;
        };
        let announcement = epochs.newest();
        let (epoch, head) = (announcement.epoch(), announcement.head().seq);
        let seen = self.seen_since(conversation, epoch, now);
        let is_old = now.distance(seen).num_days() >= MAX_DAYS;
        // Nobody checks the head: after one that is no message yet, only the age counts.
        let messages = newest.seq.saturating_sub(head);
        messages != 0 && (is_old || messages >= MAX_MESSAGES)
    }

    /// When an epoch was first seen here: now, if it was not before.
    fn seen_since(
        &mut self,
        conversation: ConversationId,
        epoch: Epoch,
        now: Timestamp,
    ) -> Timestamp {
        let present = (epoch, now);
        let seen = self.epochs_seen.entry(conversation).or_insert(present);
        // Another epoch; or the clock was ahead, and would keep this one for ever.
        if seen.0 != epoch || seen.1 > now {
            *seen = present;
        }
        seen.1
    }

    /// Continues with a server whose database was restored from an older backup: with its log
    /// ([`KeyLog::restored`]), and with those of the contacts' cards that are in the log. Epochs
    /// and the messages that were read are forgotten, and trusted on first use again.
    pub fn accept_restored(&mut self, log: KeyLog) {
        self.pins.keep_logged(&log);
        self.log = log;
        self.epochs.clear();
        self.readings.clear();
        self.heads.clear();
        self.vault_heads.clear();
        self.epochs_seen.clear();
        // The vault is from the backup, too.
        self.vault_version = 0;
    }

    /// Reads the state from a file. Returns `None` if there is no such file.
    ///
    /// # Errors
    /// `Store`, `DamagedStore`; `OpenStore`: others can read it.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        private_file::load(path)
    }

    /// Writes the state to a file that only its owner can read. The file is either the old or the
    /// new one, whenever the machine stops.
    ///
    /// # Errors
    /// `Store`.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        private_file::save(path, self)
    }
}
