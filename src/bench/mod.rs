//! `parlance bench`: measures a real server over the wire: operations per second, latencies, and
//! the cost of each operation to the server, PostgreSQL and the client.

pub(crate) mod client;
pub(crate) mod cost;
mod file_floor;
mod file_flow;
mod files;
mod fixture;
pub(crate) mod floor;
mod known;
mod load;
mod options;
mod rekey;
mod report;
pub(crate) mod requests;
pub(crate) mod scratch;
pub(crate) mod sockets;
mod target;
mod workload;

use std::sync::Arc;

pub(crate) use self::options::Bench;
use self::{
    cost::CostMeter,
    fixture::Fixture,
    floor::Pgbench,
    load::Load,
    report::{Measurement, Results},
    requests::{Caller, Signer},
    target::Target,
    workload::{Workload, needs},
};
use crate::{server, settings::Settings, store::seed::Seeder};
use parlance_wire::id::StationId;

/// The first run warms up and is not counted; its number of operations is that of a run divided by
/// this.
const WARM_UP: usize = 5;
/// Maximum sockets of a user in the default settings.
const SOCKETS_PER_USER: usize = 20;
/// How long idle sockets are measured.
const WATCH_FOR: std::time::Duration = std::time::Duration::from_secs(10);

/// Measures, and prints each row as soon as it is there; for people, with a header.
///
/// # Errors
/// One sentence for people.
pub(crate) async fn run(
    bench: &Bench,
    settings: &Settings,
    mut tell: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), String> {
    // Every socket takes a file descriptor on this side too, and the usual limit is 1024.
    server::allow_many_sockets();
    let rows = if bench.workloads.contains(&Workload::Files) {
        files::run(bench, settings, &mut tell).await?
    } else {
        measure_target(bench, settings, &mut tell).await?
    };
    if bench.json {
        tell(&serde_json::to_string(&rows).map_err(|error| error.to_string())?)
    } else {
        Ok(())
    }
}

async fn measure_target(
    bench: &Bench,
    settings: &Settings,
    tell: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<Vec<Measurement>, String> {
    let target = Target::open(bench, settings).await?;
    let result = tokio::select! {
        result = measure(bench, settings, &target, tell) => result,
        () = scratch::interrupted() => Err("interrupted".into()),
    };
    // Before the result is checked: nothing of a scratch server may stay behind, even after an
    // error or Ctrl-C.
    target.leave().await?;
    result
}

async fn measure(
    bench: &Bench,
    settings: &Settings,
    target: &Target,
    tell: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<Vec<Measurement>, String> {
    let workloads: Vec<Workload> = if bench.workloads.is_empty() {
        Workload::ALL.to_vec()
    } else {
        bench.workloads.clone()
    };
    let mut seed = Seeder::connect(&target.db)
        .await
        .map_err(|error| error.to_string())?;
    let backend = seed.backend().await.map_err(|error| error.to_string())?;
    let meter = CostMeter::of(target.process().await, backend);
    // Before the fixture is created, which fills PostgreSQL's buffers.
    let at_rest = Results {
        server_peak_kb: kb(meter.server_memory()),
        postgres_kb: kb(meter.postgres_memory()),
        ..Results::default()
    };
    let signer = Signer::new(&target.host)?;
    let fixture = Fixture::create(&target.db, bench, needs(&workloads), &signer).await?;

    if !bench.json {
        tell(&Measurement::head())?;
    }
    let mut rows = vec![];
    // Floors are measured first, so that each workload finds its own among the rows.
    let mut add = |row: Measurement, floor: Option<&str>| {
        let row = match rows
            .iter()
            .find(|other: &&Measurement| Some(other.name.as_str()) == floor)
        {
            Some(floor) => row.beside(floor),
            None => row,
        };
        let line = row.line();
        rows.push(row);
        if bench.json { Ok(()) } else { tell(&line) }
    };
    add(
        Measurement::median("at rest (PSS)".into(), 0, &[at_rest]),
        None,
    )?;
    if bench.floor {
        for pgbench in Pgbench::all(target, bench.conversations) {
            add(pgbench.run(bench, settings, &meter).await?, None)?;
        }
        let requests = Arc::new(Workload::Poll.requests(&fixture, bench, &signer, 1000, 0)?);
        add(floor::endpoint(bench, 64, requests).await?, None)?;
    }
    let measuring = Measuring {
        bench,
        target,
        signer: &signer,
        fixture: &fixture,
        meter: &meter,
    };
    for workload in workloads {
        let rows = match workload {
            Workload::SocketsIdle => vec![measuring.idle_sockets().await?],
            Workload::Rekey => measuring.rekey().await?.into(),
            Workload::ListKnown => measuring.list_known().await?.into(),
            _ => vec![measuring.workload(workload).await?],
        };
        for row in rows {
            add(row, workload.floor())?;
        }
    }
    Ok(rows)
}

struct Measuring<'a> {
    bench: &'a Bench,
    target: &'a Target,
    signer: &'a Signer,
    fixture: &'a Fixture,
    meter: &'a CostMeter,
}

impl Measuring<'_> {
    async fn workload(&self, workload: Workload) -> Result<Measurement, String> {
        self.runs(workload.name(), workload, |count, from| {
            workload.requests(self.fixture, self.bench, self.signer, count, from)
        })
        .await
    }

    /// A row of this name: as many runs as the options say, with these requests; each run is given how many requests were made
    /// for earlier ones.
    async fn runs(
        &self,
        name: String,
        workload: Workload,
        requests: impl Fn(usize, usize) -> Result<Vec<Vec<u8>>, String>,
    ) -> Result<Measurement, String> {
        let operations = self.bench.operations.unwrap_or(workload.operations());
        let connections = self
            .bench
            .connections
            .map_or(workload.connections(), usize::from);
        let mut runs = vec![];
        let mut made = 0;
        // Run 0 opens connections and plans statements, so later runs do not have to.
        for run in 0..=self.bench.runs {
            let operations = if run == 0 {
                (operations / WARM_UP).max(1)
            } else {
                operations
            };
            let load = Load {
                connections,
                rate: self.bench.rate,
                operations,
            };
            let requests = Arc::new(requests(operations, made)?);
            // Numbers continue from run to run: a repeated report would be a retry, which costs
            // less than a new one.
            made += operations;
            let results = self.once(workload, load, requests).await?;
            if run > 0 {
                runs.push(results);
            }
        }
        Ok(Measurement::median(name, connections, &runs))
    }

    async fn once(
        &self,
        workload: Workload,
        load: Load,
        requests: Arc<Vec<Vec<u8>>>,
    ) -> Result<Results, String> {
        let (address, meter) = (self.target.address, self.meter);
        let mut before = meter.cpu();
        // Read when the load begins and not earlier: signing thousands of requests costs this
        // process more than the run.
        let begin = || {
            meter.reset_peak();
            before = meter.cpu();
        };
        let tally = if workload == Workload::SocketsPush {
            let callers: Vec<Caller> = self
                .fixture
                .users
                .iter()
                .copied()
                .filter_map(fixture::caller)
                .collect();
            let sockets = sockets::open(address, self.signer, &callers).await?;
            sockets::push(address, load, requests, sockets, begin).await?
        } else {
            load::run(address, load, requests, begin).await?
        };
        let mut results = Results::of(&tally, meter.cpu().since(before));
        results.server_peak_kb = kb(meter.server_peak());
        results.postgres_kb = kb(meter.postgres_memory());
        Ok(results)
    }

    /// The row's memory is what all sockets added; its CPU time is what all of them cost per
    /// second.
    async fn idle_sockets(&self) -> Result<Measurement, String> {
        let users = self.bench.sockets.div_ceil(SOCKETS_PER_USER);
        let mut callers = vec![];
        let mut stations = vec![];
        for user in self.fixture.users.iter().take(users) {
            for _ in 0..SOCKETS_PER_USER {
                // One station per socket: a second socket of the same station would replace the
                // first.
                let station = StationId::random();
                stations.push((*user, station));
                callers.push(Caller {
                    user: *user,
                    station,
                });
            }
        }
        callers.truncate(self.bench.sockets);
        let mut seed = Seeder::connect(&self.target.db)
            .await
            .map_err(|error| error.to_string())?;
        seed.stations(&stations)
            .await
            .map_err(|error| error.to_string())?;
        // The difference is reported, as the server needs memory without any sockets too.
        let memory = self.meter.server_memory();
        let sockets = sockets::open(self.target.address, self.signer, &callers).await?;
        let (before, begun) = (self.meter.cpu(), std::time::Instant::now());
        // Nothing is sent meanwhile, so this measures pings and heartbeats.
        tokio::time::sleep(WATCH_FOR).await;
        let cpu = self.meter.cpu().since(before);
        let each = |seconds: f64| seconds * 1e6 / begun.elapsed().as_secs_f64();
        let more = self
            .meter
            .server_memory()
            .zip(memory)
            .map(|(now, then)| now.saturating_sub(then));
        let results = Results {
            server_us: cpu.server.map(each),
            postgres_us: cpu.postgres.map(each),
            client_us: Some(each(cpu.client)),
            server_peak_kb: kb(more),
            postgres_kb: kb(self.meter.postgres_memory()),
            ..Results::default()
        };
        Ok(Measurement::median(
            Workload::SocketsIdle.name(),
            sockets.len(),
            &[results],
        ))
    }
}

fn kb(memory: Option<u64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 KB")]
    memory.map(|kb| kb as f64)
}
