//! Sealing and signing.

use aws_lc_rs::aead::NONCE_LEN;
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{e2ee::Epoch, text::Data};

use super::{
    Envelope, HEADER_LEN, MESSAGE, VERSION, message_aad, message_key, padded_len, signed_text,
};
use crate::e2ee::{
    Body, Content, EpochSecret, Error, Kid, SigningKey,
    cipher::{self, Key},
};

/// Seals and signs a message.
///
/// # Errors
/// `Malformed`: the envelope's type is not that of the body's kind. `TooLong`.
pub fn seal(
    envelope: &Envelope<'_>,
    epoch: Epoch,
    secret: &EpochSecret,
    key: &SigningKey,
    body: &Body,
) -> Result<Data, Error> {
    // The server counts unread messages by the type, and readers go by the kind.
    if let Content::Known(known) = &body.content
        && known.wire_type().as_str() != envelope.r#type
    {
        return Err(Error::Malformed("the type"));
    }
    let sealed = seal_text(
        envelope,
        epoch,
        secret,
        key,
        &body.to_text()?,
        cipher::nonce()?,
    )?;
    Data::parse(sealed).ok_or(Error::Crypto)
}

pub(in crate::e2ee) fn seal_text(
    envelope: &Envelope<'_>,
    epoch: Epoch,
    secret: &EpochSecret,
    key: &SigningKey,
    text: &str,
    nonce: [u8; NONCE_LEN],
) -> Result<String, Error> {
    let aad = message_aad(envelope, epoch, secret.kid())?;
    let message_key = message_key(envelope, secret)?;
    finish(
        MESSAGE,
        epoch,
        secret,
        key,
        (&message_key, &aad),
        text,
        nonce,
    )
}

pub(super) fn finish(
    form: u8,
    epoch: Epoch,
    secret: &EpochSecret,
    signing: &SigningKey,
    (key, aad): (&Key, &[u8]),
    text: &str,
    nonce: [u8; NONCE_LEN],
) -> Result<String, Error> {
    let length = u32::try_from(text.len()).map_err(|_| Error::TooLong)?;
    let signature = signing.sign(&signed_text(aad, text))?;
    let mut plaintext = [&length.to_be_bytes(), text.as_bytes(), signature.as_bytes()].concat();
    // Padded, so that its length says little of the text's.
    plaintext.resize(padded_len(plaintext.len()), 0);
    encrypt(form, epoch, secret.kid(), (key, aad), &plaintext, nonce)
}

pub(in crate::e2ee) fn encrypt(
    form: u8,
    epoch: Epoch,
    kid: Kid,
    (key, aad): (&Key, &[u8]),
    plaintext: &[u8],
    nonce: [u8; NONCE_LEN],
) -> Result<String, Error> {
    let sealed = cipher::seal(key, nonce, aad, plaintext)?;
    let mut bytes = Vec::with_capacity(HEADER_LEN + sealed.len());
    bytes.extend_from_slice(&[form, VERSION]);
    bytes.extend_from_slice(&epoch.get().to_be_bytes());
    bytes.extend_from_slice(&kid);
    bytes.extend_from_slice(&sealed);
    Ok(STANDARD.encode(bytes))
}
