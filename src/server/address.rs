//! Determines the address of a request's client, also behind trusted proxies, and the server's own,
//! as that client sees it.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use actix_web::{
    HttpRequest,
    http::header::{FORWARDED, HOST, X_FORWARDED_FOR},
};
use url::Url;

use crate::settings::{Settings, leads_nowhere};

/// The client's address: the first hop, seen from the server, that is not a trusted proxy.
pub(super) fn of_client(settings: &Settings, request: &HttpRequest) -> IpAddr {
    let peer = of_peer(request);
    if !is_trusted(settings, &peer) {
        return peer;
    }
    let client_of = |hops: &[Option<IpAddr>]| {
        // From right to left: each proxy appends the address that it saw, and whatever is left of it
        // may be the client's invention. An entry that is not an address ends the chain: no trusted
        // proxy wrote it, so entries to its left prove nothing.
        let mut known = hops.iter().rev().map_while(|hop| *hop);
        known.find(|hop| !is_trusted(settings, hop))
    };
    let (plain, standard) = (x_forwarded_for(request), forwarded(request));
    match (plain.is_empty(), standard.is_empty()) {
        (true, true) => None,
        (false, true) => client_of(&plain),
        (true, false) => client_of(&standard),
        // A proxy that writes one of them may pass on a client's own invention in the other.
        (false, false) => client_of(&plain).filter(|client| client_of(&standard) == Some(*client)),
    }
    .unwrap_or(peer)
}

/// Misconfigurations by which clients behind a proxy cannot be told apart. Each is logged once, as
/// it concerns every request.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    untrusted: AtomicBool,
    unreadable: AtomicBool,
}

impl Warnings {
    /// Logs what is wrong with what a request's proxy says, unless it was logged before.
    pub(super) fn check(&self, settings: &Settings, request: &HttpRequest) {
        let headers = request.headers();
        if !headers.contains_key(X_FORWARDED_FOR) && !headers.contains_key(FORWARDED) {
            return;
        }
        let peer = of_peer(request);
        if is_trusted(settings, &peer) {
            // The newest entry, which is the proxy's own.
            let last =
                [x_forwarded_for(request), forwarded(request)].map(|hops| hops.last().copied());
            if last.contains(&Some(None)) && !self.unreadable.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "the proxy {peer} names a client in X-Forwarded-For or Forwarded that is not an address: all its clients share its limits"
                );
            }
        } else if !self.untrusted.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "X-Forwarded-For or Forwarded comes from {peer}, which TRUSTED_PROXIES does not name, so it is ignored: if that is your proxy, all its clients share one address's limits"
            );
        }
    }
}

/// The entries of X-Forwarded-For, the newest last; `None` for one that is not an address.
fn x_forwarded_for(request: &HttpRequest) -> Vec<Option<IpAddr>> {
    let values = request.headers().get_all(X_FORWARDED_FOR);
    values
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(hop)
        .collect()
}

/// The `for` of each element of Forwarded (RFC 7239), the newest last; `None` for one that is not
/// an address.
fn forwarded(request: &HttpRequest) -> Vec<Option<IpAddr>> {
    let values = request.headers().get_all(FORWARDED);
    values
        // Quoted strings that contain a comma are no addresses: both of their halves are unreadable.
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|element| {
            let mut parameters = element.split(';').filter_map(|part| part.split_once('='));
            parameters
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
                .and_then(|(_, value)| hop(value))
        })
        .collect()
}

/// An address as proxies write it: perhaps quoted, perhaps with a port, IPv6 perhaps in brackets.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let address = text.parse().ok();
    let address = address.or_else(|| {
        text.parse::<SocketAddr>()
            .ok()
            .map(|with_port| with_port.ip())
    });
    let address = address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
    address.map(|address| address.to_canonical())
}

/// The address at which a client reaches the server: `PUBLIC_URL` or, if nobody can connect to it,
/// the address that the request was sent to, which is returned to that client alone.
pub(super) fn of_server<'a>(settings: &'a Settings, request: &HttpRequest) -> Cow<'a, str> {
    if !leads_nowhere(&settings.public_url) {
        return Cow::Borrowed(&settings.public_url);
    }
    let scheme = settings.public_url.split(':').next().unwrap_or("http");
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    host.and_then(|host| Url::parse(&format!("{scheme}://{host}")).ok())
        .filter(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty())
        .map_or(Cow::Borrowed(&settings.public_url), |url| {
            Cow::Owned(url.origin().ascii_serialization())
        })
}

/// Returns `true` if a request comes from a trusted proxy.
pub(super) fn is_proxy(settings: &Settings, request: &HttpRequest) -> bool {
    is_trusted(settings, &of_peer(request))
}

/// The address by which limits count: for IPv6 the /64 network, as a single customer usually has a
/// whole one.
pub(super) fn network(address: IpAddr) -> IpAddr {
    // A dual-stack listener reports IPv4 clients as ::ffff:a.b.c.d; taken as IPv6, they would all
    // share one network.
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn of_peer(request: &HttpRequest) -> IpAddr {
    request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical())
}

fn is_trusted(settings: &Settings, address: &IpAddr) -> bool {
    settings
        .trusted_proxies
        .iter()
        .any(|net| net.contains(address))
}
