//! Settings that an operator or another program has preset for the role or the database: the
//! server's sessions override everything that their statements rely on.

use futures_util::future::join_all;
use parlance::{
    settings::Database,
    store::{self, Db},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};

use crate::{
    cli::{good, parlance, run},
    world::{World, empty_database, eventually, settings},
};

/// Each would change the meaning of a statement, abort it, or make a commit less durable.
const HOSTILE: [(&str, &str); 26] = [
    ("default_transaction_isolation", "'repeatable read'"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("search_path", "elsewhere"),
    ("timezone", "'Asia/Kathmandu'"),
    ("datestyle", "'German, DMY'"),
    ("intervalstyle", "sql_standard"),
    ("statement_timeout", "'1ms'"),
    ("lock_timeout", "'1ms'"),
    ("idle_in_transaction_session_timeout", "'1ms'"),
    ("idle_session_timeout", "'300ms'"),
    ("synchronous_commit", "off"),
    ("bytea_output", "escape"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("client_encoding", "latin1"),
    ("extra_float_digits", "-15"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("exit_on_error", "on"),
    ("quote_all_identifiers", "on"),
    ("row_security", "off"),
    ("enable_seqscan", "on"),
    ("plan_cache_mode", "force_custom_plan"),
    ("jit", "on"),
    ("xmloption", "document"),
];

/// A database and a role of its own, with all of these preset.
async fn hostile() -> PgConnectOptions {
    let options = empty_database().await;
    let name = options.get_database().unwrap().to_owned();
    let mut admin = options.connect().await.unwrap();
    let mut presets = format!(
        "create schema elsewhere; create table elsewhere.users (nothing int);
        create role of_{name} superuser login; alter database {name} owner to of_{name};"
    );
    presets.extend(HOSTILE.map(|(setting, value)| {
        format!("alter role of_{name} in database {name} set {setting} = {value};")
    }));
    sqlx::raw_sql(AssertSqlSafe(presets))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
    options.username(&format!("of_{name}"))
}

async fn in_force(db: &Db) -> Vec<String> {
    // Settings of mere amounts or formats may stay.
    db.run(async |c| {
        sqlx::query_scalar("select name from pg_settings where source in ('database', 'user', 'database user') and name <> 'xmloption'")
            .fetch_all(c)
            .await
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_of_the_role_or_the_database_have_no_effect() {
    let options = hostile().await;
    let mut settings = settings();
    settings.database = Database::Given(Box::new(options.clone()));
    // It migrates that database, too.
    let world = World::start(settings, options.clone()).await;
    assert_eq!(in_force(&world.store).await, Vec::<String>::new());
    for (setting, value) in [
        ("synchronous_commit", "on"),
        ("transaction_isolation", "read committed"),
        ("search_path", "public"),
    ] {
        let found: String = world
            .store
            .run(async |c| {
                sqlx::query_scalar("select current_setting($1)")
                    .bind(setting)
                    .fetch_one(c)
                    .await
            })
            .await
            .unwrap();
        assert_eq!(found, value, "{setting}");
    }

    let (ann, ben, conversation) = world.conversation().await;
    join_all([&ann, &ben].map(async |person| {
        for n in 0..25 {
            let id = person.adds(&conversation, &format!("{n}")).await;
            person.does("mute", &conversation, json!({})).await.ok();
            person.views(&conversation, &[id]).await.ok();
            person
                .does("downloadpartial", &conversation, json!({ "limit": 5 }))
                .await
                .ok();
        }
    }))
    .await;
    assert_eq!(
        ben.reads(&conversation).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        50
    );
    ann.does("clear", &conversation, json!({})).await.ok();

    // The command line, and the programs that it runs.
    let command = |arguments: &[&str]| {
        let mut command = parlance(&options);
        let url = command
            .get_envs()
            .find_map(|(name, url)| (name == "DATABASE_URL").then(|| url.unwrap().to_owned()))
            .unwrap();
        let url = url
            .into_string()
            .unwrap()
            .replace("//parlance@", &format!("//{}@", options.get_username()));
        good(&run(command.env("DATABASE_URL", url).args(arguments), ""))
    };
    assert!(command(&["user", "list"]).contains("ann@example.org"));
    assert!(command(&["doctor"]).ends_with("rules hold.\n"));
    assert_eq!(
        command(&[
            "psql",
            "-qtAc",
            "create table made (n int); select count(*) from users"
        ]),
        "2\n"
    );
    command(&["psql", "-qc", "drop table made"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup");
    command(&["backup", file.to_str().unwrap()]);
    command(&["backup", "verify", file.to_str().unwrap()]);
    // The notification of disabled users.
    command(&["user", "disable", "ann@example.org"]);
    eventually("ann is refused", async || ann.lists().await.status == 403).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_into_a_database_that_is_preset_to_be_read_only() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    ann.adds(&conversation, "x").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup");
    good(&run(
        parlance(world.store.options()).arg("backup").arg(&file),
        "",
    ));
    let options = empty_database().await;
    let mut admin = options.connect().await.unwrap();
    let name = options.get_database().unwrap();
    let preset = format!(
        "create schema elsewhere; alter database {name} set default_transaction_read_only = on;
        alter database {name} set search_path = elsewhere; alter database {name} set quote_all_identifiers = on;
        alter database {name} set statement_timeout = '1ms'"
    );
    sqlx::raw_sql(AssertSqlSafe(preset))
        .execute(&mut admin)
        .await
        .unwrap();
    good(&run(parlance(&options).arg("restore").arg(&file), ""));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_that_would_be_ended_is_not() {
    let options = hostile().await;
    let db = Db::new(options, 1);
    let limits = async || -> String {
        db.run(async |c| {
            sqlx::query_scalar(
                "select current_setting('idle_session_timeout') || ' ' || current_setting('idle_in_transaction_session_timeout')",
            )
                .fetch_one(c)
                .await
        })
        .await
        .unwrap()
    };
    assert_eq!(limits().await, "0 15s");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_stand_in_another_schema_are_not_taken_for_an_empty_database() {
    let options = empty_database().await;
    let misled = options.clone().options([("search_path", "elsewhere")]);
    let mut admin = misled.connect().await.unwrap();
    sqlx::raw_sql("create schema elsewhere")
        .execute(&mut admin)
        .await
        .unwrap();
    store::MIGRATIONS.run(&mut admin).await.unwrap();
    let sentence = store::migrate(&Db::new(options.clone(), 1))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        sentence.contains("elsewhere") && sentence.contains("public"),
        "{sentence}"
    );
    let made: i64 =
        sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert_eq!(made, 0);
}
