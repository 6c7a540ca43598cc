//! Tests the queue and its task, without a database.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::{sync::Semaphore, task::JoinHandle, time::timeout};

use super::*;

/// Stores nothing: its batch waits for a permit, and may then panic.
#[derive(Debug, Clone)]
struct Probe {
    number: usize,
    gate: Arc<Semaphore>,
    panics: bool,
    /// Like a group whose members change at each attempt.
    always_retried: bool,
}

impl Entry for Probe {
    const KIND: &'static str = "probes";
    type Outcome = usize;
    type Key = usize;

    fn key(&self) -> Option<usize> {
        Some(self.number)
    }

    fn bytes(&self) -> usize {
        1000
    }

    async fn store(_: &Db, batch: &[Self]) -> error::Result<Vec<Attempt<usize>>> {
        batch[0].gate.acquire().await.unwrap().forget();
        assert!(
            !batch.iter().any(|probe| probe.panics),
            "as a fault of ours would"
        );
        Ok(batch
            .iter()
            .map(|probe| {
                if probe.always_retried {
                    Attempt::MembershipChanged
                } else {
                    Attempt::Done(probe.number)
                }
            })
            .collect())
    }
}

fn batcher() -> Batcher<Probe> {
    Batcher::new(Db::new(PgConnectOptions::new(), 1))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let holds = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), holds).await.expect(what);
}

/// Adds a probe in a task of its own.
fn add(batcher: &Batcher<Probe>, probe: Probe) -> JoinHandle<Result<(Probe, usize), BatchError>> {
    let batcher = Batcher(batcher.0.clone());
    tokio::spawn(async move { batcher.add(probe).await })
}

#[tokio::test]
async fn an_entry_that_is_retried_too_often_is_refused_and_delays_nobody() {
    let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
    let probe = |number, always_retried| Probe {
        number,
        gate: gate.clone(),
        panics: false,
        always_retried,
    };
    let first = add(&batcher, probe(0, false));
    until("the first batch is on its way", || {
        batcher.0.locked().running && batcher.waiting() == 0
    })
    .await;
    let (changing, other) = (
        add(&batcher, probe(1, true)),
        add(&batcher, probe(2, false)),
    );
    until("both wait", || batcher.waiting() == 2).await;
    gate.add_permits(1 + MAX_ATTEMPTS);
    assert_eq!(first.await.unwrap().unwrap().1, 0);
    assert_eq!(other.await.unwrap().unwrap().1, 2);
    let refused = timeout(Duration::from_secs(10), changing)
        .await
        .expect("it ends")
        .unwrap();
    assert!(matches!(refused, Err(BatchError::Contended)), "{refused:?}");
}

#[tokio::test]
async fn a_new_entry_does_not_wait_for_the_last_attempt_of_a_retried_one() {
    let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
    let probe = |number, always_retried| Probe {
        number,
        gate: gate.clone(),
        panics: false,
        always_retried,
    };
    let changing = add(&batcher, probe(0, true));
    until("it is on its way", || {
        batcher.0.locked().running && batcher.waiting() == 0
    })
    .await;
    let newcomer = add(&batcher, probe(1, false));
    until("the other one waits", || batcher.waiting() == 1).await;
    // One permit for the first round, and one for the second, which has both entries.
    gate.add_permits(2);
    let stored = timeout(Duration::from_secs(10), newcomer)
        .await
        .expect("it does not wait")
        .unwrap();
    assert_eq!(stored.unwrap().1, 1);
    assert!(!changing.is_finished());
    gate.add_permits(MAX_ATTEMPTS - 2);
    assert!(matches!(
        changing.await.unwrap(),
        Err(BatchError::Contended)
    ));
    assert_eq!(batcher.0.locked().bytes, 0);
}

#[tokio::test]
async fn if_the_storing_task_ends_early_all_waiting_callers_get_an_error_and_the_next_is_served() {
    let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
    let probe = |number, panics| Probe {
        number,
        gate: gate.clone(),
        panics,
        always_retried: false,
    };
    let first = add(&batcher, probe(0, true));
    until("the first batch is on its way", || {
        batcher.0.locked().running && batcher.waiting() == 0
    })
    .await;
    let others: Vec<_> = (1..4)
        .map(|number| add(&batcher, probe(number, false)))
        .collect();
    until("the others wait", || batcher.waiting() == 3).await;
    gate.add_permits(1);
    for asked in std::iter::once(first).chain(others) {
        let answer = timeout(Duration::from_secs(10), asked)
            .await
            .expect("nobody waits for ever")
            .unwrap();
        assert!(matches!(answer, Err(BatchError::Stopped)), "{answer:?}");
    }
    {
        let queue = batcher.0.locked();
        assert!(
            queue.waiting.is_empty() && queue.bytes == 0 && !queue.running,
            "{queue:?}"
        );
    }
    gate.add_permits(1);
    assert_eq!(batcher.add(probe(7, false)).await.unwrap().1, 7);
}

#[tokio::test]
async fn entries_of_cancelled_callers_are_stored_and_the_next_batch_is_full() {
    let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
    let probe = |number| Probe {
        number,
        gate: gate.clone(),
        panics: false,
        always_retried: false,
    };
    let first = add(&batcher, probe(0));
    until("the first batch is on its way", || {
        batcher.0.locked().running && batcher.waiting() == 0
    })
    .await;
    first.abort();
    // One more than fits into a batch, and one that must not be in a batch with its twin.
    let others: Vec<_> = [1, 1]
        .into_iter()
        .chain(2..=MAX_ENTRIES)
        .map(|number| add(&batcher, probe(number)))
        .collect();
    until("the others wait", || batcher.waiting() == MAX_ENTRIES + 1).await;
    gate.add_permits(1);
    until("the second batch is on its way", || batcher.waiting() == 1).await;
    gate.add_permits(2);
    for (number, asked) in [1, 1].into_iter().chain(2..=MAX_ENTRIES).zip(others) {
        assert_eq!(asked.await.unwrap().unwrap().1, number);
    }
}
