//! One request, from its first byte to its answer: parse, check who asks, work, commit, announce.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::{BodySize, MessageBody},
    http::{Method, StatusCode, header},
    web,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    body, connection, identity,
    identity::{Asked, Claim},
    limits,
    load::{AtWork, Share},
    state::State,
};
use crate::{
    api::{self, Action, Api, login::Door, request::Head},
    chat::{Call, error::Error},
    model::{
        id::{StationId, UserId},
        time::Timestamp,
    },
    store,
};

/// Where the API is served: clients of older installations have the longer paths in their settings.
pub const PATHS: [&str; 3] = ["/", "/index.php", "/ozeki/index.php"];

/// An answer is copied into the connection's buffer in pieces of so many bytes: a usual page is one, and one system call.
const PIECE: usize = 64 << 10;

/// The query of a URL. Its order does not matter.
#[derive(Debug, Default, Deserialize)]
struct Names {
    #[serde(default)]
    srv: String,
    #[serde(default)]
    api: String,
}

/// Answers a request to the API.
pub async fn answer(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let begun = Instant::now();
    let id = Uuid::new_v4().simple();
    let mut seen = Seen { address: identity::address(&state, &request), api: "", action: String::new(), user: None };
    let names = web::Query::<Names>::from_query(request.query_string()).map(web::Query::into_inner).unwrap_or_default();
    let api = Api::named(&names.srv, &names.api).ok();
    let address = seen.address;
    let (result, seen) = match body::read(&state, api.map(|(api, ..)| api), &request, payload).await {
        // A task of its own: a peer that hangs up ends this handler, but what it asked for may be
        // committed, and must then be announced.
        Ok(body) => {
            actix_web::rt::spawn(async move { (work(&state, api, &request, &body, &mut seen).await, seen) }).await.unwrap_or_else(|error| {
                (Err(Error::Internal(error.to_string())), Seen { address, api: "", action: String::new(), user: None })
            })
        }
        Err(error) => (Err(error), seen),
    };
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let Seen { address, api, action, user } = &seen;
    let user = user.map(tracing::field::display);
    match &result {
        Ok(_) => tracing::debug!(request = %id, outcome = "ok", %address, api, action, user, micros),
        Err(Error::Internal(cause)) => tracing::error!(request = %id, outcome = "internal", %address, api, action, user, micros, cause),
        Err(Error::Unavailable { cause, .. }) => {
            tracing::error!(request = %id, outcome = "unavailable", %address, api, action, user, micros, cause);
        }
        Err(refusal) => tracing::info!(request = %id, outcome = api::error::row(refusal).1, %address, api, action, user, micros),
    }
    respond(result, &id.to_string())
}

/// What the log says of a request, as far as it was looked at.
struct Seen {
    address: IpAddr,
    api: &'static str,
    action: String,
    user: Option<UserId>,
}

/// An answer as it is written: piece by piece, as fast as the peer takes it. Until its end it counts as the user's.
pub struct Answer {
    text: web::Bytes,
    _at_work: Option<AtWork>,
    _share: Option<Share<UserId>>,
}

impl From<Vec<u8>> for Answer {
    fn from(text: Vec<u8>) -> Self {
        Self { text: text.into(), _at_work: None, _share: None }
    }
}

impl MessageBody for Answer {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        let length = self.text.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.text.split_to(length))))
    }
}

/// Answers a request to anywhere else.
pub async fn nowhere() -> HttpResponse {
    respond(Err(Error::UnknownApi), &Uuid::new_v4().simple().to_string())
}

/// Writes an answer, with the id under which the log has its request.
pub fn respond(result: Result<Answer, Error>, id: &str) -> HttpResponse {
    let mut response = match &result {
        Ok(_) => HttpResponse::Ok(),
        Err(error) => {
            let status = StatusCode::from_u16(api::error::row(error).0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = HttpResponseBuilder::new(status);
            if let Some(seconds) = api::error::retry_after(error) {
                response.insert_header((header::RETRY_AFTER, seconds));
            }
            if status == StatusCode::METHOD_NOT_ALLOWED {
                response.insert_header((header::ALLOW, "POST"));
            }
            response
        }
    };
    response
        .insert_header(("X-Request-Id", id))
        .content_type("application/json")
        .body(result.unwrap_or_else(|error| api::error::body(&error).into()))
}

async fn work(
    state: &State,
    api: Option<(Api, &'static str, &'static str)>,
    request: &HttpRequest,
    body: &[u8],
    seen: &mut Seen,
) -> Result<Answer, Error> {
    let (api, srv, name) = api.ok_or(Error::UnknownApi)?;
    seen.api = name;
    if request.method() != Method::POST {
        return Err(Error::MethodNotAllowed);
    }
    let head = Head::parse(body)?;
    let action = Action::parse(api, &head, body)?;
    seen.action.push_str(&head.action);
    let asked = Asked {
        claim: Claim::of_headers(request),
        srv,
        api: name,
        body,
        timestamp: head.timestamp,
        nonce: head.nonce.as_deref().filter(|_| head.is_v4()),
        now: Timestamp::now(),
        address: seen.address,
    };

    match action {
        Action::Login(action) => Box::pin(come_in(state, &asked, action)).await.map(Answer::from),
        Action::Workspace(action) => {
            let user = identity::user_anywhere(state, &asked).await?;
            seen.user = Some(user);
            Box::pin(api::workspace::perform(&state.db, user, asked.now, action)).await.map(Answer::from)
        }
        Action::Notification(action) => {
            let (user, station) = match Box::pin(listener(state, &asked)).await? {
                Some(known) => known,
                None => identity::user_at_station(state, &asked).await?,
            };
            seen.user = Some(user);
            let at_work = state.load.begin(user).await?;
            let connection = connection::of_poll(request);
            let text = api::notification::perform(&state.notifications, user, station, connection, head.is_v4(), action)?;
            count(state, at_work, user, asked.address, text)
        }
        Action::Signed(action) => {
            let (user, station) = identity::user_at_station(state, &asked).await?;
            seen.user = Some(user);
            if let Some(connection) = connection::polled_before(request) {
                state.notifications.acknowledge(user, station, connection);
            }
            let at_work = state.load.begin(user).await?;
            let reading = if action.is_read() { Some(at_work.read().await?) } else { None };
            let mut call = Call {
                user,
                station,
                is_v4: head.is_v4(),
                now: asked.now,
                db: &state.db,
                messages: &state.messages,
                reports: &state.reports,
                names: &state.names,
                recent: &state.recent,
                settings: &state.settings,
                notifications: &state.notifications,
                outbox: Vec::new(),
            };
            let result = api::perform(&mut call, action).await;
            if let Err(Error::Unavailable { is_uncertain: true, .. }) = result {
                state.resync.request_everywhere();
            }
            let outbox = call.outbox;
            state.announce(&outbox);
            let answer = count(state, at_work, user, asked.address, result?);
            drop(reading);
            answer
        }
    }
}

/// An answer to a user, which counts as theirs until it is written.
fn count(state: &State, at_work: AtWork, user: UserId, address: IpAddr, text: Vec<u8>) -> Result<Answer, Error> {
    let share = state.load.answer(user, limits::network(address), text.len())?;
    Ok(Answer { text: text.into(), _at_work: Some(at_work), _share: share })
}

/// Login and registration: failures are counted, and too many are not even looked at.
async fn come_in(state: &State, asked: &Asked<'_>, action: api::login::Action) -> Result<Vec<u8>, Error> {
    let address = asked.address;
    let claimed = asked.claim.user()?;
    let door = Door { claimed, station: asked.claim.station()?, now: asked.now, db: &state.db, settings: &state.settings };
    // Who registers with a key that is taken learns as much as from a login.
    let is_registration = matches!(action, api::login::Action::Register(_));
    if is_registration {
        state.limits.take_registration(address)?;
    }
    state.limits.take(address, claimed)?;
    let result = api::login::perform(&door, action).await;
    let has_failed = matches!(result, Err(Error::LoginFailed | Error::RegistrationClosed(_) | Error::AlreadyExists(_)));
    if !has_failed {
        state.limits.give_back(address, claimed);
    }
    result
}

/// The published notification request carries its station alone. Where the operator allows that, the
/// user is the one last seen there.
async fn listener(state: &State, asked: &Asked<'_>) -> Result<Option<(UserId, StationId)>, Error> {
    if !state.settings.allow_unsigned_notifications || asked.claim.user.is_some() {
        return Ok(None);
    }
    let Some(station) = asked.claim.station()? else { return Ok(None) };
    identity::check_time(state, asked)?;
    let user = store::station::last_user_of(&state.db, station).await?.ok_or(Error::UnknownStation)?;
    Ok(Some((user, station)))
}
