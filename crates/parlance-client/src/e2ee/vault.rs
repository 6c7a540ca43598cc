//! The vault: a user's private keys on the server, under a key that only they can make.
//!
//! A random master key opens the box with the keys. The master key is kept twice: under the password, and under a
//! recovery key that was printed. So a new password replaces one slot, and a lost one is survived.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{CardHash, ServerId, canonical, lp},
    id::{ConversationId, UserId},
    key::Credential,
    text::EncryptedKey,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{
    Error, Mark, SigningKey,
    cipher::{self, Key},
};
use crate::keys::KeyPair;

/// What stands before a vault, where an account of the published form has PEM.
const PREFIX: &str = "parlance-vault:1:";
/// Maximum bytes of a vault's JSON.
const MAX_VAULT: usize = 64 << 10;
/// Letters of a recovery key: RFC 4648, section 6, without padding.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// How many of them there are: 256 bits, 5 each.
const RECOVERY_LEN: usize = 52;

/// Whose vault it is. It opens on this server, for this user only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The server.
    pub server: ServerId,
    /// The user.
    pub user: UserId,
}

/// What a password, or a recovery key, makes: the root of a credential and of a key that wraps. `Debug` does not show it.
pub struct Root(Key);

/// A key that was printed, for the day on which the password is lost.
pub struct RecoveryKey(Key);

/// The master key of a vault that was opened or made. Kept by a station that is logged in.
pub struct Master(Key);

/// What a vault holds. `Debug` does not show it.
pub struct Contents {
    /// The RSA pair.
    pub rsa: KeyPair,
    /// The signing key.
    pub sign: SigningKey,
    /// The contacts' pinned cards, so that a new station does not begin with trust on first use.
    pub pins: BTreeMap<UserId, VaultPin>,
    /// The newest message of some conversations: number and hash, hex.
    pub heads: BTreeMap<ConversationId, (i64, String)>,
}

/// A contact's pin: hash and number of their card, and how well it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultPin(pub CardHash, pub u64, pub Mark);

/// A vault as the server keeps it, in `rsakey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vault {
    version: u64,
    slots: Slots,
    r#box: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Slots {
    password: String,
    recovery: String,
}

/// Which slot a master key is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Opened by the password.
    Password,
    /// Opened by the recovery key.
    Recovery,
}

#[derive(Serialize, Deserialize)]
struct Opened {
    rsa: String,
    sign: String,
    pins: BTreeMap<UserId, VaultPin>,
    heads: BTreeMap<ConversationId, (i64, String)>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.rsa.zeroize();
        self.sign.zeroize();
    }
}

impl Owner {
    fn bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(lp(&[self.server.as_bytes(), self.user.as_bytes()])?)
    }
}

impl Root {
    /// Of 32 bytes that argon2id made. See `Root::of_password`.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What logs the owner in: `apikey`.
    ///
    /// # Errors
    /// None, with ids of 16 bytes.
    pub fn apikey(&self, owner: &Owner) -> Result<Credential, Error> {
        let key = cipher::derive(&*self.0, &[], &[b"parlance auth 1\n", &owner.bytes()?])?;
        Credential::new(hex::encode(key.as_slice())).ok_or(Error::Crypto)
    }

    fn wrap(&self, owner: &Owner) -> Result<Key, Error> {
        cipher::derive(&*self.0, &[], &[b"parlance wrap 1\n", &owner.bytes()?])
    }
}

impl RecoveryKey {
    /// A new one.
    ///
    /// # Errors
    /// `Key`: there are no random numbers.
    pub fn generate() -> Result<Self, Error> {
        cipher::random().map(Self)
    }

    /// Of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Its 52 letters and digits, in groups of four, as they are printed.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(RECOVERY_LEN + RECOVERY_LEN / 4));
        let bit = |at: usize| {
            let byte = self.0.get(at / 8).copied().unwrap_or(0);
            usize::from(byte >> (7 - at % 8) & 1)
        };
        for letter in 0..RECOVERY_LEN {
            if letter > 0 && letter % 4 == 0 {
                text.push(' ');
            }
            let value = (0..5).fold(0, |value, place| value << 1 | bit(letter * 5 + place));
            text.push(LETTERS.get(value).copied().map_or('A', char::from));
        }
        text
    }

    /// Reads what was printed, in either case; spaces and dashes do not matter.
    ///
    /// # Errors
    /// `Malformed`: not 52 letters and digits, or not the one text of a key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Malformed("the recovery key");
        let mut bytes = Zeroizing::new([0; 32]);
        let mut letters = 0;
        for letter in text
            .bytes()
            .filter(|letter| !letter.is_ascii_whitespace() && *letter != b'-')
        {
            let letter = letter.to_ascii_uppercase();
            let value = LETTERS
                .iter()
                .position(|known| *known == letter)
                .ok_or_else(malformed)?;
            for place in 0..5 {
                if value >> (4 - place) & 1 == 1 {
                    let at = letters * 5 + place;
                    let byte = bytes.get_mut(at / 8).ok_or_else(malformed)?;
                    *byte |= 1 << (7 - at % 8);
                }
            }
            letters += 1;
        }
        if letters == RECOVERY_LEN {
            Ok(Self(bytes))
        } else {
            Err(malformed())
        }
    }

    /// The root that it is: 256 random bits need no slow hash.
    #[must_use]
    pub fn root(&self) -> Root {
        Root(self.0.clone())
    }
}

impl Master {
    /// A new one, for a new vault.
    ///
    /// # Errors
    /// `Key`: there are no random numbers.
    pub fn generate() -> Result<Self, Error> {
        cipher::random().map(Self)
    }

    /// Of these bytes, as another station of the owner's hands them over.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    fn slot(
        &self,
        owner: &Owner,
        slot: Slot,
        root: &Root,
        nonce: [u8; 12],
    ) -> Result<String, Error> {
        let sealed = cipher::seal(&root.wrap(owner)?, nonce, &slot_aad(owner, slot)?, &*self.0)?;
        Ok(STANDARD.encode(sealed))
    }

    fn seal(
        &self,
        owner: &Owner,
        version: u64,
        contents: &Contents,
        nonce: [u8; 12],
    ) -> Result<String, Error> {
        let opened = Opened {
            rsa: STANDARD.encode(contents.rsa.to_pkcs8()?.as_ref()),
            sign: STANDARD.encode(contents.sign.seed()),
            pins: contents.pins.clone(),
            heads: contents.heads.clone(),
        };
        let text = Zeroizing::new(canonical::write(&opened)?);
        let aad = box_aad(owner, version)?;
        let sealed = cipher::seal(&self.box_key()?, nonce, &aad, text.as_bytes())?;
        Ok(STANDARD.encode(sealed))
    }

    fn box_key(&self) -> Result<Key, Error> {
        cipher::derive(&*self.0, &[], &[b"parlance box 1\n"])
    }
}

impl Vault {
    /// A new vault, of version 1.
    ///
    /// # Errors
    /// `Crypto`, `Key`.
    pub fn new(
        owner: &Owner,
        master: &Master,
        password: &Root,
        recovery: &Root,
        contents: &Contents,
    ) -> Result<Self, Error> {
        let nonces = [cipher::nonce()?, cipher::nonce()?, cipher::nonce()?];
        Self::sealed(owner, master, (password, recovery), contents, nonces)
    }

    pub(super) fn sealed(
        owner: &Owner,
        master: &Master,
        (password, recovery): (&Root, &Root),
        contents: &Contents,
        [first, second, third]: [[u8; 12]; 3],
    ) -> Result<Self, Error> {
        Ok(Self {
            version: 1,
            slots: Slots {
                password: master.slot(owner, Slot::Password, password, first)?,
                recovery: master.slot(owner, Slot::Recovery, recovery, second)?,
            },
            r#box: master.seal(owner, 1, contents, third)?,
        })
    }

    /// Whether a private key is in a vault; if not, it is of the published form ([`KeyPair::decrypt`]).
    #[must_use]
    pub fn is_vault(key: &EncryptedKey) -> bool {
        key.as_str().starts_with(PREFIX)
    }

    /// Reads what the server keeps.
    ///
    /// # Errors
    /// `Malformed`, `Invalid`: not a vault.
    pub fn parse(key: &EncryptedKey) -> Result<Self, Error> {
        let malformed = || Error::Malformed("the vault");
        let text = key.as_str().strip_prefix(PREFIX).ok_or_else(malformed)?;
        let text = STANDARD.decode(text).map_err(|_| malformed())?;
        let text = String::from_utf8(text).map_err(|_| malformed())?;
        Ok(canonical::read(&text, MAX_VAULT)?)
    }

    /// What the server keeps.
    ///
    /// # Errors
    /// `TooLong`: more than a server takes; fewer pins and heads will do.
    pub fn to_key(&self) -> Result<EncryptedKey, Error> {
        let text = STANDARD.encode(canonical::write(self)?);
        EncryptedKey::parse(&format!("{PREFIX}{text}")).ok_or(Error::TooLong)
    }

    /// Its version: each change is one more.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Opens a slot.
    ///
    /// # Errors
    /// `WrongPassword`.
    pub fn master(&self, owner: &Owner, slot: Slot, root: &Root) -> Result<Master, Error> {
        let sealed = match slot {
            Slot::Password => &self.slots.password,
            Slot::Recovery => &self.slots.recovery,
        };
        let sealed = STANDARD
            .decode(sealed)
            .map_err(|_| Error::Malformed("a slot of the vault"))?;
        let master = cipher::open(&root.wrap(owner)?, &slot_aad(owner, slot)?, &sealed)
            .ok_or(Error::WrongPassword)?;
        let master = master
            .as_slice()
            .try_into()
            .map_err(|_| Error::Malformed("a slot of the vault"))?;
        Ok(Master(Zeroizing::new(master)))
    }

    /// Opens the box. `seen` is the highest version that this station has seen; 0, if it has seen none.
    ///
    /// # Errors
    /// `OldVault`; `Relabelled`: it is damaged, or another user's, or of another version than it says.
    pub fn open(&self, owner: &Owner, master: &Master, seen: u64) -> Result<Contents, Error> {
        if self.version < seen {
            return Err(Error::OldVault {
                found: self.version,
                seen,
            });
        }
        let malformed = || Error::Malformed("the box of the vault");
        let sealed = STANDARD.decode(&self.r#box).map_err(|_| malformed())?;
        let aad = box_aad(owner, self.version)?;
        let text = cipher::open(&master.box_key()?, &aad, &sealed).ok_or(Error::Relabelled)?;
        let text = std::str::from_utf8(&text).map_err(|_| malformed())?;
        let opened: Opened = canonical::read(text, MAX_VAULT)?;
        let rsa = Zeroizing::new(STANDARD.decode(&opened.rsa).map_err(|_| malformed())?);
        let sign = Zeroizing::new(STANDARD.decode(&opened.sign).map_err(|_| malformed())?);
        let sign = sign.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Contents {
            rsa: KeyPair::from_pkcs8(&rsa)?,
            sign: SigningKey::from_seed(sign)?,
            pins: opened.pins.clone(),
            heads: opened.heads.clone(),
        })
    }

    /// The vault with other contents, and the next version.
    ///
    /// # Errors
    /// `Crypto`, `Key`.
    pub fn update(
        &self,
        owner: &Owner,
        master: &Master,
        contents: &Contents,
    ) -> Result<Self, Error> {
        let version = self.version.checked_add(1).ok_or(Error::TooLong)?;
        Ok(Self {
            version,
            slots: self.slots.clone(),
            r#box: master.seal(owner, version, contents, cipher::nonce()?)?,
        })
    }

    /// The vault with another password, or another recovery key. Credential and vault are replaced in one request.
    ///
    /// # Errors
    /// `Crypto`, `Key`.
    pub fn replace(
        &self,
        owner: &Owner,
        master: &Master,
        slot: Slot,
        root: &Root,
        contents: &Contents,
    ) -> Result<Self, Error> {
        let mut next = self.update(owner, master, contents)?;
        let sealed = master.slot(owner, slot, root, cipher::nonce()?)?;
        match slot {
            Slot::Password => next.slots.password = sealed,
            Slot::Recovery => next.slots.recovery = sealed,
        }
        Ok(next)
    }
}

// Not the version: a slot stays as it is while the box is replaced.
fn slot_aad(owner: &Owner, slot: Slot) -> Result<Vec<u8>, Error> {
    let name: &[u8] = match slot {
        Slot::Password => b"password",
        Slot::Recovery => b"recovery",
    };
    let parts = lp(&[owner.user.as_bytes(), owner.server.as_bytes(), name])?;
    Ok([b"parlance slot 1\n".as_slice(), &parts].concat())
}

fn box_aad(owner: &Owner, version: u64) -> Result<Vec<u8>, Error> {
    let parts = lp(&[
        owner.user.as_bytes(),
        owner.server.as_bytes(),
        &version.to_be_bytes(),
    ])?;
    Ok([b"parlance vault 1\n".as_slice(), &parts].concat())
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root")
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey")
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Master")
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents")
    }
}
