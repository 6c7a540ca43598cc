//! WebSockets: the handshake (docs/api.md, The WebSocket).
//!
//! A socket has two halves on the same worker thread. `socket.rs` reads: it handles what the client sends, and decides
//! when the socket ends. `pushes.rs` is the body of the response to the handshake: it writes, and takes pending
//! notifications whenever there is room.

mod pushes;
mod socket;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use uuid::Uuid;

use self::{
    pushes::{Pings, Pushes},
    socket::Socket,
};
use super::{
    address, endpoint,
    identity::{self, SignedRequest},
    state::State,
};
use crate::{api, chat::error::Error, notify::registry::SocketLimits};
use parlance_wire::{
    signature::{Claim, WEBSOCKET},
    time::Timestamp,
    version::ClientVersion,
};

/// Where sockets are opened: beside the API's paths.
pub(super) const PATHS: [&str; 2] = ["/ws", "/ozeki/ws"];

/// The query of the URL: a browser cannot set headers here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Handshake {
    user: String,
    station: String,
    timestamp: String,
    signature: String,
    clientversioncode: Option<i64>,
}

/// Answers a handshake: with the socket, or with an ordinary refusal.
pub(super) async fn handshake(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let id = Uuid::new_v4().simple().to_string();
    let address = address::of_client(&state.settings, &request);
    match upgrade(&request, payload, state).await {
        Ok(response) => response,
        Err(refusal) => {
            tracing::info!(request = %id, %address, outcome = api::error::row(&refusal).1, "socket refused");
            endpoint::respond(Err(refusal), &id)
        }
    }
}

async fn upgrade(
    request: &HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let handshake = web::Query::<Handshake>::from_query(request.query_string())
        .map_err(|_| Error::BadRequest("clientversioncode must be a whole number.".into()))?
        .into_inner();
    // A `+` that was not encoded has become a space.
    let signature = handshake.signature.replace(' ', "+");
    let signed = SignedRequest {
        claim: Claim {
            user: given(&handshake.user),
            station: given(&handshake.station),
            signature: given(&signature),
        },
        srv: WEBSOCKET.0,
        api: WEBSOCKET.1,
        body: handshake.timestamp.as_bytes(),
        timestamp: Timestamp::parse(&handshake.timestamp),
        nonce: None,
        now: state.settings.clock.now(),
        address: address::of_client(&state.settings, request),
    };
    let generation = state.keys.generation();
    let (user, station) = identity::verify(&state, &signed).await?;
    if state.is_stopping() {
        return Err(unavailable("the server is stopping"));
    }
    let version = ClientVersion::of_code(handshake.clientversioncode);
    let (response, session, stream) = actix_ws::handle(request, payload)
        .map_err(|error| Error::BadRequest(format!("{error}.")))?;
    let limits = SocketLimits {
        per_user: state.settings.sockets_per_user,
        total: state.settings.sockets,
    };
    let (subscription, is_first) = state
        .notifications
        .subscribe(user, station, version, limits)?;
    if state.keys.generation() != generation {
        // Someone was disabled since the key was read: if it was this user, nobody disconnects what subscribed later.
        return Err(unavailable("users changed during the handshake"));
    }
    if is_first {
        state.presence.refresh(user);
    }
    let pings = Pings::default();
    let pushes = Pushes::new(subscription.feed(), user, version, pings.clone());
    let socket = Socket::new(state.into_inner(), user, version, session, pings);
    actix_web::rt::spawn(socket.run(subscription, stream));
    Ok(response
        .map_body(|_, control| pushes.with_control_frames(control))
        .map_into_boxed_body())
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn unavailable(cause: &str) -> Error {
    Error::Unavailable {
        source: cause.into(),
        uncertain: false,
    }
}
