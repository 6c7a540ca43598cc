//! Accounts: the first one, invitations by users, and administration by operators, with its audit
//! log.

mod audit;
mod concurrent;
mod delete;
mod export;
mod first;
mod invite;
mod nick;
pub(crate) mod operator;
mod profile;

use serde_json::{Value, json};

use crate::world::{Answer, Person, World, key as key_of, public_key};

/// Registers someone by name, with an invitation's code if given.
// The key is made before the future is polled: of several at once, none waits with an open
// connection for the keys of the others.
fn register(world: &World, name: &str, code: Option<&str>) -> impl Future<Output = Answer> {
    let request = json!({
        "action": "register", "email": format!("{}@example.org", name.to_lowercase()), "fullname": name, "nick": name,
        "apikey": format!("the apikey of {name}"), "publickey": public_key(&key_of(name)), "rsakey": "opaque",
        "invite": code,
    });
    async move {
        let request = request.to_string();
        world.posts("chatserver", "chatlogin", &[], &request).await
    }
}

impl Person {
    /// Sends a signed action of `chatlogin` as a v4 client.
    async fn account(&self, fields: Value) -> Answer {
        self.asks_as(4, "chatlogin", fields).await
    }

    /// Creates an invitation with these fields.
    async fn invites(&self, mut fields: Value) -> Answer {
        fields["action"] = "invite".into();
        self.account(fields).await
    }

    /// The code of a new invitation.
    async fn code(&self) -> String {
        let invite = self.invites(json!({})).await.ok();
        invite["invite"].as_str().unwrap().to_owned()
    }
}
