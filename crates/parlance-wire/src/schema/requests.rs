//! The schema of each request: `requests.json`.

use serde_json::{Map, Value};

use super::{is_held, schema_of};
use crate::request::{
    Api, account, availability, blocklist, conversation, conversationgroup, file, friends, keys,
    login, notification, reports, workspace,
};

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
            Api::File => schema_of::<file::Action>(),
            Api::Keys => schema_of::<keys::Action>(),
            Api::Workspace => schema_of::<workspace::Action>(),
        };
        all.insert(name.to_owned(), schema);
    }
    all
}

#[test]
fn the_web_clients_schema_is_that_of_the_requests() {
    assert!(
        is_held("requests.json", &schemas()).unwrap(),
        "Requests have changed: UPDATE_SCHEMA=1 cargo test -p parlance-wire schema, then npm run types in web/."
    );
}
