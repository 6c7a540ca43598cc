//! Reads a request's body: bounded in bytes and time, and what is on its way counts against budgets.

use actix_web::{HttpRequest, http::header, web};
use futures_util::StreamExt;
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    identity::{self, Claim},
    limits,
    state::State,
};
use crate::{
    api::Api,
    chat::error::Error,
    model::{id::UserId, time::Timestamp},
};

/// A body of so many bytes costs no more than its connection: it is not counted, and is taken from everyone.
const USUAL: usize = 16 << 10;
/// Maximum bytes of a request by someone who is not known yet.
const MAX_OF_STRANGERS: usize = 64 << 10;
/// Maximum bytes of a login or a registration.
const MAX_LOGIN: usize = 32 << 10;
/// A large body has to come at this rate, in bytes a second, once the first moment is over.
const LEAST_RATE: f64 = 16.0 * 1024.0;
const FIRST_MOMENT: Duration = Duration::from_secs(2);

/// Reads the body of a request to this API.
///
/// # Errors
/// `TooLarge`; `BadRequest`, if it does not arrive whole and in time; `RateLimited` and `Unavailable` (see
/// [`super::load::Load::body`]).
pub async fn read(state: &State, api: Option<Api>, request: &HttpRequest, mut payload: web::Payload) -> Result<Vec<u8>, Error> {
    let limit = if api == Some(Api::Login) { MAX_LOGIN } else { state.settings.max_body_bytes }.min(state.settings.max_body_bytes);
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut stranger = Some(MAX_OF_STRANGERS);
    if declared.is_some_and(|declared| declared > MAX_OF_STRANGERS.min(limit)) {
        check_size(declared.unwrap_or_default(), limit)?;
        check_sender(state, request).await?;
        stranger = None;
    }
    let mut share = state.load.body(claimed(request), limits::network(identity::address(state, request)));
    let mut body = Vec::with_capacity(declared.unwrap_or(0).min(USUAL));
    let begun = Instant::now();
    loop {
        let timings = &state.settings.timings;
        let deadline = if body.len() <= USUAL {
            begun + timings.body_timeout
        } else {
            begun + FIRST_MOMENT + Duration::from_secs_f64(precise(body.len()) / LEAST_RATE)
        };
        let deadline = if body.len() <= USUAL { deadline } else { deadline.min(Instant::now() + timings.body_silence) };
        let Ok(piece) = timeout_at(deadline, payload.next()).await else {
            return Err(Error::BadRequest("The body did not arrive in time.".into()));
        };
        let Some(piece) = piece else { return Ok(body) };
        let piece = piece.map_err(|_| Error::BadRequest("The body did not arrive whole.".into()))?;
        let length = body.len() + piece.len();
        check_size(length, limit)?;
        if stranger.is_some_and(|most| length > most) {
            check_sender(state, request).await?;
            stranger = None;
        }
        if length > USUAL {
            share = share.add(length - body.len().max(USUAL))?;
        }
        body.extend_from_slice(&piece);
    }
}

fn check_size(length: usize, limit: usize) -> Result<(), Error> {
    if length > limit {
        return Err(Error::TooLarge(format!("A request may have at most {limit} bytes.")));
    }
    Ok(())
}

/// Whether a large request says that it comes from a user at a station that the server knows. It is not shown yet;
/// but who knows nobody cannot make the server keep much.
async fn check_sender(state: &State, request: &HttpRequest) -> Result<(), Error> {
    let claim = Claim::of_headers(request);
    if let (Some(user), Some(station)) = (claim.user()?, claim.station()?)
        && identity::is_known(state, user, station, identity::address(state, request), Timestamp::now()).await?
    {
        return Ok(());
    }
    Err(Error::TooLarge(format!("A request without a known Ozeki-User and Ozeki-Station may have at most {MAX_OF_STRANGERS} bytes.")))
}

fn claimed(request: &HttpRequest) -> Option<UserId> {
    Claim::of_headers(request).user().ok().flatten()
}

#[expect(clippy::cast_precision_loss, reason = "a body's length is far below 2^52")]
fn precise(bytes: usize) -> f64 {
    bytes as f64
}
