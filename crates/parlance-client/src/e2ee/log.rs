//! Follows the key log. Each client has all of it, so if somebody adds a card in another user's
//! name, that user's own client detects it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{
        Card, CardHash, LOG_ENTRY_LEN, LogEntry, LogRoot, ServerId, SignKey, SignedLogHead, Tag,
        Tree,
    },
    id::UserId,
};
use serde::{Deserialize, Serialize};

use super::{Error, LogMark};

/// All of a server's key log up to one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct KeyLog {
    server: ServerId,
    /// The server's key, from the first head that was seen.
    key: SignKey,
    tree: Tree,
    /// The root of each size, from 0.
    // All of them, as a message may have been written when the log had any of these sizes.
    roots: Vec<LogRoot>,
    /// The newest card of each user.
    newest: BTreeMap<Tag, (u64, CardHash)>,
    entries: Vec<LogEntry>,
}

/// The stored part, from which the rest is derived.
#[derive(Serialize, Deserialize)]
struct Kept {
    server: ServerId,
    key: SignKey,
    /// Base64 of the entries.
    entries: String,
}

impl From<KeyLog> for Kept {
    fn from(log: KeyLog) -> Self {
        let entries: Vec<u8> = log.entries.iter().flat_map(LogEntry::to_bytes).collect();
        Self {
            server: log.server,
            key: log.key,
            entries: STANDARD.encode(entries),
        }
    }
}

impl TryFrom<Kept> for KeyLog {
    type Error = Error;
    fn try_from(kept: Kept) -> Result<Self, Error> {
        let mut log = Self::new(kept.server, kept.key);
        let entries = STANDARD
            .decode(&kept.entries)
            .map_err(|_| Error::Malformed("the entries of the key log"))?;
        for entry in entries_of(&entries)? {
            log.append(entry)?;
        }
        Ok(log)
    }
}

fn entries_of(bytes: &[u8]) -> Result<impl Iterator<Item = LogEntry> + '_, Error> {
    let (whole, rest) = bytes.as_chunks::<LOG_ENTRY_LEN>();
    if rest.is_empty() {
        Ok(whole.iter().map(LogEntry::from_bytes))
    } else {
        Err(Error::Malformed("the entries of the key log"))
    }
}

/// The user's own cards, by number, including those of earlier accounts with the same address that
/// were in the log at the beginning ([`KeyLog::begin`]).
pub type OwnCards = BTreeMap<u64, CardHash>;

impl KeyLog {
    /// An empty log of this server.
    #[must_use]
    pub fn new(server: ServerId, key: SignKey) -> Self {
        let tree = Tree::default();
        Self {
            server,
            key,
            roots: vec![tree.root()],
            tree,
            newest: BTreeMap::new(),
            entries: vec![],
        }
    }

    /// The log for the first client of a new account, which has not published a card. `entries` is
    /// the whole log; `key` is the server's key, which is trusted on first use. Also returns the
    /// cards in the user's name, which belong to earlier accounts with the same address. Any later
    /// card in that name has to be the user's own.
    ///
    /// # Errors
    /// As for [`follow`](Self::follow).
    pub fn begin(
        key: SignKey,
        entries: &[u8],
        head: &SignedLogHead,
        me: UserId,
    ) -> Result<(Self, OwnCards), Error> {
        let log = Self::new(head.head.server(), key).followed(entries, head)?;
        let tag = Tag::of(log.server, me)?;
        let before = log.entries.iter().filter(|entry| entry.tag == tag);
        let before = before.map(|entry| (entry.n, entry.card)).collect();
        Ok((log, before))
    }

    /// The log of a server whose database was restored from an older backup, in place of this one.
    /// `entries` is the whole log. It has to be signed by the same key; `me` and `own` are as for
    /// [`follow`](Self::follow).
    ///
    /// # Errors
    /// As for [`follow`](Self::follow), except `LogShrank`.
    pub fn restored(
        &self,
        entries: &[u8],
        head: &SignedLogHead,
        me: UserId,
        own: &OwnCards,
    ) -> Result<Self, Error> {
        let mut log = Self::new(self.server, self.key);
        log.follow(entries, head, me, own)?;
        Ok(log)
    }

    /// The server whose log it is.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// The server's key.
    #[must_use]
    pub fn key(&self) -> SignKey {
        self.key
    }

    /// Number of entries, which is `after` in the next request.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// The mark of this log in a message.
    #[must_use]
    pub fn mark(&self) -> LogMark {
        LogMark(self.tree.size(), self.tree.root())
    }

    /// Continues with the server's answer: the entries after [`size`](Self::size), 72 bytes each,
    /// and the resulting head. `me` is the user, and `own` are all cards that they ever published.
    /// On an error, nothing is changed.
    ///
    /// # Errors
    /// `Invalid`: the server's signature is wrong. `OtherServerKey`: the head is another server's.
    /// `Malformed`: an incomplete entry. `LogShrank`, `LogForked`: it does not continue the known
    /// log. `LogOrder`. `NotMyCard`: it has a card in the user's name that is not theirs.
    pub fn follow(
        &mut self,
        entries: &[u8],
        head: &SignedLogHead,
        me: UserId,
        own: &OwnCards,
    ) -> Result<(), Error> {
        let next = self.followed(entries, head)?;
        let my_tag = Tag::of(self.server, me)?;
        // Those before were checked when they came, or belong to earlier accounts.
        let new = next.entries.iter().skip(self.entries.len());
        for entry in new.filter(|entry| entry.tag == my_tag) {
            if own.get(&entry.n) != Some(&entry.card) {
                return Err(Error::NotMyCard(entry.n));
            }
        }
        *self = next;
        Ok(())
    }

    /// The log with further entries, which lead to this head.
    fn followed(&self, entries: &[u8], head: &SignedLogHead) -> Result<Self, Error> {
        if head.head.server() != self.server {
            return Err(Error::OtherServerKey);
        }
        head.verify(self.key)?;
        if head.head.size() < self.size() {
            return Err(Error::LogShrank);
        }
        // A copy, so that a refused answer leaves the known log as it was.
        let mut next = self.clone();
        for entry in entries_of(entries)? {
            next.append(entry)?;
        }
        if next.size() != head.head.size() || next.tree.root() != head.head.root() {
            return Err(Error::LogForked);
        }
        Ok(next)
    }

    fn append(&mut self, entry: LogEntry) -> Result<(), Error> {
        let before = self.newest.get(&entry.tag).map_or(0, |(n, _)| *n);
        if before.checked_add(1) != Some(entry.n) {
            return Err(Error::LogOrder);
        }
        self.tree.append(entry.leaf());
        self.roots.push(self.tree.root());
        self.newest.insert(entry.tag, (entry.n, entry.card));
        self.entries.push(entry);
        Ok(())
    }

    /// The number and the hash of a user's newest card in the log.
    ///
    /// # Errors
    /// `Invalid`: an id that cannot be.
    pub fn newest(&self, user: UserId) -> Result<Option<(u64, CardHash)>, Error> {
        Ok(self.newest.get(&Tag::of(self.server, user)?).copied())
    }

    /// All cards of a user in the log, the newest first: also of one whose account was deleted,
    /// along with the cards.
    ///
    /// # Errors
    /// `Invalid`: an id that cannot be.
    pub fn cards(&self, user: UserId) -> Result<Vec<CardHash>, Error> {
        let tag = Tag::of(self.server, user)?;
        let cards = self.entries.iter().rev().filter(|entry| entry.tag == tag);
        Ok(cards.map(|entry| entry.card).collect())
    }

    /// Checks that a card is its user's newest one in the log. Any other card was made for this
    /// reader only.
    ///
    /// # Errors
    /// `NotLogged`. If the log may have grown since, follow it and check again.
    pub fn check_card(&self, card: &Card) -> Result<(), Error> {
        if self.newest(card.user())? == Some((card.n(), card.hash())) {
            Ok(())
        } else {
            Err(Error::NotLogged)
        }
    }

    /// Checks a message's mark of the log. Returns `false` if the writer has seen more of it:
    /// follow it and check again.
    ///
    /// # Errors
    /// `DifferentLog`: the server shows two logs.
    pub fn check_mark(&self, LogMark(size, root): LogMark) -> Result<bool, Error> {
        let own = usize::try_from(size)
            .ok()
            .and_then(|size| self.roots.get(size));
        match own {
            None => Ok(false),
            Some(own) if *own == root => Ok(true),
            Some(_) => Err(Error::DifferentLog),
        }
    }
}
