//! The state that a client keeps between two starts, so that a server cannot show it another past:
//! pins, epochs, counters, the key log. It contains no secrets.
//!
//! In memory it is a value; in a file it is JSON, written as a whole.

use std::{collections::BTreeMap, path::Path};

use parlance_wire::{e2ee::Head, id::ConversationId, text::Instance};
use serde::{Deserialize, Serialize};

use super::{Epochs, Error, KeyLog, OwnCards, Pins, Reading, private_file};

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

    /// Continues with a server whose database was restored from an older backup: with its log
    /// ([`KeyLog::restored`]), and with those of the contacts' cards that are in the log. Epochs
    /// and the messages that were read are forgotten, and trusted on first use again.
    pub fn accept_restored(&mut self, log: KeyLog) {
        self.pins.keep_logged(&log);
        self.log = log;
        self.epochs.clear();
        self.readings.clear();
        self.heads.clear();
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
