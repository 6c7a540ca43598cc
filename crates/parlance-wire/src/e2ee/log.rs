//! The key log: a Merkle tree (RFC 9162, section 2.1) over all cards that a server ever accepted,
//! in order. Clients follow all of it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    CardHash, Invalid, LogRoot, ServerId, SignKey, Signature, Tag, canonical, label, sha256,
};
use crate::time::Timestamp;

/// Size of an entry in bytes.
pub const LOG_ENTRY_LEN: usize = 72;
/// Maximum size of a head in bytes.
// All its fields but the size have a fixed length.
const MAX_HEAD: usize = 256;

/// An entry of the log, which records that a card was published. 72 bytes: tag, number
/// (big-endian), hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry {
    /// The card's owner.
    pub tag: Tag,
    /// The card's number.
    pub n: u64,
    /// The card's hash.
    pub card: CardHash,
}

impl LogEntry {
    /// Parses an entry.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LOG_ENTRY_LEN]) -> Self {
        let (mut tag, mut n, mut card) = ([0; 32], [0; 8], [0; 32]);
        let (first, rest) = bytes.split_at(32);
        let (second, third) = rest.split_at(8);
        tag.copy_from_slice(first);
        n.copy_from_slice(second);
        card.copy_from_slice(third);
        Self {
            tag: Tag::from_bytes(tag),
            n: u64::from_be_bytes(n),
            card: CardHash::from_bytes(card),
        }
    }

    /// Serializes an entry.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LOG_ENTRY_LEN] {
        let mut bytes = [0; LOG_ENTRY_LEN];
        let (first, rest) = bytes.split_at_mut(32);
        let (second, third) = rest.split_at_mut(8);
        first.copy_from_slice(self.tag.as_bytes());
        second.copy_from_slice(&self.n.to_be_bytes());
        third.copy_from_slice(self.card.as_bytes());
        bytes
    }

    /// Its leaf hash in the tree.
    #[must_use]
    pub fn leaf(&self) -> [u8; 32] {
        // Nodes begin with another byte (RFC 9162): no two children can be taken for a leaf.
        sha256(&[&[0], &self.to_bytes()])
    }
}

/// A Merkle tree to which leaves are appended. It keeps only the roots of its complete subtrees, 64
/// at most, which is enough to follow a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The roots of the complete subtrees, largest first: one for each bit of `size` that is set.
    peaks: Vec<[u8; 32]>,
}

impl Tree {
    /// Restores a stored tree. Returns `None` if the number of roots does not match the size.
    #[must_use]
    pub fn from_parts(size: u64, peaks: Vec<[u8; 32]>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(peaks.len())).then_some(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[[u8; 32]] {
        &self.peaks
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: [u8; 32]) {
        let mut node = leaf;
        // Like the carry of an addition: two trees of the same size become one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root. That of an empty tree is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> LogRoot {
        let root = self
            .peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| parent(&left, &right));
        LogRoot::from_bytes(root.unwrap_or_else(|| sha256(&[])))
    }
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

/// The head of a log at one moment. In JSON it is a string with the canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    text: String,
    fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fields {
    v: u32,
    server: ServerId,
    size: u64,
    root: LogRoot,
    time: Timestamp,
}

impl LogHead {
    /// The head of a tree.
    ///
    /// # Errors
    /// `Number`: there are too many leaves.
    pub fn new(server: ServerId, tree: &Tree, time: Timestamp) -> Result<Self, Invalid> {
        let fields = Fields {
            v: 1,
            server,
            size: tree.size(),
            root: tree.root(),
            time,
        };
        let text = canonical::write(&fields)?;
        Ok(Self { text, fields })
    }

    /// Parses a head.
    ///
    /// # Errors
    /// `TooLong`, `Json`, `Number`, `NotCanonical`, `Version`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fields: Fields = canonical::read(text, MAX_HEAD)?;
        if fields.v != 1 {
            return Err(Invalid::Version(fields.v));
        }
        Ok(Self {
            text: text.to_owned(),
            fields,
        })
    }

    /// Its canonical JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text that the server signs.
    #[must_use]
    pub fn signed_text(&self) -> Vec<u8> {
        [label::LOG.as_bytes(), self.text.as_bytes()].concat()
    }

    /// The server whose log it is.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.fields.server
    }

    /// Number of entries in the log.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.fields.size
    }

    /// The root of its tree.
    #[must_use]
    pub fn root(&self) -> LogRoot {
        self.fields.root
    }

    /// When it was signed, by the server's clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.fields.time
    }
}

impl Serialize for LogHead {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for LogHead {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text)
            .map_err(|error| de::Error::custom(format_args!("expected a head: {error}")))
    }
}

/// A head with the server's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedLogHead {
    /// The head that was signed.
    pub head: LogHead,
    /// The signature by the server's key.
    pub signature: Signature,
}

impl SignedLogHead {
    /// Checks the server's signature.
    ///
    /// # Errors
    /// `Signature`.
    pub fn verify(&self, server: SignKey) -> Result<(), Invalid> {
        if server.verifies(&self.head.signed_text(), &self.signature) {
            Ok(())
        } else {
            Err(Invalid::Signature)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9162, section 2.1.1, implemented literally.
    fn tree_hash(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let half = many.len().next_power_of_two() / 2;
                parent(&tree_hash(&many[..half]), &tree_hash(&many[half..]))
            }
        }
    }

    #[test]
    fn a_tree_that_grows_has_the_root_of_the_rfc_at_each_size() {
        let leaves: Vec<[u8; 32]> = (0..70u8).map(|leaf| sha256(&[&[0], &[leaf]])).collect();
        let mut tree = Tree::default();
        for size in 0..=leaves.len() {
            assert_eq!(
                tree.root().as_bytes(),
                &tree_hash(&leaves[..size]),
                "{size}"
            );
            let kept = Tree::from_parts(tree.size(), tree.peaks().to_vec());
            assert_eq!(kept.as_ref(), Some(&tree));
            if let Some(leaf) = leaves.get(size) {
                tree.append(*leaf);
            }
        }
        assert_eq!(Tree::from_parts(3, vec![[0; 32]]), None);
    }

    #[test]
    fn an_entry_comes_back_from_its_bytes() {
        let mut bytes = [7; LOG_ENTRY_LEN];
        bytes[39] = 9;
        let entry = LogEntry::from_bytes(&bytes);
        assert_eq!(entry.to_bytes(), bytes);
        assert_eq!(entry.n & 0xff, 9);
    }
}
