//! Reads request bodies, bounded in size and time, and counted against a budget while the request
//! waits.

use std::net::IpAddr;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header};
use futures_util::{StreamExt, future::LocalBoxFuture};
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    address, extract::state_of, identity, load::BodyShare, request_log::api_of, state::State,
};
use crate::{api::error::Error, chat::error::Error as ChatError, timings::Timings};
use parlance_wire::{id::UserId, request::Api, signature::Claim, text::EncryptedKey};

/// Maximum size of a body that is not counted and is read for everyone: it costs no more than its
/// connection.
const MAX_UNCOUNTED: usize = 16 << 10;
/// Maximum size of a request by an unknown user or station.
const MAX_OF_STRANGERS: usize = 64 << 10;
/// Maximum size of a login or a registration.
const MAX_LOGIN: usize = 32 << 10;
/// Maximum size of a request that replaces a vault.
const MAX_OF_VAULT: usize = EncryptedKey::MAX_BYTES + MAX_LOGIN;
/// Maximum size of a request that wraps a secret for each participant of a group: 5,000 of 512
/// characters and as many names are 4 MB.
const MAX_OF_SECRETS: usize = 4 << 20;
/// The rate, in bytes per second, at which a large body has to arrive once the time for a small one
/// has passed.
const MIN_RATE: usize = 16 << 10;

/// The rate, in bytes per second, at which records of files have to arrive once the time for a small body
/// has passed: a slow mobile connection's.
const MIN_RATE_OF_RECORDS: usize = 8 << 10;

/// A body, with its share of the budget for as long as it waits.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub bytes: Vec<u8>,
    pub share: Option<BodyShare>,
}

impl FromRequest for Body {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let state = state_of(&request)?;
            let address = address::of_client(&state.settings, &request);
            let api = api_of(&request.extensions());
            Self::read(&state, api, address, &request, payload).await
        })
    }
}

impl Body {
    /// Reads the body of a request to this API, from this address.
    ///
    /// # Errors
    /// `TooLarge`; `UnsupportedEncoding`; `IncompleteBody`, if it does not arrive whole and in time; `RateLimited` and `Unavailable` (see
    /// [`super::load::Load::body`]).
    pub(super) async fn read(
        state: &State,
        api: Option<Api>,
        address: IpAddr,
        request: &HttpRequest,
        mut payload: Payload,
    ) -> Result<Self, Error> {
        let (max, timings) = (state.settings.max_body_bytes, &state.settings.timings);
        let limit = match api {
            Some(Api::Login) => MAX_OF_VAULT,
            // The action is known only once the body is here.
            Some(Api::Conversation | Api::ConversationGroup) => max.max(MAX_OF_SECRETS),
            _ => max,
        };
        check_encoding(request)?;
        let declared: Option<usize> = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let mut body = Self::default();
        let (begun, mut sender) = (Instant::now(), None);
        // The declared length, until more has arrived: a chunked body declares none.
        let mut length = declared.unwrap_or(0);
        loop {
            if length > limit {
                return Err(over(limit));
            }
            if length > MAX_UNCOUNTED && body.share.is_none() {
                // Only for large bodies, and once, as the look-up may read the database.
                sender = known_sender(state, &identity::claim(request), address).await?;
                body.share = Some(state.load.body(sender, address::network(address)));
            }
            if length > MAX_LOGIN && api == Some(Api::Login) && sender.is_none() {
                return Err(over(MAX_LOGIN));
            }
            if length > MAX_OF_STRANGERS && sender.is_none() {
                return Err(too_large(format!(
                    "A request without a known Ozeki-User and Ozeki-Station may have at most {MAX_OF_STRANGERS} bytes."
                )));
            }
            if body.bytes.capacity() == 0 {
                // Reserved as a whole, so that no byte is copied again while it grows. The budget
                // counts what has arrived: until then it is address space, not memory.
                body.bytes.reserve_exact(length);
            }
            let next_by = deadline(timings, begun, body.bytes.len());
            let Ok(piece) = timeout_at(next_by, payload.next()).await else {
                return Err(late());
            };
            let Some(piece) = piece else { return Ok(body) };
            let piece = piece.map_err(|_| not_whole())?;
            let received = body.bytes.len() + piece.len();
            length = length.max(received);
            if let Some(share) = &mut body.share {
                share.take(received.saturating_sub(body.bytes.len().max(MAX_UNCOUNTED)))?;
            }
            body.bytes.extend_from_slice(&piece);
        }
    }
}

/// Reads a body of exactly this length, from a sender who is proven and has a share for it. It may take as
/// long as at 8 KiB a second.
///
/// # Errors
/// `UnsupportedEncoding`; `BadRequest`, if it has another length; `IncompleteBody`, if it does not arrive in time.
pub(super) async fn read_exactly(
    timings: &Timings,
    request: &HttpRequest,
    mut payload: Payload,
    length: usize,
) -> Result<Vec<u8>, Error> {
    check_encoding(request)?;
    let seconds = u64::try_from(length / MIN_RATE_OF_RECORDS).unwrap_or(u64::MAX);
    let deadline = Instant::now() + timings.body_timeout + Duration::from_secs(seconds);
    let mut bytes = Vec::with_capacity(length);
    loop {
        // A sender that was fast at first must not pause for as long as it has gained.
        let next_by = deadline.min(Instant::now() + timings.write_timeout);
        let Ok(piece) = timeout_at(next_by, payload.next()).await else {
            return Err(late());
        };
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| not_whole())?;
        if bytes.len() + piece.len() > length {
            return Err(wrong_length());
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(wrong_length())
    }
}

fn check_encoding(request: &HttpRequest) -> Result<(), Error> {
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Error::UnsupportedEncoding)
        }
        _ => Ok(()),
    }
}

/// The time by which the next piece of a body has to arrive.
fn deadline(timings: &Timings, begun: Instant, received: usize) -> Instant {
    if received <= MAX_UNCOUNTED {
        return begun + timings.body_timeout;
    }
    let seconds = u32::try_from(received / MIN_RATE).unwrap_or(u32::MAX);
    let by_rate = begun + timings.body_timeout.max(Duration::from_secs(1) * seconds);
    // Without this, a sender that was fast at first could pause for as long as it has gained.
    by_rate.min(Instant::now() + timings.body_silence)
}

/// The sender that the headers claim, if the server knows that user and station. Returns `None` for
/// strangers.
// Nothing is authenticated before the body is read, as the signature covers it. But someone who
// knows no user and station cannot make the server buffer much.
async fn known_sender(
    state: &State,
    claim: &Claim<'_>,
    address: IpAddr,
) -> Result<Option<UserId>, Error> {
    let (Some(user), Some(station)) = (claim.user()?, claim.station()?) else {
        return Ok(None);
    };
    let is_known = identity::is_known(state, user, station, address).await?;
    Ok(is_known.then_some(user))
}

/// Refuses a body that is too large for its action.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_length(
    state: &State,
    api: Api,
    action: &str,
    length: usize,
) -> Result<(), Error> {
    let max = state.settings.max_body_bytes;
    let limit = match (api, action) {
        (Api::Conversation, "rekey" | "shareepochs")
        | (Api::ConversationGroup, "create" | "addparticipants") => return Ok(()),
        (Api::Login, "changevault" | "changepassword" | "changerecovery" | "changekeys") => {
            MAX_OF_VAULT
        }
        (Api::Login, _) => max.min(MAX_LOGIN),
        _ => max,
    };
    if length > limit {
        return Err(over(limit));
    }
    Ok(())
}

/// The refusal of a body that is not as long as its request says.
pub(super) fn wrong_length() -> Error {
    Error::bad_request("length must be that of the body.")
}

fn late() -> Error {
    Error::IncompleteBody("in time")
}

fn not_whole() -> Error {
    Error::IncompleteBody("completely")
}

fn over(limit: usize) -> Error {
    too_large(format!("A request may have at most {limit} bytes."))
}

fn too_large(sentence: String) -> Error {
    ChatError::TooLarge(sentence).into()
}
