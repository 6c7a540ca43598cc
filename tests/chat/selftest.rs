//! Runs `parlance selftest delivery` briefly on one node, and on two with NATS and without. The
//! seed determines the choices; other seeds are for the command line.

use std::process::Command;

use serde_json::Value;

/// Runs the selftest in this setting. Returns the verdict, which has no findings.
fn tests(setting: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command
        .args([
            "selftest",
            "delivery",
            "--profile",
            "ci",
            "--json",
            "--seed",
            "7",
        ])
        .args(setting)
        .env_remove("DATABASE_URL");
    let output = command.output().unwrap();
    let verdict: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for promise in [
        "lost",
        "doubled",
        "reordered",
        "altered",
        "under_notified",
        "late",
        "gaps",
        "leaked",
        "old_instance",
        "wrong_flags",
        "broken_links",
        "refused",
        "unanswered",
        "crashed",
        "rules_not_kept",
        "undecryptable",
        "wrong_epoch",
        "bad_signature",
        "wrong_head",
        "dead_key",
        "readable_by_removed",
    ] {
        assert_eq!(verdict[promise], 0, "{promise}: {verdict:#}");
    }
    assert!(
        output.status.success() && verdict["is_good"] == true,
        "{verdict:#}"
    );
    verdict["settings"][0].clone()
}

/// Checks that a reasonable amount was tested.
fn is_worth_it(outcome: &Value, ending: &str) {
    let at_least = |field: &str, least: u64| {
        assert!(
            outcome[field].as_u64().unwrap() >= least,
            "{field}: {outcome:#}"
        );
    };
    at_least("messages", 100);
    at_least("sealed", 80);
    at_least("epochs", 2);
    at_least("reports", 5);
    at_least("lost_polls", 4);
    assert!(
        !outcome["faults"].as_object().unwrap().is_empty(),
        "{outcome:#}"
    );
    assert_eq!(outcome["quiet_rounds"][ending], 1, "{outcome:#}");
    // Each kind of reader has read something.
    let readers: std::collections::BTreeSet<_> = outcome["latencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["reader"].as_str().unwrap())
        .collect();
    assert_eq!(readers.len(), 5, "{outcome:#}");
}

#[test]
fn one_node_keeps_its_guarantees_while_it_and_its_database_are_killed_and_frozen() {
    is_worth_it(&tests(&["--nodes", "1", "--duration", "8s"]), "none");
}

#[test]
fn two_nodes_with_nats_keep_their_promises_while_all_of_them_are_killed_and_frozen() {
    is_worth_it(
        &tests(&["--nodes", "2", "--nats", "--duration", "8s"]),
        "terminated_without_nats",
    );
}

#[test]
fn two_nodes_without_nats_keep_their_promises_while_they_and_their_database_are_killed_and_frozen()
{
    is_worth_it(&tests(&["--nodes", "2", "--duration", "8s"]), "terminated");
}
