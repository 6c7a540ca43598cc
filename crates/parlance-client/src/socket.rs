//! The socket: notification objects as they come.

use std::{fmt, time::Duration};

use futures_util::{SinkExt, StreamExt};
use parlance_wire::{id::ConversationId, time::Timestamp, version::ClientVersion};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{self, Message},
};
use url::Url;

use crate::{
    answer::Notification,
    call::refusal,
    error::{Error, ErrorCode},
    session::Session,
};

/// Maximum silence of a server, which pings every 25 seconds.
const SILENCE: Duration = Duration::from_mins(1);

/// An open socket. It ends when it is dropped, or when the station opens another one.
///
/// The server repeats what a socket did not deliver. So a client that opens a new one whenever a socket ends, and
/// does what [`Notification`] asks for, misses nothing. [`Feed`](crate::Feed) does that.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Session {
    /// Opens a socket. One attempt only.
    ///
    /// # Errors
    /// `Refused`, if the server does not open it; `Socket` and `SocketTimeout`, if it cannot be reached.
    pub async fn open_socket(&self) -> Result<Socket, Error> {
        // A server names one: `ws` or `wss`, as its public address is `http` or `https`.
        let listener = self.login().listeners.values().next();
        let listener = listener
            .and_then(|listener| Url::parse(listener).ok())
            .ok_or(Error::Invalid("the server's listener"))?;
        let url = self
            .identity()
            .socket_url(&listener, ClientVersion::V4, Timestamp::now())?;
        let connect = tokio_tungstenite::connect_async(url.as_str());
        match timeout(self.server.retry.timeout, connect).await {
            Err(_) => Err(Error::SocketTimeout),
            Ok(Ok((stream, _))) => Ok(Socket { stream }),
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
    /// The next notification. Returns `None` when the socket has ended: by the server, by a fault of the network, or
    /// as nothing came for a minute.
    ///
    /// # Errors
    /// `Refused`, if the server did not take what was sent to it; `Answer`, if a frame is not of the documented form.
    pub async fn next(&mut self) -> Result<Option<Notification>, Error> {
        loop {
            // Pings are answered by the stream while it is read.
            match timeout(SILENCE, self.stream.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    return read(&text).map(Some);
                }
                // Not an error, whatever ended it: the next socket makes up for what this one missed.
                Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return Ok(None),
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// Tells the other participants that the user is writing. The server passes on one a second.
    ///
    /// # Errors
    /// `Socket`, if it has ended.
    pub async fn typing(&mut self, conversation: ConversationId) -> Result<(), Error> {
        let frame = json!({ "action": "typing", "conversationid": conversation }).to_string();
        self.stream
            .send(Message::Text(frame.into()))
            .await
            .map_err(|error| Box::new(error).into())
    }
}

/// Reads a frame: a notification, or the refusal of what was sent.
fn read(text: &str) -> Result<Notification, Error> {
    // Tried as a notification first: a refusal only answers a frame that this client sent.
    serde_json::from_str(text).map_err(|error| match refusal(400, None, text.as_bytes()) {
        refusal if refusal.code != ErrorCode::Unknown => refusal.into(),
        _ => Error::Answer(error),
    })
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}
