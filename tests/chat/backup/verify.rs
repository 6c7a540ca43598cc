//! Damaged backups are detected.

use std::path::Path;

use parlance::store::{Db, doctor};

use super::{Backup, newest_migration, verify};
use crate::{
    cli::{bad, good, parlance, run},
    world::{World, empty_database},
};

fn replace(bytes: &mut [u8], this: &str, by: &str) {
    assert_eq!(this.len(), by.len());
    let at = bytes
        .windows(this.len())
        .rposition(|window| window == this.as_bytes())
        .unwrap();
    bytes[at..at + by.len()].copy_from_slice(by.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_detected() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    ann.adds(&conversation, "x").await;
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
            Box::new(|bytes| replace(bytes, r#""format": 2"#, r#""format": 3"#)),
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
        // The dump is intact, but from a database other than the manifest's.
        (
            Box::new(|bytes| {
                replace(
                    bytes,
                    "\"public.messages\": {\n      \"rows\": 1",
                    "\"public.messages\": {\n      \"rows\": 2",
                );
            }),
            "differs from the backup: public.messages",
        ),
    ] {
        let file = backup.changed(change);
        let refusal = bad(&verify(&file));
        assert!(refusal.contains(sentence), "{sentence}: {refusal}");
        assert!(refusal.matches("public.").count() <= 1, "{refusal}");
    }
    let options = empty_database().await;
    let damaged = backup.changed(|bytes| bytes[middle] ^= 1);
    bad(&run(parlance(&options).arg("restore").arg(&damaged), ""));
    // Nothing was written into the database, so it can still be used.
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
async fn a_backup_of_inconsistent_tables_is_not_verified() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    ann.adds(&conversation, "x").await;
    world
        .sql("update conversations set last_message_id = gen_random_uuid()")
        .await;
    let backup = Backup::of(&world);
    let sentence = bad(&verify(&backup.file));
    assert!(sentence.contains("the doctor finds newest"), "{sentence}");
    assert_eq!(
        doctor::repair(
            &world.store,
            &crate::world::operator(),
            parlance_wire::time::Timestamp::now()
        )
        .await
        .unwrap(),
        1
    );
    world.end().await;
}
