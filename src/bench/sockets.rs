//! WebSockets: the cost of an idle one, and the latency of a message from the sender's request to
//! the receiver's frame.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message},
};
use uuid::Uuid;

use super::{
    client::Client,
    load::{Load, Tally},
    requests::{Caller, Signer},
};

/// Maximum time for a frame to arrive; a later one counts as lost.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of sockets that are opened at the same time.
const AT_ONCE: usize = 32;

/// An open socket.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Opens a socket for each caller, and reads the first frame, which asks for a resync.
pub(crate) async fn open(
    address: SocketAddr,
    signer: &Signer,
    callers: &[Caller],
) -> Result<Vec<Socket>, String> {
    let mut sockets = Vec::with_capacity(callers.len());
    // Not all at once: each handshake costs the server a signature check, and thousands of them
    // would only queue.
    for callers in callers.chunks(AT_ONCE) {
        let mut opening = JoinSet::new();
        for caller in callers {
            let url = signer.socket(*caller)?;
            opening.spawn(async move {
                let mut socket = connect(address, url)
                    .await
                    .map_err(|error| format!("a socket was refused: {error}"))?;
                socket
                    .next()
                    .await
                    .ok_or("a socket was closed")?
                    .map_err(|error| error.to_string())?;
                Ok::<_, String>(socket)
            });
        }
        while let Some(socket) = opening.join_next().await {
            sockets.push(socket.map_err(|error| error.to_string())??);
        }
    }
    Ok(sockets)
}

/// Opens the socket of a URL, at this address.
///
/// # Errors
/// No server listens there, or it refuses the socket.
pub(crate) async fn connect(
    address: SocketAddr,
    url: String,
) -> Result<Socket, tungstenite::Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(url, stream).await?;
    Ok(socket)
}

/// Sends messages, and records how long each takes to arrive at one of the sockets.
pub(crate) async fn push(
    address: SocketAddr,
    load: Load,
    requests: Arc<Vec<Vec<u8>>>,
    sockets: Vec<Socket>,
    begin: impl FnOnce(),
) -> Result<Tally, String> {
    let sent = Arc::new(Mutex::new(HashMap::<String, Instant>::new()));
    let heard = Arc::new(Mutex::new(Tally::new()?));
    let listeners = Arc::new(tokio::sync::Notify::new());
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        let (sent, heard, listeners) = (sent.clone(), heard.clone(), listeners.clone());
        tasks.spawn(async move {
            while let Some(Ok(frame)) = socket.next().await {
                match frame {
                    Message::Text(text) => {
                        for id in ids(&text) {
                            // Counted once: sender and receiver both have a socket, and the earlier
                            // frame is the latency.
                            let sent = sent
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .remove(id);
                            if let Some(sent) = sent {
                                heard
                                    .lock()
                                    .unwrap_or_else(PoisonError::into_inner)
                                    .count(sent.elapsed(), None);
                                listeners.notify_one();
                            }
                        }
                    }
                    // The server drops a socket that does not answer its pings.
                    Message::Ping(payload) => drop(socket.send(Message::Pong(payload)).await),
                    _ => {}
                }
            }
        });
    }
    begin();
    let first = Instant::now();
    let mut senders = JoinSet::new();
    for part in 0..load.connections {
        let mut client = Client::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        let (requests, sent, heard) = (requests.clone(), sent.clone(), heard.clone());
        senders.spawn(async move {
            for request in requests.iter().skip(part).step_by(load.connections) {
                let id = ids(std::str::from_utf8(request).unwrap_or_default())
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                // Recorded before the request is sent: the frame may arrive before its answer.
                sent.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(id, Instant::now());
                if let Some(code) = client
                    .ask(request)
                    .await
                    .map_err(|error| error.to_string())?
                {
                    heard
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .count(Duration::ZERO, Some(code));
                }
            }
            Ok::<_, String>(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.map_err(|error| error.to_string())??;
    }
    let count = |tally: &Tally| {
        usize::try_from(tally.latencies.len() + tally.errors.values().sum::<u64>())
            .unwrap_or(usize::MAX)
    };
    // A bounded wait for each further frame: if one is lost, the run still ends, and reports it.
    while count(&heard.lock().unwrap_or_else(PoisonError::into_inner)) < requests.len() {
        if tokio::time::timeout(FRAME_TIMEOUT, listeners.notified())
            .await
            .is_err()
        {
            break;
        }
    }
    // Before the results are taken, so that a late frame is not counted after it was counted as
    // missing.
    tasks.shutdown().await;
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tally = std::mem::replace(&mut *heard, Tally::new()?);
    tally.took = first.elapsed();
    let missing = requests.len().saturating_sub(count(&tally));
    if missing > 0 {
        tally.errors.insert(
            "not heard in time".into(),
            u64::try_from(missing).unwrap_or(u64::MAX),
        );
    }
    Ok(tally)
}

/// The ids of messages in a text, escaped or not.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    // Searched for instead of parsed: the client's CPU time must not limit the rate.
    text.match_indices("ID").filter_map(|(at, _)| {
        let rest = text.get(at + 2..)?.trim_start_matches(['\\', '"', ':']);
        rest.get(..36).filter(|id| Uuid::try_parse(id).is_ok())
    })
}
