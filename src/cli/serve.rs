//! `parlance serve`: runs the server until SIGTERM or Ctrl-C.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Error, say};
use crate::{
    server,
    settings::{Settings, leads_nowhere},
    telemetry::with_causes,
};

/// Maximum duration of a shutdown: service managers kill after ten seconds. Whatever is not done by
/// then ends with the process, without losing anything that was answered OK.
const MAX_STOP: Duration = Duration::from_secs(9);

/// Starts the server and runs it until a signal ends it.
///
/// # Errors
/// It cannot start.
pub(super) async fn run(settings: Settings) -> Result<(), Error> {
    // Installed before the start, which takes seconds: the default action would end this process
    // and leave a half-created database behind.
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    // Installed without TLS too: the default action of SIGHUP would end the server when its
    // terminal closes.
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
    let running = tokio::select! {
        started = server::start(settings) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    if let Some(url) = running.database_url() {
        tracing::info!("the embedded PostgreSQL: {url}");
    }
    tracing::info!(
        "Parlance {} serves {}",
        env!("PARLANCE_VERSION"),
        running.public_url()
    );
    if leads_nowhere(running.public_url()) {
        tracing::warn!(
            "PUBLIC_URL is not set, and {} is not reachable from other machines: each client gets the address that it used, and links of invitations cannot be opened. Set it to the address that people use",
            running.public_url()
        );
    }
    // As it was called, so that the command can be pasted into a shell.
    let program = std::env::args().next().unwrap_or_else(|| "parlance".into());
    tracing::info!("add a user with: {program} user add someone@example.org");
    // On stdout, because the log may be kept and read elsewhere.
    if let Some(link) = running.first_link().await? {
        say(format_args!(
            "There are no users yet. Whoever opens this link first makes the first account, an admin:\n{link}"
        ))?;
    }
    let name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => match running.read_certificate_again() {
                Ok(true) => tracing::info!("SIGHUP: the certificate was read again"),
                Ok(false) => tracing::info!("SIGHUP: nothing to do, as TLS_CERT is not set"),
                Err(error) => tracing::error!("{}; the old certificate stays", with_causes(&error)),
            },
        }
    };
    tracing::info!("{name}: stopping");
    if tokio::time::timeout(MAX_STOP, running.stop())
        .await
        .is_err()
    {
        tracing::warn!("not everything stopped in time; the rest ends with this process");
    }
    Ok(())
}
