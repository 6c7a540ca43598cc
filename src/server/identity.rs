//! Who sent a request: headers, signature, station, time, nonce (docs/api.md, Signatures).

use std::net::IpAddr;

use actix_web::HttpRequest;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::state::State;
use crate::chat::error::Error;
use parlance_wire::{
    id::{StationId, UserId},
    time::Timestamp,
};

const USER: &str = "Ozeki-User";
const STATION: &str = "Ozeki-Station";
const SIGNATURE: &str = "Ozeki-Signature";

/// Who someone claims to be. Nothing is proven yet.
pub struct Claim<'a> {
    /// The user's id, as it stands in the signed text.
    pub user: Option<&'a str>,
    /// The station's id, as it stands in the signed text.
    pub station: Option<&'a str>,
    /// The signature, in base64.
    pub signature: Option<&'a str>,
}

impl<'a> Claim<'a> {
    /// The claim in the headers of a request.
    #[must_use]
    pub fn of_headers(request: &'a HttpRequest) -> Self {
        Self {
            user: header(request, USER),
            station: header(request, STATION),
            signature: header(request, SIGNATURE),
        }
    }

    /// The claimed user.
    ///
    /// # Errors
    /// `BadRequest`: not an id.
    pub fn user(&self) -> Result<Option<UserId>, Error> {
        self.user
            .map(|text| UserId::parse(text).ok_or_else(|| wrong(USER)))
            .transpose()
    }

    /// The claimed station.
    ///
    /// # Errors
    /// `BadRequest`: not an id.
    pub fn station(&self) -> Result<Option<StationId>, Error> {
        self.station
            .map(|text| StationId::parse(text).ok_or_else(|| wrong(STATION)))
            .transpose()
    }

    /// The signature's bytes.
    ///
    /// # Errors
    /// `SignatureMissing`; `SignatureInvalid`: not base64.
    pub fn signature(&self) -> Result<Vec<u8>, Error> {
        let signature = self.signature.ok_or(Error::SignatureMissing(SIGNATURE))?;
        STANDARD
            .decode(signature)
            .map_err(|_| Error::SignatureInvalid)
    }
}

/// All that a signature covers or is checked with.
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

/// The user and station that signed a request.
///
/// # Errors
/// `SignatureMissing`, `SignatureInvalid`, `UnknownStation`, `TimestampOutOfRange`, `Replayed`,
/// `RateLimited`; `NotAllowed` for a disabled user; `BadRequest` without a timestamp.
pub(super) async fn verify(
    state: &State,
    request: &SignedRequest<'_>,
) -> Result<(UserId, StationId), Error> {
    let station = request
        .claim
        .station()?
        .ok_or(Error::SignatureMissing(STATION))?;
    let user = verify_within_limits(state, request, Some(station)).await?;
    if request.timestamp.is_none() {
        return Err(Error::BadRequest("timestamp is missing.".into()));
    }
    // Last: what is refused for another reason has not used its nonce, and may be sent again.
    if let Some(nonce) = request.nonce
        && !state.nonces.use_once(user, station, nonce)
    {
        return Err(Error::Replayed);
    }
    Ok((user, station))
}

/// The user that signed a request, from any station. A station and a timestamp are optional, but checked if given.
///
/// # Errors
/// As for [`verify`].
pub(super) async fn verify_user(
    state: &State,
    request: &SignedRequest<'_>,
) -> Result<UserId, Error> {
    verify_within_limits(state, request, request.claim.station()?).await
}

/// Verifies a signature, unless too many invalid ones came from this address: each costs a read of the database or the
/// check of a key, so a flood of them costs its own address.
async fn verify_within_limits(
    state: &State,
    request: &SignedRequest<'_>,
    station: Option<StationId>,
) -> Result<UserId, Error> {
    state.limits.check_signatures(request.address)?;
    let result = verify_signature(state, request, station).await;
    if let Err(Error::SignatureInvalid) = result {
        state.limits.count_bad_signature(request.address);
    }
    result
}

/// Returns `true` if the claimed user and station are known: of a request whose signature cannot be checked yet. Unknown ones
/// count as invalid signatures.
///
/// # Errors
/// `RateLimited`, where too many came from the address; those of the database.
pub(super) async fn is_known(
    state: &State,
    user: UserId,
    station: StationId,
    address: IpAddr,
    now: Timestamp,
) -> Result<bool, Error> {
    state.limits.check_signatures(address)?;
    let found = state
        .keys
        .of(&state.services.db, user, Some(station), now)
        .await?;
    let is_known = matches!(found, Some((_, true)));
    if !is_known {
        state.limits.count_bad_signature(address);
    }
    Ok(is_known)
}

async fn verify_signature(
    state: &State,
    request: &SignedRequest<'_>,
    station: Option<StationId>,
) -> Result<UserId, Error> {
    let claim = &request.claim;
    let signature = claim.signature()?;
    let user = claim.user()?.ok_or(Error::SignatureMissing(USER))?;

    // An unknown user and a wrong key are refused alike, so that nobody learns from it who is a user.
    let (user_key, is_known) = state
        .keys
        .of(&state.services.db, user, station, request.now)
        .await?
        .ok_or(Error::SignatureInvalid)?;
    let text = [
        request.srv.as_bytes(),
        request.api.as_bytes(),
        claim.user.unwrap_or_default().as_bytes(),
        claim.station.unwrap_or_default().as_bytes(),
        request.body,
    ]
    .join(&b'\n');
    if !user_key.key.verifies(&text, &signature) {
        return Err(Error::SignatureInvalid);
    }
    // From here on, for the same reason: only the owner of the key learns more.
    if user_key.disabled {
        return Err(Error::NotAllowed("This user is disabled."));
    }
    if !is_known {
        return Err(Error::UnknownStation);
    }
    check_time(state, request)?;
    Ok(user)
}

/// Checks the client's clock, if the request has it.
///
/// # Errors
/// `TimestampOutOfRange`.
pub(super) fn check_time(state: &State, request: &SignedRequest<'_>) -> Result<(), Error> {
    match request.timestamp {
        Some(timestamp) if timestamp.distance(request.now) > state.settings.signature_window => {
            Err(Error::TimestampOutOfRange(request.now.to_string()))
        }
        _ => Ok(()),
    }
}

/// A header's text; an empty one counts as absent.
fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)?
        .to_str()
        .ok()
        .filter(|text| !text.is_empty())
}

fn wrong(header: &str) -> Error {
    Error::BadRequest(format!("{header} must be 32 hexadecimal digits."))
}
