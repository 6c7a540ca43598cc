//! Settings, `.env` and refusals, each in one sentence.

use std::process::Command;

use super::{bad, good, parlance, run, with_database};
use crate::world::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_one_sentence_and_exit_code_1() {
    let (world, options) = with_database().await;
    for (arguments, input, names) in [
        (
            &["user", "add", "nobody", "--password-stdin"][..],
            "a long password",
            "nobody",
        ),
        (
            &["user", "add", "ann@example.org", "--password-stdin"],
            "short",
            "8 characters",
        ),
        (&["user", "add", "ann@example.org"], "", "--password-stdin"),
        (
            &[
                "user",
                "add",
                "ann@example.org",
                "--nick",
                "a\nb",
                "--password-stdin",
            ],
            "a long password",
            "--nick",
        ),
        (
            &["user", "disable", "nobody@example.org"],
            "",
            "nobody@example.org",
        ),
    ] {
        let sentence = bad(&run(parlance(&options).args(arguments), input));
        assert!(sentence.contains(names), "{sentence}");
    }
    good(&run(
        parlance(&options).args(["user", "add", "ann@example.org", "--password-stdin"]),
        "a long password",
    ));
    bad(&run(
        parlance(&options).args(["user", "add", "ann@example.org", "--password-stdin"]),
        "a long password",
    ));
    assert_eq!(
        run(parlance(&options).arg("nonsense"), "").status.code(),
        Some(2)
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_ends_the_start_with_a_sentence_that_names_it() {
    let (world, options) = with_database().await;
    for (name, wrong) in [
        ("LISTEN_ADDR", "somewhere"),
        ("PUBLIC_URL", "ftp://x"),
        ("DATABASE_URL", "postgres://user:secret@host:notaport/x"),
        ("DATABASE_URL", "postgres://user:sec,ret@one,two/x"),
        (
            "DATABASE_URL",
            "postgres://user:secret@host/x?ssl-mode=require",
        ),
        ("DATABASE_CONNECTIONS", "0"),
        ("REGISTRATION", "maybe"),
        ("MESSAGE_LIFETIME", "long"),
        ("EXPIRY_GRACE", "short"),
        ("EXPIRY_GRACE", "59s"),
        ("EXPIRY_GRACE", "1000000years"),
        ("MAX_MESSAGE_BYTES", "-1"),
        ("MAX_BODY_BYTES", "1k"),
        ("SIGNATURE_WINDOW", "0s"),
        ("LOGIN_TRIES", "none"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("ALLOW_UNSIGNED_NOTIFICATIONS", "yes"),
        ("WORKERS", "0"),
        ("NATS_CREDENTIALS", "parlance.creds"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "parlance=loud"),
    ] {
        let sentence = bad(&run(parlance(&options).env(name, wrong), ""));
        assert!(
            sentence.contains(name) && !sentence.contains("secret"),
            "{sentence}"
        );
    }
    let mut command = parlance(&options);
    command.env("NATS_URL", "nats://127.0.0.1:4222");
    let sentence = bad(&run(command.env("NATS_CREDENTIALS", "/dev/null"), ""));
    assert!(sentence.contains("NATS_CREDENTIALS"), "{sentence}");
    // Two logins: the sentence says what to remove.
    for url in [
        "nats://user:secret@host:4222",
        "nats://one,nats://secret@two",
    ] {
        let mut command = parlance(&options);
        command
            .env("NATS_URL", url)
            .env("NATS_CREDENTIALS", "parlance.creds");
        let sentence = bad(&run(&mut command, ""));
        assert!(
            sentence.contains("remove user:password@") && !sentence.contains("secret"),
            "{sentence}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_env_is_read_in_the_directory_of_the_start_only() {
    let (world, options) = with_database().await;
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("below");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(dir.path().join(".env"), "LOGIN_TRIES=abc\n").unwrap();
    good(&run(
        parlance(&options)
            .current_dir(&below)
            .args(["user", "list"]),
        "",
    ));
    let sentence = bad(&run(
        parlance(&options)
            .current_dir(dir.path())
            .args(["user", "list"]),
        "",
    ));
    assert!(sentence.contains("LOGIN_TRIES"), "{sentence}");
    // A value that cannot be parsed is not shown, as it may hold a password.
    let value = "postgres://chat:my secret@db/x";
    for (text, number, name) in [
        (
            format!("# mine\n\nDATABASE_URL={value}\n"),
            3,
            "DATABASE_URL",
        ),
        // The same text in a comment, or within another value.
        (
            format!(
                "# {value}\n#DATABASE_URL={value}\nPUBLIC_URL='{value} '\nexport NATS_URL = {value}\n"
            ),
            4,
            "NATS_URL",
        ),
        (format!("WORKERS=2\nmy secret: {value}\n"), 2, ""),
    ] {
        std::fs::write(below.join(".env"), text).unwrap();
        let sentence = bad(&run(
            parlance(&options)
                .current_dir(&below)
                .args(["user", "list"]),
            "",
        ));
        assert!(
            sentence.contains(&format!("line {number}"))
                && sentence.contains(name)
                && !sentence.contains("secret"),
            "{sentence}"
        );
        assert!(!name.is_empty() || !sentence.contains('('), "{sentence}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_the_file_env_that_is_no_setting_is_reported() {
    let (world, options) = with_database().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join(".env"),
        "REGISTRATON=open\nPOSTGRES_PASSWORD=secret\nNATS_PASSWORD=secret\nCOMPOSE_PROFILES=one\nRUST_LOG=info\nLOGIN_TRIES=9\n\
        PGPASSWORD=secret\nPGPASWORD=secret\nPGAPPNAME=x\n",
    )
    .unwrap();
    let output = run(
        parlance(&options)
            .current_dir(dir.path())
            .args(["user", "list"]),
        "",
    );
    good(&output);
    let log = String::from_utf8(output.stderr).unwrap();
    for name in ["REGISTRATON", "PGPASWORD"] {
        let reported = format!("{name} in .env is not a setting of Parlance");
        assert!(log.contains(&reported), "{log}");
    }
    assert_eq!(log.matches("is not a setting").count(), 2, "{log}");
    world.end().await;
}

#[test]
fn a_duration_that_cannot_be_told_is_refused_and_the_longest_one_is_not() {
    for arguments in [
        ["invite", "--expires", "8000years"],
        ["invite", "--expires", "9999999999999years"],
        ["user", "list", "--idle=2000years"],
    ] {
        let output = run(
            Command::new(env!("CARGO_BIN_EXE_parlance")).args(arguments),
            "",
        );
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("up to 1000years"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_one_sentence() {
    let (world, options) = with_database().await;
    let taken = world.url.trim_start_matches("http://").to_owned();
    let sentence = bad(&run(parlance(&options).env("LISTEN_ADDR", &taken), ""));
    assert!(sentence.contains(&taken), "{sentence}");
    eventually("the other server", async || {
        world.sends("GET", "/healthz").await.status == 200
    })
    .await;
    world.end().await;
}
