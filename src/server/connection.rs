//! Per-connection state, and the options of its socket.

use std::{
    any::Any,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    HttpRequest,
    dev::Extensions,
    http::header::{FORWARDED, HeaderName, VIA},
    rt::net::TcpStream,
};

use super::{address, state::State};

/// Headers that proxies add. A proxy's connection is shared by many clients.
const PROXY_HEADERS: [HeaderName; 3] = [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for")];

#[derive(Debug)]
pub(super) struct Connection {
    /// Unique in this process.
    number: u64,
    /// Whether a poll for notifications has arrived on it.
    // Without this flag, each request on any connection would lock the registry, usually to
    // acknowledge nothing.
    has_polled: AtomicBool,
}

/// Sets up an accepted connection: what is written is sent at once, and a peer that accepts no data for `write_timeout` is
/// dropped.
pub(super) fn set_up(stream: &dyn Any, data: &mut Extensions, write_timeout: Duration) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    data.insert(Connection {
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        has_polled: AtomicBool::new(false),
    });
    let tcp = stream
        .downcast_ref::<TcpStream>()
        .or_else(|| Some(stream.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0));
    if let Some(tcp) = tcp {
        set_write_timeout(tcp, write_timeout);
        send_at_once(tcp);
    } else {
        tracing::warn!("a connection of an unknown kind: its writes have no time limit");
    }
}

/// RFC 5482, tcp(7): the kernel drops the connection, even if the peer keeps its window closed.
// In the kernel, because actix has no time limit for writes.
#[cfg(target_os = "linux")]
fn set_write_timeout(tcp: &TcpStream, timeout: Duration) {
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) =
        nix::sys::socket::setsockopt(tcp, nix::sys::socket::sockopt::TcpUserTimeout, &millis)
    {
        tracing::warn!(%error, "a peer that reads nothing will not be dropped in time");
    }
}

/// Other systems lack the option: there, such a peer keeps its share of the memory until it
/// disconnects.
#[cfg(not(target_os = "linux"))]
fn set_write_timeout(_: &TcpStream, _: Duration) {}

/// Without it, the kernel holds a push back until the peer has acknowledged the push before (tcp(7), `TCP_NODELAY`), and a
/// peer that has nothing to send takes up to 40 ms for that. Answers and frames are written whole, so nothing is gained by
/// waiting for more.
fn send_at_once(tcp: &TcpStream) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::warn!(%error, "what is sent on a connection may be delayed");
    }
}

/// The connection of a request. Returns `None` if the peer is a proxy, which may have read an
/// answer that its client never got.
fn own<'a>(state: &State, request: &'a HttpRequest) -> Option<&'a Connection> {
    let is_of_proxy = PROXY_HEADERS
        .iter()
        .any(|name| request.headers().contains_key(name))
        || address::is_proxy(&state.settings, request);
    request.conn_data::<Connection>().filter(|_| !is_of_proxy)
}

/// The number of [`own`], for a poll, which is remembered on the connection.
pub(super) fn of_poll(state: &State, request: &HttpRequest) -> Option<u64> {
    let connection = own(state, request)?;
    connection.has_polled.store(true, Ordering::Relaxed);
    Some(connection.number)
}

/// The number of [`own`], for any other request. Returns `None` if no poll has arrived on it.
pub(super) fn polled_before(state: &State, request: &HttpRequest) -> Option<u64> {
    own(state, request)
        .filter(|connection| connection.has_polled.load(Ordering::Relaxed))
        .map(|connection| connection.number)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_not_held_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (stream, _) = accepted.unwrap();
        set_up(&stream, &mut Extensions::new(), Duration::from_secs(1));
        assert!(stream.nodelay().unwrap());
        drop(peer);
    }
}
