//! A backup shows a single moment.

use serde_json::json;
use sqlx::Connection;

use super::{Backup, verify};
use crate::{
    cli::{bad, good, parlance, run},
    world::{Person, World, empty_database, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_taken_while_people_write_is_one_moment_and_can_be_used() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let before = ann.adds(&conversation, "before").await;
    ben.views(&conversation, &[before.clone()]).await.ok();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writes = tokio::spawn({
        let (ann, conversation) = (ann.clone(), conversation.clone());
        async move {
            while stopped.try_recv().is_err() {
                ann.adds(&conversation, "meanwhile").await;
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

    // Restored into another database, where a server then continues.
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
    let all = ben.reads_all(&conversation).await;
    world.end().await;
    let mut settings = crate::world::settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::start(settings, options).await;
    let ben = Person {
        world: restored.clone(),
        ..ben
    };
    let messages = ben.reads_all(&conversation).await;
    assert_eq!(
        (
            &messages[0]["ID"],
            ben.reads(&conversation).await["reports"]
                .as_array()
                .unwrap()
                .len()
        ),
        (&json!(before), 1)
    );
    // All earlier messages, no later ones, and none missing in between.
    let count = restored.count("messages").await;
    assert!(
        (said..=at_the_end).contains(&count),
        "{said} <= {count} <= {at_the_end}"
    );
    assert!(at_the_end > said, "people wrote while it was taken");
    assert_eq!(messages[..], all[..messages.len()]);
    // Logged in at the same station, with the same conversation.
    ben.adds(&conversation, "after").await;
    assert_eq!(ben.reads_all(&conversation).await.len(), messages.len() + 1);
    restored.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_standard_output_and_is_read_in_the_form_of_earlier_releases() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    ann.adds(&conversation, "x").await;
    // More than one part of the dump, which hardly compresses random bytes.
    world
        .sql("update users set encrypted_private_key = (select string_agg(gen_random_uuid()::text, '') from generate_series(1, 300000))")
        .await;
    let dir = tempfile::tempdir().unwrap();
    let output = run(
        parlance(world.store.options())
            .args(["backup", "-"])
            .current_dir(dir.path()),
        "",
    );
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Backed up: -"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let file = dir.path().join("piped");
    std::fs::write(&file, output.stdout).unwrap();
    assert!(good(&verify(&file)).starts_with("Verified: "));
    // The same with standard tools, into the one piece of format 1.
    let shell = "tar xf piped && test -e database.dump.0000002 && cat database.dump.* >database.dump
        sed -i.bak 's/\"format\": 2/\"format\": 1/' manifest.json && tar cf old database.dump manifest.json";
    let converted = run(
        std::process::Command::new("sh")
            .args(["-euc", shell])
            .current_dir(dir.path()),
        "",
    );
    assert!(converted.status.success(), "{converted:?}");
    assert!(good(&verify(&dir.path().join("old"))).starts_with("Verified: "));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_data_is_not_touched() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    ann.adds(&conversation, "x").await;
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
    ann.adds(&conversation, "y").await;
    let onto = bad(&run(
        parlance(world.store.options())
            .arg("restore")
            .arg(&backup.file),
        "",
    ));
    assert!(onto.contains("is not empty"), "{onto}");
    assert_eq!(world.count("messages").await, 2);
    // No temporary file is left beside it.
    assert_eq!(std::fs::read_dir(backup.dir.path()).unwrap().count(), 1);
    // Nor is the unfinished file of another backup touched.
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
    // Temporary tables of other sessions do not disturb a backup.
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
async fn a_backup_that_finds_no_room_says_so_and_leaves_nothing() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    ann.adds(&conversation, &"x".repeat(60_000)).await;
    let dir = tempfile::tempdir().unwrap();
    // At most eight blocks of 512 bytes: simulates a full disk for this process alone.
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
