//! Floors: how fast the same machine, in the same minute, does simpler work. On a shared machine a
//! throughput says little by itself; its ratio to a floor says more.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::process::{Child, Command};

use super::{
    client::Client,
    cost::CostMeter,
    load::{self, Load},
    options::Bench,
    report::{Measurement, Results},
    scratch::free_address,
    target::Target,
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

/// Duration of a run.
const SECONDS: u64 = 5;
/// Maximum bytes of a file.
const MAX_FILE: usize = 4 << 20;
const READY: Duration = Duration::from_secs(10);

/// Serves a bare endpoint that parses a body's head and answers, until it is killed. Files are written to
/// the directory and read from there, as plainly as that can be done.
pub(crate) async fn serve(
    address: SocketAddr,
    workers: usize,
    files: Option<PathBuf>,
) -> Result<(), String> {
    let server = HttpServer::new(move || {
        let at = files.clone().unwrap_or_default();
        let from = at.clone();
        let app = App::new()
            .app_data(web::PayloadConfig::new(MAX_FILE))
            .route(
                "/file/{name}",
                web::put().to(move |name: web::Path<String>, body: web::Bytes| {
                    let path = at.join(&*name);
                    async move {
                        match web::block(move || fs::write(path, body)).await {
                            Ok(Ok(())) => HttpResponse::Created().finish(),
                            _ => HttpResponse::InternalServerError().finish(),
                        }
                    }
                }),
            )
            .route(
                "/file/{name}",
                web::get().to(move |name: web::Path<String>| {
                    let path = from.join(&*name);
                    async move {
                        match web::block(move || fs::read(path)).await {
                            Ok(Ok(bytes)) => HttpResponse::Ok().body(bytes),
                            _ => HttpResponse::NotFound().finish(),
                        }
                    }
                }),
            );
        app.default_service(web::route().to(async |body: web::Bytes| {
            // The server parses each body's head too; without that, the floor would measure actix
            // alone.
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

/// A pgbench run.
pub(crate) struct Pgbench<'a> {
    /// The name of its row in the report.
    pub name: &'static str,
    /// The script that pgbench runs.
    pub script: &'static str,
    /// Number of clients.
    pub clients: usize,
    /// Number of conversations that it writes to.
    pub conversations: usize,
    /// The database that it runs on.
    pub target: &'a Target,
}

impl<'a> Pgbench<'a> {
    /// All floors that pgbench measures.
    pub(crate) fn all(target: &'a Target, conversations: usize) -> [Self; 4] {
        let [transaction, statement] = BASELINES;
        let of = |name, script, clients, conversations| Self {
            name,
            script,
            clients,
            conversations,
            target,
        };
        [
            of("pgbench, spread", transaction, 64, conversations),
            of("pgbench, one row", transaction, 64, 1),
            of("pgbench, alone", transaction, 1, conversations),
            of("pgbench, one statement", statement, 64, conversations),
        ]
    }

    /// Runs pgbench with one insert and one update per transaction.
    pub(crate) async fn run(
        &self,
        bench: &Bench,
        settings: &Settings,
        meter: &CostMeter,
    ) -> Result<Measurement, String> {
        let mut seed = Seeder::connect(&self.target.db)
            .await
            .map_err(|error| error.to_string())?;
        // New tables each time: dead rows of the previous run would slow this one down.
        seed.create_baseline(self.conversations)
            .await
            .map_err(|error| error.to_string())?;
        let script = std::env::temp_dir().join(format!("parlance-floor-{}", std::process::id()));
        fs::write(&script, self.script).map_err(|error| error.to_string())?;
        let mut results = vec![];
        for _ in 0..bench.runs {
            results.push(self.once(&script, settings, meter).await?);
        }
        // A script that stays in the temporary directory does no harm.
        let _ = fs::remove_file(&script);
        seed.drop_baseline()
            .await
            .map_err(|error| error.to_string())?;
        Ok(Measurement::median(
            self.name.to_owned(),
            self.clients,
            &results,
        ))
    }

    async fn once(
        &self,
        script: &Path,
        settings: &Settings,
        meter: &CostMeter,
    ) -> Result<Results, String> {
        let program = store::embedded::program(settings, "pgbench").await;
        let program = program.map_err(|error| with_causes(&error))?;
        let mut pgbench = Command::new(&program);
        pgbench
            // Prepared, like the server's statements: otherwise most of the time would go to
            // planning.
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
            .arg(&self.target.database_url)
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
        Ok(Results {
            per_second,
            // pgbench reports no median: the average stands in for it.
            p50_us: number("latency average = ").map(|ms| ms * 1000.0),
            postgres_us: cpu.postgres.map(|seconds| seconds * 1e6 / operations),
            ..Results::default()
        })
    }
}

/// Starts a server, and waits until it answers. It is killed when it is dropped.
// In a process of its own, so that its CPU time does not count as the client's.
pub(super) async fn start(command: &mut Command, address: SocketAddr) -> Result<Child, String> {
    let child = command.kill_on_drop(true).spawn();
    let child = child.map_err(|error| error.to_string())?;
    let deadline = std::time::Instant::now() + READY;
    while Client::connect(address).await.is_err() {
        if std::time::Instant::now() > deadline {
            return Err("the bare endpoint does not answer".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(child)
}

/// Measures the bare endpoint with the requests of `poll`.
pub(crate) async fn endpoint(
    bench: &Bench,
    connections: usize,
    requests: Arc<Vec<Vec<u8>>>,
) -> Result<Measurement, String> {
    let failed = |error: std::io::Error| error.to_string();
    let address = free_address().map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["bench-endpoint", &address.to_string()]);
    let mut child = start(&mut command, address).await?;
    let meter = CostMeter {
        server: child.id().and_then(|id| i32::try_from(id).ok()),
        postmaster: None,
    };
    let load = Load {
        connections,
        rate: None,
        // It answers so fast that a smaller number would be over before the results are steady.
        operations: requests.len().max(100_000),
    };
    let mut results = vec![];
    for _ in 0..bench.runs {
        // Read again when the load begins, as connecting is not part of the cost.
        let mut before = meter.cpu();
        let tally = load::run(address, load, requests.clone(), || before = meter.cpu()).await?;
        results.push(Results::of(&tally, meter.cpu().since(before)));
    }
    child.kill().await.map_err(failed)?;
    Ok(Measurement::median(
        "a bare actix endpoint".into(),
        connections,
        &results,
    ))
}
