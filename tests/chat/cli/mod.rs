//! The command line, as used by people and scripts; its keys are opened with openssl.

mod database;
mod purpose;
mod refuse;
mod send;
mod start;
mod user;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use parlance::settings::Registration;
use sqlx::postgres::PgConnectOptions;

use crate::world::World;

/// The program, with a test's database.
pub(crate) fn parlance(options: &PgConnectOptions) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    let socket = options.get_socket().unwrap().display();
    command.env(
        "DATABASE_URL",
        format!(
            "postgres://parlance@localhost/{}?host={socket}",
            options.get_database().unwrap()
        ),
    );
    command
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
pub(crate) fn good(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// One sentence on stderr, nothing on stdout, exit code 1.
#[track_caller]
pub(crate) fn bad(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    // On a slow machine, the log on stderr may contain slow statements before the error.
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let sentence: String = stderr
        .lines()
        .filter(|line| !line.contains(" WARN slow statement"))
        .collect();
    assert!(stderr.ends_with(&format!("{sentence}\n")), "{stderr}");
    assert!(sentence.starts_with("parlance: "), "{sentence}");
    sentence
}

pub(crate) async fn with_database() -> (std::sync::Arc<World>, PgConnectOptions) {
    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    let options = world.store.options().clone();
    (world, options)
}
