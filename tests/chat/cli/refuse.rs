//! Commands that are refused or fail: the sentence says why, and nothing was changed.

use std::fs::File;

use super::{bad, good, parlance, run, with_database};
use crate::world::{World, empty_database};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_only_deleted_with_yes() {
    let world = World::new().await;
    let options = world.store.options().clone();
    let ann = world.person("Ann").await;
    let delete = ["user", "delete", &ann.user];
    let sentence = bad(&run(parlance(&options).args(delete), ""));
    assert!(sentence.contains("--yes"), "{sentence}");
    ann.lists().await.ok();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_in_the_sentence() {
    let (world, options) = with_database().await;
    let add = ["user", "add", "ann@example.org", "--password-stdin"];
    good(&run(parlance(&options).args(add), "a long password"));
    let id = "0123456789abcdef0123456789abcdef";
    let key = "01234567-89ab-cdef-0123-456789abcdef";
    for (arguments, says) in [
        (
            &["user", "revoke", "ann@example.org", key][..],
            "ann@example.org has no key",
        ),
        (
            &["user", "stations", "ann@example.org", "--forget", id],
            "ann@example.org has no such station",
        ),
        (&["invite", "revoke", id], "there is no invitation"),
        (&["conversation", "show", id], "there is no conversation"),
        (&["user", "keys", id], "there is no user"),
        (&["user", "keys", "ann"], "neither an e-mail address nor"),
    ] {
        let sentence = bad(&run(parlance(&options).args(arguments), ""));
        assert!(sentence.contains(says), "{arguments:?}: {sentence}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_attackers_try_first_makes_no_user() {
    let (world, options) = with_database().await;
    let add = ["user", "add", "ann@example.org", "--password-stdin"];
    let sentence = bad(&run(parlance(&options).args(add), "password123\n"));
    assert!(sentence.contains("commonest"), "{sentence}");
    let register = [
        "user",
        "register",
        "ben@example.org",
        "--invite",
        "no-such-code",
        "--password-stdin",
    ];
    let sentence = bad(&run(parlance(&options).args(register), "a long password"));
    assert!(sentence.contains("invitation"), "{sentence}");
    let list = ["user", "list", "--json"];
    assert_eq!(good(&run(parlance(&options).args(list), "")), "[]\n");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_an_error() {
    let (world, options) = with_database().await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = parlance(&options)
        .args(["migrate"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(
        sentence.contains("standard output cannot be written"),
        "{sentence}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_psql_is_the_commands_failure() {
    let (world, options) = with_database().await;
    let divide = ["psql", "-v", "ON_ERROR_STOP=1", "-c", "select 1 / 0"];
    let output = run(parlance(&options).args(divide), "");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("division by zero") && errors.contains("parlance: psql ended with"),
        "{errors}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_migration_is_refused_and_nothing_is_changed() {
    let options = empty_database().await;
    good(&run(parlance(&options).arg("migrate"), ""));
    let psql = |text: &str| good(&run(parlance(&options).args(["psql", "-tAc", text]), ""));
    psql("update _sqlx_migrations set checksum = '\\x00' where version = 2");
    psql(
        "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)",
    );
    let applied = psql("select count(*) from _sqlx_migrations");
    let sentence = bad(&run(parlance(&options).arg("migrate"), ""));
    assert!(
        sentence.contains("migration 2 of the database is not the one"),
        "{sentence}"
    );
    assert_eq!(psql("select count(*) from _sqlx_migrations"), applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_in_another_schema_are_refused_with_the_way_to_move_them() {
    let options = empty_database().await;
    good(&run(parlance(&options).arg("migrate"), ""));
    let psql = |text: &str| good(&run(parlance(&options).args(["psql", "-tAc", text]), ""));
    psql("alter schema public rename to chat; create schema public");
    let sentence = bad(&run(parlance(&options).arg("migrate"), ""));
    let (_, way) = sentence.split_once("Move them with: ").unwrap();
    assert_eq!(
        psql("select count(*) from pg_tables where schemaname = 'public'"),
        "0\n"
    );
    // The sentence's own statements make it right.
    psql(way.trim());
    good(&run(parlance(&options).arg("migrate"), ""));
}
