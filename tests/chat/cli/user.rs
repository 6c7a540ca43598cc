//! Users and invitations.

use std::process::Command;

use serde_json::{Value, json};

use super::{bad, good, parlance, run, with_database};
use crate::world::{World, now};

/// Logs in with an apikey from a new station. Returns the answer and the station.
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
            .ok(),
        station,
    )
}

/// Runs openssl in a directory. Returns its output.
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

/// Decrypts the private key with a password and signs a request with it, all with openssl.
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
        .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_user_logs_in_with_an_apikey_that_openssl_derives() {
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
    // A further key of the same user logs in as well.
    let more = good(&run(
        parlance(&options).args(["user", "apikey", "bot@example.org"]),
        "",
    ));
    let (again, _) = log_in(&world, more.lines().last().unwrap()).await;
    assert_eq!(again["userid"], login["userid"]);
    // It does not rename them.
    let renamed = ["user", "apikey", "bot@example.org", "--name", "Robot"];
    assert!(bad(&run(parlance(&options).args(renamed), "")).contains("exists already"));
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
        .ok();
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
        .refused(403, "registration_closed");
    world.end().await;
}
