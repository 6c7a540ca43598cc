//! The vault: a user's private keys, stored on the server under a key that only they can derive.
//!
//! A random master key opens the box with the keys. The master key is stored twice: under the
//! password, and under a printed recovery key. So a new password replaces one slot, and a lost
//! password can be recovered from.

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
    cipher::{self, Key, secret_key},
};
use crate::keys::KeyPair;

/// The prefix of a vault; an account of the published form has PEM instead.
const PREFIX: &str = "parlance-vault:1:";
/// Maximum bytes of a vault's JSON.
const MAX_VAULT: usize = 64 << 10;
/// The owner of a vault, which only opens on this server for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The server.
    pub server: ServerId,
    /// The user.
    pub user: UserId,
}

secret_key!(
    /// The root key from a password or a recovery key, from which a credential and a wrapping key are
    /// derived.
    Root
);
secret_key!(
    random
    /// The master key of an opened or new vault. Kept by a logged-in station.
    Master
);

/// The contents of a vault. `Debug` does not show them.
pub struct Contents {
    /// The RSA pair.
    pub rsa: KeyPair,
    /// The signing key.
    pub sign: SigningKey,
    /// The contacts' pinned cards, so that a new station does not start with trust on first use.
    pub pins: BTreeMap<UserId, VaultPin>,
    /// The newest message of some conversations: number and hash, hex.
    pub heads: BTreeMap<ConversationId, (i64, String)>,
}

/// A contact's pin: hash and number of their card, and its mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultPin(pub CardHash, pub u64, pub Mark);

/// A vault as the server stores it, in `rsakey`.
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

/// A slot with the master key.
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
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The credential for logging in: `apikey`.
    ///
    /// # Errors
    /// None, as ids have 16 bytes.
    pub fn apikey(&self, owner: &Owner) -> Result<Credential, Error> {
        let key = cipher::derive(&*self.0, &[], &[b"parlance auth 1\n", &owner.bytes()?])?;
        Credential::new(hex::encode(key.as_slice())).ok_or(Error::Crypto)
    }

    fn wrap(&self, owner: &Owner) -> Result<Key, Error> {
        cipher::derive(&*self.0, &[], &[b"parlance wrap 1\n", &owner.bytes()?])
    }
}

impl Master {
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
        Ok(Master::from_bytes(&master))
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

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents")
    }
}
