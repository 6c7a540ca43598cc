//! Sends the answer to `export`, which may be very long, piece by piece as fast as it is read.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
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
use tokio::{sync::mpsc, time::Instant};
use tracing::Instrument;

use super::{answer::JSON, load::InProgress, state::State};
use crate::{
    api::error::Error,
    chat::{
        buckets::{Buckets, locked},
        error::Error as ChatError,
    },
    clock::Clock,
    store::{self, error::Error as StoreError},
    telemetry::with_causes,
    timings::Timings,
};
use parlance_wire::{id::UserId, time::Timestamp};

/// Maximum number of exports on this node at the same time.
const MAX_EXPORTS: usize = 4;
/// Maximum number of exports of a user per day, on this node.
const MAX_PER_DAY: u32 = 10;
const DAY: Duration = Duration::from_hours(24);
/// The delay after which a refused client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Number of pieces that are read ahead of the peer; each has about 1 MiB at most.
const AHEAD: usize = 1;

/// The exports that are running, and those of the day.
pub(super) struct Exports {
    /// An export that takes longer for a piece, or in all, makes room for others.
    max_piece: Duration,
    max_total: Duration,
    clock: Clock,
    running: Arc<Mutex<HashMap<UserId, Arc<Progress>>>>,
    of_day: Buckets<UserId>,
}

/// How an export gets on.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    /// Since when the peer has been taking a piece. `None` while it waits for the next one.
    piece_since: Mutex<Option<Instant>>,
    /// Whether it has had to make room.
    is_cut: AtomicBool,
}

/// Permission for one export, released when dropped.
#[derive(Debug)]
struct Slot {
    clock: Clock,
    running: Arc<Mutex<HashMap<UserId, Arc<Progress>>>>,
    user: UserId,
    progress: Arc<Progress>,
}

impl Exports {
    /// No exports yet.
    pub(super) fn new(timings: &Timings, clock: &Clock) -> Self {
        Self {
            max_piece: timings.export_piece,
            max_total: timings.export,
            clock: clock.clone(),
            running: Arc::default(),
            of_day: Buckets::new(MAX_PER_DAY, DAY, clock),
        }
    }

    /// # Errors
    /// `RateLimited`, if the user has an export running, or too many others have, and none has to make
    /// room; `UsedUp`, if the user had too many today.
    fn begin(&self, user: UserId) -> Result<Slot, ChatError> {
        let mut running = locked(&self.running);
        if running.contains_key(&user) || running.len() >= MAX_EXPORTS {
            self.make_room(&mut running);
        }
        if running.contains_key(&user) || running.len() >= MAX_EXPORTS {
            return Err(ChatError::RateLimited(RETRY_AFTER));
        }
        // Only once there is a slot: a refusal because of other exports costs none of the user's
        // day.
        self.of_day.take(user).map_err(|wait| {
            let sentence = format!("You can export your data at most {MAX_PER_DAY} times a day.");
            ChatError::UsedUp(sentence, wait)
        })?;
        let progress = Arc::new(Progress {
            begun: self.clock.instant(),
            piece_since: Mutex::default(),
            is_cut: AtomicBool::new(false),
        });
        running.insert(user, progress.clone());
        Ok(Slot {
            clock: self.clock.clone(),
            running: self.running.clone(),
            user,
            progress,
        })
    }

    /// Cuts the exports that are read too slowly, or have run for too long. Only now, when somebody
    /// else waits: nobody is hurt by a slow one otherwise.
    fn make_room(&self, running: &mut HashMap<UserId, Arc<Progress>>) {
        running.retain(|_, export| {
            let is_slow = locked(&export.piece_since)
                .is_some_and(|since| self.clock.since(since) > self.max_piece)
                || self.clock.since(export.begun) > self.max_total;
            if is_slow {
                export.is_cut.store(true, Ordering::Release);
            }
            !is_slow
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = locked(&self.running);
        // The user may have another one, if this one had to make room.
        if running
            .get(&self.user)
            .is_some_and(|progress| Arc::ptr_eq(progress, &self.progress))
        {
            running.remove(&self.user);
        }
    }
}

/// An export in progress.
pub(super) struct Export {
    first: Option<Vec<u8>>,
    pieces: mpsc::Receiver<Result<Vec<u8>, StoreError>>,
    slot: Slot,
    /// Released once the export is sent or abandoned.
    _in_progress: InProgress,
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
        Some(first) => first.map_err(ChatError::from)?,
        None => return Err(Error::internal("an export ended before it began")),
    };
    Ok(Export {
        first: Some(first),
        pieces,
        slot,
        _in_progress: in_progress,
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
        let progress = self.slot.progress.clone();
        *locked(&progress.piece_since) = None;
        if progress.is_cut.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.pieces.poll_recv(context)),
        };
        Poll::Ready(piece.map(|piece| match piece {
            Ok(bytes) => {
                *locked(&progress.piece_since) = Some(self.slot.clock.instant());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_exports_make_room_by_the_servers_clock() {
        let clock = Clock::default();
        let exports = Exports::new(&Timings::default(), &clock);
        let begin = |digit: &str| exports.begin(UserId::parse(&digit.repeat(32)).unwrap());
        let running: Vec<Slot> = ["1", "2", "3", "4"].map(|one| begin(one).unwrap()).into();
        for slot in &running[1..] {
            *locked(&slot.progress.piece_since) = Some(clock.instant());
        }
        assert!(begin("5").is_err());
        clock.advance(Duration::from_secs(17));
        let next = begin("5").unwrap();
        let cut = |slot: &Slot| slot.progress.is_cut.load(Ordering::Acquire);
        assert!(running[1..].iter().all(cut) && !cut(&running[0]) && !cut(&next));
        // One that waits for the database all the time is cut in the end.
        clock.advance(Duration::from_hours(1));
        let more = ["6", "7", "8"].map(begin);
        assert!(more.iter().all(Result::is_ok) && cut(&running[0]));
    }
}
