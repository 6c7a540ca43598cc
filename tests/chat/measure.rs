//! `parlance bench`: tests that it works, not its results.

use std::process::Command;

use serde_json::Value;

fn parlance(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_parlance"))
        .args(arguments)
        .env_remove("DATABASE_URL")
        .output()
        .unwrap()
}

#[test]
fn each_workload_is_measured_and_nothing_is_refused() {
    let arguments = [
        "bench",
        "--json",
        "--runs",
        "1",
        "--operations",
        "60",
        "--users",
        "120",
        "--conversations",
        "100",
        "--depth",
        "60",
        "--sockets",
        "40",
    ];
    let output = parlance(&arguments);
    let rows: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 18, "{rows:#?}");
    for row in &rows[1..] {
        assert_eq!(row["errors"], serde_json::json!({}), "{row}");
        assert!(
            row["name"] == "sockets-idle" || row["per_second"].as_f64().unwrap() > 0.0,
            "{row}"
        );
        // What messages beside rekeyings cost is counted for the rekeyings.
        #[cfg(target_os = "linux")]
        assert!(
            row["name"] == "rekey, messages meanwhile"
                || row["server_us"].is_number()
                    && row["postgres_us"].is_number()
                    && row["client_us"].is_number(),
            "{row}"
        );
    }
    // In an open loop, the caller sets the rate.
    let output = parlance(&[
        "bench",
        "poll",
        "--json",
        "--runs",
        "1",
        "--operations",
        "200",
        "--rate",
        "400",
        "--users",
        "120",
        "--conversations",
        "10",
    ]);
    let rows: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let rate = rows[1]["per_second"].as_f64().unwrap();
    // A slow machine falls behind, but nothing is sent ahead of schedule.
    assert!(
        rate <= 410.0 && rows[1]["errors"] == serde_json::json!({}),
        "{rows:#?}"
    );
}

#[test]
fn a_server_elsewhere_is_not_measured_unless_told() {
    let output = parlance(&[
        "bench",
        "poll",
        "--url",
        "http://192.0.2.1:8080",
        "--database",
        "postgres://nobody@192.0.2.1/none",
    ]);
    let sentence = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && sentence.contains("not on this machine"),
        "{sentence}"
    );
}
