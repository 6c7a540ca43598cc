//! The middleware around each request: its id, span, log line and task.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use tracing::{Instrument, field::display};
use uuid::Uuid;

use super::{address, metrics::UNKNOWN, state::State};
use crate::{
    api::error::{self, Error},
    chat::error::Error as Rule,
};
use parlance_wire::id::UserId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Facts about a request, for the log and the metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestLog {
    /// The API's name in a URL. Like `action`, it is from a closed set; anything else is `unknown`.
    pub api: &'static str,
    pub action: &'static str,
    /// The user who signed it.
    pub user: Option<UserId>,
}

impl Default for RequestLog {
    fn default() -> Self {
        Self {
            api: UNKNOWN,
            action: UNKNOWN,
            user: None,
        }
    }
}

impl RequestLog {
    /// Updates the log of a request.
    pub(super) fn update(request: &HttpRequest, change: impl FnOnce(&mut Self)) {
        let mut extensions = request.extensions_mut();
        let mut log = extensions.get::<Self>().copied().unwrap_or_default();
        change(&mut log);
        extensions.insert(log);
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
    let header = HeaderValue::from_str(&id.to_string())?;
    let handled = async move {
        let begun = Instant::now();
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
    let RequestLog { api, action, user } = response
        .request()
        .extensions()
        .get::<RequestLog>()
        .copied()
        .unwrap_or_default();
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
            let is_fault = matches!(refusal, Error::Rule(Rule::Internal(_)));
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
