//! Administration of accounts and conversations on the command line, beside a running server.

use std::process::Command;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::register;
use crate::{
    cli::{bad, good, parlance, run},
    world::{Person, Socket, World, eventually},
};

/// `parlance` with this world's database.
pub(crate) struct Commands(sqlx::postgres::PgConnectOptions);

impl Commands {
    pub(crate) fn of(world: &World) -> Self {
        Self(world.store.options().clone())
    }

    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        good(&run(parlance(&self.0).args(arguments), ""))
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        bad(&run(parlance(&self.0).args(arguments), ""))
    }
}

async fn log_in(world: &World, apikey: &str) -> crate::world::Answer {
    let login = json!({ "action": "login", "apikey": apikey }).to_string();
    let station = uuid::Uuid::new_v4().simple().to_string();
    let headers = [("Ozeki-Station", &*station)];
    world
        .posts("chatserver", "chatlogin", &headers, &login)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_lost_their_password_registers_again_with_the_same_address_and_new_keys() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let commands = Commands::of(&world);
    let voided = commands.json(&["user", "passwd-reset", "ann@example.org"]);
    let said = commands.text(&["user", "passwd-reset", "ann@example.org"]);
    assert!(
        said.contains("cannot read anything that was said before"),
        "{said}"
    );
    let code = said.lines().nth(2).unwrap();
    assert!(said.contains(&format!("/#invite={code}")));
    // Until it is used, nothing changes.
    ann.lists().await.ok();

    let closed = world
        .another_with(|settings| settings.registration = parlance::settings::Registration::Closed)
        .await;
    for (name, code) in [("Cleo", code), ("Ann", voided["invite"].as_str().unwrap())] {
        register(&closed, name, Some(code))
            .await
            .refused(403, "registration_closed");
    }
    ben.hears().await;
    let mut socket = Socket::of(&ann, 4).await;
    // It is for an existing user, so it works even if registration is closed.
    let request = json!({
        "action": "register", "email": "ann@example.org", "fullname": "Ann Again", "nick": "Ann",
        "apikey": "another apikey of Ann", "publickey": crate::world::public_key(&crate::world::key("Ann again")),
        "rsakey": "opaque", "invite": code,
    })
    .to_string();
    closed
        .posts("chatserver", "chatlogin", &[], &request)
        .await
        .ok();
    socket.ends().await;
    closed
        .posts("chatserver", "chatlogin", &[], &request)
        .await
        .refused(403, "registration_closed");
    ann.lists().await.refused(401, "signature_invalid");
    log_in(&world, "the apikey of Ann")
        .await
        .refused(401, "login_failed");
    assert_eq!(
        log_in(&world, "another apikey of Ann").await.ok()["userid"],
        ann.user
    );
    // Friends stay friends, and see the new key.
    let list = ben.lists_friends().await.ok();
    assert_eq!(
        list["availabilities"][0]["publickey"],
        crate::world::public_key(&crate::world::key("Ann again"))
    );
    commands.refused(&["user", "passwd-reset", "nobody@example.org"]);
    closed.stop().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_revokes_keys_and_forgets_stations() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let other = ann.second_device().await;
    let commands = Commands::of(&world);
    let keys = commands.json(&["user", "keys", &ann.user]);
    let key = keys[0]["keyid"].as_str().unwrap();
    assert_eq!(keys[0]["label"], "password");
    let stations = commands.json(&["user", "stations", "ann@example.org"]);
    assert_eq!(stations.as_array().unwrap().len(), 2);
    // The names of the wire.
    let mut names: Vec<&String> = stations[0].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["created", "key", "lastseen", "name", "stationid"]);
    let mut socket = Socket::of(&ann, 4).await;
    commands.text(&[
        "user",
        "stations",
        "ann@example.org",
        "--forget",
        &ann.station,
    ]);
    socket.ends().await;
    ann.lists().await.refused(401, "unknown_station");
    other.lists().await.ok();
    commands.text(&["user", "stations", "ann@example.org", "--forget-all"]);
    eventually("the other one is out", async || {
        other.lists().await.status == 401
    })
    .await;
    commands.refused(&["user", "stations", "ann@example.org", "--forget-all"]);
    commands.refused(&["user", "stations", "nobody@example.org"]);
    ann.logs_in().await;
    let mut socket = Socket::of(&ann, 4).await;
    commands.refused(&["user", "revoke", "ann@example.org", &"0".repeat(32)]);
    commands.text(&["user", "revoke", "ann@example.org", key]);
    log_in(&world, "the apikey of Ann")
        .await
        .refused(401, "login_failed");
    // Stations that logged in with the key end with it.
    socket.ends().await;
    ann.lists().await.refused(401, "unknown_station");
    // She is still there, and the operator is told how she gets in again.
    let keys = commands.text(&["user", "keys", "ann@example.org"]);
    assert_eq!(
        keys,
        "ann@example.org has no key, so nobody can log in as ann@example.org: `parlance user passwd-reset ann@example.org` makes a link for a new start.\n"
    );
    let nobody = "parlance: there is no user nobody@example.org";
    for command in [
        &["keys", "nobody@example.org"][..],
        &["revoke", "nobody@example.org", key],
        &["stations", "nobody@example.org", "--forget-all"],
    ] {
        assert_eq!(commands.refused(&[&["user"], command].concat()), nobody);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_filter_the_list_of_users_and_page_through_it() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let _ = world.person("Cleo").await;
    ann.adds(&direct, "0123456789").await;
    let commands = Commands::of(&world);
    let names = |arguments: &[&str]| -> Vec<String> {
        let list = commands.json(&[&["user", "list"], arguments].concat());
        let name = |user: &Value| user["nick"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(names(&[]), ["Ann", "Ben", "Cleo"]);
    assert_eq!(names(&["--limit", "2"]), ["Ann", "Ben"]);
    assert_eq!(
        names(&["--limit", "2", "--after", "ben@example.org"]),
        ["Cleo"]
    );
    assert!(
        commands
            .text(&["user", "list", "--limit", "2"])
            .ends_with("There are more: --after ben@example.org\n")
    );
    assert_eq!(names(&["--search", "BEN@"]), ["Ben"]);
    assert_eq!(names(&["--search", "%"]), Vec::<String>::new());
    commands.text(&["user", "role", "cleo@example.org", "admin"]);
    assert_eq!(names(&["--role", "admin"]), ["Cleo"]);
    commands.text(&["user", "disable", "ben@example.org"]);
    assert_eq!(names(&["--disabled"]), ["Ben"]);
    assert_eq!(names(&["--enabled"]), ["Ann", "Cleo"]);
    world
        .sql(&format!(
            "update stations set last_seen_at = now() - interval '9 days' where user_id = '{}'",
            ann.user
        ))
        .await;
    assert_eq!(names(&["--idle", "8days"]), ["Ann"]);
    let sockets = async |count: i64| {
        eventually("ann's sockets are counted", async || {
            commands.json(&["user", "list", "--search", "ann"])[0]["sockets"] == count
        })
        .await;
    };
    let _socket = Socket::of(&ann, 4).await;
    sockets(1).await;
    let ann_row = &commands.json(&["user", "list", "--search", "ann"])[0];
    assert_eq!(
        (
            &ann_row["bytes"],
            &ann_row["stations"],
            &ann_row["conversations"]
        ),
        (&json!(210), &json!(1), &json!(1))
    );
    drop(ben);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_exports_and_deletes_a_user() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    ann.adds(&direct, "said by Ann").await;
    let commands = Commands::of(&world);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ann.json");
    let path = file.to_str().unwrap();
    commands.text(&["user", "export", "ann@example.org", path]);
    let export: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(export["conversations"][0]["rows"][0]["Data"], "said by Ann");
    // An existing file is not overwritten, and nothing is written for an unknown user.
    commands.refused(&["user", "export", "ann@example.org", path]);
    let nobody = dir.path().join("nobody.json");
    commands.refused(&[
        "user",
        "export",
        "nobody@example.org",
        nobody.to_str().unwrap(),
    ]);
    assert!(!nobody.exists());

    // A file that cannot be written to its end is no export.
    for _ in 0..8 {
        ann.adds(&direct, &"long ".repeat(5000)).await;
    }
    let part = dir.path().join("part.json");
    let program = parlance(&commands.0);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(["user", "export", "ann@example.org"])
        .arg(&part)
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let refusal = bad(&run(&mut limited, ""));
    assert!(refusal.contains("File too large"), "{refusal}");
    assert!(!part.exists());

    commands.refused(&["user", "delete", "ann@example.org"]);
    ann.lists().await.ok();
    let mut bens = Socket::of(&ben, 4).await;
    bens.drain().await;
    let deleted = commands.json(&["user", "delete", "ann@example.org", "--yes"]);
    assert_eq!(deleted, json!({ "userid": ann.user }));
    eventually("the erasure", async || world.count("erasures").await == 0).await;
    assert_eq!(
        bens.hears_about("friendavailabilitesof").await,
        json!([ann.user])
    );
    eventually("ann is out", async || ann.lists().await.status == 401).await;
    commands.refused(&["user", "delete", "ann@example.org", "--yes"]);
    assert!(commands.text(&["audit"]).contains("user delete"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_listed_shown_and_deleted() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let create = json!({
        "action": "create", "displayname": "g", "participantids": [ben.user], "secrets": { &ann.user: "s", &ben.user: "s" },
    });
    let created = ann.asks("chatconversationgroup", create).await.ok();
    let group = crate::world::Conversation::of(&created["conversation"]);
    let id = ann.adds(&group, "0123456789").await;
    ben.views(&group, &[id]).await.ok();
    ann.adds(&direct, "stays").await;
    let commands = Commands::of(&world);
    let ids = |arguments: &[&str]| -> Vec<String> {
        let list = commands.json(&[&["conversation", "list"], arguments].concat());
        let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(id).collect()
    };
    let mut all = vec![direct.id.clone(), group.id.clone()];
    all.sort();
    assert_eq!(ids(&[]), all);
    assert_eq!(ids(&["--groups"]), [group.id.clone()]);
    assert_eq!(
        ids(&["--direct", "--user", "ben@example.org"]),
        [direct.id.clone()]
    );
    assert_eq!(ids(&["--limit", "1", "--after", &all[0]]), [all[1].clone()]);
    let shown = commands.json(&["conversation", "show", &group.id]);
    assert_eq!(
        (&shown["rows"], &shown["isgroup"]),
        (&json!(2), &json!(true))
    );
    let member = |person: &Person| {
        let found = shown["members"].as_array().unwrap().iter();
        found
            .clone()
            .find(|one| one["userid"] == person.user)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (
            &member(&ann)["role"],
            &member(&ann)["bytes"],
            &member(&ben)["messages"]
        ),
        (&json!("admin"), &json!(10), &json!(0))
    );

    commands.refused(&["conversation", "delete", &group.id]);
    ann.sees(&group).await;
    let mut bens = Socket::of(&ben, 4).await;
    bens.drain().await;
    commands.text(&["conversation", "delete", &group.id, "--yes"]);
    assert_eq!(
        bens.hears_about("conversationlistchangedof").await,
        json!([ben.user])
    );
    for person in [&ann, &ben] {
        let list = person.lists().await.ok();
        assert_eq!(list["conversations"].as_array().unwrap().len(), 1);
    }
    ann.does("download", &group, json!({}))
        .await
        .refused(404, "conversation_not_found");
    for table in [
        "messages",
        "reports",
        "participants",
        "former_participants",
        "conversations",
    ] {
        let left = world
            .count(&format!("{table} where conversation_id = '{}'", group.id))
            .await;
        assert_eq!(left, 0, "{table}");
    }
    commands.refused(&["conversation", "delete", &group.id, "--yes"]);
    commands.refused(&["conversation", "show", &group.id]);

    ann.has_card().await;
    let (encrypted, _) = ann.creates_group_with_epoch(&[&ben]).await;
    commands.text(&["conversation", "delete", &encrypted.id, "--yes"]);
    for table in ["conversations", "epochs", "epoch_secrets"] {
        let left = world
            .count(&format!(
                "{table} where conversation_id = '{}'",
                encrypted.id
            ))
            .await;
        assert_eq!(left, 0, "{table}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_and_a_deletion_leave_nothing_of_password_recovery_key_and_vault() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let unsigned = async |fields: Value| {
        let body = fields.to_string();
        world.posts("chatserver", "chatlogin", &[], &body).await
    };
    let prelogin = async || {
        let fields =
            json!({ "action": "prelogin", "email": "ann@example.org", "clientversioncode": 4 });
        unsigned(fields).await.ok()
    };
    assert_eq!(prelogin().await["kdf"], "pbkdf2-sha256");
    let salt = "07".repeat(16);
    let change = json!({
        "action": "changepassword", "apikey": "a new apikey of Ann", "rsakey": "a vault", "version": 7,
        "kdf": { "kdf": "argon2id", "m": 65536, "t": 3, "p": 1, "salt": salt },
        "recoverykey": "a recovery key of Ann",
    });
    ann.account(change).await.ok();
    assert_eq!(prelogin().await["salt"], json!(salt));
    let commands = Commands::of(&world);
    let code = commands.json(&["user", "passwd-reset", "ann@example.org"])["invite"].clone();
    let mut socket = Socket::of(&ann, 4).await;
    register(&world, "Ann", code.as_str()).await.ok();
    assert_eq!(socket.ends().await, CloseCode::Library(4401));
    for void in ["a new apikey of Ann", "a recovery key of Ann"] {
        log_in(&world, void).await.refused(401, "login_failed");
    }
    assert_eq!(prelogin().await["kdf"], "pbkdf2-sha256");
    let ann = world.returning("Ann").await;
    let vault = ann.account(json!({ "action": "vault" })).await.ok();
    assert_eq!(
        (&vault["rsakey"], &vault["version"]),
        (&json!("opaque"), &json!(0))
    );
    commands.json(&["user", "delete", "ann@example.org", "--yes"]);
    // The same as for an address that was never used.
    let told = prelogin().await;
    assert_eq!(told["kdf"], "argon2id");
    assert_ne!(told["salt"], json!(salt));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_invitations_says_when_there_are_more() {
    let (world, options) = crate::cli::with_database().await;
    let made: Vec<Value> = (0..3)
        .map(|_| {
            let said = good(&run(parlance(&options).args(["invite", "--json"]), ""));
            serde_json::from_str(&said).unwrap()
        })
        .collect();
    let list = |limit: &str| {
        let limit = ["invite", "list", "--json", "--limit", limit];
        let said = run(parlance(&options).args(limit), "");
        let rows: Vec<Value> = serde_json::from_str(&good(&said)).unwrap();
        (rows, String::from_utf8(said.stderr).unwrap())
    };
    let (rows, said) = list("2");
    assert_eq!(rows.len(), 2);
    // The newest first.
    assert_eq!(rows[0]["inviteid"], made[2]["inviteid"]);
    assert!(said.contains("there are more than these 2"), "{said}");
    let (rows, said) = list("3");
    assert_eq!(rows.len(), 3);
    assert!(!said.contains("there are more"), "{said}");
    world.end().await;
}
