//! Broken on purpose: the database away, its answers lost, its tables gone. The answer is still a
//! documented refusal, and nothing is lost.

mod client;
mod database;
mod roundtrip;

use std::time::Duration;

use parlance::settings::Settings;

fn still(settings: &mut Settings) {
    // Few connections, so that every statement is soon prepared on each.
    settings.database_connections = 2;
    // What is counted is what is asked for.
    settings.timings.heartbeat = Duration::from_hours(1);
}
