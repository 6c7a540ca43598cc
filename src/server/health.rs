//! `/healthz` says whether the process is alive, `/readyz` whether it can serve.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use tokio::{sync::Mutex, time::Instant};

use super::state::State;
use crate::{
    store::{self, probe},
    telemetry::with_causes,
};

/// The result of the last check. It is reused for a while, so that the probes of many balancers do
/// not become load.
#[derive(Debug, Default)]
pub(super) struct Checks(Arc<Mutex<Option<Check>>>);

#[derive(Debug)]
struct Check {
    at: Instant,
    /// The reason why the node cannot serve, if there is one.
    problem: Option<String>,
}

impl Checks {
    /// The reason why the node cannot serve. Returns `None` if it can.
    async fn problem(&self, state: &Arc<State>) -> Option<String> {
        // Held during the check, so that concurrent requests wait for its result instead of
        // starting their own.
        let mut last = self.0.clone().lock_owned().await;
        if let Some(last) = last
            .as_ref()
            .filter(|last| last.at.elapsed() < state.settings.timings.probe)
        {
            return last.problem.clone();
        }
        let state = state.clone();
        // In a task of its own: if the probe hangs up, the check must not be abandoned, as that
        // would close its database connection.
        let checked = tokio::spawn(async move {
            let problem = check(&state).await;
            *last = Some(Check {
                at: Instant::now(),
                problem: problem.clone(),
            });
            problem
        });
        checked
            .await
            .unwrap_or_else(|error| Some(format!("the check failed: {error}")))
    }
}

/// Checks that the database can be read and written.
async fn check(state: &State) -> Option<String> {
    match store::is_current(&state.services.db).await {
        Ok(true) => {}
        Ok(false) => return Some("the database has to be migrated".into()),
        Err(error) => {
            tracing::warn!(error = with_causes(&error), "not ready");
            return Some("the database is away".into());
        }
    }
    // A read-only standby, or a full disk, can still be read.
    match probe::write(&state.services.db, state.node).await {
        Ok(true) => None,
        Ok(false) => {
            Some("the database does not know this node; its next heartbeat says so again".into())
        }
        Err(error) => {
            tracing::warn!(error = with_causes(&error), "writes fail");
            let cause = error
                .write_failure()
                .unwrap_or_else(|| "the database takes too long, or refuses them".into());
            Some(format!("writes fail: {cause}"))
        }
    }
}

/// Answers that the process is alive.
pub(super) async fn healthz() -> HttpResponse {
    // Nothing is checked: a supervisor restarts a process that is not alive, and that does not
    // bring a database back.
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Answers whether this node can serve: it is not stopping, the database answers and accepts
/// writes, and its migrations are current; otherwise 503. A node without its bus still serves, as
/// stations resync more often instead.
pub(super) async fn readyz(state: web::Data<State>) -> HttpResponse {
    let state = state.into_inner();
    let problem = if state.is_stopping() {
        Some("stopping".to_owned())
    } else {
        // The probe's row is small, and may succeed where batches of messages fail.
        let failure = || {
            state
                .services
                .messages
                .failure()
                .or_else(|| state.services.reports.failure())
        };
        state
            .checks
            .problem(&state)
            .await
            .or_else(|| failure().map(|cause| format!("writes fail: {cause}")))
    };
    match problem {
        None => HttpResponse::Ok()
            .content_type("text/plain")
            .body(format!("ready\nbus: {}\n", state.bus.status())),
        Some(problem) => HttpResponse::ServiceUnavailable()
            .content_type("text/plain")
            .body(format!("{problem}\n")),
    }
}
