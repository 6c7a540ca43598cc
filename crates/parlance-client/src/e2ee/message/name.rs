//! Names of conversations, which are sealed and signed like messages.

use aws_lc_rs::aead::NONCE_LEN;
use parlance_wire::{
    e2ee::{Card, Epoch, Invalid, Signature, canonical, lp},
    id::{ConversationId, UserId},
    text::DisplayName,
};
use serde::{Deserialize, Serialize};

use super::{Sealed, seal::finish, signer};
use crate::e2ee::{
    EpochSecret, Error, Kid, MAX_BODY, SigningKey,
    cipher::{self, Key},
};

/// The first byte of a name.
const NAME: u8 = b'N';

/// A conversation's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    v: u32,
    /// The name, for people.
    pub name: String,
    /// The user who set it.
    pub by: UserId,
}

impl Sealed {
    /// Parses a `displayname`.
    ///
    /// # Errors
    /// As for [`message`](Self::message).
    pub fn name(displayname: &str) -> Result<Self, Error> {
        Self::parse(NAME, displayname)
    }

    /// Opens a name. `cards_of` returns a user's pinned cards.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_name<'a>(
        &self,
        conversation: ConversationId,
        secret: &EpochSecret,
        cards_of: impl FnOnce(UserId) -> &'a [Card],
    ) -> Result<Name, Error> {
        let (name, text, signature) = self.read_name(conversation, secret)?;
        let aad = name_aad(conversation, self.epoch, self.kid)?;
        signer(name.by, cards_of(name.by), &aad, &text, &signature)?;
        Ok(name)
    }

    /// Opens a name, whoever has signed it: everybody with the secret can give it in another one's
    /// name, so it is shown with a mark.
    ///
    /// # Errors
    /// As for [`open_name`](Self::open_name), but for those of the signature.
    pub fn open_unsigned_name(
        &self,
        conversation: ConversationId,
        secret: &EpochSecret,
    ) -> Result<Name, Error> {
        let (name, ..) = self.read_name(conversation, secret)?;
        Ok(name)
    }

    fn read_name(
        &self,
        conversation: ConversationId,
        secret: &EpochSecret,
    ) -> Result<(Name, String, Signature), Error> {
        let key = name_key(conversation, secret)?;
        let aad = name_aad(conversation, self.epoch, self.kid)?;
        let (text, signature) = self.decrypt(&key, &aad, secret)?;
        let name: Name = canonical::read(&text, MAX_BODY)?;
        if name.v != 1 {
            return Err(Invalid::Version(name.v).into());
        }
        Ok((name, text, signature))
    }
}

/// Seals and signs a conversation's name.
///
/// # Errors
/// `TooLong`: longer than servers accept.
pub fn seal_name(
    conversation: ConversationId,
    epoch: Epoch,
    secret: &EpochSecret,
    (by, key): (UserId, &SigningKey),
    name: &str,
) -> Result<DisplayName, Error> {
    let name = Name {
        v: 1,
        name: name.to_owned(),
        by,
    };
    let text = canonical::write(&name)?;
    let sealed = seal_name_text(conversation, epoch, secret, key, &text, cipher::nonce()?)?;
    DisplayName::parse(sealed).ok_or(Error::TooLong)
}

pub(in crate::e2ee) fn seal_name_text(
    conversation: ConversationId,
    epoch: Epoch,
    secret: &EpochSecret,
    key: &SigningKey,
    text: &str,
    nonce: [u8; NONCE_LEN],
) -> Result<String, Error> {
    let aad = name_aad(conversation, epoch, secret.kid())?;
    let name_key = name_key(conversation, secret)?;
    finish(NAME, epoch, secret, key, (&name_key, &aad), text, nonce)
}

// A name outlives an instance, and its author is inside.
fn name_key(conversation: ConversationId, secret: &EpochSecret) -> Result<Key, Error> {
    cipher::derive(
        secret.as_bytes(),
        conversation.as_bytes(),
        &[b"parlance name key 1\n"],
    )
}

fn name_aad(conversation: ConversationId, epoch: Epoch, kid: Kid) -> Result<Vec<u8>, Error> {
    let parts = lp(&[conversation.as_bytes(), &epoch.get().to_be_bytes(), &kid])?;
    Ok([b"parlance name 1\n".as_slice(), &parts].concat())
}
