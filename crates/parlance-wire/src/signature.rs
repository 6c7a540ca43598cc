//! The text that a request's signature covers, and the headers that carry it (docs/api.md,
//! Signatures).

use base64::{Engine, engine::general_purpose::STANDARD};
use thiserror::Error;

use crate::id::{StationId, UserId};

// The names are those of the published API.
/// The header with the id of the user.
pub const USER_HEADER: &str = "Ozeki-User";
/// The header with the id of the station.
pub const STATION_HEADER: &str = "Ozeki-Station";
/// The header with the signature, in base64.
pub const SIGNATURE_HEADER: &str = "Ozeki-Signature";

/// The header with the JSON of a request whose body is something else, or that has none: base64url
/// without padding. The signature covers the JSON, as if it were the body.
pub const REQUEST_HEADER: &str = "Ozeki-Request";

/// `srv` and `api` in the signed text of a socket's handshake. [`handshake_body`] takes the place
/// of the body.
pub const WEBSOCKET: (&str, &str) = ("chatserver", "websocket");

/// The subprotocol of a socket, for `Sec-WebSocket-Protocol`.
pub const PROTOCOL: &str = "parlance";
/// The prefix of a handshake's signature among the protocols that a client offers. There it need
/// not be in the URL, which proxies log; and browsers can set no other header.
const SIGNATURE_PROTOCOL: &str = "parlance.signature.";

/// Takes the place of the body in the signature of a socket's handshake: the time and, for v4
/// clients, a nonce.
#[must_use]
pub fn handshake_body(timestamp: &str, nonce: Option<&str>) -> String {
    match nonce {
        Some(nonce) => format!("{timestamp}\n{nonce}"),
        None => timestamp.to_owned(),
    }
}

/// The protocols that a client offers: [`PROTOCOL`], and its signature (base64), written as a protocol's name.
///
/// ```
/// use parlance_wire::signature::{handshake_protocols, signature_among};
/// let offered = handshake_protocols("a+/QRQ==");
/// assert_eq!(offered, "parlance, parlance.signature.a-_QRQ");
/// assert_eq!(signature_among(&offered).as_deref(), Some("a+/QRQ=="));
/// assert_eq!(signature_among("parlance"), None);
/// ```
#[must_use]
pub fn handshake_protocols(signature: &str) -> String {
    // A protocol's name is a token of HTTP, which has neither `/` nor `=`.
    let name = signature
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    format!("{PROTOCOL}, {SIGNATURE_PROTOCOL}{name}")
}

/// The signature among the protocols that a client offers, as padded base64.
#[must_use]
pub fn signature_among(protocols: &str) -> Option<String> {
    let name = protocols
        .split(',')
        .find_map(|name| name.trim().strip_prefix(SIGNATURE_PROTOCOL))?;
    let mut signature = name.replace('-', "+").replace('_', "/");
    while signature.len() % 4 != 0 {
        signature.push('=');
    }
    Some(signature)
}

/// The text that the user's key signs: names, ids as the headers have them (empty where there is none), and the body,
/// joined by line feeds.
///
/// ```
/// let text = parlance_wire::signature::text("chatserver", "chatfriends", "0c83f5", "", b"{}");
/// assert_eq!(text, b"chatserver\nchatfriends\n0c83f5\n\n{}");
/// ```
#[must_use]
pub fn text(srv: &str, api: &str, user: &str, station: &str, body: &[u8]) -> Vec<u8> {
    // Line feeds are safe separators: neither a header nor an API's name can contain one, and the
    // body comes last.
    [
        srv.as_bytes(),
        api.as_bytes(),
        user.as_bytes(),
        station.as_bytes(),
        body,
    ]
    .join(&b'\n')
}

/// A claimed identity that is not verified yet.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The user's id, as written in the signed text.
    // As text: the signature covers the header as it was written, and not the id that it
    // represents.
    pub user: Option<&'a str>,
    /// The station's id, as written in the signed text.
    pub station: Option<&'a str>,
    /// The signature, in base64.
    pub signature: Option<&'a str>,
}

/// The reasons why a claim cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// The header is not a valid id.
    #[error("{0} must be 32 hexadecimal digits.")]
    Malformed(&'static str),
    /// The header is missing.
    #[error("The header {0} is missing.")]
    Missing(&'static str),
    /// The signature is not base64.
    #[error("The signature is not base64.")]
    NotBase64,
}

impl Claim<'_> {
    /// The claimed user.
    ///
    /// # Errors
    /// `Malformed`: not an id.
    pub fn user(&self) -> Result<Option<UserId>, ClaimError> {
        self.user
            .map(|text| UserId::parse(text).ok_or(ClaimError::Malformed(USER_HEADER)))
            .transpose()
    }

    /// The claimed station.
    ///
    /// # Errors
    /// `Malformed`: not an id.
    pub fn station(&self) -> Result<Option<StationId>, ClaimError> {
        self.station
            .map(|text| StationId::parse(text).ok_or(ClaimError::Malformed(STATION_HEADER)))
            .transpose()
    }

    /// The signature, as bytes.
    ///
    /// # Errors
    /// `Missing`, `NotBase64`.
    pub fn signature(&self) -> Result<Vec<u8>, ClaimError> {
        let signature = self
            .signature
            .ok_or(ClaimError::Missing(SIGNATURE_HEADER))?;
        STANDARD
            .decode(signature)
            .map_err(|_| ClaimError::NotBase64)
    }
}
