//! Authentication of requests: headers, signature, station, time, nonce (docs/api.md, Signatures).

use std::net::IpAddr;

use actix_web::{HttpRequest, http::header::HeaderName};

use super::{address::network, state::State};
use crate::{
    api::error::Error,
    chat::{self, rates::Allowed},
    store,
};
use parlance_wire::{
    id::{StationId, UserId},
    signature::{self, Claim, STATION_HEADER, USER_HEADER},
    time::Timestamp,
};

// The headers of `parlance_wire::signature`, as names: to look up a text is to parse it into one each time.
const USER: HeaderName = HeaderName::from_static("ozeki-user");
const STATION: HeaderName = HeaderName::from_static("ozeki-station");
const SIGNATURE: HeaderName = HeaderName::from_static("ozeki-signature");

/// The sender claimed by a request's headers.
pub(super) fn claim(request: &HttpRequest) -> Claim<'_> {
    Claim {
        user: header(request, &USER),
        station: header(request, &STATION),
        signature: header(request, &SIGNATURE),
    }
}

/// All that a signature covers, or is checked against.
pub(super) struct SignedRequest<'a> {
    pub claim: Claim<'a>,
    /// The API's names, as a URL gives them.
    pub srv: &'static str,
    /// See `srv`.
    pub api: &'static str,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The client's clock.
    pub timestamp: Option<Timestamp>,
    /// A v4 client's nonce.
    pub nonce: Option<&'a str>,
    /// The server's clock at the beginning of the request.
    pub now: Timestamp,
    /// The client's address.
    pub address: IpAddr,
}

/// A request's sender, whose signature was verified.
pub(super) struct Verified {
    pub user: UserId,
    pub station: StationId,
    pub allowed: Allowed,
}

/// The user and station that signed a request.
///
/// # Errors
/// `SignatureMissing`, `SignatureInvalid`, `UnknownStation`, `TimestampOutOfRange`, `Replayed`,
/// `RateLimited`; `NotAllowed` for a disabled user; `BadRequest` without a timestamp.
pub(super) async fn verify(state: &State, request: &SignedRequest<'_>) -> Result<Verified, Error> {
    let station = request
        .claim
        .station()?
        .ok_or(Error::SignatureMissing(STATION_HEADER))?;
    let (user, allowed) = verify_within_limits(state, request, Some(station)).await?;
    if request.timestamp.is_none() {
        return Err(Error::bad_request("timestamp is missing."));
    }
    // Checked last: a request that is refused for another reason has not used its nonce, and may be
    // sent again.
    if let Some(nonce) = request.nonce
        && !state.nonces.use_once(user, station, nonce)
    {
        return Err(Error::Replayed);
    }
    Ok(Verified {
        user,
        station,
        allowed,
    })
}

/// The user who signed a request, from any station. A station and a timestamp are optional, but
/// checked if given.
///
/// # Errors
/// As for [`verify`].
pub(super) async fn verify_user(
    state: &State,
    request: &SignedRequest<'_>,
) -> Result<UserId, Error> {
    let station = request.claim.station()?;
    Ok(verify_within_limits(state, request, station).await?.0)
}

/// Verifies a signature, unless too many invalid ones came from this address. Each costs a database
/// read or a signature check, so a flood of them must only affect its own address; and there not
/// those who signed well lately.
async fn verify_within_limits(
    state: &State,
    request: &SignedRequest<'_>,
    station: Option<StationId>,
) -> Result<(UserId, Allowed), Error> {
    // A user that is malformed is refused below, for that.
    let user = request.claim.user().ok().flatten();
    state.limits.check_signatures(request.address, user)?;
    let result = verify_signature(state, request, station).await;
    // Only invalid ones count: an office behind one address may send any number of valid ones.
    if let Err(Error::SignatureInvalid) = result {
        state.limits.count_bad_signature(request.address, user);
    }
    result
}

/// Returns `true` if the claimed user and station are known, for a request whose signature cannot
/// be checked yet. Unknown ones count as invalid signatures.
///
/// # Errors
/// `RateLimited`, if the address sent too many; database errors.
pub(super) async fn is_known(
    state: &State,
    user: UserId,
    station: StationId,
    address: IpAddr,
) -> Result<bool, Error> {
    state.limits.check_signatures(address, Some(user))?;
    // One read for each unknown station, whether or not there is such a user: the time must not
    // tell.
    let is_known = state.keys.has_station(user, station)
        || store::station::is_known(&state.services.db, Some(user), station)
            .await
            .map_err(chat::error::Error::from)?;
    if !is_known {
        state.limits.count_bad_signature(address, Some(user));
    }
    Ok(is_known)
}

async fn verify_signature(
    state: &State,
    request: &SignedRequest<'_>,
    station: Option<StationId>,
) -> Result<(UserId, Allowed), Error> {
    let claim = &request.claim;
    let signature = claim.signature()?;
    let user = claim.user()?.ok_or(Error::SignatureMissing(USER_HEADER))?;

    let text = signature::text(
        request.srv,
        request.api,
        claim.user.unwrap_or_default(),
        claim.station.unwrap_or_default(),
        request.body,
    );
    let db = &state.services.db;
    // An unknown user and a wrong key get the same refusal, after the same work, which must not
    // reveal who is a user.
    let Some(user_key) = state.keys.of(db, user, station, request.now).await? else {
        state.keys.verify_in_vain(&text, &signature);
        return Err(Error::SignatureInvalid);
    };
    if !user_key.key.verifies(&text, &signature) {
        return Err(Error::SignatureInvalid);
    }
    // Only from here on, for the same reason: the owner of the key may learn more.
    if user_key.disabled {
        return Err(chat::error::Error::NotAllowed("This user is disabled.").into());
    }
    if let Some(station) = station
        && !state
            .keys
            .is_known(db, (user, &user_key), station, request.now)
            .await?
    {
        return Err(Error::UnknownStation);
    }
    check_time(state, request)?;
    let network = network(request.address);
    // Once for each time that the key is read: looking it up costs more than the rest of this.
    if user_key.note_network(network) {
        state.limits.note_good_signature(network, user);
    }
    Ok((user, user_key.allowed.clone()))
}

/// Checks the client's clock, if the request has a timestamp.
///
/// # Errors
/// `TimestampOutOfRange`.
pub(super) fn check_time(state: &State, request: &SignedRequest<'_>) -> Result<(), Error> {
    let window = state.settings.signature_window;
    if request
        .timestamp
        .is_some_and(|timestamp| timestamp.distance(request.now) > window)
    {
        return Err(Error::TimestampOutOfRange(request.now.to_string()));
    }
    Ok(())
}

/// A header's text; an empty one counts as absent.
fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request
        .headers()
        .get(name)?
        .to_str()
        .ok()
        .filter(|text| !text.is_empty())
}
