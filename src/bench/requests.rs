//! Signed requests, made before they are sent: a signature takes the client longer than all else, and would
//! set the pace.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use uuid::Uuid;

use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// Someone who asks, from a station.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub user: UserId,
    pub station: StationId,
}

/// What someone asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub caller: Caller,
    /// Of which API.
    pub api: &'static str,
    /// Its fields; what all requests have is added.
    pub fields: serde_json::Value,
}

/// A key pair.
pub(crate) struct Key {
    pair: KeyPair,
    random: SystemRandom,
}

impl Key {
    /// A new one.
    pub(crate) fn new() -> Result<Self, String> {
        let pair =
            KeyPair::generate(KeySize::Rsa2048).map_err(|_| "a key pair could not be made")?;
        Ok(Self {
            pair,
            random: SystemRandom::new(),
        })
    }

    /// The public key, as the database keeps it.
    pub(crate) fn public_key(&self) -> Result<String, String> {
        let der: PublicKeyX509Der<'_> = self
            .pair
            .public_key()
            .as_der()
            .map_err(|_| "the key cannot be written")?;
        Ok(STANDARD.encode(der.as_ref()))
    }

    /// Signs a text as docs/api.md says, in base64.
    ///
    /// # Errors
    /// The key does not sign.
    pub(crate) fn sign(&self, text: &str) -> Result<String, String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(
            &RSA_PKCS1_SHA256,
            &self.random,
            text.as_bytes(),
            &mut signature,
        );
        signed.map_err(|_| "a request could not be signed")?;
        Ok(STANDARD.encode(signature))
    }
}

/// Signs for everyone: all users have one key.
pub(crate) struct Signer {
    pub key: Key,
    host: String,
}

impl Signer {
    /// With a new key, for requests to this host.
    pub(crate) fn new(host: &str) -> Result<Self, String> {
        Ok(Self {
            key: Key::new()?,
            host: host.to_owned(),
        })
    }

    /// Makes so many requests, on all cores.
    pub(crate) fn requests(
        &self,
        count: usize,
        asked: impl Fn(usize) -> Asked + Sync,
    ) -> Result<Vec<Vec<u8>>, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
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

    /// Makes a request, signed at this moment.
    pub(crate) fn request(&self, asked: Asked, now: Timestamp) -> Result<Vec<u8>, String> {
        let Asked {
            caller: Caller { user, station },
            api,
            mut fields,
        } = asked;
        if let Some(fields) = fields.as_object_mut() {
            fields
                .entry("clientversioncode")
                .or_insert_with(|| 3.into());
            fields.insert("timestamp".into(), now.to_string().into());
        }
        let body = fields.to_string();
        let signature = self
            .key
            .sign(&format!("chatserver\n{api}\n{user}\n{station}\n{body}"))?;
        let text = format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\nHost: {host}\r\nOzeki-User: {user}\r\nOzeki-Station: {station}\r\n\
             Ozeki-Signature: {signature}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            host = self.host,
            length = body.len()
        );
        Ok(text.into_bytes())
    }

    /// The address of a WebSocket for a v4 client.
    pub(crate) fn socket(&self, caller: Caller) -> Result<String, String> {
        let (Caller { user, station }, now) = (caller, Timestamp::now());
        let signature = self
            .key
            .sign(&format!("chatserver\nwebsocket\n{user}\n{station}\n{now}"))?;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (now, signature) = (encoded(&now.to_string()), encoded(&signature));
        Ok(format!(
            "ws://{}/ws?user={user}&station={station}&timestamp={now}&signature={signature}&clientversioncode=4",
            self.host
        ))
    }
}

/// A new message.
#[must_use]
pub(crate) fn add(
    caller: Caller,
    conversation: ConversationId,
    instance: &Instance,
    bytes: usize,
) -> Asked {
    let id = Uuid::new_v4();
    let message = json!({ "ID": id, "Type": "Message", "Created": Timestamp::now(), "Data": data(id, bytes) }).to_string();
    let fields = json!({ "action": "add", "conversationid": conversation, "instance": instance, "message": message });
    Asked {
        caller,
        api: "chatconversation",
        fields,
    }
}

/// So much base64 as this; different for each message, as ciphertext is.
fn data(id: Uuid, bytes: usize) -> String {
    id.simple()
        .to_string()
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}

/// Something that an action asks of a conversation.
#[must_use]
pub(crate) fn of(
    caller: Caller,
    action: &str,
    conversation: ConversationId,
    instance: &Instance,
) -> Asked {
    let fields = json!({ "action": action, "conversationid": conversation, "instance": instance });
    Asked {
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
) -> Asked {
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
) -> Asked {
    let ids: Vec<MessageId> = message.into_iter().collect();
    let fields = json!({ "action": "viewed", "conversationid": conversation, "instance": instance, "messageids": ids });
    Asked {
        caller,
        api: "chatreports",
        fields,
    }
}

#[must_use]
pub(crate) fn list(caller: Caller) -> Asked {
    Asked {
        caller,
        api: "chatconversation",
        fields: json!({ "action": "list" }),
    }
}

/// What is new.
#[must_use]
pub(crate) fn poll(caller: Caller) -> Asked {
    Asked {
        caller,
        api: "chatnotification",
        fields: json!({ "action": "download" }),
    }
}
