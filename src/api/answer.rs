//! Writes answers as JSON, with fields in the published order.

// Never through `serde_json::Value`, whose map sorts the keys, and which would put a page into
// memory twice.

use serde::Serialize;

use crate::chat::error::Error;

/// The fields of every successful answer. They come first, except in `download`, whose published
/// order has them last.
pub(crate) const OK: &str = r#""status":"OK","errormessage":"""#;

/// No fields beyond `status` and `errormessage`.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

/// A successful answer with the fields of a struct.
///
/// # Errors
/// `Internal`, if it cannot be serialized.
pub(crate) fn ok<T: Serialize>(fields: T) -> Result<Vec<u8>, Error> {
    let mut text = format!("{{{OK},").into_bytes();
    let fields_at = text.len();
    append(&mut text, &fields)?;
    // Removes the opening brace of the fields; without any fields, the comma as well.
    let opening = if text.get(fields_at..) == Some(b"{}") {
        fields_at - 1..fields_at + 1
    } else {
        fields_at..fields_at + 1
    };
    text.drain(opening);
    Ok(text)
}

/// Serializes a value as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(error.into()))
}

/// Appends a value as JSON.
pub(crate) fn append<T: Serialize>(text: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(text, value).map_err(|error| Error::Internal(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_begins_with_its_status_whatever_fields_it_has() {
        #[derive(Serialize)]
        struct View {
            id: i64,
        }
        assert_eq!(
            ok(View { id: 1 }).unwrap(),
            br#"{"status":"OK","errormessage":"","id":1}"#
        );
        assert_eq!(
            ok(Nothing {}).unwrap(),
            br#"{"status":"OK","errormessage":""}"#
        );
    }
}
