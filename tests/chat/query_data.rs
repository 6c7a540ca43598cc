//! The committed query data (`.sqlx`) is what the migrations of this tree make of its statements, as `cargo sqlx prepare
//! --check` would say, which has to compile everything once more for that. Data that is missing does not compile.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, SqlSafeStr};

use crate::world::{database, file};

/// A file of `.sqlx`.
#[derive(Deserialize)]
struct QueryData {
    query: String,
    describe: Value,
}

fn query_data() -> Vec<QueryData> {
    let mut all = vec![];
    for entry in std::fs::read_dir(file(".sqlx")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        all.push(serde_json::from_str(&text).unwrap());
    }
    assert!(!all.is_empty(), ".sqlx holds no data");
    all
}

/// Forgets whether columns can be null whose names say so themselves: the database tells it by the plan, which depends on the
/// tables' statistics.
fn without_what_names_say(mut describe: Value) -> Value {
    let names: Vec<String> = describe["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap().to_owned())
        .collect();
    for (column, name) in names.iter().enumerate() {
        if name.contains(['!', '?']) {
            describe["nullable"][column] = Value::Null;
        }
    }
    describe
}

#[tokio::test]
async fn each_statement_is_described_as_the_database_does() {
    // As the macros connect: with no settings of a session.
    let mut db = database().await.connect().await.unwrap();
    let mut wrong = String::new();
    for QueryData { query, describe } in query_data() {
        let sql = AssertSqlSafe(query.clone()).into_sql_str();
        match (&mut db).describe(sql).await {
            Ok(now) => {
                let now = without_what_names_say(serde_json::to_value(&now).unwrap());
                if now != without_what_names_say(describe) {
                    writeln!(wrong, "{query}\nis {now}").unwrap();
                }
            }
            Err(error) => writeln!(wrong, "{query}\nfails: {error}").unwrap(),
        }
    }
    assert!(
        wrong.is_empty(),
        "refresh .sqlx as CONTRIBUTING.md says, and commit it:\n{wrong}"
    );
}
