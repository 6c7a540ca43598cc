//! The JSON Schemas of requests and answers, in `web/core/wire`. The web client's types are generated
//! from them. Tests compare the files with the types, and write them when `UPDATE_SCHEMA` is set.

#[cfg(test)]
mod requests;

use std::{borrow::Cow, env, fs, io, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value};

use crate::{
    e2ee::{Announcement, Card, Epoch, LogHead, RsaSignature, SignKey, Signature},
    id::{
        ConversationId, CredentialId, FileId, InviteId, MessageId, Receipt, ReportId, ServerId,
        StationId, UserId,
    },
    kdf::{Salt, Whole},
    key::{PublicKey, SecretHash},
    list::Known,
    request::{
        PageSize,
        file::{BodyHash, FileDigest},
    },
    text::{
        Color, Email, EncryptedKey, FullName, HideId, Instance, MessageType, Nick, Opaque,
        PushEndpoint, StationName, WorkspaceName,
    },
    time::Timestamp,
};

/// Each of these types has the JSON form of one of its own: a text, or a whole number. Its own
/// check decides which values are valid.
macro_rules! stands_as {
    ($json:literal: $($name:ident $(<$(const $max:ident: $number:ident),*>)?),* $(,)?) => {$(
        impl $(<$(const $max: $number),*>)? JsonSchema for $name $(<$($max),*>)? {
            fn schema_name() -> Cow<'static, str> {
                $json.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $json })
            }
        }
    )*};
}

stands_as!("string":
    Announcement, BodyHash, Card, Color, ConversationId, CredentialId, Email, EncryptedKey, FileDigest, FileId, FullName, HideId, Instance, InviteId,
    Known, LogHead, MessageId, MessageType, Nick, Opaque<const MAX: usize>, PublicKey, PushEndpoint, Receipt, ReportId,
    RsaSignature, Salt, SecretHash, ServerId, SignKey, Signature, StationId, StationName, Timestamp, UserId, WorkspaceName,
);
stands_as!("integer": Epoch, PageSize<const MAX: usize>, Whole<const MIN: u32, const MAX: u32>);

/// The schema of a type as it is read.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize();
    generator
        .into_generator()
        .into_root_schema_for::<T>()
        .into()
}

/// Whether a file of `web/core/wire` holds these schemas. With `UPDATE_SCHEMA` in the environment, it
/// is written first.
///
/// # Errors
/// The file cannot be read or written.
pub fn is_held(file: &str, schemas: &Map<String, Value>) -> io::Result<bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../web/core/wire")
        .join(file);
    let made = serde_json::to_string_pretty(schemas)? + "\n";
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &made)?;
    }
    Ok(fs::read_to_string(&path)? == made)
}
