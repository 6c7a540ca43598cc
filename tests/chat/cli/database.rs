//! psql, migrate and doctor.

use serde_json::{Value, json};

use super::{bad, good, parlance, run, with_database};
use crate::world::World;

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
    // A password must not appear among the arguments.
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
async fn findings_of_the_doctor_are_exit_code_1_until_they_are_repaired() {
    let world = World::new().await;
    let options = world.store.options().clone();
    let (ann, _ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "hi").await;
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
                said.starts_with("newest: 1, for example conversation "),
                "{said}"
            );
        }
        let (code, said) = doctor(&with(&["--repair"]));
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains(if json {
                r#""repaired":1"#
            } else {
                "Repaired: 1 rows and objects."
            }),
            "{said}"
        );
        assert_eq!(doctor(&with(&[])).0, Some(0));
    }
    world.end().await;
}
