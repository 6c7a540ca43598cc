//! The audit log: each administrative change adds a line in its own transaction, and no line can be
//! changed or removed unnoticed.

use parlance_wire::{id::UserId, time::Timestamp};
use serde_json::Value;

use crate::{
    cli::{bad, good, parlance, run, with_database},
    world::{World, operator},
};

/// The changes in the log, each with its subject.
async fn changes(world: &World) -> Vec<(String, String)> {
    let entries: Vec<String> = sqlx::query_scalar("select entry from audit_log order by seq")
        .fetch_all(&world.db)
        .await
        .unwrap();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    entries
        .iter()
        .map(|entry| serde_json::from_str::<Value>(entry).unwrap())
        .map(|entry| (text(&entry, "change"), text(&entry, "subject")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_that_changes_something_leaves_a_line_and_each_other_one_none() {
    let (world, options) = with_database().await;
    let does =
        |arguments: &[&str]| good(&run(parlance(&options).args(arguments), "a long password"));
    does(&[
        "user",
        "add",
        "ann@example.org",
        "--password-stdin",
        "--admin",
    ]);
    does(&["user", "apikey", "bot@example.org"]);
    does(&["user", "apikey", "bot@example.org", "--label", "more"]);
    does(&["user", "disable", "ann@example.org"]);
    does(&["user", "enable", "ann@example.org"]);
    does(&["user", "role", "ann@example.org", "user"]);
    let invite: Value = serde_json::from_str(&does(&["invite", "--json"])).unwrap();
    let id = invite["inviteid"].as_str().unwrap();
    does(&["invite", "revoke", id]);
    let (ann, bot) = (id_of("ann"), id_of("bot"));
    let expected = [
        ("user add", &*ann),
        ("user add", &bot),
        ("user apikey", &bot),
        ("user disable", &ann),
        ("user enable", &ann),
        ("user role", &ann),
        ("invite", id),
        ("invite revoke", id),
    ]
    .map(|(change, subject)| (change.to_owned(), subject.to_owned()));
    assert_eq!(changes(&world).await, expected);

    // Commands that only read, or are refused, add no line.
    does(&["user", "list"]);
    does(&["invite", "list", "--all"]);
    does(&["doctor", "--repair"]);
    let refused =
        |arguments: &[&str]| bad(&run(parlance(&options).args(arguments), "a long password"));
    refused(&["user", "add", "ann@example.org", "--password-stdin"]);
    refused(&["user", "role", "nobody@example.org", "admin"]);
    refused(&["invite", "revoke", id]);
    refused(&["invite", "--inviter", "nobody@example.org"]);
    assert_eq!(changes(&world).await.len(), 8);

    let shown = does(&["audit"]);
    assert_eq!(shown.lines().count(), 9, "{shown}");
    let first = shown.lines().next().unwrap();
    assert!(
        first.starts_with("1  ")
            && first.contains("user add")
            && first.contains("role=\"admin\"")
            && first.contains("command line on "),
        "{first}"
    );
    assert_eq!(does(&["audit", "--after", "6"]).lines().count(), 3);
    assert!(
        !shown.contains(invite["invite"].as_str().unwrap()),
        "no secret is in it"
    );
    world.end().await;
}

fn id_of(name: &str) -> String {
    let email = parlance_wire::text::Email::parse(&format!("{name}@example.org")).unwrap();
    UserId::of(&email).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_changed_dropped_or_invented_is_found() {
    let (world, options) = with_database().await;
    for name in ["ann", "ben", "cleo"] {
        let email = format!("{name}@example.org");
        good(&run(
            parlance(&options).args(["user", "apikey", &email]),
            "",
        ));
    }
    let audit = |more: &[&str]| run(parlance(&options).arg("audit").args(more), "");
    let newest = || {
        let said = good(&audit(&["--json"]));
        let end: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(end["fault"], Value::Null);
        end["head"].as_str().unwrap().to_owned()
    };
    let noted = newest();
    for (harm, named) in [
        (
            "update audit_log set entry = replace(entry, 'user add', 'user own') where seq = 2",
            "line 2",
        ),
        ("delete from audit_log where seq = 2", "line 3"),
        ("delete from audit_log where seq = 3", "the newest line"),
        (
            "insert into audit_log select 4, entry, chain from audit_log where seq = 3",
            "line 4",
        ),
        (
            "update audit_head set chain = sha256(chain)",
            "the newest line",
        ),
        ("delete from audit_head", "the newest line"),
    ] {
        world
            .sql("create table a as table audit_log; create table h as table audit_head")
            .await;
        world.sql(harm).await;
        let said = audit(&[]);
        assert_eq!(said.status.code(), Some(1), "{harm}");
        let sentence = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(sentence.contains(named), "{harm}: {sentence}");
        let doctor = run(parlance(&options).args(["doctor", "--json"]), "");
        assert!(
            String::from_utf8_lossy(&doctor.stdout).contains("\"rule\":\"audit\""),
            "{harm}"
        );
        world
            .sql("delete from audit_log; insert into audit_log table a; drop table a; delete from audit_head; insert into audit_head table h; drop table h")
            .await;
    }
    assert_eq!(newest(), noted);
    // Rewriting the whole log is detected by a hash that was noted elsewhere.
    good(&run(
        parlance(&options).args(["user", "disable", "ann@example.org"]),
        "",
    ));
    good(&audit(&["--known", &noted]));
    good(&audit(&["--known", &noted.to_ascii_uppercase()]));
    // A hash that was copied wrongly says nothing about the log.
    for slip in [
        &noted[1..],
        &format!("{noted}0"),
        &format!("g{}", &noted[1..]),
        "",
    ] {
        let said = audit(&["--known", slip]);
        assert_eq!(said.status.code(), Some(2), "{slip}");
        let sentence = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(sentence.contains("64 hexadecimal digits"), "{sentence}");
    }
    bad(&run(
        parlance(&options).args([
            "audit",
            "--after",
            "9",
            "--known",
            &newest().replace(|c: char| c.is_ascii_digit(), "a"),
        ]),
        "",
    ));
    world.end().await;
}

#[tokio::test]
async fn changes_at_the_same_moment_are_chained_one_after_the_other() {
    let world = World::new().await;
    let people = [world.person("Ann").await, world.person("Ben").await];
    let by = operator();
    let changes = (0..20).map(|n| {
        let user = UserId::parse(&people[n % 2].user).unwrap();
        parlance::store::user::set_disabled(&world.store, user, n % 3 == 0, &by, Timestamp::now())
    });
    for changed in futures_util::future::join_all(changes).await {
        assert!(changed.unwrap());
    }
    assert_eq!(world.count("audit_log").await, 20);
    // The doctor checks the chain.
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_has_no_hash_to_be_noted() {
    let (world, options) = with_database().await;
    let audit =
        |arguments: &[&str]| good(&run(parlance(&options).arg("audit").args(arguments), ""));
    assert_eq!(audit(&[]), "The log is empty.\n");
    let json: Value = serde_json::from_str(&audit(&["--json"])).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "lines": 0, "head": null, "fault": null })
    );
    world.end().await;
}
