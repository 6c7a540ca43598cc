//! Web Push: wakes stations that have no socket when something is new (docs/operating.md). A push is
//! empty: the station fetches what is new, and decrypts it, by itself.
//!
//! Requests only note what happened (`notify/push.rs`). One task turns that into claims: the node
//! that claims a station pushes it, and no other node does. What a crash loses is made up for by the
//! next message: a push is a hint, and a station resyncs whenever it connects.

mod reach;
mod service;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use self::service::{Outcome, Service};
use super::{error::StartError, state::State};
use crate::{
    notify::push::Noted,
    store::{
        self,
        error::Result,
        push::{Closed, Target},
    },
    telemetry::with_causes,
};
use parlance_wire::id::{ConversationId, StationId, UserId};

/// Maximum pushes that wait for a push service's answer, or for their next attempt.
const MAX_WAITING: usize = 2000;
/// Maximum pushes that are being sent.
const WIDTH: usize = 16;
/// Maximum pushes of one user that are being sent: whose push services are slow delays nobody else.
const WIDTH_PER_USER: usize = 2;
/// Attempts to send a push.
const ATTEMPTS: u32 = 5;
/// Maximum delay before the next attempt, whatever a push service asks for.
const MAX_DELAY: Duration = Duration::from_mins(10);
/// Pause between two rounds of claims.
// Where hundreds of messages are stored in a second, one statement claims for all of them: the
// database is for the messages.
const GATHER: Duration = Duration::from_millis(200);
/// Delay before a failed statement is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Starts the task, if the operator has turned pushes on.
///
/// # Errors
/// No push service can be trusted.
pub(super) fn start(state: &Arc<State>) -> std::result::Result<Option<JoinHandle<()>>, StartError> {
    let Some(settings) = &state.settings.push else {
        return Ok(None);
    };
    let service = Arc::new(Service::new(settings)?);
    Ok(Some(tokio::spawn(run(state.clone(), service))))
}

async fn run(state: Arc<State>, service: Arc<Service>) {
    let Some(queue) = &state.services.push else {
        return;
    };
    let width = Arc::new(Semaphore::new(WIDTH));
    let mut widths = HashMap::new();
    // Dropped with this task, which ends them.
    let mut pushes = JoinSet::new();
    loop {
        let noted = queue.take().await;
        let (targets, undone) = claim(&state, noted).await;
        for target in targets {
            // Those that have ended would count as waiting until they are joined.
            while pushes.try_join_next().is_some() {}
            if pushes.len() < MAX_WAITING {
                let (state, service) = (state.clone(), service.clone());
                let widths = [width_of(target.user, &mut widths), width.clone()];
                pushes.spawn(async move { push(&state, &service, &widths, &target).await });
            } else {
                state.metrics.count_push("dropped");
                // Released, so that the station's next message causes another push.
                write(store::push::release(
                    &state.services.db,
                    target.user,
                    target.station,
                ))
                .await;
            }
        }
        widths.retain(|_, width| width.strong_count() > 0);
        if let Some(undone) = undone {
            sleep(RETRY_DELAY).await;
            queue.put_back(undone);
        }
        sleep(GATHER).await;
    }
}

/// How many more pushes of a user may be sent now.
fn width_of(user: UserId, widths: &mut HashMap<UserId, Weak<Semaphore>>) -> Arc<Semaphore> {
    widths
        .get(&user)
        .and_then(Weak::upgrade)
        .unwrap_or_else(|| {
            let width = Arc::new(Semaphore::new(WIDTH_PER_USER));
            widths.insert(user, Arc::downgrade(&width));
            width
        })
}

/// The stations that this node is to push because of what was noted, and what is still to be done
/// as the database was away.
async fn claim(state: &State, noted: Noted) -> (Vec<Target>, Option<Noted>) {
    let mut undone = Noted::default();
    let mut targets = vec![];
    // First, so that a station whose socket is known here is not pushed.
    match sockets_changed(state, &noted.stations).await {
        Ok(due) => targets.extend(due),
        Err(error) => {
            away(&error);
            undone.stations = noted.stations;
        }
    }
    match claim_for(state, &noted.news).await {
        Ok(due) => targets.extend(due),
        Err(error) => {
            away(&error);
            undone.news = noted.news;
        }
    }
    let is_done = undone.news.is_empty() && undone.stations.is_empty();
    (targets, (!is_done).then_some(undone))
}

async fn claim_for(state: &State, news: &HashMap<ConversationId, i64>) -> Result<Vec<Target>> {
    if news.is_empty() {
        return Ok(vec![]);
    }
    let news: Vec<(ConversationId, i64)> = news.iter().map(|(id, seq)| (*id, *seq)).collect();
    store::push::claim(&state.services.db, &news, state.settings.timings.push_again).await
}

/// Records which of these stations have a socket here. Returns those that were closed and are to be
/// pushed.
async fn sockets_changed(
    state: &State,
    stations: &HashMap<(UserId, StationId), bool>,
) -> Result<Vec<Target>> {
    let db = &state.services.db;
    // As it is now, and not when it was noted: the station may have come back.
    let (open, closed): (Vec<_>, Vec<_>) = stations
        .iter()
        .partition(|((user, station), _)| state.notifications.has_socket_of(*user, *station));
    if !open.is_empty() {
        let open: Vec<(UserId, StationId)> = open.into_iter().map(|(one, _)| *one).collect();
        store::push::socket_opened(db, state.node, &open).await?;
    }
    if closed.is_empty() {
        return Ok(vec![]);
    }
    let closed: Vec<Closed> = closed
        .into_iter()
        .map(|(&(user, station), &is_unconfirmed)| Closed {
            user,
            station,
            is_unconfirmed,
        })
        .collect();
    store::push::socket_closed(db, state.node, &closed).await
}

/// Pushes a station: tries again while its push service cannot be reached, and forgets the
/// subscription if that is what the service says.
async fn push(
    state: &State,
    service: &Service,
    [of_user, of_all]: &[Arc<Semaphore>; 2],
    target: &Target,
) {
    let db = &state.services.db;
    let mut delay = Duration::ZERO;
    for attempt in 0..ATTEMPTS {
        sleep(delay).await;
        let outcome = {
            // Held while it is sent and not while it waits: a service that is away does not stop
            // the others. The user's permit first, so that nobody holds one of all while waiting for it.
            let (Ok(_own), Ok(_permit)) = (of_user.acquire().await, of_all.acquire().await) else {
                return;
            };
            let (key, now) = (&state.services.identity.push, state.settings.clock.now());
            service.send(&target.endpoint, key, now).await
        };
        let label = match outcome {
            Outcome::Sent => "sent",
            Outcome::Rejected => "rejected",
            Outcome::Internal => "internal_address",
            Outcome::Gone => {
                write(store::push::gone(db, target)).await;
                "gone"
            }
            Outcome::Again(after) => {
                let usual = state.settings.timings.push_retry * 2_u32.pow(attempt);
                delay = after.unwrap_or(usual).min(MAX_DELAY);
                continue;
            }
        };
        state.metrics.count_push(label);
        return;
    }
    state.metrics.count_push("failed");
    write(store::push::release(db, target.user, target.station)).await;
}

/// A write that need not succeed: the next push does the same.
async fn write(statement: impl Future<Output = Result<()>>) {
    if let Err(error) = statement.await {
        away(&error);
    }
}

fn away(error: &store::error::Error) {
    tracing::debug!(error = with_causes(error), "the database is away");
}
