//! Per-connection state, and the time limit of writes.

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

/// Sets up an accepted connection. A peer that accepts no data for `write_timeout` is dropped.
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
        limit_writes(tcp, write_timeout);
    } else {
        tracing::warn!("a connection of an unknown kind: its writes have no time limit");
    }
}

/// RFC 5482, tcp(7): the kernel drops the connection, even if the peer keeps its window closed.
// In the kernel, because actix has no time limit for writes.
#[cfg(target_os = "linux")]
fn limit_writes(tcp: &TcpStream, timeout: Duration) {
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
fn limit_writes(_: &TcpStream, _: Duration) {}

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
