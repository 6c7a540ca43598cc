//! The house checks itself: floors, prose at the door, SQL in one place.

use std::path::PathBuf;

use crate::world::file;

/// The floors, from the ground. A file uses its own floor and those before it.
const FLOORS: [&str; 11] = [
    "timings",
    "settings",
    "telemetry",
    "store",
    "notify",
    "chat",
    "api",
    "server",
    "bench",
    "selftest",
    "cli",
];

fn sources() -> Vec<(String, String)> {
    let mut found = vec![];
    let mut folders = vec![file("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(file("src"))
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
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

/// The first names of what stands at the beginning of a text: `a` of `a::b`, both of `{a::b, c}`.
fn roots(text: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(group) = text.strip_prefix('{') else {
        return vec![name(text)];
    };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            c => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                parts.last_mut().unwrap().push(c);
            }
        }
    }
    parts
        .iter()
        .map(|part| name(part))
        .filter(|name| !name.is_empty())
        .collect()
}

/// What a file takes from the crate's root, however it is written: `crate::a`, `crate::{a, b::c}`, `super::super::a`.
fn imports(name: &str, text: &str) -> Vec<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let depth = name.trim_end_matches("/mod.rs").split('/').count();
    let up = "super::".repeat(depth);
    let mut found: Vec<String> = code.split("crate::").skip(1).flat_map(roots).collect();
    // In a module of a file, as its tests are, `super` is the file: one more leads out.
    found.extend(
        code.split(&up)
            .skip(1)
            .map(|rest| rest.trim_start_matches("super::"))
            .flat_map(roots),
    );
    found
}

#[test]
fn an_import_is_seen_however_it_is_written() {
    assert_eq!(
        imports(
            "chat/a.rs",
            "use crate::{chat::id::{A, B}, store::{self, Db}, api};"
        ),
        ["chat", "store", "api"]
    );
    assert_eq!(
        imports(
            "chat/a.rs",
            "use crate::{\n    api,\n    chat::id,\n};\n// crate::server\nlet a = crate::cli::run();"
        ),
        ["api", "chat", "cli"]
    );
    assert_eq!(
        imports("chat/a.rs", "use super::super::api::answer;"),
        ["api"]
    );
    assert_eq!(
        imports("chat/mod.rs", "use super::{api, chat};"),
        ["api", "chat"]
    );
    assert_eq!(
        imports(
            "store/history/page.rs",
            "use super::super::super::api::answer; use super::Place;"
        ),
        ["api"]
    );
}

#[test]
fn imports_only_go_down() {
    let mut seen = 0;
    for (name, text) in sources() {
        let Some(own) = floor_of(&name) else { continue };
        for import in imports(&name, &text) {
            let Some(height) = FLOORS.iter().position(|floor| *floor == import) else {
                continue;
            };
            assert!(height <= own, "{name} goes up to {import}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn every_file_says_what_it_is_for() {
    for (name, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "{name} does not say what it is for"
        );
    }
}

#[test]
fn sql_stands_only_in_the_store() {
    for (name, text) in sources() {
        let has_sql = text.contains("query!(")
            || text.contains("query_as!(")
            || text.contains("query_scalar!(")
            || text.contains("sqlx::query(");
        assert!(!has_sql || name.starts_with("store/"), "{name} holds SQL");
    }
}

#[test]
fn a_file_has_at_most_five_hundred_lines_of_code() {
    for (name, text) in sources() {
        let code = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"))
            .count();
        assert!(code <= 500, "{name} has {code} lines of code");
    }
}
