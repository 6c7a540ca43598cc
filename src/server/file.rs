//! Requests about files (docs/api.md, Files): calls like any other, and those whose JSON is in a header
//! because their body is records, or because they have none.

mod download;
mod range;

use std::net::IpAddr;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, header},
    web,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    address::{self, network},
    answer::Answer,
    body,
    endpoint::signed,
    extract::{AtStation, state_of},
    identity::{self, SignedRequest, Verified},
    request_log::RequestLog,
    site,
    state::State,
};
use crate::{
    api::{self, error::Error},
    chat::{Call, file, rates::Allowed},
    store,
};
use parlance_wire::{
    id::{StationId, UserId},
    request::{
        Api, Head,
        file::{Action, Put},
    },
    signature::REQUEST_HEADER,
    time::Timestamp,
    version::ClientVersion,
};

pub(super) use self::download::{PATHS, download};

/// Maximum characters of the header `Ozeki-Request`.
const MAX_HEADER: usize = 4 << 10;

/// Settles where files lie, when a server starts.
///
/// # Errors
/// Those of the database, and of the store.
pub(super) async fn begin(state: &State) -> store::error::Result<()> {
    let wanted = state.settings.file_store.as_ref();
    let stores = state.services.files.stores();
    let present = store::file::begin(&state.services.db, stores, wanted).await?;
    if let Some(wanted) = wanted.filter(|wanted| **wanted != present) {
        tracing::warn!(
            "FILE_STORE is {wanted}, but files lie in {present}, where new ones go, too; move them with: parlance files move --to {wanted}"
        );
    }
    for place in store::file::disowned(&state.services.db).await? {
        tracing::warn!(
            "this database was restored, so nothing is deleted in {place}; once the original server is permanently stopped, run: parlance files adopt"
        );
    }
    Ok(())
}

/// A request whose JSON is in a header, of a client of version 4, which its user signed.
struct InHeader {
    action: Action,
    user: UserId,
    station: StationId,
    allowed: Allowed,
    now: Timestamp,
    address: IpAddr,
}

impl InHeader {
    /// Reads and verifies it.
    ///
    /// # Errors
    /// `UnknownApi` for other clients; `BadRequest`; those of [`identity::verify`].
    async fn read(state: &State, http: &HttpRequest, header: &str) -> Result<Self, Error> {
        let address = address::of_client(&state.settings, http);
        site::check(&state.settings, http)?;
        if header.len() > MAX_HEADER {
            return Err(malformed());
        }
        let json = URL_SAFE_NO_PAD.decode(header).map_err(|_| malformed())?;
        let head = Head::parse(&json)?;
        if !head.version().is_v4() {
            return Err(Error::UnknownApi);
        }
        RequestLog::update(http, |log| {
            let mut names = Api::File.actions().iter();
            log.action = names
                .find(|name| **name == head.action)
                .copied()
                .unwrap_or(log.action);
        });
        let action = parlance_wire::request::action(&head.action, &json)?;
        let (srv, api) = Api::File.names();
        let now = state.settings.clock.now();
        let signed = SignedRequest {
            claim: identity::claim(http),
            srv,
            api,
            body: &json,
            timestamp: head.timestamp,
            nonce: head.nonce.as_deref(),
            now,
            address,
        };
        let Verified {
            user,
            station,
            allowed,
        } = identity::verify(state, &signed).await?;
        RequestLog::update(http, |log| log.user = Some(user));
        Ok(Self {
            action,
            user,
            station,
            allowed,
            now,
            address,
        })
    }
}

/// The text of the header `Ozeki-Request`, if there is one.
///
/// # Errors
/// `BadRequest`, if it is no text.
fn header_of(http: &HttpRequest) -> Result<Option<&str>, Error> {
    let header = http.headers().get(REQUEST_HEADER);
    let text = header.map(|header| header.to_str().map_err(|_| malformed()));
    text.transpose()
}

fn malformed() -> Error {
    Error::bad_request(format!(
        "{REQUEST_HEADER} must be the request's JSON, as base64url without padding."
    ))
}

/// The API of files: everything but reading them.
pub(super) async fn files(http: HttpRequest, payload: web::Payload) -> Result<Answer, Error> {
    let mut payload = payload.into_inner();
    let Some(header) = header_of(&http)? else {
        return signed(AtStation::from_request(&http, &mut payload).await?).await;
    };
    if http.method() != Method::POST {
        return Err(Error::MethodNotAllowed);
    }
    let state = state_of(&http)?;
    let request = InHeader::read(&state, &http, header).await?;
    state.presence.called(request.user);
    let Action::Put(sent) = &request.action else {
        return Err(Error::bad_request(format!(
            "Only put has its JSON in the header {REQUEST_HEADER}; that of other actions is the body."
        )));
    };
    put(&state, &http, payload, &request, sent).await
}

/// Receives and stores records.
async fn put(
    state: &State,
    http: &HttpRequest,
    payload: Payload,
    request: &InHeader,
    sent: &Put,
) -> Result<Answer, Error> {
    let in_progress = state.load.begin(request.user).await?;
    let call = Call {
        user: request.user,
        station: request.station,
        version: ClientVersion::V4,
        allowed: request.allowed.clone(),
        now: request.now,
        services: &state.services,
        outbox: Vec::new(),
        later: Vec::new(),
    };
    // A chunked body declares none.
    if let Some(declared) = http.headers().get(header::CONTENT_LENGTH) {
        let declared = declared.to_str().ok().and_then(|text| text.parse().ok());
        if declared != Some(sent.length) {
            return Err(body::wrong_length());
        }
    }
    // Refused before anything is received, where that is possible.
    let found = file::check_put(&call, sent).await?;
    let length = usize::try_from(sent.length).map_err(|_| body::wrong_length())?;
    let mut share = state
        .load
        .body(Some(request.user), network(request.address));
    share.take_when_free(length).await?;
    let bytes = body::read_exactly(&state.settings.timings, http, payload, length).await?;
    let upload = file::put(&call, sent, &found, bytes.into()).await?;
    state.metrics.count_file_bytes("received", sent.length);
    let text = api::file::view(&upload)?;
    let share = state
        .load
        .answer(request.user, network(request.address), text.len());
    Ok(Answer::to_user(text, in_progress, share))
}
