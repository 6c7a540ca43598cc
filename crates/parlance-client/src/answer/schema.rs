//! The schema of each answer that the web client reads: `web/core/wire/answers.json`. `UPDATE_SCHEMA=1
//! cargo test -p parlance-client schema` writes it again.

use parlance_wire::schema::{is_held, schema_of};

use super::{
    Added, Blocklist, Cards, Conversations, Epochs, Friends, Group, Invitations, Invites,
    KeyLogPage, Keys, ListChanges, Login, NewInvite, Notification, OneConversation, Page, Push,
    Stations, Transcript, Upload, Vault,
};

/// The schemas of these types, by their names.
macro_rules! schemas {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name).to_owned(), schema_of::<$name>())),*].into_iter().collect()
    };
}

#[test]
fn the_web_clients_schema_is_that_of_the_answers() {
    let schemas = schemas!(
        Added,
        Blocklist,
        Cards,
        Conversations,
        Epochs,
        Friends,
        Group,
        Invitations,
        Invites,
        KeyLogPage,
        Keys,
        ListChanges,
        Login,
        NewInvite,
        Notification,
        OneConversation,
        Page,
        Push,
        Stations,
        Transcript,
        Upload,
        Vault,
    );
    assert!(
        is_held("answers.json", &schemas).unwrap(),
        "Answers have changed: UPDATE_SCHEMA=1 cargo test -p parlance-client schema, then npm run types in web/."
    );
}
