//! Limits concurrent work and memory: requests in progress, large bodies that arrive, and answers
//! that wait to be read. Each user and each address has a share (SECURITY.md).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::budget::{Budget, BudgetLimits, RETRY_AFTER, Share};
use crate::chat::error::Error;
use parlance_wire::id::UserId;

/// Maximum pages and lists being read for one user at the same time.
// Each may hold megabytes, and a client that reads history needs one at a time.
const MAX_READS: usize = 2;
/// Maximum waiting requests of a user, per request that may be in progress.
const MAX_WAITING_FACTOR: usize = 3;
/// How long a request waits for others of its user before it is refused.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// Limits of answers that wait to be read, by user.
const ANSWERS: BudgetLimits = BudgetLimits {
    total: 256 << 20,
    per_address: 32 << 20,
    per_key: 16 << 20,
};
/// Maximum size of an answer that is not counted: it costs no more than its connection.
const MAX_UNCOUNTED: usize = 16 << 10;
/// Limits of large bodies that arrive, or whose request waits, by user and address: until a body is
/// read its sender is unproven, and must not use up the share that the user has elsewhere. All
/// strangers of an address share one key.
// In all, as much as lets a server with twenty uploads stay below 100 MB.
const BODIES: BudgetLimits = BudgetLimits {
    total: 64 << 20,
    per_address: 8 << 20,
    per_key: 4 << 20,
};

/// A body's share of the budget for bodies.
pub(super) type BodyShare = Share<(IpAddr, Option<UserId>)>;

/// The work in progress and the memory in use, by user and address.
#[derive(Debug)]
pub(super) struct Load {
    wait: Duration,
    /// Maximum requests in progress per user, each until the last byte of its answer is sent.
    max_requests: usize,
    users: Arc<Users>,
    answers: Arc<Budget<UserId>>,
    bodies: Arc<Budget<(IpAddr, Option<UserId>)>>,
}

#[derive(Debug, Default)]
struct Users(Mutex<HashMap<UserId, Arc<Requests>>>);

/// The requests of one user.
#[derive(Debug)]
struct Requests {
    in_progress: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A request in progress, until it is dropped.
#[derive(Debug)]
pub(super) struct InProgress {
    users: Arc<Users>,
    user: UserId,
    requests: Arc<Requests>,
    max_waiting: usize,
    wait: Duration,
    /// An `Option`, so that it can be released before the user is removed from the map.
    permit: Option<OwnedSemaphorePermit>,
}

impl Load {
    /// Creates limits with this maximum of requests in progress per user.
    pub(super) fn new(max_requests: usize) -> Self {
        Self {
            wait: TURN_TIMEOUT,
            max_requests,
            users: Arc::default(),
            answers: Budget::new(ANSWERS),
            bodies: Budget::new(BODIES),
        }
    }

    /// Begins a user's request. Waits a while if they have the maximum in progress.
    ///
    /// # Errors
    /// `RateLimited`.
    pub(super) async fn begin(&self, user: UserId) -> Result<InProgress, Error> {
        // Cloned under the lock: `drop` counts the clones to decide whether the user can be
        // removed.
        let requests = self
            .users
            .locked()
            .entry(user)
            .or_insert_with(|| Arc::new(Requests::new(self.max_requests)))
            .clone();
        let max_waiting = self.max_requests * MAX_WAITING_FACTOR;
        let mut in_progress = InProgress {
            users: self.users.clone(),
            user,
            requests,
            max_waiting,
            wait: self.wait,
            permit: None,
        };
        in_progress.permit = Some(
            in_progress
                .wait_for(&in_progress.requests.in_progress)
                .await?,
        );
        Ok(in_progress)
    }

    /// Counts an answer until its share is dropped.
    ///
    /// # Errors
    /// `RateLimited`, if this user or address leaves too much unread; `Unavailable`, if all
    /// together do.
    pub(super) fn try_answer(
        &self,
        user: UserId,
        address: IpAddr,
        bytes: usize,
    ) -> Result<Share<UserId>, Error> {
        let mut share = self.answers.share(user, address);
        if bytes > MAX_UNCOUNTED {
            share.take(bytes)?;
        }
        Ok(share)
    }

    /// Counts an answer that can no longer be refused, because its change is already made.
    pub(super) fn answer(&self, user: UserId, address: IpAddr, bytes: usize) -> Share<UserId> {
        let mut share = self.answers.share(user, address);
        if bytes > MAX_UNCOUNTED {
            share.force(bytes);
        }
        share
    }

    /// Starts counting a body from an address; `user` is its sender, if known to the server.
    pub(super) fn body(&self, user: Option<UserId>, address: IpAddr) -> BodyShare {
        self.bodies.share((address, user), address)
    }
}

impl Users {
    fn locked(&self) -> MutexGuard<'_, HashMap<UserId, Arc<Requests>>> {
        // A panic while the lock is held cannot leave the map half-changed, so a poisoned lock is
        // still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    fn new(max_requests: usize) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            in_progress: semaphore(max_requests),
            reads: semaphore(MAX_READS),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// Counts a request as waiting until it is dropped.
// A guard, because the future may be dropped at its await, and the count must not leak.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl InProgress {
    /// Begins to read a page or a list. Waits a while if others are being read for this user.
    ///
    /// # Errors
    /// `RateLimited`.
    pub(super) async fn read(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.wait_for(&self.requests.reads).await
    }

    async fn wait_for(&self, semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = semaphore.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = WaitingRequest(&self.requests.waiting);
        if waiting.0.fetch_add(1, Ordering::AcqRel) >= self.max_waiting {
            return Err(Error::RateLimited(RETRY_AFTER));
        }
        match timeout(self.wait, semaphore.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::RateLimited(RETRY_AFTER)),
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut users = self.users.locked();
        // Two clones are this one and the map's: no other request of the user is in progress or
        // waiting.
        if Arc::strong_count(&self.requests) == 2 {
            users.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u8) -> UserId {
        UserId::parse(&format!("{n:032x}")).unwrap()
    }

    #[tokio::test]
    async fn a_user_with_too_many_requests_waits_and_is_then_refused() {
        let load = Load {
            wait: Duration::from_millis(50),
            ..Load::new(4)
        };
        let mut in_progress = vec![];
        for _ in 0..4 {
            in_progress.push(load.begin(user(1)).await.unwrap());
        }
        // Nobody else has to wait for them.
        drop(load.begin(user(2)).await.unwrap());
        assert!(matches!(
            load.begin(user(1)).await,
            Err(Error::RateLimited(_))
        ));
        let (one, ()) = tokio::join!(load.begin(user(1)), async { drop(in_progress.pop()) });
        let one = one.unwrap();
        let reads = [one.read().await.unwrap(), one.read().await.unwrap()];
        assert!(one.read().await.is_err());
        drop(reads);
        assert!(one.read().await.is_ok());
        // Requests beyond the maximum of waiting ones are refused at once, the others after
        // waiting.
        let waiting = futures_util::future::join_all(
            (0..=4 * MAX_WAITING_FACTOR).map(|_| load.begin(user(1))),
        )
        .await;
        assert!(waiting.iter().all(Result::is_err));
        drop((one, in_progress, waiting));
        assert!(load.users.locked().is_empty());
    }

    #[test]
    fn an_answer_that_is_small_or_to_a_change_that_was_made_is_never_refused() {
        let (load, here) = (Load::new(4), IpAddr::from([127, 0, 0, 1]));
        let full = load.try_answer(user(1), here, ANSWERS.per_key).unwrap();
        assert!(load.try_answer(user(1), here, MAX_UNCOUNTED + 1).is_err());
        load.try_answer(user(1), here, MAX_UNCOUNTED).unwrap();
        let done = load.answer(user(1), here, ANSWERS.per_key);
        drop(full);
        assert!(load.try_answer(user(1), here, MAX_UNCOUNTED + 1).is_err());
        drop(done);
        assert!(load.answers.is_unused());
    }
}
