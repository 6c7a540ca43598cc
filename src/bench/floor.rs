//! Floors: what the same machine does in the same minute with less. A throughput says little on a machine
//! that others share; its ratio to a floor says more.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::process::Command;

use super::{
    Bench,
    client::Client,
    cost::Meter,
    load::{self, Load},
    place::{Place, free_address},
    report::{Figures, Row},
};
use parlance_wire::request::Head;

use crate::{
    settings::Settings,
    store::{
        self,
        seed::{BASELINES, Seeder},
    },
    telemetry::with_causes,
};

/// Each floor runs for so many seconds.
const SECONDS: u64 = 5;
const READY: Duration = Duration::from_secs(10);

/// A bare endpoint: parses a body's head, and answers. Until it is killed.
pub(crate) async fn serve(address: SocketAddr, workers: usize) -> Result<(), String> {
    let server = HttpServer::new(|| {
        App::new().default_service(web::route().to(async |body: web::Bytes| {
            match Head::parse(&body) {
                Ok(_) => HttpResponse::Ok()
                    .content_type("application/json")
                    .body(r#"{"status":"OK","errormessage":""}"#),
                Err(_) => HttpResponse::BadRequest().finish(),
            }
        }))
    });
    let server = server
        .workers(workers)
        .bind(address)
        .map_err(|error| error.to_string())?;
    server.run().await.map_err(|error| error.to_string())
}

/// One of pgbench's runs.
pub(crate) struct Pgbench<'a> {
    /// What the row is called.
    pub name: &'static str,
    /// What it runs.
    pub script: &'static str,
    /// So many clients.
    pub clients: usize,
    /// Spread over so many conversations.
    pub conversations: usize,
    /// On which database.
    pub place: &'a Place,
}

impl<'a> Pgbench<'a> {
    /// All that are told.
    pub(crate) fn all(place: &'a Place, conversations: usize) -> [Self; 4] {
        let [transaction, statement] = BASELINES;
        let of = |name, script, clients, conversations| Self {
            name,
            script,
            clients,
            conversations,
            place,
        };
        [
            of("pgbench, spread", transaction, 64, conversations),
            of("pgbench, one row", transaction, 64, 1),
            of("pgbench, alone", transaction, 1, conversations),
            of("pgbench, one statement", statement, 64, conversations),
        ]
    }

    /// Runs pgbench with one insert and one update a transaction.
    pub(crate) async fn run(
        &self,
        bench: &Bench,
        settings: &Settings,
        meter: &Meter,
    ) -> Result<Row, String> {
        let mut seed = Seeder::connect(&self.place.db)
            .await
            .map_err(|error| error.to_string())?;
        seed.create_baseline(self.conversations)
            .await
            .map_err(|error| error.to_string())?;
        let script = std::env::temp_dir().join(format!("parlance-floor-{}", std::process::id()));
        fs::write(&script, self.script).map_err(|error| error.to_string())?;
        let mut figures = vec![];
        for _ in 0..bench.runs {
            figures.push(self.once(&script, settings, meter).await?);
        }
        let _ = fs::remove_file(&script);
        seed.drop_baseline()
            .await
            .map_err(|error| error.to_string())?;
        Ok(Row::median(self.name.to_owned(), self.clients, &figures))
    }

    async fn once(
        &self,
        script: &Path,
        settings: &Settings,
        meter: &Meter,
    ) -> Result<Figures, String> {
        let program = store::embedded::program(settings, "pgbench").await;
        let program = program.map_err(|error| with_causes(&error))?;
        let mut pgbench = Command::new(&program);
        pgbench
            .args(["--no-vacuum", "--protocol=prepared"])
            .arg(format!("--client={}", self.clients));
        pgbench
            .arg(format!("--jobs={}", self.clients.min(2)))
            .arg(format!("--time={SECONDS}"));
        pgbench
            .arg(format!("--define=conversations={}", self.conversations))
            .arg(format!("--file={}", script.display()));
        let before = meter.cpu();
        let output = pgbench
            .arg(&self.place.database_url)
            .stdin(Stdio::null())
            .output()
            .await;
        let output =
            output.map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
        let cpu = meter.cpu().since(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let number = |before: &str| {
            text.lines().find_map(|line| {
                line.trim()
                    .strip_prefix(before)?
                    .split_whitespace()
                    .next()?
                    .parse::<f64>()
                    .ok()
            })
        };
        let per_second = number("tps = ").ok_or_else(|| {
            format!(
                "pgbench failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        let operations = number("number of transactions actually processed: ").unwrap_or(1.0);
        Ok(Figures {
            per_second,
            p50_us: number("latency average = ").map(|ms| ms * 1000.0),
            postgres_us: cpu.postgres.map(|seconds| seconds * 1e6 / operations),
            ..Figures::default()
        })
    }
}

/// The bare endpoint, asked what `poll` asks.
pub(crate) async fn endpoint(
    bench: &Bench,
    connections: usize,
    requests: Arc<Vec<Vec<u8>>>,
) -> Result<Row, String> {
    let failed = |error: std::io::Error| error.to_string();
    let address = free_address().map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .args(["bench-endpoint", &address.to_string()])
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let deadline = std::time::Instant::now() + READY;
    while Client::connect(address).await.is_err() {
        if std::time::Instant::now() > deadline {
            return Err("the bare endpoint does not answer".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let meter = Meter {
        server: child.id().and_then(|id| i32::try_from(id).ok()),
        postmaster: None,
    };
    let load = Load {
        connections,
        rate: None,
        operations: requests.len().max(100_000),
    };
    let mut figures = vec![];
    for _ in 0..bench.runs {
        let mut before = meter.cpu();
        let tally = load::run(address, load, requests.clone(), || before = meter.cpu()).await?;
        figures.push(Figures::of(&tally, meter.cpu().since(before)));
    }
    child.kill().await.map_err(failed)?;
    Ok(Row::median(
        "a bare actix endpoint".into(),
        connections,
        &figures,
    ))
}
