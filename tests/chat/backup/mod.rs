//! `parlance backup`, `backup verify` and `restore`: taken while people write, refused where it
//! would do harm, and detecting damage.

mod files;
mod take;
mod verify;

use std::path::{Path, PathBuf};

use parlance::store::MIGRATIONS;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;

use crate::{
    cli::{good, parlance, run},
    world::World,
};

pub(crate) struct Backup {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Backup {
    /// Backs up a world with present, cleared and expired messages.
    pub(crate) fn of(world: &World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("of today.parlance");
        let said = good(&run(
            parlance(world.store.options())
                .arg("backup")
                .arg(&file)
                .arg("--json"),
            "",
        ));
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["manifest"]["migration"], newest_migration());
        Self { dir, file }
    }

    /// Restores it into an empty database.
    pub(crate) fn restores_into(&self, options: &PgConnectOptions) {
        good(&run(parlance(options).arg("restore").arg(&self.file), ""));
    }

    /// A damaged copy.
    fn changed(&self, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = std::fs::read(&self.file).unwrap();
        change(&mut bytes);
        let copy = self.dir.path().join("changed");
        std::fs::write(&copy, bytes).unwrap();
        copy
    }
}

fn newest_migration() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap()
}

/// Verifies a backup in a scratch database.
fn verify(file: &Path) -> std::process::Output {
    verify_with(&[], file)
}

/// The same, with options.
fn verify_with(options: &[&str], file: &Path) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_parlance"));
    // Where there is no database of a server.
    command.current_dir(file.parent().unwrap());
    run(
        command.args(["backup", "verify"]).args(options).arg(file),
        "",
    )
}
