//! Backups of a server whose files lie outside the database.

use std::fs;

use super::{Backup, verify, verify_with};
use crate::{
    cli::{good, parlance, run},
    world::{File, Kind, Person, RECORD, World, empty_database, lying},
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
        output.status.code() == Some(1) && sentence.contains("Files Damaged"),
        "{sentence}"
    );
    fs::write(damaged, bytes).unwrap();
    // What is uploaded later is not the backup's, and what is deleted later is missing in it.
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
    assert!(said.contains("Files LeftOver: 1"), "{said}");
    let said = doctor(&["--repair"]);
    assert!(said.contains("rules hold"), "{said}");
    assert_eq!(lying(&world).await.len(), 2);
    let mut settings = crate::world::settings();
    settings.database = parlance::settings::Database::Given(Box::new(options.clone()));
    let restored = World::start(settings, options).await;
    let ann = Person {
        world: restored.clone(),
        station,
        ..ann_was
    };
    for File { id, bytes } in &files {
        assert!(ann.gets(id, None).await.bytes == *bytes);
    }
    restored.end().await;
}
