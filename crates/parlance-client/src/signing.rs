//! Identities and signed requests. [`Session`](crate::Session) uses them, and so can another transport.
//!
//! ```
//! use std::sync::Arc;
//!
//! use parlance_client::{StationId, keys::KeyPair, signing::Identity};
//! use parlance_wire::{id::UserId, request::Api, text::Email};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let user = UserId::of(&Email::parse("ann@example.org").ok_or("no address")?);
//! let ann = Identity {
//!     user,
//!     station: StationId::random(),
//!     pair: Arc::new(KeyPair::generate()?),
//! };
//! let body = br#"{"action":"list","timestamp":"2026-01-31 12:00:00"}"#;
//! let signature = ann.sign(Api::Friends, body)?;
//! assert_eq!(signature.len(), 344);
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use parlance_wire::{
    id::{StationId, UserId},
    request::Api,
    signature,
    time::Timestamp,
    version::ClientVersion,
};
use url::Url;

use crate::keys::{KeyError, KeyPair};

/// A user at a station, with their signing key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user who signs.
    pub user: UserId,
    /// The station that they use.
    pub station: StationId,
    /// The user's key.
    pub pair: Arc<KeyPair>,
}

/// The data that opens a socket.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The address. It may be logged.
    pub url: Url,
    /// The header `Sec-WebSocket-Protocol`, which contains the signature.
    pub protocols: String,
}

impl Identity {
    /// Signs the body of a request; base64, for the header `Ozeki-Signature`.
    pub fn sign(&self, api: Api, body: &[u8]) -> Result<String, KeyError> {
        self.sign_as(api.names(), body)
    }

    fn sign_as(&self, (srv, api): (&str, &str), body: &[u8]) -> Result<String, KeyError> {
        // The text of the headers instead of the ids' bytes, as that is what the server checks.
        let (user, station) = (self.user.to_string(), self.station.to_string());
        self.pair
            .sign(&signature::text(srv, api, &user, &station, body))
    }

    /// Opens a socket now. `listener` is the address from the login's answer; `nonce` has to be new
    /// for each attempt.
    pub fn handshake(
        &self,
        listener: &Url,
        version: ClientVersion,
        now: Timestamp,
        nonce: &str,
    ) -> Result<Handshake, KeyError> {
        let now = now.to_string();
        let body = signature::handshake_body(&now, Some(nonce));
        let signature = self.sign_as(signature::WEBSOCKET, body.as_bytes())?;
        let mut url = listener.clone();
        url.query_pairs_mut()
            .append_pair("user", &self.user.to_string())
            .append_pair("station", &self.station.to_string())
            .append_pair("timestamp", &now)
            .append_pair("nonce", nonce)
            .append_pair("clientversioncode", &version.code().to_string());
        Ok(Handshake {
            url,
            protocols: signature::handshake_protocols(&signature),
        })
    }

    /// The address that opens a socket now, once, for clients that can only pass an address. It contains
    /// the signature: prefer [`Identity::handshake`]. `nonce` has to be new for each attempt.
    pub fn socket_url(&self, listener: &Url, now: Timestamp, nonce: &str) -> Result<Url, KeyError> {
        let now = now.to_string();
        let body = signature::handshake_body(&now, Some(nonce));
        let signature = self.sign_as(signature::WEBSOCKET, body.as_bytes())?;
        let mut url = listener.clone();
        // In the query, because a browser cannot set headers for a WebSocket's handshake.
        url.query_pairs_mut()
            .append_pair("user", &self.user.to_string())
            .append_pair("station", &self.station.to_string())
            .append_pair("timestamp", &now)
            .append_pair("nonce", nonce)
            .append_pair("signature", &signature)
            .append_pair("clientversioncode", &ClientVersion::V4.code().to_string());
        Ok(url)
    }
}
