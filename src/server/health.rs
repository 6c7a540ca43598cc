//! Whether the process lives, and whether it can serve.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use tokio::sync::Mutex;

use super::state::State;
use crate::store::{self, probe};

/// Whoever asks more often is told what was found out last.
const PROBE_EVERY: Duration = Duration::from_secs(3);

/// What was last found out about writes, and when: why they fail, if they do.
#[derive(Debug, Default)]
pub struct Writes(Mutex<Option<(Instant, Option<String>)>>);

impl Writes {
    /// Why writes fail. Returns `None` when they do not.
    async fn problem(&self, state: &State) -> Option<String> {
        if let Some(cause) = state.messages.failure().or_else(|| state.reports.failure()) {
            return Some(cause);
        }
        // Held while it is found out: those who ask meanwhile wait for the same answer.
        let mut last = self.0.lock().await;
        if let Some((at, problem)) = &*last
            && at.elapsed() < PROBE_EVERY
        {
            return problem.clone();
        }
        let problem = probe::write(&state.db, state.node).await.err().map(|error| {
            tracing::warn!(%error, "writes fail");
            probe::cause(&error).unwrap_or_else(|| "the database takes too long, or refuses them".into())
        });
        *last = Some((Instant::now(), problem.clone()));
        problem
    }
}

/// The process lives.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// It can serve: not stopping, the database answers and takes writes, and its migrations are current. Else 503. A bus
/// that is away does not end the service: clients are told to compare everything, more often.
pub async fn readyz(state: web::Data<State>) -> HttpResponse {
    let problem = if state.is_stopping() {
        Some("stopping".to_owned())
    } else {
        match store::is_current(&state.db).await {
            Ok(true) => state.writes.problem(&state).await.map(|cause| format!("writes fail: {cause}")),
            Ok(false) => Some("the database has to be migrated".into()),
            Err(error) => {
                tracing::warn!(%error, "not ready");
                Some("the database is away".into())
            }
        }
    };
    match problem {
        None => HttpResponse::Ok().content_type("text/plain").body(format!("ready\nbus: {}\n", state.bus.state())),
        Some(problem) => HttpResponse::ServiceUnavailable().content_type("text/plain").body(format!("{problem}\n")),
    }
}
