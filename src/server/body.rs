//! Reads a request's body: bounded in bytes and time, and what is on its way counts against budgets.

use std::net::IpAddr;

use actix_web::{HttpRequest, http::header, web};
use futures_util::StreamExt;
use tokio::time::{Duration, Instant, timeout_at};

use super::{address, identity, load::BodyShare, state::State};
use crate::{chat::error::Error, timings::Timings};
use parlance_wire::{id::UserId, request::Api, signature::Claim};

/// A body of so many bytes costs no more than its connection: it is not counted, and is taken from everyone.
const USUAL: usize = 16 << 10;
/// Maximum bytes of a request by someone who is not known.
const MAX_OF_STRANGERS: usize = 64 << 10;
/// Maximum bytes of a login or a registration.
const MAX_LOGIN: usize = 32 << 10;
/// What is not usual has to come at this rate, in bytes a second, once the time for a usual body is over.
const LEAST_RATE: usize = 16 << 10;

/// A body, and what it counts for as long as it waits.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    pub share: Option<BodyShare>,
}

/// Reads the body of a request to this API, from this address.
///
/// # Errors
/// `TooLarge`; `BadRequest`, if it does not arrive whole and in time; `RateLimited` and `Unavailable` (see
/// [`super::load::Load::body`]).
pub(super) async fn read(
    state: &State,
    api: Option<Api>,
    address: IpAddr,
    request: &HttpRequest,
    mut payload: web::Payload,
) -> Result<Body, Error> {
    let (max, timings) = (state.settings.max_body_bytes, &state.settings.timings);
    let limit = if api == Some(Api::Login) {
        max.min(MAX_LOGIN)
    } else {
        max
    };
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = Body {
        bytes: Vec::with_capacity(declared.unwrap_or(0).min(USUAL)),
        share: None,
    };
    let (begun, mut sender) = (Instant::now(), None);
    // As long as it says that it is, or as long as it turns out to be.
    let mut length = declared.unwrap_or(0);
    loop {
        if length > limit {
            return Err(Error::TooLarge(format!(
                "A request may have at most {limit} bytes."
            )));
        }
        if length > USUAL && body.share.is_none() {
            sender = known_sender(state, &identity::claim(request), address).await?;
            body.share = Some(state.load.body(sender, address::network(address)));
        }
        if length > MAX_OF_STRANGERS && sender.is_none() {
            return Err(Error::TooLarge(format!(
                "A request without a known Ozeki-User and Ozeki-Station may have at most {MAX_OF_STRANGERS} bytes."
            )));
        }
        let Ok(piece) =
            timeout_at(deadline(timings, begun, body.bytes.len()), payload.next()).await
        else {
            return Err(Error::BadRequest("The body did not arrive in time.".into()));
        };
        let Some(piece) = piece else { return Ok(body) };
        let piece =
            piece.map_err(|_| Error::BadRequest("The body did not arrive whole.".into()))?;
        let received = body.bytes.len() + piece.len();
        length = length.max(received);
        if let Some(share) = &mut body.share {
            share.take(received.saturating_sub(body.bytes.len().max(USUAL)))?;
        }
        body.bytes.extend_from_slice(&piece);
    }
}

/// Until when the next piece of a body has to come.
fn deadline(timings: &Timings, begun: Instant, received: usize) -> Instant {
    if received <= USUAL {
        return begun + timings.body_timeout;
    }
    let seconds = u32::try_from(received / LEAST_RATE).unwrap_or(u32::MAX);
    let at_least_rate = begun + timings.body_timeout.max(Duration::from_secs(1) * seconds);
    at_least_rate.min(Instant::now() + timings.body_silence)
}

/// Who sends a body, if that is a user at a station that the server knows. It is not shown yet; but who knows nobody
/// cannot make the server keep much.
async fn known_sender(
    state: &State,
    claim: &Claim<'_>,
    address: IpAddr,
) -> Result<Option<UserId>, Error> {
    let (Some(user), Some(station)) = (claim.user()?, claim.station()?) else {
        return Ok(None);
    };
    Ok(
        identity::is_known(state, user, station, address, state.settings.clock.now())
            .await?
            .then_some(user),
    )
}
