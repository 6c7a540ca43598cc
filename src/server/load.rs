//! Budgets for what is in memory on behalf of others: requests at work, bodies that arrive, answers that wait to be
//! read. Each user and each address has a share, so that none can use up what the others need.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{chat::error::Error, model::id::UserId};

/// Pages and lists that are read for one user at the same time.
const MAX_READS: usize = 2;
/// For each request of a user that may be at work, so many may wait.
const MAX_WAITING_FACTOR: usize = 3;
/// How long a request waits for others of its user before it is refused.
const WAIT: Duration = Duration::from_secs(5);
/// Who is refused may try again after this.
const RETRY: Duration = Duration::from_secs(2);

/// Maximum bytes of answers that wait to be read: of all, of one address, and of one user. A user who has none may
/// have one that is larger.
const ANSWERS: usize = 64 << 20;
const ANSWERS_OF_ADDRESS: usize = 32 << 20;
const ANSWERS_OF_USER: usize = 16 << 20;
/// An answer of so many bytes costs no more than its connection, and is not counted.
const USUAL_ANSWER: usize = 16 << 10;

/// Maximum bytes of large bodies that arrive: of all, of one address, and of one user there.
const BODIES: usize = 128 << 20;
const BODIES_OF_ADDRESS: usize = BODIES / 16;
const BODIES_OF_USER: usize = BODIES / 32;

/// What is in memory, and for whom.
#[derive(Debug)]
pub struct Load {
    wait: Duration,
    /// Requests of one user that are at work at the same time, up to their answer's last byte.
    max_requests: usize,
    users: Arc<Mutex<HashMap<UserId, Arc<Requests>>>>,
    answers: Arc<Mutex<Bytes<UserId>>>,
    bodies: Arc<Mutex<Bytes<(IpAddr, UserId)>>>,
}

/// The requests of one user.
#[derive(Debug)]
struct Requests {
    wait: Duration,
    max_waiting: usize,
    at_work: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A request at work, until it is dropped.
#[derive(Debug)]
pub struct AtWork {
    users: Arc<Mutex<HashMap<UserId, Arc<Requests>>>>,
    user: UserId,
    requests: Arc<Requests>,
    /// `Option`, so that it can be given back before the user is forgotten.
    permit: Option<OwnedSemaphorePermit>,
}

impl Load {
    /// Nothing yet; of each user at most so many requests at the same time.
    pub fn new(max_requests: usize) -> Self {
        Self { wait: WAIT, max_requests, users: Arc::default(), answers: Arc::default(), bodies: Arc::default() }
    }

    /// Begins a user's request; waits a while where they have too many.
    ///
    /// # Errors
    /// `RateLimited`.
    pub async fn begin(&self, user: UserId) -> Result<AtWork, Error> {
        let requests = {
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.entry(user).or_insert_with(|| Arc::new(Requests::new(self.wait, self.max_requests))).clone()
        };
        let mut at_work = AtWork { users: self.users.clone(), user, requests, permit: None };
        at_work.permit = Some(at_work.requests.wait_for(&at_work.requests.at_work).await?);
        Ok(at_work)
    }

    /// Counts an answer, until what is returned is dropped.
    ///
    /// # Errors
    /// `RateLimited`, where this user or address leaves too much unread; `Unavailable`, where all together do.
    pub fn answer(&self, user: UserId, address: IpAddr, bytes: usize) -> Result<Option<Share<UserId>>, Error> {
        if bytes <= USUAL_ANSWER {
            return Ok(None);
        }
        let share = Share { bytes: 0, key: Some(user), address, held: self.answers.clone() };
        share.take(bytes, ANSWERS_OF_USER, ANSWERS_OF_ADDRESS, ANSWERS).map(Some)
    }

    /// Begins to count a body from an address, of the user that it claims.
    pub fn body(&self, user: Option<UserId>, address: IpAddr) -> Share<(IpAddr, UserId)> {
        Share { bytes: 0, key: user.map(|user| (address, user)), address, held: self.bodies.clone() }
    }
}

impl Requests {
    fn new(wait: Duration, max_requests: usize) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let max_waiting = max_requests * MAX_WAITING_FACTOR;
        Self { wait, max_waiting, at_work: semaphore(max_requests), reads: semaphore(MAX_READS), waiting: AtomicUsize::new(0) }
    }

    async fn wait_for(&self, semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = semaphore.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting(&self.waiting);
        if waiting.0.fetch_add(1, Ordering::AcqRel) >= self.max_waiting {
            return Err(Error::RateLimited(RETRY));
        }
        match timeout(self.wait, semaphore.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::RateLimited(RETRY)),
        }
    }
}

/// Counts one less that waits once it is dropped, also by a peer that hangs up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl AtWork {
    /// Begins to read a page or a list; waits a while where others of this user are being read.
    ///
    /// # Errors
    /// `RateLimited`.
    pub async fn read(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.requests.wait_for(&self.requests.reads).await
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        // This one and the map's: nobody else is at work or waits.
        if Arc::strong_count(&self.requests) == 2 {
            users.remove(&self.user);
        }
    }
}

/// Bytes that are held.
#[derive(Debug)]
struct Bytes<K> {
    total: usize,
    by_key: HashMap<K, usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl<K> Default for Bytes<K> {
    fn default() -> Self {
        Self { total: 0, by_key: HashMap::new(), by_address: HashMap::new() }
    }
}

/// A part of a budget, until it is dropped.
#[derive(Debug)]
pub struct Share<K: Hash + Eq + Copy> {
    bytes: usize,
    key: Option<K>,
    address: IpAddr,
    held: Arc<Mutex<Bytes<K>>>,
}

impl Share<(IpAddr, UserId)> {
    /// Counts a piece of a body.
    ///
    /// # Errors
    /// `RateLimited`, where so much arrives from this address, or of this user there; `Unavailable`, where it does from
    /// all together.
    pub fn add(self, bytes: usize) -> Result<Self, Error> {
        self.take(bytes, BODIES_OF_USER, BODIES_OF_ADDRESS, BODIES)
    }
}

impl<K: Hash + Eq + Copy> Share<K> {
    fn take(mut self, bytes: usize, of_key: usize, of_address: usize, total: usize) -> Result<Self, Error> {
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let used = |used: Option<&usize>| used.copied().unwrap_or_default();
            let by_key = self.key.map_or(0, |key| used(held.by_key.get(&key)));
            let by_address = used(held.by_address.get(&self.address));
            // Who has nothing else may have one that is larger than a share.
            let is_over = |used: usize, most: usize| used > self.bytes && used + bytes > most;
            if is_over(by_key, of_key) || is_over(by_address, of_address) {
                return Err(Error::RateLimited(RETRY));
            }
            if is_over(held.total, total) {
                return Err(Error::Unavailable { cause: "the memory for bodies and answers is used up".into(), is_uncertain: false });
            }
            held.total += bytes;
            if let Some(key) = self.key {
                *held.by_key.entry(key).or_default() += bytes;
            }
            *held.by_address.entry(self.address).or_default() += bytes;
        }
        self.bytes += bytes;
        Ok(self)
    }
}

impl<K: Hash + Eq + Copy> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.total -= self.bytes;
        if let Some(key) = self.key {
            give_back(&mut held.by_key, &key, self.bytes);
        }
        give_back(&mut held.by_address, &self.address, self.bytes);
    }
}

/// Takes bytes off a key; one that holds nothing is not remembered.
fn give_back<K: Hash + Eq>(held: &mut HashMap<K, usize>, key: &K, bytes: usize) {
    if let Some(used) = held.get_mut(key) {
        *used -= bytes;
        if *used == 0 {
            held.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn user(n: u8) -> UserId {
        UserId::parse(&format!("{n:032x}")).unwrap()
    }

    fn there(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn answers_are_shared_by_users_and_addresses_and_given_back() {
        let load = Load::new(4);
        let half = ANSWERS_OF_USER / 2;
        let first = load.answer(user(1), HERE, half).unwrap();
        let second = load.answer(user(1), HERE, half).unwrap();
        assert!(matches!(load.answer(user(1), there(1), USUAL_ANSWER + 1), Err(Error::RateLimited(_))));
        // What is small is always answered, and so is another user, until the address has its share.
        assert!(load.answer(user(1), HERE, USUAL_ANSWER).unwrap().is_none());
        let _third = load.answer(user(2), HERE, ANSWERS_OF_USER).unwrap();
        assert!(matches!(load.answer(user(3), HERE, half), Err(Error::RateLimited(_))));
        // All together.
        let others: Vec<_> = [1, 2].map(|n| load.answer(user(3 + n), there(n), ANSWERS_OF_USER).unwrap()).into();
        assert!(matches!(load.answer(user(9), there(9), half), Err(Error::Unavailable { is_uncertain: false, .. })));
        drop((first, second, others));
        drop(load.answer(user(9), there(9), half).unwrap());
        // One that is larger than a share, for who has no other.
        let large = load.answer(user(1), there(8), ANSWERS_OF_USER + 1).unwrap();
        assert!(load.answer(user(1), there(8), half).is_err());
        drop(large);
        assert!(load.answer(user(1), there(8), half).is_ok());
    }

    #[test]
    fn a_body_counts_for_its_address_and_for_its_user_there() {
        let load = Load::new(4);
        let of_user = load.body(Some(user(1)), HERE).add(BODIES_OF_USER).unwrap();
        assert!(load.body(Some(user(1)), HERE).add(1).is_err());
        // The same user elsewhere, as whom anyone may pose.
        assert!(load.body(Some(user(1)), there(1)).add(1).is_ok());
        let of_address = load.body(None, HERE).add(BODIES_OF_ADDRESS - BODIES_OF_USER).unwrap();
        assert!(load.body(Some(user(2)), HERE).add(1).is_err());
        assert!(load.body(Some(user(2)), there(1)).add(1).is_ok());
        drop((of_user, of_address));
        assert!(load.body(Some(user(1)), HERE).add(1).unwrap().add(1).is_ok());
        let held = load.bodies.lock().unwrap();
        assert_eq!((held.total, held.by_key.len(), held.by_address.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_user_with_too_many_requests_waits_and_is_then_refused() {
        let load = Load { wait: Duration::from_millis(50), ..Load::new(4) };
        let mut at_work = vec![];
        for _ in 0..4 {
            at_work.push(load.begin(user(1)).await.unwrap());
        }
        // Nobody else waits for them.
        drop(load.begin(user(2)).await.unwrap());
        assert!(matches!(load.begin(user(1)).await, Err(Error::RateLimited(_))));
        let (one, ()) = tokio::join!(load.begin(user(1)), async { drop(at_work.pop()) });
        let one = one.unwrap();
        let reads = [one.read().await.unwrap(), one.read().await.unwrap()];
        assert!(one.read().await.is_err());
        drop(reads);
        assert!(one.read().await.is_ok());
        let waiting = futures_util::future::join_all((0..=4 * MAX_WAITING_FACTOR).map(|_| load.begin(user(1)))).await;
        assert!(waiting.iter().all(Result::is_err));
        drop((one, at_work, waiting));
        assert!(load.users.lock().unwrap().is_empty());
    }
}
