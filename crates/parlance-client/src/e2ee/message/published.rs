//! Messages of the published form, which nobody signed.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Envelope;
use crate::e2ee::{
    EpochSecret, Error,
    cipher::{self, Key},
};

/// Opens a message of the published form: `base64(nonce ‖ AES-256-GCM)` under the conversation's
/// secret itself. It is not signed: anyone with the secret may have written it, so it is shown as
/// such.
///
/// # Errors
/// `Relabelled`: it is not such a message, or one of another conversation, instance or id.
pub fn open_published(
    envelope: &Envelope<'_>,
    secret: &EpochSecret,
    data: &str,
) -> Result<String, Error> {
    let aad = [
        envelope.conversation.as_bytes().as_slice(),
        envelope.instance.as_str().as_bytes(),
        envelope.id.as_bytes(),
    ]
    .concat();
    let key = Key::new(*secret.as_bytes());
    STANDARD
        .decode(data)
        .ok()
        .and_then(|sealed| cipher::open(&key, &aad, &sealed))
        .and_then(|text| String::from_utf8(text.to_vec()).ok())
        .ok_or(Error::Relabelled)
}
