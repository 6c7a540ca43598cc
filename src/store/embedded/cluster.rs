//! The cluster on disk: created once, never deleted, never touched by another major version.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};

use super::{Error, NAME, paths::ClusterPaths, postmaster::fatal, programs::Programs};

/// The major version that created the data. Returns `None` if there is no data yet.
///
/// # Errors
/// The directory contains something else.
pub(super) fn version(data: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(data.join("PG_VERSION")) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(Error::NotACluster {
                    data: data.to_owned(),
                });
            }
            Ok(None)
        }
        Err(error) => Err(Error::file(data, "read")(error)),
    }
}

/// Refuses data of a major version other than the programs'.
pub(super) fn check_version(data: Option<&str>, programs: &Programs) -> Result<(), Error> {
    match data {
        Some(version) if version != programs.major => Err(Error::OtherMajorVersion {
            data: version.to_owned(),
            programs: programs.major.clone(),
        }),
        _ => Ok(()),
    }
}

/// Creates the cluster in a temporary directory beside its final one and renames that when it is
/// complete, so that a crash never leaves half a cluster behind.
pub(super) async fn create(paths: &ClusterPaths, programs: &Programs) -> Result<(), Error> {
    let unfinished = paths.data.with_file_name("postgres-unfinished");
    let failed = || Error::file(&unfinished, "created");
    match tokio::fs::remove_dir_all(&unfinished).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed()(error)),
        _ => {}
    }
    std::fs::create_dir(&unfinished).map_err(failed())?;
    paths.owner.take(&unfinished).map_err(failed())?;
    // Byte order instead of a language's collation: a system upgrade can change how libc sorts,
    // which corrupts indexes. macOS has no C.UTF-8.
    let locale = if cfg!(target_os = "macos") {
        "C"
    } else {
        "C.UTF-8"
    };
    let mut initdb = Command::new(programs.path("initdb"));
    initdb.arg("-D").arg(&unfinished).args([
        "--username",
        NAME,
        // Access is controlled by the socket's private directory.
        "--auth",
        "trust",
        "--data-checksums",
        "--encoding",
        "UTF8",
        "--locale",
        locale,
    ]);
    paths.owner.run(&mut initdb);
    let output = tokio::process::Command::from(initdb)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(failed())?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        // PostgreSQL's reason, if it ran; around it initdb says what it does.
        let cause = stderr.lines().find_map(fatal).unwrap_or(stderr.trim());
        return Err(Error::Initdb {
            cause: cause.to_owned(),
        });
    }
    std::fs::rename(&unfinished, &paths.data).map_err(failed())
}

/// Creates the database in the cluster, if it is missing.
pub(super) async fn ensure_database(options: &PgConnectOptions) -> Result<(), Error> {
    let mut connection = options
        .clone()
        .database("postgres")
        .connect()
        .await
        .map_err(Error::CreateDatabase)?;
    let there = sqlx::query_scalar!(
        r#"select exists (select from pg_database where datname = $1) as "there!""#,
        NAME
    )
    .fetch_one(&mut connection)
    .await
    .map_err(Error::CreateDatabase)?;
    if !there {
        // Written out instead of using NAME, as `create database` takes no parameters.
        sqlx::query!("create database parlance")
            .execute(&mut connection)
            .await
            .map_err(Error::CreateDatabase)?;
    }
    connection.close().await.map_err(Error::CreateDatabase)
}
