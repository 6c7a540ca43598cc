//! How what the wire crate cannot read is refused.

use parlance_wire::{request::ParseError, signature::ClaimError};

use crate::chat::error::Error;

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::UnknownAction => Self::UnknownAction,
            ParseError::Malformed(sentence) => Self::BadRequest(sentence),
        }
    }
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Malformed(_) => Self::BadRequest(error.to_string()),
            ClaimError::Missing(header) => Self::SignatureMissing(header),
            ClaimError::NotBase64 => Self::SignatureInvalid,
        }
    }
}
