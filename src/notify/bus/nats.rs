//! The bus over NATS: connects, publishes the queue, and announces the hints of other nodes.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use async_nats::{ConnectOptions, ServerAddr};
use futures_util::StreamExt;
use nkeys::KeyPair;
use percent_encoding::percent_decode_str;

use super::{Bus, Queue, envelope::Envelope};
use crate::notify::{event::Event, registry::Notifications, resync::Resync};

const SUBJECT: &str = "parlance.hints";
/// Delay before reconnecting to NATS after a failure.
const RECONNECT_DELAY: Duration = Duration::from_secs(4);

/// The parts of a node that its bus uses.
#[derive(Clone)]
pub(crate) struct Node {
    pub bus: Arc<Bus>,
    /// The registry in which hints of other nodes are announced.
    pub notifications: Arc<Notifications>,
    /// Requested when a hint was missed.
    pub resync: Arc<Resync>,
    /// How often this node repeats its sequence number.
    pub repeat: Duration,
}

/// `NATS_CREDENTIALS` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "NATS_CREDENTIALS: {} must be a file of credentials, or have the seed of a user's NKey alone",
    .path.display()
)]
pub struct CredentialsError {
    path: PathBuf,
    source: io::Error,
}

/// Connects the bus to NATS, however long that takes, and keeps it connected until the server ends.
pub(crate) async fn run(
    node: Node,
    servers: Vec<ServerAddr>,
    options: ConnectOptions,
    mut queue: Queue,
) {
    let client = connect(&node, &servers, options).await;
    let mut subscriber = subscribe(&client).await;
    let mut clock = tokio::time::interval(node.repeat);
    loop {
        tokio::select! {
            Some(envelope) = queue.recv() => {
                // While NATS is away, the client would buffer envelopes and later flood the other
                // nodes with changes that their resync has covered already. A dropped envelope is a
                // gap in the sequence instead.
                if node.bus.connected.load(Ordering::Acquire)
                    && let Err(error) = client.publish(SUBJECT, envelope.into()).await
                {
                    tracing::debug!(%error, "a hint was not published; the others miss its number");
                }
            }
            message = subscriber.next() => if let Some(message) = message {
                receive(&node, &message.payload);
            } else {
                // Hints published before the next subscription begins are lost.
                node.resync.request();
                subscriber = subscribe(&client).await;
            },
            _ = clock.tick() => node.bus.send(vec![]),
        }
    }
}

/// How to log in: with the file, or as the addresses say.
///
/// # Errors
/// The file cannot be read, or is something else.
pub(crate) fn options(
    servers: &[ServerAddr],
    file: Option<&Path>,
) -> Result<ConnectOptions, CredentialsError> {
    let Some(path) = file else {
        return Ok(options_of_addresses(servers));
    };
    let parse = |text: String| {
        let seed = text.trim();
        if is_seed(seed) {
            // The client library would only find a wrong character once it connects.
            KeyPair::from_seed(seed)
                .map_err(|_| io::Error::other("the checksum of the seed is wrong"))?;
            return Ok(ConnectOptions::with_nkey(seed.to_owned()));
        }
        ConnectOptions::with_credentials(&text)
    };
    let options = fs::read_to_string(path)
        .and_then(parse)
        .map_err(|source| CredentialsError {
            path: path.to_owned(),
            source,
        })?;
    if fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        tracing::warn!(
            "NATS_CREDENTIALS: everyone on this machine can use {}: chmod o= it",
            path.display()
        );
    }
    Ok(options)
}

/// Returns `true` for the form of a user's seed, which begins with `SU`.
fn is_seed(text: &str) -> bool {
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    text.len() == 58 && text.starts_with("SU") && text.bytes().all(is_base32)
}

/// The client library ignores the credentials in addresses. Those of the first address that has any
/// count; a name alone is a token.
fn options_of_addresses(servers: &[ServerAddr]) -> ConnectOptions {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = servers
        .iter()
        .find_map(|server| Some((decoded(server.username()?), server.password().map(decoded))));
    match named {
        Some((user, Some(password))) => ConnectOptions::with_user_and_password(user, password),
        Some((token, None)) => ConnectOptions::with_token(token),
        None => ConnectOptions::new(),
    }
}

async fn connect(
    node: &Node,
    servers: &[ServerAddr],
    options: ConnectOptions,
) -> async_nats::Client {
    let shared = node.clone();
    let told = Arc::default();
    let options = options
        // Without this option, a NATS that starts after this node would be an error, like a wrong
        // address.
        .retry_on_initial_connect()
        .event_callback(move |event| {
            let (node, told) = (shared.clone(), Arc::clone(&told));
            async move { on_connection_event(&node, &event, &told) }
        });
    loop {
        match options.clone().connect(servers).await {
            Ok(client) => return client,
            Err(error) => tracing::error!(%error, "NATS_URL cannot be used"),
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

async fn subscribe(client: &async_nats::Client) -> async_nats::Subscriber {
    loop {
        match client.subscribe(SUBJECT).await {
            Ok(subscriber) => return subscriber,
            Err(error) => tracing::error!(%error, "cannot subscribe to the hints of other nodes"),
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

fn receive(node: &Node, payload: &[u8]) {
    let envelope = match serde_json::from_slice::<Envelope>(payload) {
        Ok(envelope) => envelope,
        Err(error) => {
            // It may come from a node of another version; the change may concern any station.
            tracing::warn!(%error, "a hint of another node cannot be read; every station has to resync");
            node.resync.request();
            return;
        }
    };
    // NATS also delivers to the publisher.
    if envelope.node == node.bus.node {
        return;
    }
    if node.bus.receive(&envelope) {
        node.resync.request();
    }
    // Announced after a gap too: the hints that did arrive are still true.
    let events: Vec<Event> = envelope.hints.into_iter().map(Event::from).collect();
    node.notifications.announce(&events);
}

/// Any change of the connection means that a hint may have been missed.
fn on_connection_event(node: &Node, event: &async_nats::Event, told: &Mutex<String>) {
    // Why NATS cannot be used, as long as that is the same: an attempt is made every few seconds.
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        async_nats::Event::Connected => {
            tracing::info!("NATS is connected");
            told.clear();
            node.bus.connected.store(true, Ordering::Release);
            node.resync.request();
        }
        async_nats::Event::Disconnected => {
            tracing::warn!("NATS is away; every station has to resync until it is back");
            node.bus.connected.store(false, Ordering::Release);
            node.resync.request();
        }
        // The client has dropped messages that were not read in time.
        async_nats::Event::SlowConsumer(_) => node.resync.request(),
        async_nats::Event::ClientError(_) | async_nats::Event::ServerError(_)
            if event.to_string() != *told =>
        {
            *told = event.to_string();
            tracing::warn!("NATS cannot be used: {told}; trying again");
        }
        other => tracing::debug!(event = %other, "NATS"),
    }
}
