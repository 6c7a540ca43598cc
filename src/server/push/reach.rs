//! The addresses to which the server connects on behalf of a user. Users choose the push endpoints
//! of their stations, and must not use them to reach what only the server can reach: itself, its
//! database, its operator's network.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::{Ipv4Net, Ipv6Net};
use tokio::net::{TcpStream, lookup_host};

const HTTPS: u16 = 443;

/// Why no connection was made.
#[derive(Debug)]
pub(super) enum Unreachable {
    /// The name only leads to internal addresses.
    Internal,
    /// It may be reached later.
    Failed(io::Error),
}

/// Connects to a host by its name, at a public address only.
// The address that was checked is the one that is connected to: a name that leads elsewhere a moment
// later (DNS rebinding) is of no use.
pub(super) async fn connect(host: &str) -> Result<TcpStream, Unreachable> {
    let found = lookup_host((host, HTTPS))
        .await
        .map_err(Unreachable::Failed)?;
    let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
    if public.is_empty() {
        return Err(Unreachable::Internal);
    }
    TcpStream::connect(&*public)
        .await
        .map_err(Unreachable::Failed)
}

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// What the IANA registry of special-purpose addresses does not call global, multicast, and what is
/// reserved.
const INTERNAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];
/// The addresses of IPv6 that are given out at all.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
/// Of those, the ones with another meaning: protocols (with Teredo), documentation, and 6to4, which
/// leads to an address of IPv4.
const INTERNAL_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 23),
    v6(0x2001, 0xdb8, 32),
    v6(0x2002, 0, 16),
    v6(0x3fff, 0, 20),
];
/// Where a network without IPv4 reaches it: the last four bytes are the real address (RFC 6052).
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

/// Returns `true` for an address on the public internet.
fn is_public(address: IpAddr) -> bool {
    // An address of IPv4 in the form of IPv6 leads to the same place.
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !INTERNAL_V6.iter().any(|net| net.contains(&address))
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !INTERNAL_V4.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_connected_to() {
        for (address, expected) in [
            ("142.250.185.74", true),
            ("1.1.1.1", true),
            ("9.255.255.255", true),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("192.167.255.255", true),
            ("198.17.255.255", true),
            ("198.20.0.0", true),
            ("223.255.255.255", true),
            ("2a00:1450:4001:830::200a", true),
            ("2606:4700:4700::1111", true),
            ("2001:4860:4860::8888", true),
            ("::ffff:1.1.1.1", true),
            ("64:ff9b::101:101", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.0", false),
            ("10.255.255.255", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            // The metadata of a cloud's machine.
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b:1::1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:20::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("3fff::1", false),
            ("5f00::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            // The metadata of a cloud's machine.
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("ff0e::1", false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(is_public(parsed), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_connected_to() {
        // Each way of writing an address that the system understands, too.
        for host in ["localhost", "127.0.0.1", "127.1", "0x7f.0x1", "::1"] {
            assert!(
                matches!(connect(host).await, Err(Unreachable::Internal)),
                "{host}"
            );
        }
    }
}
