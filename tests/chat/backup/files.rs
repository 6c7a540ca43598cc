//! Backups of a server whose files lie outside the database.

use std::{fs, time::Duration};

use parlance::store::file;
use serde_json::json;

use super::{Backup, verify, verify_with};
use crate::{
    cli::{good, parlance, run},
    world::{File, Kind, Person, RECORD, World, empty_database, lying, stores},
};

#[tokio::test(flavor = "multi_thread")]
async fn files_outside_are_verified_where_they_lie_and_there_after_a_restore() {
    let world = Kind::Directory.world().await;
    let (ann, _, conversation) = world.conversation().await;
    let files = [
        ann.uploads(RECORD + 10, &conversation).await,
        ann.uploads(10, &conversation).await,
    ];
    let backup = Backup::of(&world);
    good(&verify_with(&["--files"], &backup.file));
    let damaged = &lying(&world).await[0];
    let bytes = fs::read(damaged).unwrap();
    let mut changed = bytes.clone();
    changed[0] ^= 1;
    fs::write(damaged, changed).unwrap();
    // Without the option, the store is not looked at.
    good(&verify(&backup.file));
    let output = verify_with(&["--files"], &backup.file);
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && sentence.contains("files_damaged"),
        "{sentence}"
    );
    fs::write(damaged, bytes).unwrap();
    // What is uploaded later is not the backup's.
    ann.uploads(20, &conversation).await;
    good(&verify_with(&["--files"], &backup.file));
    let (station, ann_was) = (ann.station.clone(), ann.clone());
    world.stop().await;
    let options = empty_database().await;
    backup.restores_into(&options);
    let doctor = |arguments: &[&str]| {
        let output = run(parlance(&options).arg("doctor").args(arguments), "");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = doctor(&[]);
    assert!(said.contains("files_left_over: 1"), "{said}");
    // Nothing is deleted in what may still be another server's, until that is said not to be.
    let said = doctor(&["--repair"]);
    assert!(said.contains("files_left_over: 1"), "{said}");
    let lying_there = lying(&world).await.len();
    assert_eq!(lying_there, 3);
    let mut settings = crate::world::settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::start(settings, options.clone()).await;
    let ann = Person {
        world: restored.clone(),
        station,
        ..ann_was
    };
    for File { id, bytes } in &files {
        assert!(ann.gets(id, None).await.bytes == *bytes);
    }
    ann.asks_file("delete", &files[1].id, json!({})).await.ok();
    drain(&restored).await;
    assert_eq!(lying(&restored).await.len(), lying_there);
    let adopt = || good(&run(parlance(&options).args(["files", "adopt"]), ""));
    let said = adopt();
    assert!(said.contains("Adopted: dir:"), "{said}");
    let said = adopt();
    assert!(said.contains("nothing to adopt"), "{said}");
    let log = good(&run(parlance(&options).arg("audit"), ""));
    assert!(log.contains("files adopt"), "{log}");
    drain(&restored).await;
    assert_eq!(lying(&restored).await.len(), lying_there - 1);
    let said = doctor(&["--repair"]);
    assert!(said.contains("rules hold"), "{said}");
    assert_eq!(lying(&restored).await.len(), 1);
    restored.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_the_database_are_there_after_a_restore() {
    let world = Kind::Postgres.world().await;
    let (ann, ben, conversation) = world.conversation().await;
    let file = ann.uploads(RECORD + 10, &conversation).await;
    let backup = Backup::of(&world);
    good(&verify_with(&["--files"], &backup.file));
    world.stop().await;
    let options = empty_database().await;
    backup.restores_into(&options);
    let mut settings = crate::world::settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::start(settings, options).await;
    let ben = Person {
        world: restored.clone(),
        ..ben
    };
    assert!(ben.gets(&file.id, None).await.bytes == file.bytes);
    restored.end().await;
}

async fn drain(world: &World) {
    file::drain(&world.store, &stores(), Duration::ZERO)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_deleted_since_are_no_fault_of_a_backup() {
    let world = Kind::Directory.world().await;
    let (ann, _, conversation) = world.conversation().await;
    let mut lying_there = vec![];
    let mut files = vec![];
    for size in [10, 11, 12] {
        files.push(ann.uploads(size, &conversation).await);
        let now = lying(&world).await;
        let new = now.into_iter().find(|path| !lying_there.contains(path));
        lying_there.push(new.unwrap());
    }
    let backup = Backup::of(&world);
    ann.asks_file("delete", &files[0].id, json!({})).await.ok();
    drain(&world).await;
    // Without the server's database nobody knows why it is missing.
    let output = verify_with(&["--files"], &backup.file);
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && sentence.contains("is not known"),
        "{sentence}"
    );
    let verify = || {
        let mut command = parlance(world.store.options());
        command.args(["backup", "verify", "--files"]);
        let output = run(command.arg(&backup.file), "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (is_good, said) = verify();
    assert!(
        is_good && said.contains("1 of the backup's files"),
        "{said}"
    );
    // Every other one is told, whatever else is wrong.
    fs::remove_file(&lying_there[1]).unwrap();
    let bytes = fs::read(&lying_there[2]).unwrap();
    fs::write(&lying_there[2], "twelve bytes").unwrap();
    let (is_good, said) = verify();
    assert!(
        !is_good
            && said.contains("files_missing (1, ")
            && said.contains(&files[1].id)
            && said.contains("files_damaged (1, ")
            && said.contains(&files[2].id),
        "{said}"
    );
    fs::write(&lying_there[1], &files[1].bytes).unwrap();
    fs::write(&lying_there[2], bytes).unwrap();
    world.end().await;
}
