//! The socket, which receives notifications.

use std::{fmt, time::Duration};

use futures_util::{SinkExt, StreamExt};
use parlance_wire::{id::ConversationId, time::Timestamp, version::ClientVersion};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};
use url::Url;

use crate::{
    answer::Notification,
    call::refusal,
    error::{Error, ErrorCode},
    keys,
    session::Session,
};

/// Maximum time without a frame; the server pings every 25 seconds.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// An open socket. It ends when it is dropped, or when the station opens another one.
///
/// The server repeats what a socket did not deliver. So a client that opens a new socket whenever
/// one ends, and does what [`Notification`] requires, misses nothing. [`Feed`](crate::Feed) does
/// that.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    end: Option<SocketEnd>,
}

/// How the server ended a socket, which decides what to do next (docs/api.md, The WebSocket).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnd {
    /// The station opened another socket: do not reconnect.
    Replaced,
    /// The station was signed out: log in again.
    SignedOut,
    /// An operator has disabled the user.
    Disabled,
    /// Too many frames: send fewer.
    TooManyFrames,
    /// The server stops, or refused a frame: reconnect.
    Other(u16),
}

impl SocketEnd {
    fn of_code(code: u16) -> Self {
        match code {
            4409 => Self::Replaced,
            4401 => Self::SignedOut,
            4403 => Self::Disabled,
            4429 => Self::TooManyFrames,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for SocketEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced => f.write_str("the station has opened another socket"),
            Self::SignedOut => f.write_str("the station was signed out"),
            Self::Disabled => f.write_str("the user is disabled"),
            Self::TooManyFrames => f.write_str("too many frames were sent"),
            Self::Other(code) => write!(f, "code {code}"),
        }
    }
}

impl Session {
    /// Opens a socket. One attempt only.
    ///
    /// # Errors
    /// `Refused`, if the server does not open it; `Socket` and `SocketTimeout`, if it cannot be reached.
    pub async fn open_socket(&self) -> Result<Socket, Error> {
        // A server has one, `ws` or `wss`, matching the scheme of its public address.
        let listener = self.login().listeners.values().next();
        let listener = listener
            .and_then(|listener| Url::parse(listener).ok())
            .ok_or(Error::Invalid("the server's listener"))?;
        let nonce = keys::random_secret()?;
        let handshake =
            self.identity()
                .handshake(&listener, ClientVersion::V4, Timestamp::now(), &nonce)?;
        let mut request = handshake
            .url
            .as_str()
            .into_client_request()
            .map_err(Box::new)?;
        let protocols = HeaderValue::from_str(&handshake.protocols)
            .map_err(|_| Error::Invalid("the signature"))?;
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, protocols);
        let connect = tokio_tungstenite::connect_async(request);
        match timeout(self.server.retry.timeout, connect).await {
            Err(_) => Err(Error::SocketTimeout),
            Ok(Ok((stream, _))) => Ok(Socket { stream, end: None }),
            Ok(Err(tungstenite::Error::Http(answer))) => {
                let retry_after = answer
                    .headers()
                    .get("retry-after")
                    .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
                    .map(Duration::from_secs);
                let body = answer.body().as_deref().unwrap_or_default();
                Err(refusal(answer.status().as_u16(), retry_after, body).into())
            }
            Ok(Err(error)) => Err(Box::new(error).into()),
        }
    }
}

impl Socket {
    /// Receives the next notification. Returns `None` when the socket has ended: by the server, a
    /// network failure, or a minute without a frame.
    ///
    /// # Errors
    /// `Refused`, if the server refused a frame of this client; `Answer`, if a frame is not of the
    /// documented form.
    pub async fn next(&mut self) -> Result<Option<Notification>, Error> {
        loop {
            // Pings are answered by the stream while it is read.
            match timeout(IDLE_TIMEOUT, self.stream.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    if let Some(notification) = read(&text)? {
                        return Ok(Some(notification));
                    }
                }
                Ok(Some(Ok(Message::Close(frame)))) => {
                    self.end = frame.map(|frame| SocketEnd::of_code(frame.code.into()));
                    return Ok(None);
                }
                // Not an error, whatever the reason: the next socket delivers everything that was
                // missed.
                Ok(Some(Err(_)) | None) | Err(_) => return Ok(None),
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// How the server ended it, once [`Socket::next`] has returned `None`. `None` means that the
    /// connection was lost.
    #[must_use]
    pub fn end(&self) -> Option<SocketEnd> {
        self.end
    }

    /// Sends a ping, so that the connection does not look idle. [`Socket::next`] consumes the
    /// answer.
    ///
    /// # Errors
    /// `Socket`, if it has ended.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.say(json!({ "action": "ping" })).await
    }

    /// Notifies the other participants that the user is writing. The server passes on one per
    /// second.
    ///
    /// # Errors
    /// `Socket`, if it has ended.
    pub async fn typing(&mut self, conversation: ConversationId) -> Result<(), Error> {
        self.say(json!({ "action": "typing", "conversationid": conversation }))
            .await
    }

    async fn say(&mut self, frame: Value) -> Result<(), Error> {
        self.stream
            .send(Message::Text(frame.to_string().into()))
            .await
            .map_err(|error| Box::new(error).into())
    }
}

/// Reads a frame: a notification, or the refusal of a frame of ours. Returns `None` for the answer
/// to a ping.
fn read(text: &str) -> Result<Option<Notification>, Error> {
    // Tried as a notification first, as a refusal only answers a frame that this client sent.
    serde_json::from_str(text).map(Some).or_else(|error| {
        if serde_json::from_str::<Pong>(text).is_ok() {
            return Ok(None);
        }
        Err(match refusal(400, None, text.as_bytes()) {
            refusal if refusal.code != ErrorCode::Unknown => refusal.into(),
            _ => Error::Answer(error),
        })
    })
}

#[derive(Deserialize)]
struct Pong {
    // Not used, but required: a struct without required fields would match every frame.
    #[serde(rename = "pong")]
    _at: Timestamp,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}
