//! Fault injection: the database is away, its answers are lost, its tables are gone. The answer is
//! still a documented refusal, and nothing is lost.

mod client;
mod database;
mod roundtrip;

use std::time::Duration;

use parlance::settings::Settings;

fn still(settings: &mut Settings) {
    // Few connections, so that every statement is soon prepared on each of them.
    settings.database_connections = 2;
    // Only the round trips of requests are counted.
    settings.timings.heartbeat = Duration::from_hours(1);
}
