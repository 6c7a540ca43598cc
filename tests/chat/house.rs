//! The house checks itself: floors, prose at the door, SQL in one place.

use std::path::PathBuf;

use crate::world::file;

/// The floors, from the ground. A file uses its own floor and those before it.
const FLOORS: [&str; 11] = ["timings", "settings", "telemetry", "model", "store", "chat", "api", "server", "bench", "selftest", "cli"];

fn sources() -> Vec<(String, String)> {
    let mut found = vec![];
    let mut folders = vec![file("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(file("src")).unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 30);
    found
}

fn floor_of(name: &str) -> Option<usize> {
    let room = name.split(['/', '.']).next().unwrap();
    FLOORS.iter().position(|floor| *floor == room)
}

#[test]
fn imports_only_go_down() {
    for (name, text) in sources() {
        let Some(own) = floor_of(&name) else { continue };
        for (height, floor) in FLOORS.iter().enumerate().skip(own + 1) {
            let imports = [format!("crate::{floor}"), format!("    {floor}::")];
            let wrong = text.lines().find(|line| imports.iter().any(|import| line.contains(&import[..]) && !line.contains("//")));
            assert!(wrong.is_none() || height <= own, "{name} goes up to {floor}: {wrong:?}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "{name} does not say what it is for");
    }
}

#[test]
fn sql_stands_only_in_the_store() {
    for (name, text) in sources() {
        let has_sql =
            text.contains("query!(") || text.contains("query_as!(") || text.contains("query_scalar!(") || text.contains("sqlx::query(");
        assert!(!has_sql || name.starts_with("store/"), "{name} holds SQL");
    }
}

#[test]
fn a_file_has_at_most_three_hundred_lines_of_code() {
    // What is longer says why here.
    let excused = [
        "store/embedded.rs", // one process's life, from its lock to its end
    ];
    for (name, text) in sources() {
        let code = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"))
            .count();
        assert!(code <= 300 || excused.contains(&name.as_str()), "{name} has {code} lines of code");
    }
}
