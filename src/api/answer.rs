//! How an answer is written: straight to text, in the published order of fields.

use serde::Serialize;

use crate::chat::error::Error;

/// What every successful answer begins with.
#[derive(Serialize)]
struct Answer<T> {
    status: &'static str,
    errormessage: &'static str,
    // Not by way of a `serde_json::Value`, which would lose the published order.
    #[serde(flatten)]
    fields: T,
}

/// No fields beyond `status` and `errormessage`.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

/// A successful answer with these fields.
///
/// # Errors
/// `Internal`, if a view cannot be written: a fault of ours.
pub(crate) fn ok<T: Serialize>(fields: T) -> Result<Vec<u8>, Error> {
    json(&Answer {
        status: "OK",
        errormessage: "",
        fields,
    })
}

/// A value as JSON text.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(error.to_string()))
}

/// Appends a value as JSON text.
pub(crate) fn append<T: Serialize>(text: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(text, value).map_err(|error| Error::Internal(error.to_string()))
}
