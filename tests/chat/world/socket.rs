//! A test's WebSocket: frames are awaited, and silence is proved by a ping and its pong.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Error, Message, client::IntoClientRequest, handshake::client::Request,
        protocol::frame::coding::CloseCode,
    },
};

use uuid::Uuid;

use super::{Person, now};

/// A station with a socket.
pub(crate) struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

fn encoded(text: &str) -> String {
    text.replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D")
        .replace(' ', "%20")
}

/// A handshake of a v4 client that keeps its signature out of the URL.
pub(crate) fn handshake(person: &Person, timestamp: &str, nonce: &str) -> Request {
    let signature = person.signs("chatserver", "websocket", &format!("{timestamp}\n{nonce}"));
    let url = format!(
        "{}/ws?user={}&station={}&timestamp={}&nonce={nonce}&clientversioncode=4",
        person.world.url.replace("http", "ws"),
        person.user,
        person.station,
        encoded(timestamp),
    );
    let mut request = url.into_client_request().unwrap();
    let name = signature
        .replace('+', "-")
        .replace('/', "_")
        .replace('=', "");
    let protocols = format!("parlance, parlance.signature.{name}");
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
    request
}

/// The URL of a handshake.
pub(crate) fn address(person: &Person, version: i64, timestamp: &str) -> String {
    let signature = person.signs("chatserver", "websocket", timestamp);
    format!(
        "{}/ws?user={}&station={}&timestamp={}&signature={}&clientversioncode={version}",
        person.world.url.replace("http", "ws"),
        person.user,
        person.station,
        encoded(timestamp),
        encoded(&signature),
    )
}

impl Socket {
    /// Opens a socket whose first frame was not read yet.
    pub(crate) async fn open(person: &Person, version: i64) -> Self {
        // As a client does: a node refuses a handshake during which users changed, and a person who
        // was made a moment ago may be such a change on another node.
        for _ in 0..10 {
            let request = if version < 4 {
                address(person, version, &now())
                    .into_client_request()
                    .unwrap()
            } else {
                handshake(person, &now(), &Uuid::new_v4().simple().to_string())
            };
            match tokio_tungstenite::connect_async(request).await {
                Ok((stream, _)) => return Self { stream },
                Err(Error::Http(answer)) if answer.status() == 503 => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no handshake is accepted");
    }

    /// Opens a socket and reads the first frame, of a station that the node did not know.
    pub(crate) async fn of(person: &Person, version: i64) -> Self {
        let mut socket = Self::open(person, version).await;
        assert_eq!(
            socket.hears().await["conversationlistchangedof"],
            json!([person.user])
        );
        socket
    }

    /// The next frame.
    pub(crate) async fn hears(&mut self) -> Value {
        loop {
            match timeout(Duration::from_secs(10), self.stream.next())
                .await
                .expect("a frame")
            {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no frame: {other:?}"),
            }
        }
    }

    /// The next frame with a value in this field. Others are notified of availability meanwhile.
    pub(crate) async fn hears_about(&mut self, field: &str) -> Value {
        loop {
            match self.hears().await[field].take() {
                Value::Null => {}
                Value::Array(nothing) if nothing.is_empty() => {}
                something => return something,
            }
        }
    }

    /// Reads up to the server's next ping.
    pub(crate) async fn is_pinged(&mut self) {
        while !matches!(
            timeout(Duration::from_secs(40), self.stream.next())
                .await
                .expect("a ping"),
            Some(Ok(Message::Ping(_)))
        ) {}
    }

    /// Asserts that nothing was sent before the answer to a ping.
    pub(crate) async fn hears_nothing(&mut self) {
        self.stream
            .send(Message::Ping(vec![7].into()))
            .await
            .unwrap();
        loop {
            match timeout(Duration::from_secs(10), self.stream.next())
                .await
                .expect("a pong")
            {
                Some(Ok(Message::Pong(_))) => return,
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("it heard {other:?}"),
            }
        }
    }

    /// Reads everything that was sent so far.
    pub(crate) async fn drain(&mut self) {
        self.stream
            .send(Message::Ping(vec![7].into()))
            .await
            .unwrap();
        while !matches!(
            timeout(Duration::from_secs(10), self.stream.next())
                .await
                .expect("a pong"),
            Some(Ok(Message::Pong(_)))
        ) {}
    }

    /// Closes it, and waits until the server has noticed.
    pub(crate) async fn closes(mut self) {
        self.stream.close(None).await.unwrap();
        while self.stream.next().await.is_some() {}
    }

    pub(crate) async fn says(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The close code with which the server ends it.
    pub(crate) async fn ends(&mut self) -> CloseCode {
        loop {
            match timeout(Duration::from_secs(10), self.stream.next())
                .await
                .expect("an end")
            {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code,
                Some(Ok(_)) => {}
                other => panic!("no close: {other:?}"),
            }
        }
    }
}
