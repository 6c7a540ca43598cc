//! Messages, sealed for everyone who has the epoch's secret, and signed by their writer. Names are
//! sealed the same way ([`name`]).

mod name;
mod published;
mod seal;

#[cfg(all(test, feature = "password"))]
pub(super) use self::{
    name::seal_name_text,
    seal::{encrypt, seal_text},
};
pub use self::{
    name::{Name, seal_name},
    published::open_published,
    seal::seal,
};

use aws_lc_rs::aead::{AES_256_GCM, NONCE_LEN};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{Card, CardHash, Epoch, Signature, lp, sha256},
    id::{ConversationId, MessageId, StationId, UserId},
    text::Instance,
};

use super::{
    Body, EpochSecret, Error, Kid,
    cipher::{self, Key},
};

/// The first byte of a message.
const MESSAGE: u8 = b'P';
/// The version of the form, the second byte.
const VERSION: u8 = 1;
/// Bytes before the nonce: form, version, epoch, kid.
const HEADER_LEN: usize = 2 + 4 + 8;
/// Bytes of a signature.
const SIGNATURE_LEN: usize = 64;
/// Plaintexts are padded to one of these sizes, and larger ones to multiples of the last.
// So that a message's length tells little: most texts have the smallest one.
const SIZES: [usize; 5] = [256, 512, 1024, 2048, 4096];

/// The row that a message belongs to: everything about it that someone could change in a database.
/// A message that was written under other ids is refused.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The conversation of the row.
    pub conversation: ConversationId,
    /// The instance in which it was sent: after `clear`, the row can no longer be decrypted.
    pub instance: &'a Instance,
    /// The message's id.
    pub id: MessageId,
    /// Its sender, as the server says.
    pub user: UserId,
    /// The sender's station.
    pub station: StationId,
    /// `Message` or `Update`.
    pub r#type: &'a str,
}

/// A message or a name that was not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    epoch: Epoch,
    kid: Kid,
    /// Nonce ‖ ciphertext ‖ tag.
    ciphertext: Vec<u8>,
}

/// A message that was opened, and whose signature is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The body that its sender signed.
    pub body: Body,
    /// The text of the body, which is stored so that a newer version can parse it again.
    pub text: String,
    /// The epoch that it was written in.
    pub epoch: Epoch,
    /// The sender's card whose key signed it.
    pub card: CardHash,
}

impl Sealed {
    /// Parses the `Data` of a message.
    ///
    /// # Errors
    /// `NotSigned`: it has another form, perhaps the published one ([`open_published`]).
    /// `Malformed`: it begins like this form, but is invalid.
    pub fn message(data: &str) -> Result<Self, Error> {
        Self::parse(MESSAGE, data)
    }

    fn parse(form: u8, text: &str) -> Result<Self, Error> {
        let bytes = STANDARD.decode(text).map_err(|_| Error::NotSigned)?;
        let rest = bytes
            .strip_prefix(&[form, VERSION])
            .ok_or(Error::NotSigned)?;
        let (epoch, rest) = rest
            .split_first_chunk()
            .ok_or(Error::Malformed("the epoch"))?;
        let (kid, ciphertext) = rest
            .split_first_chunk()
            .ok_or(Error::Malformed("the kid"))?;
        let epoch = Epoch::new(u32::from_be_bytes(*epoch)).ok_or(Error::Malformed("the epoch"))?;
        let padded = ciphertext
            .len()
            .checked_sub(NONCE_LEN + AES_256_GCM.tag_len());
        // A length that no writer gives is refused before anything is decrypted.
        if padded.is_none_or(|length| padded_len(length) != length) {
            return Err(Error::Malformed("the padding"));
        }
        Ok(Self {
            epoch,
            kid: *kid,
            ciphertext: ciphertext.to_owned(),
        })
    }

    /// The epoch that it claims to be from.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The name of the secret that opens it.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// Opens a message. `cards` are the sender's pinned ones, including old ones.
    ///
    /// # Errors
    /// `OtherSecret`, `Relabelled`, `UnknownSigner`, `WrongSigner`, `Malformed`, `Invalid`.
    pub fn open(
        &self,
        envelope: &Envelope<'_>,
        secret: &EpochSecret,
        cards: &[Card],
    ) -> Result<Opened, Error> {
        let key = message_key(envelope, secret)?;
        let aad = message_aad(envelope, self.epoch, self.kid)?;
        let (text, signature) = self.decrypt(&key, &aad, secret)?;
        let body = Body::parse(&text)?;
        let card = signer(envelope.user, cards, &aad, &text, &signature)?;
        Ok(Opened {
            body,
            text,
            epoch: self.epoch,
            card,
        })
    }

    fn decrypt(
        &self,
        key: &Key,
        aad: &[u8],
        secret: &EpochSecret,
    ) -> Result<(String, Signature), Error> {
        // Before the tag, which would not tell another secret from a changed row.
        if self.kid != secret.kid() {
            return Err(Error::OtherSecret);
        }
        let plaintext = cipher::open(key, aad, &self.ciphertext).ok_or(Error::Relabelled)?;
        let malformed = || Error::Malformed("the plaintext");
        let (length, rest) = plaintext.split_first_chunk().ok_or_else(malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
        let (body, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
        let (signature, padding) = rest.split_at_checked(SIGNATURE_LEN).ok_or_else(malformed)?;
        // Only the minimal padding of zeros is valid, so that each body has a single plaintext.
        let used = plaintext.len() - padding.len();
        if padded_len(used) != plaintext.len() || padding.iter().any(|byte| *byte != 0) {
            return Err(Error::Malformed("the padding"));
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let signature = Signature::from_bytes(signature).ok_or_else(malformed)?;
        Ok((text.to_owned(), signature))
    }
}

// Hashes of a fixed length, so that no bytes can move from one part to the other.
pub(super) fn signed_text(aad: &[u8], text: &str) -> Vec<u8> {
    [
        b"parlance body 1\n".as_slice(),
        &sha256(&[aad]),
        &sha256(&[text.as_bytes()]),
    ]
    .concat()
}

fn signer(
    user: UserId,
    cards: &[Card],
    aad: &[u8],
    text: &str,
    signature: &Signature,
) -> Result<CardHash, Error> {
    let signed = signed_text(aad, text);
    // Newest first, as it signed most messages; the older ones still verify old messages.
    let mut theirs = cards
        .iter()
        .rev()
        .filter(|card| card.user() == user)
        .peekable();
    if theirs.peek().is_none() {
        return Err(Error::UnknownSigner(user));
    }
    theirs
        .find(|card| card.sign().verifies(&signed, signature))
        .map(Card::hash)
        .ok_or(Error::WrongSigner)
}

// No two stations share a key, so random nonces are sufficient.
pub(super) fn message_key(envelope: &Envelope<'_>, secret: &EpochSecret) -> Result<Key, Error> {
    let salt = [
        envelope.conversation.as_bytes().as_slice(),
        envelope.instance.as_str().as_bytes(),
    ]
    .concat();
    cipher::derive(
        secret.as_bytes(),
        &salt,
        &[
            b"parlance message key 1\n",
            envelope.user.as_bytes(),
            envelope.station.as_bytes(),
        ],
    )
}

// Without Created, which the server may correct.
pub(super) fn message_aad(
    envelope: &Envelope<'_>,
    epoch: Epoch,
    kid: Kid,
) -> Result<Vec<u8>, Error> {
    let parts = lp(&[
        envelope.conversation.as_bytes(),
        envelope.instance.as_str().as_bytes(),
        envelope.id.as_bytes(),
        envelope.user.as_bytes(),
        envelope.station.as_bytes(),
        envelope.r#type.as_bytes(),
        &epoch.get().to_be_bytes(),
        &kid,
    ])?;
    Ok([b"parlance message 1\n".as_slice(), &parts].concat())
}

fn padded_len(length: usize) -> usize {
    let [.., largest] = SIZES;
    SIZES
        .into_iter()
        .find(|size| length <= *size)
        .unwrap_or_else(|| length.next_multiple_of(largest))
}
