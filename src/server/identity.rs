//! Who is asking: headers, signature, station, time, nonce (docs/api.md, Signatures). The scheme lives
//! behind [`check`], so that another can be put beside it.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::HttpRequest;
use chrono::TimeDelta;
use moka::{policy::EvictionPolicy, sync::Cache};

use super::state::State;
use crate::{chat::error::Error, store};
use parlance_wire::{
    id::{StationId, UserId},
    key::{PublicKey, VerifyingKey},
    signature::{self, Claim, SIGNATURE_HEADER, STATION_HEADER, USER_HEADER},
    time::Timestamp,
};

/// So many users' keys are kept parsed; each takes about 3 KB.
const MOST_IDENTITIES: u64 = 20_000;
/// A key is read anew after this, whatever was or was not heard meanwhile.
const IDENTITY_LIFETIME: Duration = Duration::from_mins(1);
/// So many nonces are remembered.
const MOST_NONCES: u64 = 1_000_000;

/// The keys of those who asked lately.
pub(super) struct Identities {
    by_user: Cache<UserId, Arc<Identity>>,
    /// How often all were forgotten: what was read before that is not kept after it.
    forgotten: AtomicU64,
}

struct Identity {
    key: VerifyingKey,
    disabled: bool,
    /// Those from which the user was seen to have logged in.
    stations: Mutex<BTreeSet<StationId>>,
}

impl Default for Identities {
    fn default() -> Self {
        let by_user = Cache::builder()
            .max_capacity(MOST_IDENTITIES)
            .time_to_live(IDENTITY_LIFETIME)
            .build();
        Self {
            by_user,
            forgotten: AtomicU64::new(0),
        }
    }
}

impl Identities {
    /// Gives back the room of those who have not asked for a while.
    pub(super) fn sweep(&self) {
        self.by_user.run_pending_tasks();
    }

    /// Changes whenever someone's right to come in may have changed.
    pub(super) fn generation(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Forgets all: someone's right to come in has changed. Rare.
    pub(super) fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.by_user.invalidate_all();
    }
}

/// The nonces that each station has used.
pub(super) struct Nonces(Cache<(UserId, StationId, String), ()>);

impl Nonces {
    /// Remembers a nonce for as long as its request could come again.
    pub(super) fn new(window: TimeDelta) -> Self {
        // A clock may be a window ahead, and its request good for a window after that.
        let lifetime = window
            .to_std()
            .unwrap_or_default()
            .saturating_mul(2)
            .min(Duration::from_hours(24 * 365));
        // What is newest must be remembered, or it could be sent again at once.
        Self(
            Cache::builder()
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(MOST_NONCES)
                .time_to_live(lifetime)
                .build(),
        )
    }

    fn is_new(&self, user: UserId, station: StationId, nonce: &str) -> bool {
        self.0
            .entry((user, station, nonce.to_owned()))
            .or_insert(())
            .is_fresh()
    }
}

/// Who the headers of a request say that its sender is.
pub(super) fn claim(request: &HttpRequest) -> Claim<'_> {
    Claim {
        user: header(request, USER_HEADER),
        station: header(request, STATION_HEADER),
        signature: header(request, SIGNATURE_HEADER),
    }
}

/// What was asked, as far as a signature covers it.
pub(super) struct Asked<'a> {
    /// Who asks, they say.
    pub claim: Claim<'a>,
    /// The names of the API, as a URL gives them.
    pub srv: &'static str,
    /// See `srv`.
    pub api: &'static str,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The client's clock.
    pub timestamp: Option<Timestamp>,
    /// A v4 client's nonce.
    pub nonce: Option<&'a str>,
    /// The moment of the request.
    pub now: Timestamp,
    /// Where it comes from.
    pub address: IpAddr,
}

/// The user and station that signed a request.
///
/// # Errors
/// `SignatureMissing`, `SignatureInvalid`, `UnknownStation`, `TimestampOutOfRange`, `Replayed`,
/// `RateLimited`; `NotAllowed` for a disabled user; `BadRequest` without a timestamp.
pub(super) async fn user_at_station(
    state: &State,
    asked: &Asked<'_>,
) -> Result<(UserId, StationId), Error> {
    let station = asked
        .claim
        .station()?
        .ok_or(Error::SignatureMissing(STATION_HEADER))?;
    let user = check(state, asked, Some(station)).await?;
    if asked.timestamp.is_none() {
        return Err(Error::BadRequest("timestamp is missing.".into()));
    }
    if let Some(nonce) = asked.nonce
        && !state.nonces.is_new(user, station, nonce)
    {
        return Err(Error::Replayed);
    }
    Ok((user, station))
}

/// The user that signed a request from wherever. A station and a timestamp are not asked for, but
/// checked if they are there.
///
/// # Errors
/// As for [`user_at_station`].
pub(super) async fn user_anywhere(state: &State, asked: &Asked<'_>) -> Result<UserId, Error> {
    let station = asked.claim.station()?;
    check(state, asked, station).await
}

/// Checks who asks. A flood of signatures that do not fit costs its own address: there, no more are looked at
/// for a while.
async fn check(
    state: &State,
    asked: &Asked<'_>,
    station: Option<StationId>,
) -> Result<UserId, Error> {
    state.limits.check_signatures(asked.address)?;
    let result = look_at(state, asked, station).await;
    if let Err(Error::SignatureInvalid) = result {
        state.limits.count_bad_signature(asked.address);
    }
    result
}

/// Whether there is such a user at such a station, for a request that says so and has not shown it yet. Wrong ones count
/// as signatures that do not fit.
///
/// # Errors
/// `RateLimited`, where too many came from the address; what the database refuses.
pub(super) async fn is_known(
    state: &State,
    user: UserId,
    station: StationId,
    address: IpAddr,
    now: Timestamp,
) -> Result<bool, Error> {
    state.limits.check_signatures(address)?;
    let is_known = matches!(
        identity(state, user, Some(station), now).await?,
        Some((_, true))
    );
    if !is_known {
        state.limits.count_bad_signature(address);
    }
    Ok(is_known)
}

/// Checks signature, station and time, in this order: only who holds the key learns more.
async fn look_at(
    state: &State,
    asked: &Asked<'_>,
    station: Option<StationId>,
) -> Result<UserId, Error> {
    let signed = asked.claim.signature()?;
    let user = asked
        .claim
        .user()?
        .ok_or(Error::SignatureMissing(USER_HEADER))?;

    let (identity, is_known) = identity(state, user, station, asked.now)
        .await?
        .ok_or(Error::SignatureInvalid)?;
    let text = signature::text(
        asked.srv,
        asked.api,
        asked.claim.user.unwrap_or_default(),
        asked.claim.station.unwrap_or_default(),
        asked.body,
    );
    if !identity.key.verifies(&text, &signed) {
        return Err(Error::SignatureInvalid);
    }
    if identity.disabled {
        return Err(Error::NotAllowed("This user is disabled."));
    }
    if !is_known {
        return Err(Error::UnknownStation);
    }
    check_time(state, asked)?;
    Ok(user)
}

/// Checks the request's clock, if it gave one.
///
/// # Errors
/// `TimestampOutOfRange`.
pub(super) fn check_time(state: &State, asked: &Asked<'_>) -> Result<(), Error> {
    match asked.timestamp {
        Some(timestamp) if timestamp.distance(asked.now) > state.settings.signature_window => {
            Err(Error::TimestampOutOfRange(asked.now.to_string()))
        }
        _ => Ok(()),
    }
}

/// A user's key, and whether they may come in from the station.
async fn identity(
    state: &State,
    user: UserId,
    station: Option<StationId>,
    now: Timestamp,
) -> Result<Option<(Arc<Identity>, bool)>, Error> {
    let known = state.identities.by_user.get(&user);
    if let Some(identity) = known
        .filter(|identity| station.is_none_or(|station| identity.stations().contains(&station)))
    {
        return Ok(Some((identity, true)));
    }
    let generation = state.identities.generation();
    let Some(row) = Box::pin(store::user::identity(
        &state.services.db,
        user,
        station,
        now,
    ))
    .await?
    else {
        return Ok(None);
    };
    let identity = if let Some(identity) = state.identities.by_user.get(&user) {
        identity
    } else {
        let key = PublicKey::parse(&row.public_key)
            .ok_or_else(|| Error::Internal(format!("the public key of {user} does not parse")))?;
        Arc::new(Identity {
            key: key.into(),
            disabled: row.disabled,
            stations: Mutex::default(),
        })
    };
    let is_known = station.is_none() || row.station_known;
    // A station that is not known yet may log in a moment from now: that is not remembered.
    if let Some(station) = station.filter(|_| row.station_known) {
        identity.stations().insert(station);
    }
    if state.identities.generation() == generation {
        state.identities.by_user.insert(user, identity.clone());
    }
    Ok(Some((identity, is_known)))
}

impl Identity {
    fn stations(&self) -> MutexGuard<'_, BTreeSet<StationId>> {
        self.stations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address that a request comes from: of the first hop, from the server's side, that is no
/// trusted proxy.
pub(super) fn address(state: &State, request: &HttpRequest) -> IpAddr {
    let (peer, is_trusted) = (peer(request), |address: &IpAddr| is_trusted(state, address));
    if !is_trusted(&peer) {
        return peer;
    }
    let hops = request
        .headers()
        .get_all("X-Forwarded-For")
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let mut hops = hops
        .rsplit(',')
        .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
        .map(|hop| hop.to_canonical());
    hops.find(|hop| !is_trusted(hop)).unwrap_or(peer)
}

/// Whether a request comes from a trusted proxy.
pub(super) fn is_proxy(state: &State, request: &HttpRequest) -> bool {
    is_trusted(state, &peer(request))
}

fn peer(request: &HttpRequest) -> IpAddr {
    request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical())
}

fn is_trusted(state: &State, address: &IpAddr) -> bool {
    state
        .settings
        .trusted_proxies
        .iter()
        .any(|net| net.contains(address))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_request_is_good() {
        // Signed by a clock that is a window ahead, it is good for a window after that.
        let nonces = Nonces::new(TimeDelta::minutes(5));
        assert_eq!(
            nonces.0.policy().time_to_live(),
            Some(Duration::from_mins(10))
        );
    }
}
