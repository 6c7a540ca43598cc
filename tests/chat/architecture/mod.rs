//! Checks the architecture: layers, SQL in one place, and each file's description, length and
//! vocabulary.

mod files;
mod log;
mod references;
mod words;

use std::collections::BTreeSet;

use self::{
    files::{Source, module, sources},
    references::references,
};

/// The layers, lowest first. A file may use its own layer and those before it.
const LAYERS: [&str; 13] = [
    "clock",
    "counters",
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

/// What layers above the store may use of sqlx: to name a database, to be told of its failures, and to
/// follow its notices. Everything else can run SQL.
const SQLX_ABOVE_THE_STORE: [&[&str]; 6] = [
    &["Error"],
    &["Result"],
    &["PgPool"],
    &["postgres", "PgConnectOptions"],
    &["postgres", "PgListener"],
    &["postgres", "PgPoolOptions"],
];

/// What the shared crates may use of sqlx: what makes a type a column's.
const SQLX_OF_COLUMNS: [&str; 7] = [
    "Type", "Decode", "Encode", "Postgres", "postgres", "encode", "error",
];

/// Maximum lines of a file, all counted.
const MAX_LINES: usize = 500;
/// Nine files in ten have to be shorter than this.
const USUAL_LINES: usize = 300;

fn modules(sources: &[Source]) -> BTreeSet<Vec<String>> {
    sources.iter().map(|source| module(&source.path)).collect()
}

/// References of a file that the layers forbid.
fn wrong(path: &str, text: &str, modules: &BTreeSet<Vec<String>>) -> Vec<String> {
    let own = module(path);
    let height = |layer: &str| LAYERS.iter().position(|known| *known == layer);
    let Some(own_layer) = own.first() else {
        // The crate's root names all layers, and the program is above them.
        return vec![];
    };
    let own_height = height(own_layer).unwrap_or_else(|| panic!("{own_layer} is no layer"));
    let mut wrong = vec![];
    for reference in references(&own, text, modules) {
        let parts: Vec<&str> = reference.iter().map(String::as_str).collect();
        let is_wrong = match parts[..] {
            // A name of the root that is no layer is one that the root takes from a layer, whichever
            // it is.
            ["crate", name, ..] if height(name).is_none_or(|height| height > own_height) => true,
            // Within `server`, `mod.rs` starts what its neighbours do, so they must not refer back
            // to it.
            ["crate", "server", name, ..] if own_layer == "server" && own.len() > 1 => {
                !modules.contains(&vec!["server".to_owned(), name.to_owned()])
            }
            ["sqlx", ref name @ ..] => {
                let mut allowed = SQLX_ABOVE_THE_STORE.iter();
                own_layer != "store" && !allowed.any(|allowed| name.starts_with(allowed))
            }
            _ => false,
        };
        if is_wrong {
            wrong.push(format!("{path} refers to {}", parts.join("::")));
        }
    }
    wrong
}

#[test]
fn faults_are_found() {
    let modules = modules(&sources(&["src"], ".rs"));
    for (path, text) in [
        ("src/store/x.rs", "use crate::{api, clock};"),
        (
            "src/store/x.rs",
            "use crate::{chat::error::Error, clock::Clock};",
        ),
        ("src/notify/x.rs", "use super::super::chat::error;"),
        (
            "src/chat/x.rs",
            "fn f() { println!(\"{}\", crate::server::NAME) }",
        ),
        ("src/store/x.rs", "use crate::Running;"),
        (
            "src/store/x.rs",
            "use crate as all; fn f() { all::api::x() }",
        ),
        ("src/store/x.rs", "use crate::*; fn f() { api::x() }"),
        ("src/store/x.rs", "extern crate self as all; use all::api;"),
        ("src/chat/x.rs", "extern crate sqlx as db; use db::query;"),
        ("src/server/x.rs", "use super::Running;"),
        (
            "src/server/x.rs",
            "use crate::server::{Running, state::State};",
        ),
        ("src/chat/x.rs", "fn f() { sqlx::query!(\"select 1\") }"),
        (
            "src/api/x.rs",
            "use sqlx::query_as; fn f() { query_as!(A, \"select 1\") }",
        ),
        ("src/server/x.rs", "fn f() { sqlx::raw_sql(\"select 1\") }"),
        ("src/server/x.rs", "use sqlx::Executor;"),
        ("src/chat/x.rs", "use sqlx::{Error, QueryBuilder};"),
        ("src/api/x.rs", "use sqlx::*;"),
        ("src/cli/x.rs", "use sqlx::postgres::PgConnection;"),
        (
            "src/cli/x.rs",
            "use sqlx::postgres; fn f(_: postgres::PgConnection) {}",
        ),
    ] {
        assert!(!wrong(path, text, &modules).is_empty(), "{path}: {text}");
    }
    for (path, text) in [
        ("src/api/x.rs", "use crate::{chat::error::Error, store};"),
        (
            "src/server/x.rs",
            "use super::state::State; pub(super) fn f() {}",
        ),
        ("src/store/x.rs", "fn f() { sqlx::query!(\"select 1\") }"),
        ("src/chat/x.rs", "fn f() -> sqlx::Result<()> { todo!() }"),
        (
            "src/cli/x.rs",
            "use sqlx::{Error, postgres::PgConnectOptions};",
        ),
    ] {
        assert!(wrong(path, text, &modules).is_empty(), "{path}: {text}");
    }
}

#[test]
fn layers_use_only_those_below_them_and_sql_stands_only_in_the_store() {
    let sources = sources(&["src"], ".rs");
    let modules = modules(&sources);
    let wrong: Vec<String> = sources
        .iter()
        .flat_map(|source| wrong(&source.path, &source.text, &modules))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn shared_crates_do_not_use_the_server() {
    let sources = sources(&["crates"], ".rs");
    for source in sources
        .iter()
        .filter(|source| source.path.contains("/src/"))
    {
        let is_wire = source.path.starts_with("crates/parlance-wire");
        for reference in references(&module(&source.path), &source.text, &BTreeSet::new()) {
            let is_above = match reference.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["parlance", ..] => true,
                ["parlance_client", ..] => is_wire,
                // Columns have the wire's types, while statements stand in the store.
                ["sqlx", name, ..] => !SQLX_OF_COLUMNS.contains(&name),
                _ => false,
            };
            assert!(!is_above, "{} refers to {reference:?}", source.path);
        }
    }
}

#[test]
fn every_file_begins_with_its_purpose() {
    for source in sources(&["src", "crates", "tests", "fuzz", "build.rs"], ".rs") {
        assert!(
            source.text.starts_with("//! "),
            "{} does not say what it is for",
            source.path
        );
    }
}

#[test]
fn no_file_is_long_and_most_are_short() {
    let all = sources(&["src", "crates", "tests", "fuzz", "build.rs"], ".rs");
    let long: Vec<_> = all
        .iter()
        .filter(|source| source.lines() > MAX_LINES)
        .map(|source| (&source.path, source.lines()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
    let short = all
        .iter()
        .filter(|source| source.lines() < USUAL_LINES)
        .count();
    assert!(
        short * 10 >= all.len() * 9,
        "{short} of {} files are shorter than {USUAL_LINES} lines",
        all.len()
    );
}
