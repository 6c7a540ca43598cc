//! The JSON Schema of each request, in `web/core/wire/requests.json`. The web client's types are
//! generated from it. This test compares the file with the types; `UPDATE_SCHEMA=1 cargo test -p
//! parlance-wire schema` writes it again.

use std::{borrow::Cow, env, fs, path::Path};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value};

use crate::{
    e2ee::{Announcement, Card, Epoch, RsaSignature, Signature},
    id::{ConversationId, CredentialId, InviteId, MessageId, Receipt, ReportId, StationId, UserId},
    kdf::{Salt, Whole},
    key::{PublicKey, SecretHash},
    list::Known,
    request::{
        Api, PageSize, account, availability, blocklist, conversation, conversationgroup, friends,
        keys, login, notification, reports, workspace,
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
    Announcement, Card, Color, ConversationId, CredentialId, Email, EncryptedKey, FullName, HideId, Instance, InviteId,
    Known, MessageId, MessageType, Nick, Opaque<const MAX: usize>, PublicKey, PushEndpoint, Receipt, ReportId, RsaSignature, Salt,
    SecretHash, Signature, StationId, StationName, Timestamp, UserId, WorkspaceName,
);
stands_as!("integer": Epoch, PageSize<const MAX: usize>, Whole<const MIN: u32, const MAX: u32>);

fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize();
    generator
        .into_generator()
        .into_root_schema_for::<T>()
        .into()
}

/// A schema for each API that the web client uses, by the API's name. In it, an action is an object
/// with a single field, named after the action.
fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    for api in Api::ALL {
        let name = api.names().1;
        let schema = match api {
            Api::Login => {
                all.insert(format!("{name} signed"), schema_of::<account::Action>());
                schema_of::<login::Action>()
            }
            Api::Availability => schema_of::<availability::Action>(),
            Api::Friends => schema_of::<friends::Action>(),
            Api::Conversation => schema_of::<conversation::Action>(),
            Api::ConversationGroup => schema_of::<conversationgroup::Action>(),
            Api::Reports => schema_of::<reports::Action>(),
            Api::Notification => schema_of::<notification::Action>(),
            Api::Blocklist => schema_of::<blocklist::Action>(),
            Api::Keys => schema_of::<keys::Action>(),
            Api::Workspace => schema_of::<workspace::Action>(),
        };
        all.insert(name.to_owned(), schema);
    }
    all
}

#[test]
fn the_web_clients_schema_is_that_of_the_requests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/core/wire/requests.json");
    let made = serde_json::to_string_pretty(&schemas()).unwrap() + "\n";
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == made,
        "Requests have changed: UPDATE_SCHEMA=1 cargo test -p parlance-wire schema, then npm run types in web/."
    );
}
