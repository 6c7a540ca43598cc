//! Signed requests, made before they are sent: signing costs the client more than everything else,
//! and would limit the rate.

use std::sync::Arc;

use parlance_client::{keys::KeyPair, signing::Identity};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    signature,
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};

/// A user at a station.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub user: UserId,
    pub station: StationId,
}

/// A request before it is signed.
#[derive(Debug)]
pub(crate) struct UnsignedRequest {
    pub caller: Caller,
    /// The API that it calls.
    pub api: &'static str,
    /// Its fields, without those that every request has.
    pub fields: serde_json::Value,
}

/// Signs for all users, who share one key.
pub(crate) struct Signer {
    pub key: Arc<KeyPair>,
    host: String,
}

impl Signer {
    /// Creates a signer with a new key, for requests to this host.
    pub(crate) fn new(host: &str) -> Result<Self, String> {
        Ok(Self {
            // One key: generating an RSA key for each of a thousand users would take minutes, and
            // verifying costs the same.
            key: Arc::new(KeyPair::generate().map_err(|error| error.to_string())?),
            host: host.to_owned(),
        })
    }

    /// Makes `count` requests, on all cores.
    pub(crate) fn requests(
        &self,
        count: usize,
        asked: impl Fn(usize) -> UnsignedRequest + Sync,
    ) -> Result<Vec<Vec<u8>>, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // One timestamp for all: the server accepts it for five minutes (SIGNATURE_WINDOW), within
        // which a run has to end.
        let now = Timestamp::now();
        std::thread::scope(|scope| {
            let asked = &asked;
            let parts: Vec<_> = (0..threads)
                .map(|part| {
                    let share = part * count / threads..(part + 1) * count / threads;
                    scope.spawn(move || {
                        share
                            .map(|number| self.request(asked(number), now))
                            .collect::<Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(count);
            for part in parts {
                all.extend(
                    part.join()
                        .map_err(|_| "a thread that signs has failed")??,
                );
            }
            Ok(all)
        })
    }

    /// Makes a request with this timestamp.
    pub(crate) fn request(
        &self,
        asked: UnsignedRequest,
        now: Timestamp,
    ) -> Result<Vec<u8>, String> {
        let api = asked.api;
        let (body, headers) = self.sign(asked, now)?;
        // Written by hand: an HTTP library would use more CPU time than the request costs the
        // server.
        let text = format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            length = body.len()
        );
        Ok(text.into_bytes())
    }

    /// The JSON of a request with this timestamp, and the headers of every request.
    pub(super) fn sign(
        &self,
        asked: UnsignedRequest,
        now: Timestamp,
    ) -> Result<(String, String), String> {
        let UnsignedRequest {
            caller: Caller { user, station },
            api,
            mut fields,
        } = asked;
        if let Some(fields) = fields.as_object_mut() {
            // As a v3 client, which sends no nonce: a v4 request could be sent only once.
            fields
                .entry("clientversioncode")
                .or_insert_with(|| 3.into());
            fields.insert("timestamp".into(), now.to_string().into());
        }
        let body = fields.to_string();
        let text = signature::text(
            "chatserver",
            api,
            &user.to_string(),
            &station.to_string(),
            body.as_bytes(),
        );
        let signature = self.key.sign(&text).map_err(|error| error.to_string())?;
        let headers = format!(
            "Host: {host}\r\nOzeki-User: {user}\r\nOzeki-Station: {station}\r\nOzeki-Signature: {signature}\r\n",
            host = self.host,
        );
        Ok((body, headers))
    }

    /// The URL of a WebSocket for a v4 client.
    pub(crate) fn socket(&self, caller: Caller) -> Result<String, String> {
        let Caller { user, station } = caller;
        let identity = Identity {
            user,
            station,
            pair: self.key.clone(),
        };
        let listener =
            Url::parse(&format!("ws://{}/ws", self.host)).map_err(|error| error.to_string())?;
        let url = identity
            .socket_url(&listener, Timestamp::now(), &Uuid::new_v4().to_string())
            .map_err(|error| error.to_string())?;
        Ok(url.into())
    }
}

/// A new message.
#[must_use]
pub(crate) fn add(
    caller: Caller,
    conversation: ConversationId,
    instance: &Instance,
    bytes: usize,
) -> UnsignedRequest {
    let id = Uuid::new_v4();
    let message = json!({ "ID": id, "Type": "Message", "Created": Timestamp::now(), "Data": data(id, bytes) }).to_string();
    let fields = json!({ "action": "add", "conversationid": conversation, "instance": instance, "message": message });
    UnsignedRequest {
        caller,
        api: "chatconversation",
        fields,
    }
}

/// Base64 of this many bytes, different for each message, like ciphertext.
fn data(id: Uuid, bytes: usize) -> String {
    id.simple()
        .to_string()
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

/// An action on a conversation without further fields.
#[must_use]
pub(crate) fn of(
    caller: Caller,
    action: &str,
    conversation: ConversationId,
    instance: &Instance,
) -> UnsignedRequest {
    let fields = json!({ "action": action, "conversationid": conversation, "instance": instance });
    UnsignedRequest {
        caller,
        api: "chatconversation",
        fields,
    }
}

/// The rows from a message on.
#[must_use]
pub(crate) fn download(
    caller: Caller,
    conversation: ConversationId,
    instance: &Instance,
    from: Option<MessageId>,
) -> UnsignedRequest {
    let mut asked = of(caller, "download", conversation, instance);
    if let (Some(from), Some(fields)) = (from, asked.fields.as_object_mut()) {
        fields.insert("firstmessageid".into(), from.to_string().into());
    }
    asked
}

/// A report on one message.
#[must_use]
pub(crate) fn viewed(
    caller: Caller,
    conversation: ConversationId,
    instance: &Instance,
    message: Option<MessageId>,
) -> UnsignedRequest {
    let ids: Vec<MessageId> = message.into_iter().collect();
    let fields = json!({ "action": "viewed", "conversationid": conversation, "instance": instance, "messageids": ids });
    UnsignedRequest {
        caller,
        api: "chatreports",
        fields,
    }
}

#[must_use]
pub(crate) fn list(caller: Caller) -> UnsignedRequest {
    UnsignedRequest {
        caller,
        api: "chatconversation",
        fields: json!({ "action": "list" }),
    }
}

/// The list as version 4 has it, or what has changed in it since this mark.
#[must_use]
pub(crate) fn list_v4(caller: Caller, known: Option<&str>) -> UnsignedRequest {
    let mut fields = json!({
        // Without a nonce, a second request of the same second would be refused as a repetition.
        "action": "list", "clientversioncode": ClientVersion::V4.code(), "nonce": Uuid::new_v4().simple().to_string(),
    });
    if let (Some(known), Some(fields)) = (known, fields.as_object_mut()) {
        fields.insert("known".into(), known.into());
    }
    UnsignedRequest {
        caller,
        api: "chatconversation",
        fields,
    }
}

/// A poll for notifications.
#[must_use]
pub(crate) fn poll(caller: Caller) -> UnsignedRequest {
    UnsignedRequest {
        caller,
        api: "chatnotification",
        fields: json!({ "action": "download" }),
    }
}
