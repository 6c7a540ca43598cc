//! Determines the address of a request's client, also behind trusted proxies.

use std::net::IpAddr;

use actix_web::HttpRequest;

use crate::settings::Settings;

/// The client's address: the first hop, seen from the server, that is not a trusted proxy.
pub(super) fn of_client(settings: &Settings, request: &HttpRequest) -> IpAddr {
    let peer = of_peer(request);
    let is_trusted = |address: &IpAddr| is_trusted(settings, address);
    if !is_trusted(&peer) {
        return peer;
    }
    let hops = request
        .headers()
        .get_all("X-Forwarded-For")
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    // From right to left: each proxy appends the address that it saw, and whatever is left of it
    // may be the client's invention.
    let mut hops = hops
        .rsplit(',')
        // An entry that is not an address ends the chain: no trusted proxy wrote it, so entries to
        // its left prove nothing.
        .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
        .map(|hop| hop.to_canonical());
    hops.find(|hop| !is_trusted(hop)).unwrap_or(peer)
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
