//! The command line, as a person or a script uses it; and what it makes, opened with openssl.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use parlance::settings::Registration;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;

use crate::world::{World, eventually, now};

/// The program on a test's database.
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
    // One that refuses its arguments does not wait for its input.
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
    let sentence = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    assert!(sentence.starts_with("parlance: "), "{sentence}");
    sentence
}

async fn with_database() -> (std::sync::Arc<World>, PgConnectOptions) {
    let world = World::with(|settings| settings.registration = Registration::Invite).await;
    let options = world.store.options().clone();
    (world, options)
}

/// Logs in with an apikey from a new station; answers what login answered, and the station.
async fn log_in(world: &World, apikey: &str) -> (Value, String) {
    let station = uuid::Uuid::new_v4().simple().to_string();
    let body = json!({ "action": "login", "apikey": apikey }).to_string();
    (
        world
            .posts(
                "chatserver",
                "chatlogin",
                &[("Ozeki-Station", &station)],
                &body,
            )
            .await
            .is_ok(),
        station,
    )
}

/// Runs openssl in a directory; its output.
fn openssl(dir: &std::path::Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments)
        .output()
        .expect("openssl is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Opens the private key with a password and signs a request with it, all with openssl.
async fn asks_with_openssl(world: &World, login: &Value, station: &str, password: &str) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("rsakey.pem"),
        login["rsakey"].as_str().unwrap(),
    )
    .unwrap();
    openssl(
        dir.path(),
        &[
            "pkey",
            "-in",
            "rsakey.pem",
            "-passin",
            &format!("pass:{password}"),
            "-out",
            "key.pem",
        ],
    );
    let user = login["userid"].as_str().unwrap();
    let body = json!({ "action": "list", "timestamp": now() }).to_string();
    std::fs::write(
        dir.path().join("text"),
        format!("chatserver\nchatconversation\n{user}\n{station}\n{body}"),
    )
    .unwrap();
    openssl(
        dir.path(),
        &[
            "dgst",
            "-sha256",
            "-sign",
            "key.pem",
            "-out",
            "signature",
            "text",
        ],
    );
    let signature =
        String::from_utf8(openssl(dir.path(), &["base64", "-A", "-in", "signature"])).unwrap();
    let headers = [
        ("Ozeki-User", user),
        ("Ozeki-Station", station),
        ("Ozeki-Signature", signature.as_str()),
    ];
    world
        .posts("chatserver", "chatconversation", &headers, &body)
        .await
        .is_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_was_added_logs_in_with_what_openssl_makes_of_the_password() {
    let (world, options) = with_database().await;
    let add = [
        "user",
        "add",
        " Ann@Example.org",
        "--name",
        "Ann Example",
        "--nick",
        "Ann",
        "--password-stdin",
    ];
    let said = good(&run(parlance(&options).args(add), "correct horse\n"));
    assert!(
        said.contains("ann@example.org") && !said.contains("correct horse"),
        "{said}"
    );

    let dir = tempfile::tempdir().unwrap();
    let kdf = [
        "-kdfopt",
        "digest:SHA256",
        "-kdfopt",
        "pass:correct horse",
        "-kdfopt",
        "salt:parlance:ann@example.org",
        "-kdfopt",
        "iter:600000",
    ];
    let apikey = openssl(
        dir.path(),
        &[&["kdf", "-keylen", "32"], &kdf[..], &["PBKDF2"]].concat(),
    );
    let apikey = String::from_utf8(apikey)
        .unwrap()
        .trim()
        .replace(':', "")
        .to_lowercase();
    let (login, station) = log_in(&world, &apikey).await;
    assert_eq!(
        (&login["fullname"], &login["nick"]),
        (&json!("Ann Example"), &json!("Ann"))
    );
    asks_with_openssl(&world, &login, &station, "correct horse").await;

    let kept: String = sqlx::query_scalar(
        "select users::text || credentials::text from users join credentials using (user_id)",
    )
    .fetch_one(&world.db)
    .await
    .unwrap();
    assert!(!kept.contains("correct horse") && !kept.contains(&apikey));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_apikey_is_shown_once_and_opens_its_private_key() {
    let (world, options) = with_database().await;
    let made: Value = serde_json::from_str(&good(&run(
        parlance(&options).args([
            "user",
            "apikey",
            "bot@example.org",
            "--name",
            "Bot",
            "--json",
        ]),
        "",
    )))
    .unwrap();
    let apikey = made["apikey"].as_str().unwrap();
    assert_eq!((apikey.len(), &made["new"]), (64, &json!(true)));
    let (login, station) = log_in(&world, apikey).await;
    assert_eq!(login["nick"], "Bot");
    asks_with_openssl(&world, &login, &station, apikey).await;
    // One more key of the same user logs in as well.
    let more = good(&run(
        parlance(&options).args(["user", "apikey", "bot@example.org"]),
        "",
    ));
    let (again, _) = log_in(&world, more.lines().last().unwrap()).await;
    assert_eq!(again["userid"], login["userid"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_disabled_and_enabled_for_people_and_scripts() {
    let (world, options) = with_database().await;
    assert_eq!(
        good(&run(parlance(&options).args(["user", "list"]), "")),
        "There are no users yet.\n"
    );
    for name in ["ann", "ben"] {
        let email = format!("{name}@example.org");
        good(&run(
            parlance(&options).args(["user", "add", &email, "--password-stdin", "--json"]),
            "a long password",
        ));
    }
    let list = || -> Vec<Value> {
        serde_json::from_str(&good(&run(
            parlance(&options).args(["user", "list", "--json"]),
            "",
        )))
        .unwrap()
    };
    assert_eq!(
        list()
            .iter()
            .map(|user| user["email"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["ann@example.org", "ben@example.org"]
    );
    good(&run(
        parlance(&options).args(["user", "disable", "ANN@example.org"]),
        "",
    ));
    assert!(list()[0]["disabled"].is_string() && list()[1]["disabled"].is_null());
    assert!(good(&run(parlance(&options).args(["user", "list"]), "")).contains("disabled since"));
    good(&run(
        parlance(&options).args(["user", "enable", "ann@example.org", "--json"]),
        "",
    ));
    assert!(list()[0]["disabled"].is_null());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_shown_once_and_lets_one_person_register() {
    let (world, options) = with_database().await;
    let made: Value = serde_json::from_str(&good(&run(
        parlance(&options).args(["invite", "--expires", "1h", "--json"]),
        "",
    )))
    .unwrap();
    let key = crate::world::key("Ann");
    let request = json!({
        "action": "register", "email": "ann@example.org", "fullname": "Ann", "nick": "Ann", "apikey": "a long apikey of Ann",
        "publickey": crate::world::public_key(&key), "rsakey": "opaque", "invite": made["invite"],
    });
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
        .is_ok();
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
        .is_refused(403, "registration_closed");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_one_sentence_and_exit_code_1() {
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
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "parlance=loud"),
    ] {
        let sentence = bad(&run(parlance(&options).env(name, wrong), ""));
        assert!(
            sentence.contains(name) && !sentence.contains("secret"),
            "{sentence}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_and_migrate_work_on_the_database_that_the_settings_name() {
    let (world, options) = with_database().await;
    assert_eq!(
        good(&run(
            parlance(&options).args(["psql", "-tAc", "select count(*) from users"]),
            ""
        )),
        "0\n"
    );
    // A password does not appear among the arguments.
    let url = format!(
        "postgres://parlance:se%20cret@localhost/{}?host={}",
        options.get_database().unwrap(),
        options.get_socket().unwrap().display()
    );
    let said = good(&run(
        parlance(&options).env("DATABASE_URL", url).args([
            "psql",
            "-tAc",
            r"\! ps -o args= -p $PPID; echo $PGPASSWORD",
        ]),
        "",
    ));
    assert!(
        said.contains("psql")
            && said.trim_end().ends_with("se cret")
            && !said.contains("se%20cret"),
        "{said}"
    );
    assert_eq!(
        good(&run(parlance(&options).arg("migrate"), "")),
        "The database is up to date.\n"
    );
    world.sql("insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (99999999, 'tomorrow', true, '', 0)").await;
    assert!(bad(&run(parlance(&options).arg("migrate"), "")).contains("newer"));
    assert!(
        bad(&run(
            parlance(&options)
                .arg("serve")
                .env("LISTEN_ADDR", "127.0.0.1:0"),
            ""
        ))
        .contains("newer")
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_doctor_finds_is_exit_code_1_until_it_is_repaired() {
    let world = World::new().await;
    let options = world.store.options().clone();
    let (ann, _ben, talk) = world.talk().await;
    ann.adds(&talk, "hi").await;
    let doctor = |arguments: &[&str]| {
        let output = run(parlance(&options).arg("doctor").args(arguments), "");
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for json in [true, false] {
        let with =
            |arguments: &[&'static str]| [arguments, if json { &["--json"] } else { &[] }].concat();
        assert_eq!(doctor(&with(&[])).0, Some(0));
        world
            .sql("update conversations set last_message_id = gen_random_uuid()")
            .await;
        let (code, said) = doctor(&with(&[]));
        assert_eq!(code, Some(1), "{said}");
        if json {
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(
                (&said["findings"][0]["rule"], &said["findings"][0]["count"]),
                (&json!("newest"), &json!(1))
            );
        } else {
            assert!(
                said.starts_with("HistoryHead: 1, as conversation "),
                "{said}"
            );
        }
        let (code, said) = doctor(&with(&["--repair"]));
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains(if json {
                r#""repaired":1"#
            } else {
                "Repaired: 1 rows."
            }),
            "{said}"
        );
        assert_eq!(doctor(&with(&[])).0, Some(0));
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
    // One that cannot be read is not shown: it may hold a password.
    let value = "postgres://chat:my secret@db/x";
    for (text, number, name) in [
        (
            format!("# mine\n\nDATABASE_URL={value}\n"),
            3,
            "DATABASE_URL",
        ),
        // The same stands in a comment, or within another value.
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
