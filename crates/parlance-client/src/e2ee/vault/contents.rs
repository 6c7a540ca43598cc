//! The contents of a vault: its box, sealed under the master key.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{CardHash, canonical, lp},
    id::{ConversationId, UserId},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{MAX_VAULT, Master, Owner};
use crate::{
    e2ee::{
        Error, Mark, SigningKey,
        cipher::{self, Key},
    },
    keys::KeyPair,
};

/// The contents of a vault. `Debug` does not show them.
pub struct Contents {
    /// The RSA pair.
    pub rsa: KeyPair,
    /// The pairs before it, newest first: secrets of earlier epochs are wrapped for them.
    pub earlier: Vec<KeyPair>,
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

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents")
    }
}

impl Contents {
    /// Drops the entry that a new station needs least: a head, while more than a third of the entries
    /// are heads; then the pin of a contact who was only seen, then a verified one, and then a changed
    /// one, without which a new station would send to the new identity without a warning.
    /// Returns `false` if only keys are left.
    #[must_use]
    pub fn shorten(&mut self) -> bool {
        if self.heads.len() > self.pins.len() / 2 {
            return self.heads.pop_last().is_some();
        }
        let least = self.pins.iter().min_by_key(|(_, pin)| match pin.2 {
            Mark::Seen => 0,
            Mark::Verified => 1,
            Mark::Changed => 2,
        });
        let user = least.map(|(user, _)| *user);
        user.is_some_and(|user| self.pins.remove(&user).is_some())
    }
}

#[derive(Serialize, Deserialize)]
struct Opened {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<String>,
    rsa: String,
    sign: String,
    pins: BTreeMap<UserId, VaultPin>,
    heads: BTreeMap<ConversationId, (i64, String)>,
}

// Private keys must not stay in freed memory.
impl Drop for Opened {
    fn drop(&mut self) {
        self.earlier.zeroize();
        self.rsa.zeroize();
        self.sign.zeroize();
    }
}

impl Master {
    pub(super) fn seal(
        &self,
        owner: &Owner,
        version: u64,
        contents: &Contents,
        nonce: [u8; 12],
    ) -> Result<String, Error> {
        let earlier = contents.earlier.iter().map(|pair| {
            let pkcs8 = pair.to_pkcs8()?;
            Ok::<_, Error>(STANDARD.encode(pkcs8.as_ref()))
        });
        let opened = Opened {
            earlier: earlier.collect::<Result<_, _>>()?,
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

    /// Opens the box of a vault of this version.
    ///
    /// # Errors
    /// `Relabelled`, `Malformed`.
    pub(super) fn unseal(
        &self,
        owner: &Owner,
        version: u64,
        sealed: &str,
    ) -> Result<Contents, Error> {
        let malformed = || Error::Malformed("the box of the vault");
        let sealed = STANDARD.decode(sealed).map_err(|_| malformed())?;
        let aad = box_aad(owner, version)?;
        let text = cipher::open(&self.box_key()?, &aad, &sealed).ok_or(Error::Relabelled)?;
        let text = std::str::from_utf8(&text).map_err(|_| malformed())?;
        let opened: Opened = canonical::read(text, MAX_VAULT)?;
        let pair = |text: &str| {
            let pkcs8 = Zeroizing::new(STANDARD.decode(text).map_err(|_| malformed())?);
            Ok::<_, Error>(KeyPair::from_pkcs8(&pkcs8)?)
        };
        let sign = Zeroizing::new(STANDARD.decode(&opened.sign).map_err(|_| malformed())?);
        let sign = sign.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Contents {
            rsa: pair(&opened.rsa)?,
            earlier: opened
                .earlier
                .iter()
                .map(|text| pair(text))
                .collect::<Result<_, _>>()?,
            sign: SigningKey::from_seed(sign)?,
            pins: opened.pins.clone(),
            heads: opened.heads.clone(),
        })
    }

    fn box_key(&self) -> Result<Key, Error> {
        cipher::derive(&*self.0, &[], &[b"parlance box 1\n"])
    }
}

fn box_aad(owner: &Owner, version: u64) -> Result<Vec<u8>, Error> {
    let parts = lp(&[
        owner.user.as_bytes(),
        owner.server.as_bytes(),
        &version.to_be_bytes(),
    ])?;
    Ok([b"parlance vault 1\n".as_slice(), &parts].concat())
}
