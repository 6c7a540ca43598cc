//! Settings: `.env.example` has the right defaults, each setting sets its own fields, and the
//! compose file passes all of them on.

mod deploy;

use std::collections::{BTreeMap, BTreeSet};

use parlance::settings::Settings;

use crate::world::file;

/// Each setting in `.env.example`, with its default.
fn example() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file(".env.example")).unwrap();
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let found: BTreeMap<_, _> = lines
        .filter(|(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert!(found.len() > 20, "{found:?}");
    found
}

fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let settings = Settings::read(|name| {
        variables
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| (*value).into())
    });
    settings.map_err(|error| error.to_string())
}

/// The value of each field, as text.
fn fields(settings: &Settings) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::<_, String>::new();
    let mut last = String::new();
    for line in format!("{settings:#?}").lines().skip(1) {
        let start = line
            .strip_prefix("    ")
            .filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()));
        if let Some((name, value)) = start.and_then(|start| start.split_once(": ")) {
            name.clone_into(&mut last);
            fields.insert(last.clone(), value.to_owned());
        } else if let Some(value) = fields.get_mut(&last) {
            value.push_str(line);
        }
    }
    fields
}

/// Each setting with a value other than its default, the fields that it sets, and an invalid value,
/// if there is one.
const EACH: [(&str, &str, &[&str], Option<&str>); 52] = [
    ("REQUESTS_PER_USER", "33", &["requests_per_user"], Some("0")),
    ("CONVERSATIONS_PER_USER", "1001", &["per_user"], Some("0")),
    ("NEW_CONVERSATIONS_PER_DAY", "101", &["per_user"], Some("0")),
    ("MESSAGES_PER_MINUTE", "3001", &["per_user"], Some("0")),
    (
        "MESSAGE_BYTES_PER_MINUTE",
        "67108865",
        &["per_user"],
        Some("65535"),
    ),
    (
        "STORED_BYTES_PER_USER",
        "4294967297",
        &["per_user"],
        Some("65535"),
    ),
    ("FRIEND_REQUESTS_PER_DAY", "201", &["per_user"], Some("0")),
    ("LOOKUPS_PER_HOUR", "1001", &["per_user"], Some("0")),
    (
        "PRESENCE_CHANGES_PER_MINUTE",
        "61",
        &["per_user"],
        Some("0"),
    ),
    ("CHANGES_PER_MINUTE", "121", &["per_user"], Some("0")),
    ("OWN_CHANGES_PER_MINUTE", "601", &["per_user"], Some("0")),
    ("EPOCH_SECRETS_PER_HOUR", "50001", &["per_user"], Some("0")),
    ("NEW_STATIONS_PER_DAY", "11", &["per_user"], Some("0")),
    ("FILE_BYTES_PER_HOUR", "1048577", &["per_user"], Some("0")),
    (
        "LISTEN_ADDR",
        "127.0.0.1:9000",
        &["listen_addr", "public_url"],
        Some("somewhere"),
    ),
    (
        "PUBLIC_URL",
        "https://chat.example.org/chat",
        &["public_url"],
        Some("ftp://x"),
    ),
    (
        "DATABASE_URL",
        "postgres://chat@db/chat",
        &["database", "file_disk"],
        Some("postgres://user:secret@host:notaport/x"),
    ),
    ("DATA_DIR", "elsewhere", &["data_dir", "file_disk"], None),
    (
        "MAX_FILE_BYTES",
        "1048576",
        &["max_file_bytes"],
        Some("1023"),
    ),
    ("FILE_QUOTA", "0", &["per_user"], Some("-1")),
    (
        "FILE_STORE",
        "dir:/srv/files",
        &["file_store"],
        Some("dir:secret"),
    ),
    ("AWS_ACCESS_KEY_ID", "key", &["stores"], None),
    ("AWS_SECRET_ACCESS_KEY", "secret", &["stores"], None),
    ("AWS_REGION", "eu-central-1", &["stores"], None),
    ("PG_BIN", "/opt/postgres", &["pg_bin"], None),
    (
        "POSTGRES_SETTINGS",
        "shared_buffers=64MB; archive_command=cp %p /mnt/wal/%f;",
        &["postgres_settings"],
        Some("shared_buffers=64MB; fsync=off"),
    ),
    (
        "DATABASE_CONNECTIONS",
        "9",
        &["database_connections"],
        Some("0"),
    ),
    ("WORKERS", "123", &["workers"], Some("0")),
    ("REGISTRATION", "closed", &["registration"], Some("maybe")),
    ("INVITES", "admins", &["invites"], Some("nobody")),
    (
        "MESSAGE_LIFETIME",
        "8days",
        &["message_lifetime"],
        Some("1001years"),
    ),
    (
        "MAX_MESSAGE_LIFETIME",
        "8days",
        &["max_message_lifetime"],
        Some("59s"),
    ),
    ("EXPIRY_GRACE", "8days", &["expiry_grace"], Some("59s")),
    (
        "MAX_MESSAGE_BYTES",
        "65537",
        &["max_message_bytes"],
        Some("4194305"),
    ),
    (
        "MAX_BODY_BYTES",
        "1048577",
        &["max_body_bytes"],
        Some("1023"),
    ),
    (
        "SIGNATURE_WINDOW",
        "6min",
        &["signature_window"],
        Some("0s"),
    ),
    ("LOGIN_TRIES", "11", &["login_tries"], Some("0")),
    ("LOGINS", "121", &["logins"], Some("0")),
    ("REGISTRATIONS", "1001", &["registrations"], Some("0")),
    ("BAD_SIGNATURES", "601", &["bad_signatures"], Some("0")),
    (
        "TRUSTED_PROXIES",
        "10.0.0.1, 192.168.0.0/16",
        &["trusted_proxies"],
        Some("10.0.0.0/33"),
    ),
    (
        "ALLOWED_ORIGINS",
        "https://a.example, http://localhost:3000",
        &["allowed_origins"],
        Some("https://a.example/"),
    ),
    (
        "ALLOW_UNSIGNED_NOTIFICATIONS",
        "true",
        &["allow_unsigned_notifications"],
        Some("yes"),
    ),
    ("SOCKETS_PER_USER", "21", &["sockets_per_user"], Some("101")),
    ("SOCKETS", "20001", &["sockets"], Some("0")),
    (
        "NATS_URL",
        "nats://nats:4222",
        &["nats_url"],
        Some("nats://secret@"),
    ),
    (
        "NATS_CREDENTIALS",
        "parlance.creds",
        &["nats_credentials", "nats_url"],
        None,
    ),
    ("TLS_CERT", "cert.pem", &["tls", "public_url"], None),
    ("TLS_KEY", "key.pem", &["tls", "public_url"], None),
    (
        "METRICS_ADDR",
        "127.0.0.1:9464",
        &["metrics_addr"],
        Some("9464"),
    ),
    (
        "PUSH_CONTACT",
        "mailto:you@example.org",
        &["push"],
        Some("you@example.org"),
    ),
    ("LOG_FORMAT", "json", &["log_format"], Some("xml")),
];

#[test]
fn defaults_match_the_example() {
    let example = example();
    let lines: Vec<_> = example
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(fields(&read(&lines).unwrap()), fields(&read(&[]).unwrap()));
}

#[test]
fn each_setting_reaches_its_own_field_and_a_wrong_value_is_named() {
    let usual = fields(&read(&[]).unwrap());
    for (name, value, reached, wrong) in EACH {
        // A certificate needs its key.
        let with: &[_] = match name {
            "TLS_CERT" => &[(name, value), ("TLS_KEY", "other.pem")],
            "TLS_KEY" => &[(name, value), ("TLS_CERT", "other.pem")],
            "NATS_CREDENTIALS" => &[(name, value), ("NATS_URL", "nats://nats:4222")],
            "AWS_ACCESS_KEY_ID" => &[(name, value), ("AWS_SECRET_ACCESS_KEY", "secret")],
            "AWS_SECRET_ACCESS_KEY" => &[(name, value), ("AWS_ACCESS_KEY_ID", "id")],
            "AWS_REGION" => &[
                (name, value),
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ],
            _ => &[(name, value)],
        };
        let found = fields(&read(with).unwrap());
        let changed: BTreeSet<_> = found
            .keys()
            .filter(|field| found[*field] != usual[*field])
            .map(String::as_str)
            .collect();
        assert_eq!(changed, reached.iter().copied().collect(), "{name}");
        // The field has the value, as such a field is displayed.
        let shown = match name {
            "DATABASE_URL" => "\"db\"",
            "NATS_URL" => "\"nats\"",
            "REGISTRATION" => "Closed",
            "INVITES" => "Admins",
            "MESSAGE_LIFETIME" | "MAX_MESSAGE_LIFETIME" | "EXPIRY_GRACE" => "691200",
            "SIGNATURE_WINDOW" => "360",
            "LOG_FORMAT" => "Json",
            "FILE_STORE" => "/srv/files",
            // Not shown.
            "AWS_SECRET_ACCESS_KEY" => "id",
            "POSTGRES_SETTINGS" => "archive_command=cp %p /mnt/wal/%f",
            "TRUSTED_PROXIES" => "192.168.0.0/16",
            "ALLOWED_ORIGINS" => "http://localhost:3000",
            _ => value,
        };
        assert!(
            found[reached[0]].contains(shown),
            "{name}: {}",
            found[reached[0]]
        );
        if let Some(wrong) = wrong {
            let sentence = read(&[(name, wrong)]).unwrap_err();
            assert!(
                sentence.starts_with(name) && !sentence.contains("secret"),
                "{sentence}"
            );
        }
        assert_eq!(
            fields(&read(&[(name, "")]).unwrap()),
            usual,
            "an empty {name} is as none"
        );
    }
    for one in [
        "TLS_CERT",
        "TLS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        assert!(
            read(&[(one, "x.pem")])
                .unwrap_err()
                .contains("both or neither")
        );
    }
    // The key must not be taken for the certificate.
    let tls = read(&[("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem")])
        .unwrap()
        .tls
        .unwrap();
    assert_eq!(
        (tls.cert.to_str(), tls.key.to_str()),
        (Some("cert.pem"), Some("key.pem"))
    );
}

#[test]
fn every_setting_is_in_the_example_and_in_the_test_above() {
    let example = example();
    let tried: BTreeSet<_> = EACH.iter().map(|(name, ..)| *name).collect();
    // RUST_LOG is read by the log itself.
    let named: BTreeSet<_> = example
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "RUST_LOG")
        .collect();
    assert_eq!(named, tried);
    // Each field is set by some setting.
    let reached: BTreeSet<_> = EACH
        .iter()
        .flat_map(|(_, _, fields, _)| fields.iter().map(|field| (*field).to_owned()))
        .collect();
    let mut all: BTreeSet<String> = fields(&read(&[]).unwrap()).into_keys().collect();
    assert!(
        all.remove("timings") && all.remove("clock"),
        "not for operators"
    );
    assert_eq!(reached, all);
}
