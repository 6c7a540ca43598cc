//! Floors of files: the same bytes, in as many requests, to a plain actix handler that writes files, and to
//! nginx with its `dav` module. Neither knows its users, hashes anything or waits for the disk.

use std::{env, fs, net::SocketAddr, path::Path, sync::Arc};

use tokio::process::{Child, Command};

use super::{
    cost::CostMeter,
    files::{PIECE, body},
    floor::start,
    load::{self, Load},
    options::Bench,
    report::{Measurement, Results},
    scratch::free_address,
    workload::Workload,
};

/// Where nginx is, beside the path.
const NGINX: &str = "/usr/sbin/nginx";

/// The rows of the actix handler.
pub(super) async fn actix(bench: &Bench, dir: &Path) -> Result<Vec<Measurement>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let files = dir.join("actix");
    fs::create_dir(&files).map_err(failed)?;
    let address = free_address().map_err(failed)?;
    let mut command = Command::new(env::current_exe().map_err(failed)?);
    command.args(["bench-endpoint", &address.to_string()]);
    command.arg(&files);
    let child = start(&mut command, address).await?;
    measure(bench, "actix", address, "/file", child).await
}

/// The rows of nginx, if it is installed.
pub(super) async fn nginx(bench: &Bench, dir: &Path) -> Result<Vec<Measurement>, String> {
    let in_path = env::var_os("PATH").into_iter().flat_map(|path| {
        env::split_paths(&path)
            .map(|dir| dir.join("nginx"))
            .collect::<Vec<_>>()
    });
    let Some(program) = in_path.chain([NGINX.into()]).find(|path| path.exists()) else {
        return Ok(vec![]);
    };
    let failed = |error: std::io::Error| error.to_string();
    let address = free_address().map_err(failed)?;
    let own = dir.join("nginx");
    fs::create_dir_all(own.join("files")).map_err(failed)?;
    let at = own.display();
    // One process: its CPU time is that of all.
    let configuration = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/log;
        events {{ }}
        http {{
            access_log off; client_body_temp_path {at}/body; client_max_body_size 0; keepalive_requests 1000000;
            proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
            server {{ listen {address}; root {at}/files; dav_methods PUT; }}
        }}"
    );
    fs::write(own.join("conf"), configuration).map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("-e").arg(own.join("log"));
    command.arg("-c").arg(own.join("conf"));
    let child = start(&mut command, address).await?;
    measure(bench, "nginx", address, "", child).await
}

async fn measure(
    bench: &Bench,
    name: &str,
    address: SocketAddr,
    path: &str,
    mut child: Child,
) -> Result<Vec<Measurement>, String> {
    let meter = CostMeter {
        server: child.id().and_then(|id| i32::try_from(id).ok()),
        postmaster: None,
    };
    let connections = bench
        .connections
        .map_or(Workload::Files.connections(), usize::from);
    let count = bench.operations.unwrap_or(Workload::Files.operations());
    let load = Load {
        connections,
        rate: bench.rate,
        operations: count,
    };
    let body = body();
    let (mut up, mut down) = (vec![], vec![]);
    for run in 0..=bench.runs {
        let put = |n| {
            let head = format!(
                "PUT {path}/{run}-{n} HTTP/1.1\r\nHost: x\r\nContent-Length: {PIECE}\r\n\r\n"
            );
            [head.as_bytes(), &body].concat()
        };
        let get = |n| format!("GET {path}/{run}-{n} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
        let puts: Vec<Vec<u8>> = (0..count).map(put).collect();
        let one = once(address, load, puts, &meter).await?;
        let other = once(address, load, (0..count).map(get).collect(), &meter).await?;
        if run > 0 {
            up.push(one);
            down.push(other);
        }
    }
    child.kill().await.map_err(|error| error.to_string())?;
    Ok(vec![
        Measurement::median(format!("up, {name}"), connections, &up),
        Measurement::median(format!("down, {name}"), connections, &down),
    ])
}

async fn once(
    address: SocketAddr,
    load: Load,
    requests: Vec<Vec<u8>>,
    meter: &CostMeter,
) -> Result<Results, String> {
    let mut before = meter.cpu();
    let begin = || before = meter.cpu();
    let tally = load::run(address, load, Arc::new(requests), begin).await?;
    Ok(Results::of(&tally, meter.cpu().since(before)))
}
