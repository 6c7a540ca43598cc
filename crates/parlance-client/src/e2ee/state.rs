//! The state that a client keeps between two starts, so that a server cannot show it another past:
//! pins, epochs, counters, the key log. It contains no secrets.
//!
//! In memory it is a value; in a file it is JSON, written as a whole.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use parlance_wire::{id::ConversationId, text::Instance};
use serde::{Deserialize, Serialize};

use super::{Epochs, Error, KeyLog, OwnCards, Pins, Reading};

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

    /// Reads the state from a file. Returns `None` if there is no such file.
    ///
    /// # Errors
    /// `Store`, `DamagedStore`.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(Error::DamagedStore),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the state to a file that only its owner can read. The file is either the old or the
    /// new one, whenever the machine stops.
    ///
    /// # Errors
    /// `Store`.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec(self).map_err(Error::DamagedStore)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        #[cfg(unix)]
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}
