//! The calls here are exactly the published ones.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use serde_json::Value;

use crate::world::file;

/// SHA-256 of each published call's text in hex, by name.
const PUBLISHED: &str = include_str!("../golden.sha256");

/// Compares the calls here byte for byte with the published hashes; and the publication with both,
/// where it is available: beside the checkout, or in the folder that `GOLDEN_DIR` names.
#[test]
fn the_calls_are_the_published_ones() {
    let sums = |dir: &Path| -> String {
        let mut sums: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let sum = digest::digest(&digest::SHA256, &std::fs::read(entry.path()).unwrap());
                format!(
                    "{}  {}\n",
                    hex::encode(sum),
                    entry.file_name().into_string().unwrap()
                )
            })
            .collect();
        sums.sort_unstable_by(|one, other| one[64..].cmp(&other[64..]));
        sums.concat()
    };
    assert_eq!(sums(&file("tests/golden")), PUBLISHED);
    let published =
        std::env::var_os("GOLDEN_DIR").map_or_else(|| file("../shared/vectors"), PathBuf::from);
    if published.exists() {
        assert_eq!(sums(&published), PUBLISHED, "{}", published.display());
    } else {
        // Written directly, as the test harness shows no output of a test that passes.
        let note = "the published calls are not at hand: compared with their sums only\n";
        std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes()).unwrap();
    }
}

/// An action without an example, or an example without an action, is a mistake in the
/// documentation.
#[test]
fn every_published_action_has_an_example_and_every_example_an_action() {
    let published: BTreeSet<(String, String)> = std::fs::read_dir(file("tests/golden"))
        .unwrap()
        .map(|entry| {
            let call: Value =
                serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap())
                    .unwrap();
            (
                call["api"].as_str().unwrap().to_owned(),
                call["request"]["action"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let mut documented = BTreeSet::new();
    for entry in std::fs::read_dir(file("crates/parlance-wire/src/request")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let Some(api) = text
            .lines()
            .next()
            .unwrap()
            .split("&api=")
            .nth(1)
            .and_then(|rest| rest.split('`').next())
        else {
            continue;
        };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with("    /// Page \"") {
                let variant: String = lines
                    .peek()
                    .unwrap()
                    .trim()
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .collect();
                documented.insert((api.to_owned(), variant.to_lowercase()));
            }
        }
    }
    assert_eq!(documented, published);
}
