//! The database for a command: the operator's, a running server's, or an embedded one that is
//! started for as long as the command takes.

use std::{fs::File, time::Duration};

use sqlx::ConnectOptions;
use tokio::time::{Instant, sleep};

use super::{Db, Embedded, Error, POLL, cluster, connections, lock, paths::ClusterPaths, run};
use crate::settings::{Database, Settings};

/// How long a command waits for a starting server, and for other commands to end.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Number of connections of a command.
const CONNECTIONS: u32 = 2;

/// A database that a command uses.
pub struct Attached {
    /// Connections to it: few, beside those of a server.
    pub db: Db,
    /// The embedded PostgreSQL, if this command had to start it.
    embedded: Option<Embedded>,
    /// The shared lock that keeps another process from stopping its database meanwhile.
    user: Option<File>,
}

/// The behaviour of a command if there is no embedded database yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Creates one, as the first start of a server does.
    Create,
    /// Fails, and leaves nothing behind.
    Fail,
}

/// Like [`super::open`], for a command: if a server or another command already runs on the embedded
/// data, it connects to that database.
///
/// # Errors
/// There is no database, or it does not answer.
pub async fn attach(settings: &Settings, if_missing: IfMissing) -> Result<Attached, Error> {
    if let Database::Given(options) = &settings.database {
        connections::refuse_pooler(options).await?;
        return Ok(Attached {
            db: Db::new((**options).clone(), CONNECTIONS),
            embedded: None,
            user: None,
        });
    }
    let data_dir = &settings.data_dir;
    // Before the lock, whose file would be the first one of a new directory.
    if if_missing == IfMissing::Fail
        && cluster::version(&ClusterPaths::of(data_dir)?.data)?.is_none()
    {
        return Err(Error::NoDatabase {
            data_dir: data_dir.clone(),
        });
    }
    let deadline = Instant::now() + TIMEOUT;
    let mut last_error = None;
    loop {
        if let Some(lock) = lock::try_lock(data_dir)? {
            // No upgrade checks, as a command is over before an upgrade matters.
            let (db, embedded) = run(settings, lock, None).await?;
            return Ok(Attached {
                db,
                embedded: Some(embedded),
                user: None,
            });
        }
        let user = lock::users_lock(data_dir)?;
        let options = ClusterPaths::of(data_dir)?.options();
        // Locked before connecting, or the database could stop in between.
        if user.try_lock_shared().is_ok() {
            match options.connect().await {
                Ok(_) => {
                    return Ok(Attached {
                        db: Db::new(options, CONNECTIONS),
                        embedded: None,
                        user: Some(user),
                    });
                }
                Err(error) => last_error = Some(error),
            }
        }
        if Instant::now() > deadline {
            return Err(Error::NotAnswering {
                data_dir: data_dir.clone(),
                source: last_error,
            });
        }
        // Not held while waiting, as the owner may be waiting for its users to leave.
        drop(user);
        sleep(POLL).await;
    }
}

impl Attached {
    /// Closes the connections. A database that this command started stops once all attached
    /// commands have ended.
    pub async fn detach(self) {
        self.db.close().await;
        drop(self.user);
        if let Some(embedded) = self.embedded {
            // Held until the end: a command that attached now would lose its database at once.
            let _exclusive = lock::wait_for_users(&embedded.supervisor.data_dir, TIMEOUT).await;
            embedded.stop().await;
        }
    }
}
