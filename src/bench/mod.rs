//! `parlance bench`: measures a real server over the wire. What is told: how many operations a second, how
//! long they take, and what each costs the server, PostgreSQL and the client apart.

pub(crate) mod client;
pub(crate) mod cost;
pub(crate) mod floor;
mod load;
pub(crate) mod place;
mod report;
pub(crate) mod requests;
pub(crate) mod sockets;
mod stage;
mod workload;

use std::sync::Arc;

use clap::Args;

use self::{
    cost::Meter,
    floor::Pgbench,
    load::Load,
    place::Place,
    report::{Figures, Row},
    requests::{Caller, Signer},
    stage::Stage,
    workload::Workload,
};
use crate::{server, settings::Settings, store::seed::Seeder};
use parlance_wire::id::StationId;

/// Before the first run that counts, a run of this part of its length warms up.
const WARM_UP: usize = 5;
/// A user has so many sockets at most.
const SOCKETS_PER_USER: usize = 20;
/// How long idle sockets are watched.
const WATCHING: std::time::Duration = std::time::Duration::from_secs(10);

/// What is to be measured, and how.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure; all, if none is named
    #[arg(value_enum)]
    workloads: Vec<Workload>,
    /// Measure floors as well: pgbench on the same PostgreSQL, and an endpoint that only parses and answers
    #[arg(long)]
    floor: bool,
    /// How many connections; each workload has its own default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// So many requests a second, however long answers take (open loop)
    #[arg(long)]
    rate: Option<f64>,
    /// How many requests a run has; each workload has its own default
    #[arg(long)]
    operations: Option<usize>,
    /// How many runs, of which the median is told
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How many users there are
    #[arg(long, default_value_t = 1000)]
    users: usize,
    /// How many conversations they have
    #[arg(long, default_value_t = 10_000)]
    conversations: usize,
    /// How many messages each conversation has when it begins
    #[arg(long, default_value_t = 5)]
    messages: usize,
    /// How many messages a long conversation has
    #[arg(long, default_value_t = 5000)]
    depth: usize,
    /// How many bytes of Data a message has
    #[arg(long, default_value_t = 512)]
    bytes: usize,
    /// How many WebSockets are opened to hear nothing
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// A server that runs; a scratch one is started if not given
    #[arg(long, requires = "database")]
    url: Option<String>,
    /// The server's database, where users and conversations are made: one that you can throw away
    #[arg(long)]
    database: Option<String>,
    /// The process of the server at --url, to measure what it costs
    #[arg(long, requires = "url")]
    pid: Option<i32>,
    /// Measure a server that is not on this machine
    #[arg(long)]
    remote: bool,
    /// For scripts: one JSON array
    #[arg(long)]
    pub json: bool,
}

/// Measures, and hands each row on as it is there: the table's head first, for people.
///
/// # Errors
/// One sentence for a person.
pub(crate) async fn run(
    bench: &Bench,
    settings: &Settings,
    mut tell: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), String> {
    server::allow_many_sockets();
    let place = Place::open(bench, settings).await?;
    let result = tokio::select! {
        result = measure(bench, settings, &place, &mut tell) => result,
        () = place::interrupted() => Err("interrupted".into()),
    };
    place.leave().await?;
    let rows = result?;
    if bench.json {
        tell(&serde_json::to_string(&rows).map_err(|error| error.to_string())?)
    } else {
        Ok(())
    }
}

async fn measure(
    bench: &Bench,
    settings: &Settings,
    place: &Place,
    tell: &mut impl FnMut(&str) -> Result<(), String>,
) -> Result<Vec<Row>, String> {
    let workloads: Vec<Workload> = if bench.workloads.is_empty() {
        Workload::ALL.to_vec()
    } else {
        bench.workloads.clone()
    };
    let mut seed = Seeder::connect(&place.db)
        .await
        .map_err(|error| error.to_string())?;
    let backend = seed.backend().await.map_err(|error| error.to_string())?;
    let meter = Meter::of(place.process().await, backend);
    let at_rest = Figures {
        server_peak_kb: kb(meter.server_memory()),
        postgres_kb: kb(meter.postgres_memory()),
        ..Figures::default()
    };
    let signer = Signer::new(&place.host)?;
    let stage = Stage::set(&place.db, bench, &workloads, &signer).await?;

    if !bench.json {
        tell(&Row::head())?;
    }
    let mut rows = vec![];
    let mut add = |row: Row, floor: Option<&str>| {
        let row = match rows
            .iter()
            .find(|other: &&Row| Some(other.name.as_str()) == floor)
        {
            Some(floor) => row.beside(floor),
            None => row,
        };
        let line = row.line();
        rows.push(row);
        if bench.json { Ok(()) } else { tell(&line) }
    };
    add(Row::median("at rest (PSS)".into(), 0, &[at_rest]), None)?;
    if bench.floor {
        for pgbench in Pgbench::all(place, bench.conversations) {
            add(pgbench.run(bench, settings, &meter).await?, None)?;
        }
        let requests = Arc::new(Workload::Poll.requests(&stage, bench, &signer, 1000, 0)?);
        add(floor::endpoint(bench, 64, requests).await?, None)?;
    }
    let measuring = Measuring {
        bench,
        place,
        signer: &signer,
        stage: &stage,
        meter: &meter,
    };
    for workload in workloads {
        let row = match workload {
            Workload::SocketsIdle => measuring.idle_sockets().await?,
            _ => measuring.workload(workload).await?,
        };
        add(row, workload.floor())?;
    }
    Ok(rows)
}

struct Measuring<'a> {
    bench: &'a Bench,
    place: &'a Place,
    signer: &'a Signer,
    stage: &'a Stage,
    meter: &'a Meter,
}

impl Measuring<'_> {
    async fn workload(&self, workload: Workload) -> Result<Row, String> {
        let operations = self.bench.operations.unwrap_or(workload.operations());
        let connections = self
            .bench
            .connections
            .map_or(workload.connections(), usize::from);
        let mut runs = vec![];
        let mut made = 0;
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
            let requests = Arc::new(workload.requests(
                self.stage,
                self.bench,
                self.signer,
                operations,
                made,
            )?);
            made += operations;
            let figures = self.once(workload, load, requests).await?;
            if run > 0 {
                runs.push(figures);
            }
        }
        Ok(Row::median(workload.name(), connections, &runs))
    }

    async fn once(
        &self,
        workload: Workload,
        load: Load,
        requests: Arc<Vec<Vec<u8>>>,
    ) -> Result<Figures, String> {
        let (address, meter) = (self.place.address, self.meter);
        let mut before = meter.cpu();
        let begin = || {
            meter.reset_peak();
            before = meter.cpu();
        };
        let tally = if workload == Workload::SocketsPush {
            let callers: Vec<Caller> = self
                .stage
                .users
                .iter()
                .copied()
                .filter_map(stage::caller)
                .collect();
            let sockets = sockets::open(address, self.signer, &callers).await?;
            sockets::push(address, load, requests, sockets, begin).await?
        } else {
            load::run(address, load, requests, begin).await?
        };
        let mut figures = Figures::of(&tally, meter.cpu().since(before));
        figures.server_peak_kb = kb(meter.server_peak());
        figures.postgres_kb = kb(meter.postgres_memory());
        Ok(figures)
    }

    /// Memory in the row is what the sockets added, of CPU what they cost in a second, all together.
    async fn idle_sockets(&self) -> Result<Row, String> {
        let users = self.bench.sockets.div_ceil(SOCKETS_PER_USER);
        let mut callers = vec![];
        let mut stations = vec![];
        for user in self.stage.users.iter().take(users) {
            for _ in 0..SOCKETS_PER_USER {
                let station = StationId::random();
                stations.push((*user, station));
                callers.push(Caller {
                    user: *user,
                    station,
                });
            }
        }
        callers.truncate(self.bench.sockets);
        let mut seed = Seeder::connect(&self.place.db)
            .await
            .map_err(|error| error.to_string())?;
        seed.stations(&stations)
            .await
            .map_err(|error| error.to_string())?;
        let memory = self.meter.server_memory();
        let sockets = sockets::open(self.place.address, self.signer, &callers).await?;
        let (before, begun) = (self.meter.cpu(), std::time::Instant::now());
        tokio::time::sleep(WATCHING).await;
        let cpu = self.meter.cpu().since(before);
        let each = |seconds: f64| seconds * 1e6 / begun.elapsed().as_secs_f64();
        let more = self
            .meter
            .server_memory()
            .zip(memory)
            .map(|(now, then)| now.saturating_sub(then));
        let figures = Figures {
            server_us: cpu.server.map(each),
            postgres_us: cpu.postgres.map(each),
            client_us: Some(each(cpu.client)),
            server_peak_kb: kb(more),
            postgres_kb: kb(self.meter.postgres_memory()),
            ..Figures::default()
        };
        Ok(Row::median(
            Workload::SocketsIdle.name(),
            sockets.len(),
            &[figures],
        ))
    }
}

fn kb(memory: Option<u64>) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    memory.map(|kb| kb as f64)
}
