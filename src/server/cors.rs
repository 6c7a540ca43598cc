//! Tells browsers that pages of `ALLOWED_ORIGINS` may use the API (CORS). All other pages get no such
//! answer, so a browser does not show them the answers.

use actix_web::{
    Error, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
        },
    },
    middleware::Next,
    web,
};

use super::state::State;

/// The headers that a signed request has, besides those that any may have.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, Range, Ozeki-User, Ozeki-Station, Ozeki-Signature, Ozeki-Request",
);
/// The headers of an answer that a client reads, besides those that any page may read.
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("Retry-After, X-Request-Id, Content-Range");
/// Seconds for which a browser remembers what is allowed: as long as any does.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// Answers preflights of allowed origins, and marks the answers to their requests.
pub(super) async fn allow<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let origin = request.headers().get(ORIGIN).cloned();
    let allowed = origin.filter(|origin| state.settings.allows_origin(origin.to_str().ok()));
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &allowed {
        Some(_) if is_preflight => {
            let mut response = HttpResponse::NoContent().finish();
            let headers = response.headers_mut();
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("POST"),
            );
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            request.into_response(response).map_into_right_body()
        }
        _ => next.call(request).await?.map_into_left_body(),
    };
    mark(response.headers_mut(), allowed);
    Ok(response)
}

fn mark(headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
    // Also on what is refused: a cache must not give one origin's answer to another.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    }
}
