//! Refusals to touch data, each with one sentence.

use super::{Dir, parlance, refuses};

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_major_version_is_refused_and_not_touched() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.postgres()).unwrap();
    std::fs::write(dir.postgres().join("PG_VERSION"), "9.6\n").unwrap();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("PostgreSQL 9.6") && sentence.contains("pg_upgrade"),
        "{sentence}"
    );
    let files: Vec<_> = std::fs::read_dir(dir.postgres()).unwrap().collect();
    assert_eq!(files.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_holds_something_else_is_refused_and_not_touched() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.postgres()).unwrap();
    std::fs::write(dir.postgres().join("diary"), "mine").unwrap();
    assert!(refuses(&mut parlance(&dir.data())).contains("nothing was touched"));
    assert_eq!(
        std::fs::read_to_string(dir.postgres().join("diary")).unwrap(),
        "mine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_are_not_there_are_one_sentence() {
    let dir = Dir::new();
    let sentence = refuses(parlance(&dir.data()).env("PG_BIN", dir.0.join("nowhere")));
    assert!(
        sentence.contains("PG_BIN") && sentence.contains("nowhere"),
        "{sentence}"
    );
    assert!(!dir.postgres().exists());
}
