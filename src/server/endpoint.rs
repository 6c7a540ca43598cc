//! One request, from its first byte to its answer: parse, check who asks, work, commit, announce.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
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
    address,
    body::{self, Body},
    budget::Share,
    connection,
    identity::{self, SignedRequest},
    load::AtWork,
    state::State,
};
use crate::{
    api::{self, login::LoginContext},
    chat::{Call, error::Error},
    store,
};
use parlance_wire::{
    id::{StationId, UserId},
    request::{Action, Api, Head, Signed, login::Action as Login},
    version::ClientVersion,
};

/// Where the API is served: clients of older installations have the longer paths in their settings.
pub(super) const PATHS: [&str; 3] = ["/", "/index.php", "/ozeki/index.php"];

/// An answer of at most this many bytes is copied into the connection's buffer at once: a usual page costs one system call.
const USUAL_PAGE: usize = 64 << 10;
/// A longer one in pieces.
const PIECE: usize = 32 << 10;
/// A peer has to take a long answer at this rate, in bytes a second, once the first moment is over: what it does not take
/// is kept for it.
const LEAST_RATE: usize = 2 << 10;
const FIRST_MOMENT: Duration = Duration::from_secs(30);

/// The query of a URL. Its order does not matter.
#[derive(Debug, Default, Deserialize)]
struct ApiQuery {
    #[serde(default)]
    srv: String,
    #[serde(default)]
    api: String,
}

/// Answers a request to the API.
pub(super) async fn answer(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let begun = Instant::now();
    let id = Uuid::new_v4().simple();
    let mut log = RequestLog {
        address: address::of_client(&state.settings, &request),
        api: "",
        action: String::new(),
        user: None,
    };
    let query = web::Query::<ApiQuery>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .unwrap_or_default();
    let api = Api::named(&query.srv, &query.api);
    let address = log.address;
    let (result, log) =
        match body::read(&state, api, address, &request, payload).await {
            // A task of its own: a peer that hangs up ends this handler, but what it asked for may be
            // committed, and must then be announced.
            Ok(body) => actix_web::rt::spawn(async move {
                (work(&state, api, &request, body, &mut log).await, log)
            })
            .await
            .unwrap_or_else(|error| {
                (
                    Err(Error::Internal(error.into())),
                    RequestLog {
                        address,
                        api: "",
                        action: String::new(),
                        user: None,
                    },
                )
            }),
            Err(error) => (Err(error), log),
        };
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let RequestLog {
        address,
        api,
        action,
        user,
    } = &log;
    let user = user.map(tracing::field::display);
    match &result {
        Ok(_) => {
            tracing::debug!(request = %id, outcome = "ok", %address, api, action, user, micros);
        }
        Err(error @ (Error::Internal(_) | Error::Unavailable { .. })) => {
            let (outcome, cause) = (api::error::row(error).1, error.cause());
            tracing::error!(request = %id, outcome, %address, api, action, user, micros, cause);
        }
        Err(refusal) => {
            tracing::info!(request = %id, outcome = api::error::row(refusal).1, %address, api, action, user, micros);
        }
    }
    respond(result, &id.to_string())
}

/// What the log says of a request, as far as it was looked at.
struct RequestLog {
    address: IpAddr,
    api: &'static str,
    action: String,
    user: Option<UserId>,
}

/// An answer as it is written: piece by piece, as fast as the peer takes it. Until its end it counts as the user's.
pub(super) struct Answer {
    text: web::Bytes,
    /// Held until then, of an answer to a user.
    _load: Option<(AtWork, Share<UserId>)>,
    begun: Instant,
    taken: usize,
}

impl Answer {
    fn of(text: Vec<u8>, load: Option<(AtWork, Share<UserId>)>) -> Self {
        Self {
            text: text.into(),
            _load: load,
            begun: Instant::now(),
            taken: 0,
        }
    }

    /// The next piece. `None`: the peer takes them too slowly.
    fn piece(&mut self) -> Option<web::Bytes> {
        let seconds = u32::try_from(self.taken / LEAST_RATE).unwrap_or(u32::MAX);
        if self.begun.elapsed() > FIRST_MOMENT + Duration::from_secs(1) * seconds {
            return None;
        }
        let length = if self.taken == 0 && self.text.len() <= USUAL_PAGE {
            self.text.len()
        } else {
            self.text.len().min(PIECE)
        };
        self.taken += length;
        Some(self.text.split_to(length))
    }
}

impl From<Vec<u8>> for Answer {
    fn from(text: Vec<u8>) -> Self {
        Self::of(text, None)
    }
}

impl MessageBody for Answer {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, io::Error>>> {
        if self.text.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(
            self.piece().ok_or_else(|| io::ErrorKind::TimedOut.into()),
        ))
    }
}

/// Answers a request to anywhere else.
pub(super) async fn not_found() -> HttpResponse {
    respond(Err(Error::UnknownApi), &Uuid::new_v4().simple().to_string())
}

/// Writes an answer, with the id under which the log has its request.
pub(super) fn respond(result: Result<Answer, Error>, id: &str) -> HttpResponse {
    let mut response = match &result {
        Ok(_) => HttpResponse::Ok(),
        Err(error) => {
            let status = StatusCode::from_u16(api::error::row(error).0)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
    api: Option<Api>,
    request: &HttpRequest,
    body: Body,
    log: &mut RequestLog,
) -> Result<Answer, Error> {
    let api = api.ok_or(Error::UnknownApi)?;
    let (srv, name) = api.names();
    log.api = name;
    if request.method() != Method::POST {
        return Err(Error::MethodNotAllowed);
    }
    let Body { bytes, share } = body;
    let head = Head::parse(&bytes)?;
    let action = Action::parse(api, &head, &bytes)?;
    log.action.push_str(&head.action);
    let asked = SignedRequest {
        claim: identity::claim(request),
        srv,
        api: name,
        body: &bytes,
        timestamp: head.timestamp,
        nonce: head.nonce.as_deref().filter(|_| head.version().is_v4()),
        now: state.settings.clock.now(),
        address: log.address,
    };

    match action {
        Action::Login(action) => Box::pin(login(state, &asked, action))
            .await
            .map(Answer::from),
        Action::Workspace(action) => {
            let user = identity::verify_user(state, &asked).await?;
            log.user = Some(user);
            Box::pin(api::workspace::perform(
                &state.services.db,
                user,
                asked.now,
                action,
            ))
            .await
            .map(Answer::from)
        }
        Action::Notification(action) => {
            let (user, station) = match Box::pin(listener(state, &asked)).await? {
                Some(known) => known,
                None => identity::verify(state, &asked).await?,
            };
            log.user = Some(user);
            let at_work = state.load.begin(user).await?;
            let connection = connection::of_poll(state, request);
            let text = api::notification::perform(
                &state.notifications,
                user,
                station,
                connection,
                head.version(),
                action,
            )?;
            let share = state
                .load
                .answer(user, address::network(asked.address), text.len());
            Ok(Answer::of(text, Some((at_work, share))))
        }
        Action::Signed(action) => {
            let (user, station) = identity::verify(state, &asked).await?;
            log.user = Some(user);
            if let Some(connection) = connection::polled_before(state, request) {
                state.notifications.ack(user, station, connection);
            }
            let at_work = state.load.begin(user).await?;
            // Those at work are few; only what waits for them has to count.
            drop(share);
            perform(
                state,
                &asked,
                (user, station, head.version()),
                at_work,
                action,
            )
            .await
        }
    }
}

/// Does what a user asks for from a station, and announces what came of it.
async fn perform(
    state: &State,
    asked: &SignedRequest<'_>,
    (user, station, version): (UserId, StationId, ClientVersion),
    at_work: AtWork,
    action: Signed,
) -> Result<Answer, Error> {
    // Asked before anything is read: what is told later may not be in the answer.
    let told = api::fetches(&action, version)
        .and_then(|what| Some((what, state.notifications.in_flight(user, station)?)));
    let acknowledge = || {
        if let Some((what, told)) = told {
            state.notifications.fetched(user, station, told, what);
        }
    };
    let reading = if api::is_read(&action) {
        Some(at_work.read().await?)
    } else {
        None
    };
    let mut call = Call {
        user,
        station,
        version,
        now: asked.now,
        services: &state.services,
        outbox: Vec::new(),
    };
    let result = api::perform(&mut call, action).await;
    if let Err(Error::Unavailable {
        uncertain: true, ..
    }) = result
    {
        state.resync.request_everywhere();
    }
    state.announce(&call.outbox);
    // What is not there, or not any more, cannot be fetched: to tell of it again helps nobody.
    let text = result.inspect_err(|error| {
        if matches!(error, Error::ConversationNotFound) {
            acknowledge();
        }
    })?;
    let address = address::network(asked.address);
    let share = match reading {
        Some(_) => state.load.try_answer(user, address, text.len())?,
        // What was done was done: that is answered, however much waits to be read.
        None => state.load.answer(user, address, text.len()),
    };
    acknowledge();
    Ok(Answer::of(text, Some((at_work, share))))
}

/// Login and registration: failures are counted, and too many are not even looked at.
async fn login(state: &State, asked: &SignedRequest<'_>, action: Login) -> Result<Vec<u8>, Error> {
    let address = asked.address;
    let claimed = asked.claim.user()?;
    let context = LoginContext {
        claimed,
        station: asked.claim.station()?,
        now: asked.now,
        services: &state.services,
        public_url: &state.settings.public_url,
    };
    // Who registers with a key that is taken learns as much as from a login.
    let is_registration = matches!(action, Login::Register(_));
    if is_registration {
        state.limits.take_registration(address)?;
    }
    state.limits.take_login(address, claimed)?;
    let result = api::login::perform(&context, action).await;
    let has_failed = matches!(
        result,
        Err(Error::LoginFailed | Error::RegistrationClosed(_) | Error::AlreadyExists(_))
    );
    if !has_failed {
        state.limits.give_login_back(address, claimed);
    }
    result
}

/// The published notification request carries its station alone. Where the operator allows that, the
/// user is the one last log there.
async fn listener(
    state: &State,
    asked: &SignedRequest<'_>,
) -> Result<Option<(UserId, StationId)>, Error> {
    if !state.settings.allow_unsigned_notifications || asked.claim.user.is_some() {
        return Ok(None);
    }
    let Some(station) = asked.claim.station()? else {
        return Ok(None);
    };
    identity::check_time(state, asked)?;
    let user = store::station::last_user_of(&state.services.db, station)
        .await?
        .ok_or(Error::UnknownStation)?;
    Ok(Some((user, station)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_takes_a_long_answer_too_slowly_is_given_up_and_one_that_takes_its_time_is_not() {
        let mut answer = Answer::from(vec![b'x'; 4 * PIECE]);
        assert_eq!(answer.piece().unwrap().len(), PIECE);
        // 16 seconds for a piece, once the first moment is over.
        answer.begun -= FIRST_MOMENT + Duration::from_secs(15);
        assert_eq!(answer.piece().unwrap().len(), PIECE);
        answer.begun -= Duration::from_secs(18);
        assert!(answer.piece().is_none());
    }

    #[test]
    fn a_usual_page_is_one_piece() {
        let mut answer = Answer::from(vec![b'x'; USUAL_PAGE]);
        assert_eq!(answer.piece().unwrap().len(), USUAL_PAGE);
    }
}
