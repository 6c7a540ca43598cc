//! WebSockets: the handshake (docs/api.md, The WebSocket).
//!
//! A socket has two halves on the same worker thread. `socket.rs` reads: it handles what the client sends, and decides
//! when the socket ends. `pushes.rs` is the body of the response to the handshake: it writes, and takes pending
//! notifications whenever there is room.

mod pushes;
mod socket;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web,
};
use serde::Deserialize;
use tracing::Instrument;

use self::{
    pushes::{Pings, Pushes},
    socket::Socket,
};
use super::{
    address,
    identity::{self, SignedRequest, Verified},
    request_log::{RequestLog, Target},
    site,
    state::State,
};
use crate::{api::error::Error, chat::error::Error as ChatError, notify::registry::SocketLimits};
use parlance_wire::{
    request::MAX_NONCE,
    signature::{self, Claim, WEBSOCKET},
    time::Timestamp,
    version::ClientVersion,
};

/// The paths at which WebSockets are opened, next to the API's.
pub(super) const PATHS: [&str; 2] = ["/ws", "/ozeki/ws"];

/// The query of the URL. A browser's WebSocket API cannot set headers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Handshake {
    user: String,
    station: String,
    timestamp: String,
    /// From clients that cannot offer it among the protocols.
    signature: String,
    /// From v4 clients; valid once.
    nonce: String,
    clientversioncode: Option<i64>,
}

/// Answers a handshake: with the socket, or with an ordinary refusal.
pub(super) async fn handshake(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    RequestLog::update(&request, |log| {
        (log.target, log.action) = (Target::WebSocket, WEBSOCKET.1);
    });
    site::check(&state.settings, &request)?;
    let handshake = web::Query::<Handshake>::from_query(request.query_string())
        .map_err(|_| Error::bad_request("clientversioncode must be a whole number."))?
        .into_inner();
    let version = ClientVersion::of_code(handshake.clientversioncode);
    let nonce = given(&handshake.nonce).filter(|_| version.is_v4());
    if version.is_v4() && nonce.is_none() {
        // Also one of an older client that somebody has read in a log: it must not open a socket of version 4.
        return Err(Error::bad_request(
            "nonce is missing: a handshake of version 4 opens one socket.",
        ));
    }
    if nonce.is_some_and(|nonce| nonce.chars().count() > MAX_NONCE) {
        return Err(Error::bad_request(format!(
            "nonce must have at most {MAX_NONCE} characters."
        )));
    }
    let protocols = offered_protocols(&request);
    // A `+` of base64 that was not percent-encoded was decoded as a space.
    let signature = signature::signature_among(protocols)
        .unwrap_or_else(|| handshake.signature.replace(' ', "+"));
    let body = signature::handshake_body(&handshake.timestamp, nonce);
    let signed = SignedRequest {
        claim: Claim {
            user: given(&handshake.user),
            station: given(&handshake.station),
            signature: given(&signature),
        },
        srv: WEBSOCKET.0,
        api: WEBSOCKET.1,
        body: body.as_bytes(),
        timestamp: Timestamp::parse(&handshake.timestamp),
        nonce,
        now: state.settings.clock.now(),
        address: address::of_client(&state.settings, &request),
    };
    let generation = signed.claim.user()?.map(|user| state.keys.generation(user));
    let Verified { user, station, .. } = identity::verify(&state, &signed).await?;
    RequestLog::update(&request, |log| log.user = Some(user));
    // Before subscribing, which ends the station's other socket: a request that is no upgrade must not do that.
    let (mut response, session, stream) = actix_ws::handle(&request, payload)
        .map_err(|error| Error::bad_request(format!("{error}.")))?;
    // A browser that offered protocols closes a socket that accepts none of them.
    if protocols
        .split(',')
        .any(|name| name.trim() == signature::PROTOCOL)
    {
        response.headers_mut().insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(signature::PROTOCOL),
        );
    }
    let limits = SocketLimits {
        per_user: state.settings.sockets_per_user,
        total: state.settings.sockets,
    };
    let (subscription, is_first) = state
        .notifications
        .subscribe(user, station, version, limits)
        .map_err(ChatError::from)?;
    // After subscribing: from here on the stop closes this socket, too.
    if state.is_stopping() {
        return Err(unavailable("the server is stopping"));
    }
    if generation != Some(state.keys.generation(user)) {
        // The user may have been disabled since the key was read. If so, the socket came too late to be disconnected.
        return Err(unavailable("the user changed during the handshake"));
    }
    state.socket_changed(user, station, false);
    if is_first {
        state.presence.refresh(user);
    }
    let pings = Pings::default();
    state.metrics.socket_opened();
    let push_seconds = state.metrics.commit_to_push_seconds.clone();
    let pushes = Pushes::new(
        subscription.feed(),
        user,
        version,
        pings.clone(),
        push_seconds,
    );
    let socket = Socket::new(state.into_inner(), user, version, session, pings);
    // In the span of its handshake, so that the socket's warnings carry that request's id.
    actix_web::rt::spawn(socket.run(subscription, stream).in_current_span());
    Ok(response
        .map_body(|_, control| pushes.with_control_frames(control))
        .map_into_boxed_body())
}

/// The protocols that a client offers, as sent.
fn offered_protocols(request: &HttpRequest) -> &str {
    request
        .headers()
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn unavailable(cause: &str) -> Error {
    ChatError::Unavailable {
        source: cause.into(),
        uncertain: false,
    }
    .into()
}
