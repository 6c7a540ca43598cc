//! How a body is written: the inverse of what `read` takes.

use serde::{Serialize, ser::Error};
use serde_json::{Map, Value};

use crate::{time::Timestamp, version::ClientVersion};

/// Writes the body of a request: an action, and the fields that all requests have. The nonce has to be new for
/// every request, a retry too.
///
/// # Errors
/// If `action` is not a variant of one of the enums of this module.
pub fn body<A: Serialize>(
    action: &A,
    version: ClientVersion,
    timestamp: Timestamp,
    nonce: &str,
) -> serde_json::Result<Vec<u8>> {
    let mut body = fields(action)?;
    body.insert("clientversioncode".into(), version.code().into());
    body.insert("timestamp".into(), timestamp.to_string().into());
    body.insert("nonce".into(), nonce.into());
    serde_json::to_vec(&body)
}

/// An action's name and fields in one object, where serde has the fields in an object below the name.
fn fields<A: Serialize>(action: &A) -> serde_json::Result<Map<String, Value>> {
    let (name, mut fields) = match serde_json::to_value(action)? {
        Value::String(name) => (name, Map::new()),
        Value::Object(variant) => match variant.into_iter().next() {
            Some((name, Value::Object(fields))) => (name, fields),
            _ => return Err(serde_json::Error::custom("not an action with fields")),
        },
        _ => return Err(serde_json::Error::custom("not an action")),
    };
    fields.insert("action".into(), name.into());
    Ok(fields)
}
