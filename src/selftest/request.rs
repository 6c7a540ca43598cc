//! Signed requests as docs/api.md describes them, and why they are refused. Fields are raw JSON: types that the test
//! shared with the server would hide a mistake that both make.

use std::fmt;

use parlance_client::keys::KeyPair;
use parlance_wire::signature;
use serde_json::{Value, json};

use super::{
    form::{Id, now, plain, time},
    rng::Rng,
};

/// The first client version with extensions.
pub(super) const V4: i64 = 4;
/// The client version of the published API.
pub(super) const V3: i64 = 3;

/// A user at one of their stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Station {
    pub user: Id,
    pub station: Id,
}

/// A request to an API.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub api: &'static str,
    /// The client's version.
    pub version: i64,
    /// The action and its fields.
    pub fields: Value,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// A user who has logged in; the request is signed.
    Signed(Station),
    /// A station without a logged-in user.
    Unsigned(Id),
}

impl Request {
    /// An action on a conversation.
    pub(super) fn on(action: &str, conversation: Id, instance: &str, version: i64) -> Self {
        let fields = json!({ "action": action, "conversationid": plain(conversation), "instance": instance });
        Self {
            api: "chatconversation",
            version,
            fields,
        }
    }

    /// With one more field.
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(fields) = self.fields.as_object_mut() {
            fields.insert(field.into(), value.into());
        }
        self
    }

    /// Its action, for findings.
    pub(super) fn action(&self) -> &str {
        self.fields
            .get("action")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The bytes of the request, signed at this moment.
    pub(super) fn bytes(
        &self,
        key: &KeyPair,
        host: impl fmt::Display,
        from: From,
        rng: &mut Rng,
    ) -> Result<Vec<u8>, String> {
        let mut fields = self.fields.clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("clientversioncode".into(), self.version.into());
            // Signed anew for each attempt: the server refuses an old timestamp, and a nonce that it has seen.
            fields.insert("timestamp".into(), time(now()).into());
            if self.version >= V4 {
                fields.insert(
                    "nonce".into(),
                    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64()).into(),
                );
            }
        }
        let (api, body) = (self.api, fields.to_string());
        let head = match from {
            From::Signed(Station { user, station }) => {
                let (user, station) = (plain(user), plain(station));
                let text = signature::text("chatserver", api, &user, &station, body.as_bytes());
                let signature = key.sign(&text).map_err(|error| error.to_string())?;
                format!(
                    "Ozeki-User: {user}\r\nOzeki-Station: {station}\r\nOzeki-Signature: {signature}\r\n"
                )
            }
            From::Unsigned(station) => format!("Ozeki-Station: {}\r\n", plain(station)),
        };
        let length = body.len();
        Ok(format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\nHost: {host}\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The error code, or the HTTP status of an answer without one. `None`: no answer came in a long time.
    pub code: Option<String>,
    pub body: Value,
}

impl Refusal {
    /// Returns `true` when it has this error code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Returns `true` when it asks to try again.
    pub(super) fn is_temporary(&self) -> bool {
        ["unavailable", "rate_limited", "429", "502", "503", "504"]
            .iter()
            .any(|code| self.is(code))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.code.as_deref().unwrap_or("no answer"),
            self.body
        )
    }
}
