//! Detects that PostgreSQL's package was upgraded while the server runs.

use super::{
    Error,
    programs::{Identity, Programs},
    supervise::{Supervisor, warn},
};

impl Supervisor {
    /// Waits until other programs than the running ones are installed completely. A server that
    /// keeps running after an upgrade may fail at any library that it loads for the first time.
    pub(super) async fn upgraded(
        &self,
        running: &Programs,
        identity: Option<&Identity>,
    ) -> Programs {
        let Some(check_every) = self.check_every else {
            return std::future::pending().await;
        };
        let (mut announced, mut seen) = (false, None);
        loop {
            tokio::time::sleep(check_every).await;
            if running.identity().as_ref() == identity {
                seen = None;
                continue;
            }
            if !announced {
                announced = true;
                tracing::warn!(
                    "PostgreSQL's programs were replaced beneath the running server ({}); it is restarted when nobody uses it, once they are complete",
                    running.version
                );
            }
            // Programs that cannot be run are half installed.
            let Ok(programs) = self.find(&running.major).await else {
                seen = None;
                continue;
            };
            // The package manager may still be writing, so two consecutive checks have to find the
            // same file.
            let settled = seen.is_some() && seen == programs.identity();
            seen = programs.identity();
            if settled && programs.major == running.major {
                return programs;
            }
        }
    }

    /// Finds the programs again, as an upgrade may have moved them (Homebrew does). If there is
    /// only another major version, which cannot run this data, returns the old ones, in the hope
    /// that they come back.
    pub(super) async fn relocate(&self, programs: Programs) -> Programs {
        if programs.identity().is_some() {
            return programs;
        }
        match self.find(&programs.major).await {
            Ok(found) if found.major == programs.major => found,
            Ok(found) => {
                tracing::error!(
                    "PostgreSQL {} is gone, and the data needs it; {} is installed",
                    programs.major,
                    found.version
                );
                programs
            }
            Err(error) => {
                warn(&error, "PostgreSQL is gone, and the data needs it");
                programs
            }
        }
    }

    async fn find(&self, major: &str) -> Result<Programs, Error> {
        Programs::find(self.pg_bin.clone(), Some(major.to_owned())).await
    }
}
