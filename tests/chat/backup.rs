//! `parlance backup`, `backup verify` and `restore`: taken while people write, refused where it would harm, and found
//! out where it is damaged.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use parlance::store::{Db, MIGRATIONS, doctor};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::{
    cli::{bad, good, parlance, run},
    world::{Person, World, empty_database, eventually},
};

struct Backup {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Backup {
    /// Of a world in which something was said, and cleared, and expired.
    fn of(world: &World) -> Self {
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

    /// A copy, as something else may have left it.
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

/// Verifies in a scratch database.
fn verify(file: &Path) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_parlance"));
    run(
        command
            .current_dir(std::env::temp_dir())
            .args(["backup", "verify"])
            .arg(file),
        "",
    )
}

fn replace(bytes: &mut [u8], this: &str, by: &str) {
    assert_eq!(this.len(), by.len());
    let at = bytes
        .windows(this.len())
        .rposition(|window| window == this.as_bytes())
        .unwrap();
    bytes[at..at + by.len()].copy_from_slice(by.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_taken_while_people_write_is_one_moment_and_can_be_used() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let before = ann.adds(&talk, "before").await;
    ben.views(&talk, &[before.clone()]).await.is_ok();
    let (stop, mut is_over) = tokio::sync::oneshot::channel::<()>();
    let writes = tokio::spawn({
        let (ann, talk) = (ann.clone(), talk.clone());
        async move {
            while is_over.try_recv().is_err() {
                ann.adds(&talk, "meanwhile").await;
                // No faster than people write, however fast the machine is.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    eventually("some messages", async || world.count("messages").await > 20).await;
    let said = world.count("messages").await;
    let backup = Backup::of(&world);
    let at_the_end = world.count("messages").await;
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&backup.file).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    assert!(good(&verify(&backup.file)).starts_with("Verified: "));

    // Into another database, where a server then goes on.
    let options = empty_database().await;
    assert!(
        good(&run(
            parlance(&options).arg("restore").arg(&backup.file),
            ""
        ))
        .starts_with("Restored: ")
    );
    stop.send(()).unwrap();
    writes.await.unwrap();
    let all = ben.reads_all(&talk).await;
    world.end().await;
    let mut settings = crate::world::settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::on(settings, options).await;
    let ben = Person {
        world: restored.clone(),
        ..ben
    };
    let messages = ben.reads_all(&talk).await;
    assert_eq!(
        (
            &messages[0]["ID"],
            ben.reads(&talk).await["reports"].as_array().unwrap().len()
        ),
        (&json!(before), 1)
    );
    // All that was said before, nothing that was said after it, and none left out in between.
    let count = restored.count("messages").await;
    assert!(
        (said..=at_the_end).contains(&count),
        "{said} <= {count} <= {at_the_end}"
    );
    assert!(at_the_end > said, "people wrote while it was taken");
    assert_eq!(messages[..], all[..messages.len()]);
    // Logged in at the same station, with the same conversation.
    ben.adds(&talk, "after").await;
    assert_eq!(ben.reads_all(&talk).await.len(), messages.len() + 1);
    restored.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_touched() {
    let world = World::new().await;
    let (ann, _, talk) = world.talk().await;
    ann.adds(&talk, "x").await;
    let backup = Backup::of(&world);
    let bytes = std::fs::read(&backup.file).unwrap();
    let again = bad(&run(
        parlance(world.store.options())
            .arg("backup")
            .arg(&backup.file),
        "",
    ));
    assert!(again.contains("exists already"), "{again}");
    assert_eq!(std::fs::read(&backup.file).unwrap(), bytes);
    ann.adds(&talk, "y").await;
    let onto = bad(&run(
        parlance(world.store.options())
            .arg("restore")
            .arg(&backup.file),
        "",
    ));
    assert!(onto.contains("is not empty"), "{onto}");
    assert_eq!(world.count("messages").await, 2);
    // Nothing half-done is left beside it.
    assert_eq!(std::fs::read_dir(backup.dir.path()).unwrap().count(), 1);
    // Nor is another backup's, which is being taken, or which was cut short.
    let (other, part) = (
        backup.dir.path().join("other"),
        backup.dir.path().join("other.part"),
    );
    std::fs::write(&part, "half of it").unwrap();
    let again = bad(&run(
        parlance(world.store.options()).arg("backup").arg(&other),
        "",
    ));
    assert!(again.contains("another backup is being taken"), "{again}");
    assert_eq!(std::fs::read(&part).unwrap(), b"half of it");
    std::fs::remove_file(&part).unwrap();
    // What disturbs no backup: a table that another session made for itself.
    let mut session = sqlx::postgres::PgConnection::connect_with(world.store.options())
        .await
        .unwrap();
    sqlx::raw_sql("create temporary table mine as select 1")
        .execute(&mut session)
        .await
        .unwrap();
    good(&run(
        parlance(world.store.options()).arg("backup").arg(&other),
        "",
    ));
    std::fs::remove_file(&other).unwrap();
    let nowhere = bad(&run(
        parlance(world.store.options()).args(["backup", "/nowhere/at/all"]),
        "",
    ));
    assert!(nowhere.contains("/nowhere/at/all"), "{nowhere}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_not_what_it_was_is_found_out() {
    let world = World::new().await;
    let (ann, _, talk) = world.talk().await;
    ann.adds(&talk, "x").await;
    let backup = Backup::of(&world);
    let middle = 2000;
    for (change, sentence) in [
        (
            Box::new(|bytes: &mut Vec<u8>| bytes[middle] ^= 1) as Box<dyn FnOnce(&mut Vec<u8>)>,
            "is damaged",
        ),
        (
            Box::new(|bytes| bytes.truncate(middle)),
            "is not a backup, or not a complete one",
        ),
        (
            Box::new(Vec::clear),
            "is not a backup, or not a complete one",
        ),
        (
            Box::new(|bytes| bytes.fill(b'x')),
            "is not a backup, or not a complete one",
        ),
        (
            Box::new(|bytes| replace(bytes, r#""format": 1"#, r#""format": 2"#)),
            "was made by a newer Parlance",
        ),
        (
            Box::new(|bytes| {
                let newest = newest_migration();
                replace(
                    bytes,
                    &format!(r#""migration": {newest}"#),
                    &format!(r#""migration":{newest}9"#),
                );
            }),
            "was made by a newer Parlance",
        ),
        // The dump is whole, but it is not of the database that the manifest describes.
        (
            Box::new(|bytes| {
                replace(
                    bytes,
                    "\"public.messages\": {\n      \"rows\": 1",
                    "\"public.messages\": {\n      \"rows\": 2",
                );
            }),
            "not what was backed up: public.messages",
        ),
    ] {
        let file = backup.changed(change);
        let refusal = bad(&verify(&file));
        assert!(refusal.contains(sentence), "{sentence}: {refusal}");
    }
    let options = empty_database().await;
    let damaged = backup.changed(|bytes| bytes[middle] ^= 1);
    bad(&run(parlance(&options).arg("restore").arg(&damaged), ""));
    // Nothing got into the database, so it can still be used.
    good(&run(
        parlance(&options).arg("restore").arg(&backup.file),
        "",
    ));
    assert!(
        doctor::examine(&Db::new(options, 1))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(bad(&verify(Path::new("/nowhere"))).contains("/nowhere cannot be read"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_tables_that_do_not_hold_what_they_must_is_not_verified() {
    let world = World::new().await;
    let (ann, _, talk) = world.talk().await;
    ann.adds(&talk, "x").await;
    world
        .sql("update conversations set last_message_id = gen_random_uuid()")
        .await;
    let backup = Backup::of(&world);
    let sentence = bad(&verify(&backup.file));
    assert!(
        sentence.contains("the doctor finds HistoryHead"),
        "{sentence}"
    );
    assert_eq!(doctor::repair(&world.store).await.unwrap(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_finds_no_room_says_so_and_leaves_nothing() {
    let world = World::new().await;
    let (ann, _, talk) = world.talk().await;
    ann.adds(&talk, &"x".repeat(60_000)).await;
    let dir = tempfile::tempdir().unwrap();
    // At most eight blocks of 512 bytes: a disk that is full for this process alone.
    let mut command = std::process::Command::new("sh");
    command
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 8; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_parlance"),
            "backup",
        ])
        .arg(dir.path().join("b"));
    for (name, value) in parlance(world.store.options()).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let sentence = bad(&run(&mut command, ""));
    assert!(sentence.contains("cannot be written"), "{sentence}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_no_server_has_used_has_nothing_to_back_up() {
    let options = empty_database().await;
    let dir = tempfile::tempdir().unwrap();
    let sentence = bad(&run(
        parlance(&options).arg("backup").arg(dir.path().join("b")),
        "",
    ));
    assert!(sentence.contains("nothing to back up"), "{sentence}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
