//! The vectors of `vectors/`: generated here, compared with the files, and checked case by case
//! with a client's functions. A second implementation, `tests/e2ee_check.py`, checks the same
//! files.
//!
//! A case has an input, and either an `outcome`, or `refused` with the reason. To write the files
//! again after a change: `PARLANCE_VECTORS=write cargo test --workspace --lib vectors`.

mod cards;
mod check;
mod compare;
mod epochs;
mod files;
mod log;
mod messages;
mod people;
mod vaults;

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::Error;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
}

fn read(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A case with its outcome, or with the reason for refusing it.
fn case(check: fn(&Value) -> Result<Value, Error>, name: &str, input: &Value) -> Value {
    let mut case = json!({ "name": name });
    let fields = case.as_object_mut().unwrap();
    fields.extend(input.as_object().unwrap().clone());
    match check(input) {
        Ok(outcome) => fields.insert("outcome".into(), outcome),
        Err(error) => fields.insert("refused".into(), reason(&error).into()),
    };
    case
}

/// The name of the reason in the documentation: that of the innermost variant.
fn reason(error: &Error) -> String {
    let text = match error {
        Error::Invalid(invalid) => format!("{invalid:?}"),
        other => format!("{other:?}"),
    };
    text.chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect()
}

/// Generates the cases of a file.
type Make = fn() -> Value;

/// The files with their generators.
const FILES: [(&str, Make); 8] = [
    ("card", cards::cases),
    ("epoch", epochs::cases),
    ("message", messages::messages),
    ("name", messages::names),
    ("vault", vaults::cases),
    ("log", log::cases),
    ("compare", compare::cases),
    ("files", files::cases),
];

#[test]
fn the_files_are_the_output_of_this_code() {
    for (name, cases) in FILES {
        let cases = cases();
        if std::env::var("PARLANCE_VECTORS").is_ok_and(|what| what == "write") {
            let text = serde_json::to_string_pretty(&cases).unwrap();
            fs::write(folder().join(format!("{name}.json")), text + "\n").unwrap();
        }
        assert_eq!(read(name), cases, "{name}");
    }
}

#[test]
fn each_tampered_case_is_refused_and_each_other_is_not() {
    let mut refused = 0;
    for (file, _) in FILES {
        for case in read(file)["cases"].as_array().unwrap() {
            // Decided by the case's name, so that a case cannot turn into its opposite when the
            // files are written again.
            let name = case["name"].as_str().unwrap();
            let is_good = name.starts_with("good: ");
            assert_eq!(case.get("outcome").is_some(), is_good, "{file}: {case:#}");
            refused += usize::from(!is_good);
        }
    }
    assert!(refused >= 30, "{refused}");
}

#[test]
fn a_second_implementation_agrees() {
    let script = folder().join("../tests/e2ee_check.py");
    // The system's Python, with the packages from script/setup, which another one in the path may
    // lack.
    let system = "/usr/bin/python3";
    let python = std::env::var("PYTHON").unwrap_or_else(|_| {
        let is_there = std::path::Path::new(system).exists();
        if is_there { system } else { "python3" }.into()
    });
    let output = Command::new(&python)
        .arg(script)
        .arg(folder())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{python} does not start: {error}. script/setup python3-cryptography python3-argon2 installs what is missing"
            )
        });
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
