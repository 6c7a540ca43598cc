//! Sends the answer to `export`, which may be very long, piece by piece as fast as it is read.

use std::{
    collections::HashSet,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::{BodySize, MessageBody},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Bytes,
};
use tokio::sync::mpsc;
use tracing::Instrument;

use super::{
    answer::{GRACE, JSON, MIN_RATE},
    load::InProgress,
    state::State,
};
use crate::{
    api::error::Error,
    chat::error::Error as Rule,
    store::{self, error::Error as StoreError},
    telemetry::with_causes,
};
use parlance_wire::{id::UserId, time::Timestamp};

/// Maximum number of exports on this node at the same time.
const MAX_EXPORTS: usize = 4;
/// The delay after which a refused client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Number of pieces that are read ahead of the peer; each has about 1 MiB at most.
const AHEAD: usize = 1;

/// The users with a running export.
#[derive(Debug, Default)]
pub(super) struct Exports(Arc<Mutex<HashSet<UserId>>>);

/// Permission for one export, released when dropped.
#[derive(Debug)]
struct Slot {
    exports: Arc<Mutex<HashSet<UserId>>>,
    user: UserId,
}

impl Exports {
    /// # Errors
    /// `RateLimited`, if the user has an export running, or too many others have.
    fn begin(&self, user: UserId) -> Result<Slot, Rule> {
        let mut running = locked(&self.0);
        if running.len() >= MAX_EXPORTS || !running.insert(user) {
            return Err(Rule::RateLimited(RETRY_AFTER));
        }
        Ok(Slot {
            exports: self.0.clone(),
            user,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        locked(&self.exports).remove(&self.user);
    }
}

fn locked(running: &Mutex<HashSet<UserId>>) -> MutexGuard<'_, HashSet<UserId>> {
    // A panic while the lock is held cannot leave the set half-changed, so a poisoned lock is still
    // good.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An export in progress.
pub(super) struct Export {
    first: Option<Vec<u8>>,
    pieces: mpsc::Receiver<Result<Vec<u8>, StoreError>>,
    begun: Instant,
    sent: usize,
    /// Released once the export is sent or abandoned.
    _held: (InProgress, Slot),
}

/// Starts an export and waits for its first piece: anything that fails before that is an ordinary
/// refusal.
pub(super) async fn begin(
    state: &State,
    user: UserId,
    now: Timestamp,
    in_progress: InProgress,
) -> Result<Export, Error> {
    let slot = state.exports.begin(user)?;
    let (sender, mut pieces) = mpsc::channel(AHEAD);
    let db = state.services.db.clone();
    tokio::spawn(
        async move { store::export::export(&db, user, now, &sender).await }.in_current_span(),
    );
    let first = match pieces.recv().await {
        Some(first) => first.map_err(Rule::from)?,
        None => return Err(Error::internal("an export ended before it began")),
    };
    Ok(Export {
        first: Some(first),
        pieces,
        begun: Instant::now(),
        sent: 0,
        _held: (in_progress, slot),
    })
}

impl MessageBody for Export {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        let seconds = u32::try_from(self.sent / MIN_RATE).unwrap_or(u32::MAX);
        if self.begun.elapsed() > GRACE + Duration::from_secs(1) * seconds {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.pieces.poll_recv(context)),
        };
        Poll::Ready(piece.map(|piece| match piece {
            Ok(bytes) => {
                self.sent += bytes.len();
                Ok(bytes.into())
            }
            Err(error) => {
                // The status was sent long ago. The connection is cut, so that no client takes a
                // part for the whole.
                tracing::error!(error = with_causes(&error), "an export was cut short");
                Err(io::Error::other("the export was cut short"))
            }
        }))
    }
}

impl Responder for Export {
    type Body = Self;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse<Self> {
        let mut response = HttpResponse::with_body(StatusCode::OK, self);
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response.headers_mut().insert(
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"parlance-export.json\""),
        );
        response
    }
}
