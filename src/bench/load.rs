//! Generates load: either each connection sends its next request when the previous one is answered
//! (closed loop), or a fixed number of requests is sent per second, whether or not the answers keep
//! up (open loop). In an open loop, latency counts from the moment that a request was due, so that
//! a stalled server shows.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    sync::{Barrier, Mutex, mpsc},
    task::JoinSet,
};

use super::client::Client;

/// Maximum latency that is recorded, in microseconds; longer ones count as this.
const LONGEST: u64 = 600_000_000;

/// The amount of load, and the kind of loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Number of connections.
    pub connections: usize,
    /// Requests per second in an open loop; `None` for a closed loop.
    pub rate: Option<f64>,
    /// Total number of requests.
    pub operations: usize,
}

#[derive(Debug)]
pub(crate) struct Tally {
    /// Good answers, in microseconds.
    pub latencies: Histogram<u64>,
    /// Refusals and failures, by code.
    pub errors: BTreeMap<String, u64>,
    /// Time from the first request to the last answer.
    pub took: Duration,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, String> {
        let latencies =
            Histogram::new_with_bounds(1, LONGEST, 3).map_err(|error| error.to_string())?;
        Ok(Self {
            latencies,
            errors: BTreeMap::new(),
            took: Duration::ZERO,
        })
    }

    /// Counts an answer.
    pub(crate) fn count(&mut self, latency: Duration, refusal: Option<String>) {
        match refusal {
            None => self
                .latencies
                // A stall longer than the histogram's range must count as the maximum, and not
                // vanish.
                .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST).max(1)),
            Some(code) => *self.errors.entry(code).or_default() += 1,
        }
    }

    fn add(&mut self, other: &Self) -> Result<(), String> {
        self.latencies
            .add(&other.latencies)
            .map_err(|error| error.to_string())?;
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        Ok(())
    }
}

/// Hands out the numbers of requests: immediately, or when they are due.
struct Source {
    next: AtomicUsize,
    operations: usize,
    paced: Option<Mutex<mpsc::UnboundedReceiver<(usize, Instant)>>>,
}

impl Source {
    async fn next(&self) -> Option<(usize, Instant)> {
        if let Some(paced) = &self.paced {
            // Held while waiting: tokio's mutex is fair, so a due request goes to the connection
            // that has waited longest.
            return paced.lock().await.recv().await;
        }
        // Relaxed, because only the number matters: no other memory is published with it.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.operations).then(|| (number, Instant::now()))
    }
}

/// Sends the requests in turn, starting over after the last. `begin` is called when all connections
/// are open and the first request is about to be sent.
pub(super) async fn run(
    address: SocketAddr,
    load: Load,
    requests: Arc<Vec<Vec<u8>>>,
    begin: impl FnOnce(),
) -> Result<Tally, String> {
    // Unbounded: if the pace slowed down with the server, its worst moments would not be measured.
    let (due, paced) = mpsc::unbounded_channel();
    let source = Arc::new(Source {
        next: AtomicUsize::new(0),
        operations: load.operations,
        paced: load.rate.map(|_| Mutex::new(paced)),
    });
    // Waits for the last connection, as opening them is not part of the measurement.
    let start = Arc::new(Barrier::new(load.connections + 1));
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        let mut client = Client::connect(address)
            .await
            .map_err(|error| format!("{address} cannot be reached: {error}"))?;
        let (source, requests, start) = (source.clone(), requests.clone(), start.clone());
        connections.spawn(async move {
            let mut tally = Tally::new()?;
            start.wait().await;
            while let Some((number, meant)) = source.next().await {
                let Some(request) = requests.get(number % requests.len().max(1)) else {
                    break;
                };
                match client.ask(request).await {
                    Ok(refusal) => tally.count(meant.elapsed(), refusal),
                    Err(error) => {
                        // Counted as an error and not retried: this measures what a client without
                        // retries sees.
                        tally.count(Duration::ZERO, Some(error.kind().to_string()));
                        client = reconnect(address).await?;
                    }
                }
            }
            Ok::<_, String>(tally)
        });
    }
    // After connecting, because handshakes cost the server CPU time too.
    begin();
    let first = Instant::now();
    if let Some(rate) = load.rate {
        std::thread::spawn(move || pace(first, rate, load.operations, &due));
    }
    start.wait().await;
    let mut all = Tally::new()?;
    while let Some(tally) = connections.join_next().await {
        all.add(&tally.map_err(|error| error.to_string())??)?;
    }
    all.took = first.elapsed();
    Ok(all)
}

/// Sends the number of each request when it is due. Runs in a thread of its own, as the runtime's
/// timer has a resolution of a millisecond.
fn pace(
    begun: Instant,
    rate: f64,
    operations: usize,
    to: &mpsc::UnboundedSender<(usize, Instant)>,
) {
    for number in 0..operations {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the operations of a run are far below 2^52"
        )]
        let due = begun + Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.send((number, due)).is_err() {
            return;
        }
    }
}

/// Reconnects. A server that was just killed may be back in a moment.
async fn reconnect(address: SocketAddr) -> Result<Client, String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Client::connect(address).await {
            Ok(client) => return Ok(client),
            // A refused connection is over once the server is back; other errors are not.
            Err(error)
                if Instant::now() > deadline
                    || error.kind() != io::ErrorKind::ConnectionRefused =>
            {
                return Err(error.to_string());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
