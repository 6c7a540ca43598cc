//! The middleware around each request: its id, span, log line and task.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Extensions, ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use serde::Deserialize;
use tracing::{Instrument, field::display};
use uuid::Uuid;

use super::{address, metrics::UNKNOWN, state::State};
use crate::{
    api::error::{self, Error},
    chat::error::Error as ChatError,
};
use parlance_wire::{id::UserId, request::Api, signature::WEBSOCKET};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The target that a request's URL names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Api(Api),
    WebSocket,
    Unknown,
}

/// Facts about a request, for its routes, the log and the metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLog {
    pub target: Target,
    /// From a closed set; anything else is `unknown`.
    pub action: &'static str,
    /// The user who signed it.
    pub user: Option<UserId>,
}

/// The query of an API's URL. Its order does not matter.
#[derive(Debug, Default, Deserialize)]
struct ApiQuery {
    #[serde(default)]
    srv: String,
    #[serde(default)]
    api: String,
}

impl RequestLog {
    /// Of a request whose URL has this query.
    fn of_query(query: &str) -> Self {
        let api = web::Query::<ApiQuery>::from_query(query)
            .ok()
            .and_then(|query| Api::named(&query.srv, &query.api));
        Self {
            target: api.map_or(Target::Unknown, Target::Api),
            action: UNKNOWN,
            user: None,
        }
    }

    /// Updates the log of a request, if it is observed.
    pub(super) fn update(request: &HttpRequest, change: impl FnOnce(&mut Self)) {
        if let Some(log) = request.extensions_mut().get_mut::<Self>() {
            change(log);
        }
    }
}

/// The API that a request's URL names. It is parsed once, as several routes ask.
pub(super) fn api_of(request: &Extensions) -> Option<Api> {
    match request.get::<RequestLog>()?.target {
        Target::Api(api) => Some(api),
        Target::WebSocket | Target::Unknown => None,
    }
}

/// Middleware that handles a request in its own span, then logs and counts the outcome.
pub(super) async fn observe<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let id = Uuid::new_v4().simple();
    // At level error, so that every warning has its request's id, whatever level is logged.
    let span = tracing::error_span!("request", %id);
    let header = HeaderValue::from_str(id.encode_lower(&mut Uuid::encode_buffer()))?;
    let log = RequestLog::of_query(request.query_string());
    request.extensions_mut().insert(log);
    let handled = async move {
        let begun = Instant::now();
        state.proxies.check(&state.settings, request.request());
        let address = address::of_client(&state.settings, request.request());
        let mut response = next.call(request).await?;
        log_outcome(&state, &response, address, begun.elapsed());
        response.headers_mut().insert(REQUEST_ID, header);
        Ok(response)
    };
    // In a task of its own: if the peer hangs up, actix drops this future. But what the request has
    // begun may be committed and must then be announced, and a statement dropped half-way costs a
    // database connection.
    actix_web::rt::spawn(handled.instrument(span))
        .await
        .unwrap_or_else(|error| {
            tracing::error!(request = %id, %error, "a request panicked");
            Err(Error::internal(error).into())
        })
}

fn log_outcome<B>(
    state: &State,
    response: &ServiceResponse<B>,
    address: IpAddr,
    elapsed: Duration,
) {
    let extensions = response.request().extensions();
    let Some(&RequestLog {
        target,
        action,
        user,
    }) = extensions.get::<RequestLog>()
    else {
        return;
    };
    let api = match target {
        Target::Api(api) => api.names().1,
        Target::WebSocket => WEBSOCKET.1,
        Target::Unknown => UNKNOWN,
    };
    let refusal = response
        .response()
        .error()
        .and_then(|error| error.as_error::<Error>());
    let outcome = refusal.map_or("ok", |refusal| error::row(refusal).1);
    state.metrics.count(api, action, outcome, elapsed);
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let user = user.map(display);
    match refusal {
        // At debug: metrics count these, and a busy server would log little else.
        None => tracing::debug!(outcome, %address, api, action, user, micros),
        Some(refusal) => {
            let cause = refusal.cause();
            // Each failure of the server is logged: clients report a request id, and only the log
            // has the cause.
            let is_fault = matches!(refusal, Error::Chat(ChatError::Internal(_)));
            if !is_fault && !state.refusals.is_first(address, outcome) {
                return;
            }
            if let Some(cause) = cause {
                tracing::error!(outcome, %address, api, action, user, micros, cause);
            } else {
                tracing::info!(outcome, %address, api, action, user, micros);
            }
        }
    }
}
