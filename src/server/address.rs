//! The address that a request comes from, also behind trusted proxies.

use std::net::IpAddr;

use actix_web::HttpRequest;

use crate::settings::Settings;

/// The client's address: that of the first hop, from the server's side, that is no trusted proxy.
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
    // From the right: each proxy appends the address that it saw, and a client may send anything to its left.
    let mut hops = hops
        .rsplit(',')
        // An entry that is no address ends the chain: no trusted proxy wrote it, so those left of it prove nothing.
        .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
        .map(|hop| hop.to_canonical());
    hops.find(|hop| !is_trusted(hop)).unwrap_or(peer)
}

/// Returns `true` if a request comes from a trusted proxy.
pub(super) fn is_proxy(settings: &Settings, request: &HttpRequest) -> bool {
    is_trusted(settings, &of_peer(request))
}

/// The address that limits count by: an IPv6 address's /64 network, as one customer has at least that many addresses.
pub(super) fn network(address: IpAddr) -> IpAddr {
    // A dual-stack listener reports IPv4 clients as ::ffff:a.b.c.d: as IPv6 they would all be one network.
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
