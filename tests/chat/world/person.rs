//! People: each has a key and a station, and acts over the wire.

use std::{collections::HashMap, sync::Arc};

use parlance_client::keys::KeyPair;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Conversation, World, eventually, message, now, request, sign};

/// Someone with a key, at a station.
#[derive(Clone)]
pub(crate) struct Person {
    pub world: Arc<World>,
    pub name: String,
    pub user: String,
    pub station: String,
    pub key: Arc<KeyPair>,
}

impl Person {
    /// The same person at another station, logged in.
    pub(crate) async fn second_device(&self) -> Self {
        let other = Self {
            station: Uuid::new_v4().simple().to_string(),
            ..self.clone()
        };
        other.logs_in().await;
        other
    }

    pub(crate) async fn logs_in(&self) {
        let body = json!({ "action": "login", "apikey": format!("the apikey of {}", self.name) })
            .to_string();
        self.world
            .posts(
                "chatserver",
                "chatlogin",
                &[("Ozeki-Station", &self.station)],
                &body,
            )
            .await
            .ok();
    }

    /// Sends a signed request to chatserver, as a version 3 client.
    pub(crate) async fn asks(&self, api: &str, fields: Value) -> Answer {
        self.asks_as(3, api, fields).await
    }

    /// Like [`Person::asks`], as a client of another version.
    pub(crate) async fn asks_as(&self, version: i64, api: &str, mut fields: Value) -> Answer {
        fields["clientversioncode"] = version.into();
        fields["timestamp"] = now().into();
        self.sends("chatserver", api, &fields.to_string()).await
    }

    /// Signs a body as it is, and sends it.
    pub(crate) async fn sends(&self, srv: &str, api: &str, body: &str) -> Answer {
        let signature = self.signs(srv, api, body);
        let headers = [
            ("Ozeki-User", &*self.user),
            ("Ozeki-Station", &*self.station),
            ("Ozeki-Signature", &*signature),
        ];
        self.world.posts(srv, api, &headers, body).await
    }

    /// A signed request as bytes, for tests of clients that misbehave.
    pub(crate) fn signed_request(&self, version: i64, api: &str, mut fields: Value) -> Vec<u8> {
        fields["clientversioncode"] = version.into();
        fields["timestamp"] = now().into();
        let body = fields.to_string();
        let signature = self.signs("chatserver", api, &body);
        format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\nHost: x\r\nOzeki-User: {}\r\nOzeki-Station: {}\r\n\
             Ozeki-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            self.user,
            self.station,
            body.len()
        )
        .into_bytes()
    }

    pub(crate) fn signs(&self, srv: &str, api: &str, body: &str) -> String {
        sign(
            &self.key,
            &format!("{srv}\n{api}\n{}\n{}\n{body}", self.user, self.station),
        )
    }

    pub(crate) async fn lists(&self) -> Answer {
        self.asks("chatconversation", json!({ "action": "list" }))
            .await
    }

    pub(crate) async fn lists_friends(&self) -> Answer {
        self.asks("chatfriends", json!({ "action": "list" })).await
    }

    /// `action`: `useravailable`, `useraway`, `userbusy` or `useroffline`.
    pub(crate) async fn sets_availability(&self, action: &str) -> Answer {
        self.asks("chatavailability", json!({ "action": action }))
            .await
    }

    pub(crate) async fn blocks(&self, other: &Self) -> Answer {
        self.asks(
            "chatblocklist",
            json!({ "action": "block", "userid": other.user }),
        )
        .await
    }

    pub(crate) async fn unblocks(&self, other: &Self) -> Answer {
        self.asks(
            "chatblocklist",
            json!({ "action": "unblock", "userid": other.user }),
        )
        .await
    }

    pub(crate) async fn requests_friendship(&self, other: &Self) -> Answer {
        self.asks(
            "chatfriends",
            json!({ "action": "add", "friendid": other.user }),
        )
        .await
    }

    pub(crate) async fn unfriends(&self, other: &Self) -> Answer {
        self.asks(
            "chatfriends",
            json!({ "action": "remove", "friendid": other.user }),
        )
        .await
    }

    pub(crate) async fn befriends(&self, other: &Self) {
        self.requests_friendship(other).await.ok();
        other
            .asks(
                "chatfriends",
                json!({ "action": "accept", "friendid": self.user }),
            )
            .await
            .ok();
    }

    /// Creates the direct conversation with a friend.
    pub(crate) async fn creates(&self, other: &Self) -> Conversation {
        let answer = self.asks("chatconversation", self.creation(other)).await;
        Conversation::of(&answer.ok()["conversation"])
    }

    /// The request of [`Person::creates`].
    pub(crate) fn creation(&self, other: &Self) -> Value {
        let secrets = HashMap::from([
            (&self.user, format!("secret for {}", self.name)),
            (&other.user, format!("secret for {}", other.name)),
        ]);
        let names = HashMap::from([
            (&self.user, format!("name for {}", self.name)),
            (&other.user, format!("name for {}", other.name)),
        ]);
        json!({ "action": "create", "participantid": other.user, "secrets": secrets, "displaynames": names })
    }

    /// Sends a request about a conversation, with its instance, which most actions need.
    pub(crate) async fn does(
        &self,
        action: &str,
        conversation: &Conversation,
        fields: Value,
    ) -> Answer {
        self.asks("chatconversation", request(action, conversation, fields))
            .await
    }

    /// Adds a message. Returns its id.
    pub(crate) async fn adds(&self, conversation: &Conversation, data: &str) -> String {
        let message = message(data);
        self.does(
            "add",
            conversation,
            json!({ "message": message.to_string() }),
        )
        .await
        .ok();
        message["ID"].as_str().unwrap().to_owned()
    }

    /// Reports that messages were seen.
    pub(crate) async fn views(&self, conversation: &Conversation, ids: &[String]) -> Answer {
        let report = json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": ids });
        self.asks("chatreports", report).await
    }

    /// All messages and reports, from the beginning.
    pub(crate) async fn reads(&self, conversation: &Conversation) -> Value {
        self.does("download", conversation, json!({})).await.ok()
    }

    /// All messages, page by page.
    pub(crate) async fn reads_all(&self, conversation: &Conversation) -> Vec<Value> {
        let mut all: Vec<Value> = vec![];
        loop {
            let cursor =
                json!({ "firstmessageid": all.last().map(|message| message["ID"].clone()) });
            let page = self.does("download", conversation, cursor).await.ok();
            // The first row is the cursor's own.
            let new = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .skip(usize::from(!all.is_empty()))
                .cloned();
            let before = all.len();
            all.extend(new);
            if all.len() == before {
                return all;
            }
        }
    }

    /// The conversation in this person's list.
    pub(crate) async fn sees(&self, conversation: &Conversation) -> Value {
        let list = self.lists().await.ok();
        let found = list["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["id"] == conversation.id.as_str())
            .cloned();
        found.unwrap_or_else(|| panic!("{} does not see {conversation:?}", self.name))
    }

    /// Sets the availability before any socket is opened, so that opening one changes nothing.
    pub(crate) async fn is_available(&self) {
        self.sets_availability("useravailable").await.ok();
    }

    /// The availability of their only friend, according to their list.
    pub(crate) async fn friend_is(&self) -> String {
        let list = self.lists_friends().await.ok();
        list["availabilities"][0]["availability"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until their only friend has this availability.
    pub(crate) async fn sees_friend(&self, availability: &str) {
        eventually(availability, async || {
            self.friend_is().await == availability
        })
        .await;
    }
}
