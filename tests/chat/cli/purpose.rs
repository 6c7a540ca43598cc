//! Commands that only look create nothing and migrate nothing; databases that cannot be used are
//! refused with the way out.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use sqlx::{AssertSqlSafe, ConnectOptions, postgres::PgConnectOptions};

use super::{bad, good, parlance, run, with_database};
use crate::world::{database, empty_database, eventually, socket_dir};

const LOOKING: [&[&str]; 7] = [
    &["user", "list"],
    &["user", "keys", "ann@example.org"],
    &["user", "export", "ann@example.org", "export.json"],
    &["conversation", "list"],
    &["invite", "list"],
    &["audit"],
    &["doctor"],
];

#[test]
fn a_command_that_only_looks_or_changes_creates_no_database() {
    let changing: [&[&str]; 8] = [
        &["invite"],
        &["user", "apikey", "bot@example.org"],
        &[
            "user",
            "register",
            "ann@example.org",
            "--invite",
            "code",
            "--password-stdin",
        ],
        &["psql"],
        &["backup", "x"],
        &["doctor", "--repair"],
        &["user", "disable", "ann@example.org"],
        &["invite", "revoke", "0123456789abcdef0123456789abcdef"],
    ];
    for arguments in LOOKING.into_iter().chain(changing) {
        let dir = tempfile::tempdir().unwrap();
        let sentence = bad(&run(
            Command::new(env!("CARGO_BIN_EXE_parlance"))
                .env_remove("DATABASE_URL")
                .env("DATA_DIR", "data")
                .current_dir(dir.path())
                .args(arguments),
            "a long password",
        ));
        assert!(
            sentence.contains("there is no database under data"),
            "{arguments:?}: {sentence}"
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "{arguments:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_only_looks_migrates_nothing() {
    let (world, options) = with_database().await;
    let newest = "(select max(version) from _sqlx_migrations)";
    world
        .sql(&format!(
            "delete from _sqlx_migrations where version = {newest}"
        ))
        .await;
    let before = world.count("_sqlx_migrations").await;
    for arguments in LOOKING {
        let sentence = bad(&run(parlance(&options).args(arguments), ""));
        assert!(sentence.contains("parlance migrate"), "{sentence}");
    }
    assert_eq!(world.count("_sqlx_migrations").await, before);
    // What knows nothing of the tables works on any: a backup before an upgrade above all.
    let dir = tempfile::tempdir().unwrap();
    good(&run(
        parlance(&options)
            .args(["backup", "before"])
            .current_dir(dir.path()),
        "",
    ));
    world
        .sql("alter table _sqlx_migrations rename to gone")
        .await;
    for arguments in LOOKING {
        let sentence = bad(&run(parlance(&options).args(arguments), ""));
        assert!(
            sentence.contains("no Parlance has used this database"),
            "{sentence}"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_tables_is_told_what_it_lacks() {
    let options = empty_database().await;
    let mut admin = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe("create role guest login"))
        .execute(&mut admin)
        .await
        .unwrap();
    let sentence = bad(&run(
        parlance(&options)
            .env("DATABASE_URL", url(&options.username("guest")))
            .arg("migrate"),
        "",
    ));
    assert!(sentence.contains("owner"), "{sentence}");
}

fn url(options: &PgConnectOptions) -> String {
    format!(
        "postgres://{}@localhost/{}?host={}",
        options.get_username(),
        options.get_database().unwrap(),
        options.get_socket().unwrap().display()
    )
}

/// A PgBouncer in front of the tests' PostgreSQL.
struct Pooler {
    child: Child,
    dir: tempfile::TempDir,
}

impl Pooler {
    async fn start(mode: &str, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // It does not run as root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let (upstream, own) = (socket_dir(), dir.path());
        let config = own.join("pgbouncer.ini");
        fs::write(
            &config,
            format!(
                "[databases]\n* = host={} user=parlance\n[pgbouncer]\nlisten_addr =\nlisten_port = 5432\n\
                unix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\n{settings}\n",
                upstream.display(),
                own.display()
            ),
        )
        .unwrap();
        let mut command = Command::new("pgbouncer");
        if nix::unistd::Uid::effective().is_root() {
            let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(owner(&upstream)));
            command.args(["-u", &user.unwrap().unwrap().name]);
        }
        let child = command
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer is there");
        let socket = own.join(".s.PGSQL.5432");
        eventually("a pooler", async || socket.exists()).await;
        Self { child, dir }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn owner(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().uid()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_drops_settings_is_refused_with_the_way_out() {
    let options = database().await;
    for mode in ["session", "transaction"] {
        for more in ["", "ignore_startup_parameters = options"] {
            let pooler = Pooler::start(mode, more).await;
            let through = options.clone().socket(pooler.dir.path());
            let sentence = bad(&run(
                parlance(&options)
                    .env("DATABASE_URL", url(&through))
                    .env("LISTEN_ADDR", "127.0.0.1:0"),
                "",
            ));
            assert!(
                sentence.contains("connect to PostgreSQL itself"),
                "{mode}, {more:?}: {sentence}"
            );
            for command in [&["user", "list"][..], &["doctor"], &["migrate"], &["psql"]] {
                let mut command = command
                    .iter()
                    .fold(parlance(&options), |mut all, argument| {
                        all.arg(argument);
                        all
                    });
                let sentence = bad(&run(command.env("DATABASE_URL", url(&through)), ""));
                assert!(
                    sentence.contains("connect to PostgreSQL itself"),
                    "{mode}, {more:?}, {command:?}: {sentence}"
                );
            }
        }
    }
}
