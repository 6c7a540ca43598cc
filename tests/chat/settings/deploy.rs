//! The compose file and the image: every setting is passed on, and every file is available.

use std::{collections::BTreeSet, time::Duration};

use super::{example, read};
use crate::world::file;

/// The lines of a block of the compose file, unindented.
fn block(compose: &str, head: &str) -> Vec<String> {
    let (_, rest) = compose
        .split_once(&format!("\n{head}\n"))
        .unwrap_or_else(|| panic!("no {head}"));
    rest.lines()
        .take_while(|line| line.starts_with(' ') || line.is_empty())
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn the_compose_file_hands_on_every_setting() {
    let compose = std::fs::read_to_string(file("docker-compose.yml")).unwrap();
    // Settings that the operator writes into the file that compose reads.
    let common = block(&compose, "x-parlance: &parlance");
    let at = common
        .iter()
        .position(|line| line == "env_file:")
        .expect("env_file");
    assert_eq!(common[at + 1..at + 3], ["- path: .env", "required: false"]);
    for service in ["  parlance:", "  node-a: &node"] {
        let (_, rest) = compose.split_once(&format!("\n{service}\n")).unwrap();
        assert!(rest.trim_start().starts_with("<<: *parlance"), "{service}");
    }
    // Entries of the compose file override that file, so they may only have its values or the
    // defaults, unless the containers need others.
    let example = example();
    let wiring = [
        "DATABASE_URL",
        "LISTEN_ADDR",
        "NATS_URL",
        "PUBLIC_URL",
        "TRUSTED_PROXIES",
    ];
    for line in compose.lines().map(str::trim) {
        let Some((name, value)) = line
            .split_once(": ")
            .filter(|(name, _)| example.contains_key(*name))
        else {
            continue;
        };
        if let Some(default) = value
            .strip_prefix(&format!("${{{name}:-"))
            .and_then(|rest| rest.strip_suffix('}'))
        {
            assert!(wiring.contains(&name) || default == example[name], "{line}");
        } else {
            assert!(
                ["DATABASE_URL", "LISTEN_ADDR", "NATS_URL"].contains(&name),
                "{line} cannot be changed in .env"
            );
        }
    }
}

/// A tag may be moved to other bytes; a digest names them.
#[test]
fn images_of_others_are_named_by_their_digests() {
    let mut images = vec![];
    for (file_name, before) in [("Dockerfile", "FROM "), ("docker-compose.yml", "image: ")] {
        let text = std::fs::read_to_string(file(file_name)).unwrap();
        images.extend(
            text.lines()
                .filter_map(|line| line.trim().strip_prefix(before))
                .map(|rest| rest.split(' ').next().unwrap().to_owned()),
        );
    }
    assert_eq!(images.len(), 7, "{images:?}");
    for image in &images {
        let (tag, digest) = image
            .split_once("@sha256:")
            .unwrap_or_else(|| panic!("{image} is named by its tag alone"));
        assert!(tag.contains(':'), "{image} does not say what it is");
        assert_eq!(digest.len(), 64, "{image}");
    }
    // What makes a backup has to be of the database's version.
    let postgres = images.iter().filter(|image| image.starts_with("postgres:"));
    let postgres: BTreeSet<_> = postgres.collect();
    assert_eq!(postgres.len(), 1, "{postgres:?}");
}

#[test]
fn the_image_is_built_of_files_that_docker_gets_to_see() {
    let ignored = std::fs::read_to_string(file(".dockerignore")).unwrap();
    let seen: BTreeSet<_> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let dockerfile = std::fs::read_to_string(file("Dockerfile")).unwrap();
    let copied: BTreeSet<_> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from="))
        .flat_map(|line| line.split(' ').rev().skip(1))
        .collect();
    assert_eq!(copied, seen);
    // Files that the build reads: the manifest, the members of the workspace, and what macros
    // include.
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "src",
        "migrations",
        ".sqlx",
        ".cargo",
    ] {
        assert!(copied.contains(needed), "{needed}");
    }
}

#[test]
fn the_balancer_finds_each_node_at_an_address_that_stays() {
    let compose = std::fs::read_to_string(file("docker-compose.yml")).unwrap();
    let nginx = std::fs::read_to_string(file("deploy/nginx.conf")).unwrap();
    let nodes: Vec<_> = nginx
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server ")?.split_once(':'))
        .map(|(node, _)| node)
        .collect();
    assert_eq!(nodes, ["node-a", "node-b"]);
    for node in nodes {
        let (_, known) = compose
            .split_once(&format!("- \"{node}:"))
            .unwrap_or_else(|| panic!("{node} is not in extra_hosts"));
        let known = known.split_once('"').unwrap().0;
        let (_, service) = compose.split_once(&format!("\n  {node}:")).unwrap();
        let (_, address) = service.split_once("ipv4_address: ").unwrap();
        assert_eq!(address.lines().next().unwrap(), known, "{node}");
    }
}

#[test]
fn the_nodes_log_in_to_nats() {
    let compose = std::fs::read_to_string(file("docker-compose.yml")).unwrap();
    let nats = std::fs::read_to_string(file("deploy/nats.conf")).unwrap();
    let user = |text: &str, before: &str| {
        let (_, rest) = text.split_once(before).unwrap();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        rest[..end].to_owned()
    };
    assert_eq!(user(&nats, "user: "), user(&compose, "NATS_URL: nats://"));
    assert!(compose.contains("./deploy/nats.conf:/etc/nats/nats-server.conf:ro"));
    assert_eq!(compose.matches("${NATS_PASSWORD:?").count(), 2);
    assert!(nats.contains("password: $NATS_PASSWORD\n"));
}

#[test]
fn the_balancer_logs_no_query() {
    let nginx = std::fs::read_to_string(file("deploy/nginx.conf")).unwrap();
    let (_, format) = nginx.split_once("log_format").unwrap();
    let format = format.split_once(';').unwrap().0;
    for variable in [
        "$request ",
        "$request\"",
        "$request_uri",
        "$args",
        "$query_string",
    ] {
        assert!(!format.contains(variable), "{variable} has the query");
    }
    // An error's line has the whole request, whatever the format.
    let (_, sockets) = nginx.split_once("/ws$ {").unwrap();
    assert!(
        sockets
            .split_once('}')
            .unwrap()
            .0
            .contains("error_log /dev/stderr crit;")
    );
}

#[test]
fn the_balancer_says_itself_who_asked_and_at_which_host() {
    let nginx = std::fs::read_to_string(file("deploy/nginx.conf")).unwrap();
    let to_nodes: Vec<_> = nginx
        .split("\n        location ")
        .skip(1)
        .filter_map(|location| location.split_once("\n        }"))
        .map(|(location, _)| location)
        .filter(|location| location.contains("proxy_pass "))
        .collect();
    assert_eq!(to_nodes.len(), 3);
    for location in to_nodes {
        // One that sets any header inherits none.
        for header in [
            "Host $http_host;",
            "X-Forwarded-For $proxy_add_x_forwarded_for;",
            "Forwarded \"\";",
        ] {
            assert!(
                location.contains(&format!("proxy_set_header {header}")),
                "{header} is missing in {location}"
            );
        }
    }
}

#[test]
fn the_balancer_waits_longer_than_a_node_does() {
    let nginx = std::fs::read_to_string(file("deploy/nginx.conf")).unwrap();
    let waits = |location: &str| {
        let (_, rest) = nginx
            .split_once(&format!("location {location} {{"))
            .unwrap();
        let (_, rest) = rest.split_once("proxy_read_timeout ").unwrap();
        let seconds = rest.split_once("s;").unwrap().0.parse().unwrap();
        Duration::from_secs(seconds)
    };
    let settings = read(&[]).unwrap();
    let database = settings.timings.database.acquire + settings.timings.database.response;
    assert!(waits("/") > database);
    assert!(waits(r"~ ^(/ozeki)?/file/|^/\.files$") > settings.stores.timeout + database);
}

#[test]
fn the_service_is_stopped_before_it_takes_all_memory() {
    let unit = std::fs::read_to_string(file("deploy/systemd/parlance.service")).unwrap();
    let percent = |name: &str| -> u32 {
        let (_, rest) = unit.split_once(&format!("\n{name}=")).unwrap();
        rest.split_once("%\n").unwrap().0.parse().unwrap()
    };
    assert!(percent("MemoryHigh") < percent("MemoryMax") && percent("MemoryMax") < 100);
}
