//! Whether the process lives, and whether it can serve.

use actix_web::{HttpResponse, web};

use super::state::State;
use crate::store;

/// The process lives.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// It can serve: not stopping, the database answers, and its migrations are current. Else 503. A bus
/// that is away does not end the service: clients are told to compare everything, more often.
pub async fn readyz(state: web::Data<State>) -> HttpResponse {
    let problem = if state.is_stopping() {
        Some("stopping")
    } else {
        match store::is_current(&state.db).await {
            Ok(true) => None,
            Ok(false) => Some("the database has to be migrated"),
            Err(error) => {
                tracing::warn!(%error, "not ready");
                Some("the database is away")
            }
        }
    };
    match problem {
        None => HttpResponse::Ok().content_type("text/plain").body(format!("ready\nbus: {}\n", state.bus.state())),
        Some(problem) => HttpResponse::ServiceUnavailable().content_type("text/plain").body(format!("{problem}\n")),
    }
}
