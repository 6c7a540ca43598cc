//! The vault: a user's private keys, stored on the server under a key that only they can derive.
//!
//! A random master key opens the box with the keys. The master key is stored twice: under the
//! password, and under a printed recovery key. So a new password replaces one slot, and a lost
//! password can be recovered from.

mod contents;

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{ServerId, canonical, lp},
    id::UserId,
    key::Credential,
    text::EncryptedKey,
};
use serde::{Deserialize, Serialize};

use super::{
    Error,
    cipher::{self, Key, secret_key},
};
pub use contents::{Contents, VaultPin};

/// The prefix of a vault; an account of the published form has PEM instead.
const PREFIX: &str = "parlance-vault:1:";
/// Maximum bytes of a vault's JSON.
// More than servers take today: a later one may take more, and this is only to bound what is parsed.
const MAX_VAULT: usize = 1 << 20;

/// The owner of a vault, which only opens on this server for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The server that stores it. A vault of another server does not open.
    pub server: ServerId,
    /// The user whose vault it is.
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

impl Owner {
    fn bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(lp(&[self.server.as_bytes(), self.user.as_bytes()])?)
    }
}

impl Root {
    /// Its bytes, for a store that keeps them as secret.
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

    // With given nonces, for the test vectors; everyone else uses `new`.
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

    /// Returns `true` if a private key is a vault, and `false` if it is of the published form
    /// ([`KeyPair::decrypt`](crate::keys::KeyPair::decrypt)).
    #[must_use]
    pub fn is_vault(key: &EncryptedKey) -> bool {
        key.as_str().starts_with(PREFIX)
    }

    /// Parses the stored text.
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

    /// The text to be stored.
    ///
    /// # Errors
    /// `TooLong`: servers do not accept it. Fewer pins and heads make it shorter.
    pub fn to_key(&self) -> Result<EncryptedKey, Error> {
        EncryptedKey::parse(&self.text()?).ok_or(Error::TooLong)
    }

    /// Bytes of the text to be stored, however many a server accepts.
    #[cfg(all(feature = "http", feature = "password"))]
    pub(crate) fn length(&self) -> Result<usize, Error> {
        Ok(self.text()?.len())
    }

    fn text(&self) -> Result<String, Error> {
        let text = STANDARD.encode(canonical::write(self)?);
        Ok(format!("{PREFIX}{text}"))
    }

    /// Its version, which each change increments.
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

    /// Opens the box. `seen` is the highest version that this station has seen, or 0 for none.
    ///
    /// # Errors
    /// `OldVault`; `Relabelled`: it is damaged, or belongs to another user or version.
    pub fn open(&self, owner: &Owner, master: &Master, seen: u64) -> Result<Contents, Error> {
        // The box is bound to its version, so an old vault cannot claim to be newer.
        if self.version < seen {
            return Err(Error::OldVault {
                found: self.version,
                seen,
            });
        }
        master.unseal(owner, self.version, &self.r#box)
    }

    /// The vault under another master key, with another password and recovery key, so that nobody
    /// who opened this one, or has an old copy of it, can open the new one or a later one.
    /// Credentials and vault are replaced in one request.
    ///
    /// # Errors
    /// `Crypto`, `Key`.
    pub fn renew(
        &self,
        owner: &Owner,
        master: &Master,
        password: &Root,
        recovery: &Root,
        contents: &Contents,
    ) -> Result<Self, Error> {
        let mut next = self.update(owner, master, contents)?;
        next.slots = Slots {
            password: master.slot(owner, Slot::Password, password, cipher::nonce()?)?,
            recovery: master.slot(owner, Slot::Recovery, recovery, cipher::nonce()?)?,
        };
        Ok(next)
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
            // The slots stay: replacing one takes the password or the recovery key.
            slots: self.slots.clone(),
            r#box: master.seal(owner, version, contents, cipher::nonce()?)?,
        })
    }

    /// The vault with another password or recovery key. Credential and vault are replaced in one
    /// request. The master key stays, so that someone who had it can open later vaults, too; unlike
    /// with [`renew`](Self::renew).
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

// Without the version: a slot does not change when the box is replaced.
fn slot_aad(owner: &Owner, slot: Slot) -> Result<Vec<u8>, Error> {
    let name: &[u8] = match slot {
        Slot::Password => b"password",
        Slot::Recovery => b"recovery",
    };
    let parts = lp(&[owner.user.as_bytes(), owner.server.as_bytes(), name])?;
    Ok([b"parlance slot 1\n".as_slice(), &parts].concat())
}
