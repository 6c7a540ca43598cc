//! More than one node on one database: a message that is added on one is pushed by the other, and nothing
//! that happens to NATS lets a client believe that it is up to date when it is not.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use parlance::settings::{Database, Settings};
use serde_json::json;

use crate::{
    cli::parlance,
    embedded::Server,
    live::Ear,
    world::{Person, Talk, World, database, eventually, settings},
};

/// A real nats-server, on a port of its own.
pub(crate) struct Nats {
    port: u16,
    child: Option<Child>,
}

impl Nats {
    /// Not started yet.
    pub(crate) fn new() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self { port, child: None }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn start(&mut self) {
        let mut command = Command::new("nats-server");
        command
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().expect("nats-server is there"));
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Two nodes on one database.
pub(crate) async fn two_nodes(change: impl Fn(&mut Settings)) -> [Arc<World>; 2] {
    let options = database().await;
    let mut nodes = vec![];
    for _ in 0..2 {
        let mut settings = settings();
        settings.database = Database::Given(Box::new(options.clone()));
        change(&mut settings);
        nodes.push(World::on(settings, options.clone()).await);
    }
    let other = nodes.pop().unwrap();
    [nodes.pop().unwrap(), other]
}

/// Two nodes that tell each other through NATS what happens.
pub(crate) async fn two_nodes_with_nats() -> (Nats, [Arc<World>; 2]) {
    let mut nats = Nats::new();
    nats.start();
    let nodes = two_nodes(|settings| settings.nats_url = Some(nats.url())).await;
    for node in &nodes {
        eventually("the bus", async || has_bus(node, "connected").await).await;
    }
    (nats, nodes)
}

/// The same person at the other node, at a station of their own.
pub(crate) async fn at(world: &Arc<World>, person: &Person) -> Person {
    Person {
        world: world.clone(),
        ..person.clone()
    }
    .elsewhere()
    .await
}

pub(crate) async fn has_bus(world: &World, state: &str) -> bool {
    let answer = world.sends("GET", "/readyz").await;
    answer.status == 200 && answer.text.contains(&format!("bus: {state}"))
}

pub(crate) async fn end(nodes: [Arc<World>; 2]) {
    for node in &nodes {
        node.stop().await;
    }
    nodes[0].end().await;
}

/// Reads frames until one names the conversation, or tells to compare everything.
async fn hears_of(ear: &mut Ear, talk: &Talk) {
    loop {
        let frame = ear.hears().await;
        if frame["conversationchangedof"] == json!([talk.id])
            || frame["conversationlistchangedof"] != json!([])
        {
            return;
        }
    }
}

#[tokio::test]
async fn what_happens_on_one_node_is_pushed_by_the_other() {
    let (_nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, talk) = nodes[0].talk().await;
    let there = at(&nodes[1], &ben).await;
    let mut ear = Ear::of(&there, 4).await;
    // Once both have heard of one another, only what happens is told.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    ear.calms_down().await;
    for n in 0..5 {
        ann.adds(&talk, &n.to_string()).await;
        let frame = ear.hears().await;
        assert_eq!(
            (
                &frame["conversationchangedof"],
                &frame["conversationlistchangedof"]
            ),
            (&json!([talk.id]), &json!([]))
        );
    }
    ann.asks("chatavailability", json!({ "action": "userbusy" }))
        .await
        .is_ok();
    assert_eq!(
        ear.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    ann.does("clear", &talk, json!({})).await.is_ok();
    assert_eq!(
        ear.hears().await["conversationlistchangedof"],
        json!([ben.user])
    );
    let mut anns = Ear::open(&ann, 4).await;
    anns.hears().await;
    anns.says(&json!({ "action": "typing", "conversationid": talk.id }).to_string())
        .await;
    loop {
        let frame = ear.hears().await;
        if frame.get("typing").is_some() {
            assert_eq!(
                frame["typing"],
                json!([{ "conversationid": talk.id, "userid": ann.user }])
            );
            break;
        }
    }
    end(nodes).await;
}

#[tokio::test]
async fn a_node_starts_without_nats_says_so_and_recovers_by_itself() {
    let mut nats = Nats::new();
    let nodes = two_nodes(|settings| settings.nats_url = Some(nats.url())).await;
    for node in &nodes {
        assert!(has_bus(node, "away").await);
    }
    let (ann, ben, talk) = nodes[0].talk().await;
    let mut ear = Ear::of(&at(&nodes[1], &ben).await, 4).await;
    // Nobody tells the other node, but it knows that it is not told.
    ann.adds(&talk, "unheard").await;
    hears_of(&mut ear, &talk).await;
    nats.start();
    for node in &nodes {
        eventually("the bus", async || has_bus(node, "connected").await).await;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    ear.calms_down().await;
    ann.adds(&talk, "heard").await;
    assert_eq!(ear.hears().await["conversationchangedof"], json!([talk.id]));
    end(nodes).await;
}

#[tokio::test]
async fn nats_killed_in_the_middle_of_traffic_leaves_nobody_behind() {
    let (mut nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, talk) = nodes[0].talk().await;
    let there = at(&nodes[1], &ben).await;
    let mut ear = Ear::of(&there, 4).await;
    let writer = tokio::spawn({
        let talk = talk.clone();
        async move {
            let mut written = vec![];
            for n in 0..150 {
                written.push(ann.adds(&talk, &n.to_string()).await);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            written
        }
    });
    // A client that does only what it is told.
    let mut held: Vec<String> = vec![];
    let reader = async {
        let mut kills = 0;
        loop {
            let frame = ear.hears().await;
            if frame["conversationchangedof"] == json!([])
                && frame["conversationlistchangedof"] == json!([])
            {
                continue;
            }
            let page = there
                .does("download", &talk, json!({ "firstmessageid": held.last() }))
                .await
                .is_ok();
            let page = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["ID"].as_str().unwrap().to_owned());
            held.extend(page.skip(usize::from(!held.is_empty())).collect::<Vec<_>>());
            if held.len() >= 150 {
                return;
            }
            if held.len() / 40 > kills {
                kills += 1;
                nats.kill();
                tokio::time::sleep(Duration::from_millis(200)).await;
                nats.start();
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reader)
        .await
        .expect("the reader was told of all");
    assert_eq!(held, writer.await.unwrap());
    end(nodes).await;
}

#[tokio::test]
async fn after_a_restart_the_first_frame_names_the_caller() {
    let options = database().await;
    let mut settings = settings();
    settings.database = Database::Given(Box::new(options.clone()));
    let before = World::on(settings.clone(), options.clone()).await;
    let (ann, ben, talk) = before.talk().await;
    let mut ear = Ear::of(&ben, 4).await;
    before.stop().await;
    ear.ends().await;
    let after = World::on(settings, options).await;
    let ben = Person {
        world: after.clone(),
        ..ben
    };
    Person {
        world: after.clone(),
        ..ann
    }
    .adds(&talk, "while Ben was away")
    .await;
    // The same station, known before the restart and not since.
    let mut ear = Ear::of(&ben, 4).await;
    ear.hears_nothing().await;
    after.end().await;
}

#[tokio::test]
async fn without_nats_two_nodes_are_slow_but_nobody_is_notified_too_seldom() {
    let nodes = two_nodes(|_| ()).await;
    let (ann, ben, talk) = nodes[0].talk().await;
    let mut ear = Ear::of(&at(&nodes[1], &ben).await, 3).await;
    for n in 0..2 {
        ann.adds(&talk, &n.to_string()).await;
        hears_of(&mut ear, &talk).await;
    }
    assert!(has_bus(&nodes[0], "none").await);
    end(nodes).await;
}

#[tokio::test]
async fn one_is_available_for_as_long_as_any_node_holds_a_socket() {
    let mut nats = Nats::new();
    nats.start();
    let nodes = two_nodes(|settings| {
        settings.nats_url = Some(nats.url());
        settings.timings.offline_after = Duration::from_secs(2);
    })
    .await;
    let (ann, ben) = nodes[0].friends().await;
    let here = Ear::of(&ann, 3).await;
    let there = Ear::of(&at(&nodes[1], &ann).await, 3).await;
    ben.sees_friend("available").await;
    let of_both = async || nodes[0].count("listeners").await == 2;
    eventually("both to have written it down", of_both).await;
    drop(here);
    eventually("the one to have written that it ended", async || {
        nodes[0].count("listeners").await == 1
    })
    .await;
    assert_eq!(ben.friend_is().await, "available");
    drop(there);
    ben.sees_friend("offline").await;
    end(nodes).await;
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_takes_no_other_one_for_ended() {
    // The library that it loads into a program; started by it, the program would get no signals.
    let Ok(output) = Command::new("faketime")
        .args(["-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
    else {
        eprintln!("SKIPPED: faketime is not installed, so no node's clock can be wrong");
        return;
    };
    let library = String::from_utf8(output.stdout).unwrap();
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let _ear = Ear::of(&ann, 4).await;
    ben.sees_friend("available").await;
    for wrong in ["+1h", "-1h"] {
        let mut command = parlance(world.store.options());
        command
            .env("LD_PRELOAD", library.trim())
            .env("FAKETIME", wrong)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let other = Server::start_as(
            command
                .env("LISTEN_ADDR", "127.0.0.1:0")
                .stderr(Stdio::piped()),
        );
        let hour = other.log.lock().unwrap().get(..13).map(ToOwned::to_owned);
        assert_ne!(
            hour,
            Some(Utc::now().format("%Y-%m-%dT%H").to_string()),
            "its clock is wrong"
        );
        // Both look at each other a few times.
        let looks = async || {
            let both = "select count(*) from nodes where seen_at > $1 and ended_at is null";
            let begun: DateTime<Utc> =
                sqlx::query_scalar("select clock_timestamp() + interval '3 seconds'")
                    .fetch_one(&world.db)
                    .await
                    .unwrap();
            eventually("both to have looked", async || {
                sqlx::query_scalar::<_, i64>(both)
                    .bind(begun)
                    .fetch_one(&world.db)
                    .await
                    .unwrap()
                    == 2
            })
            .await;
        };
        looks().await;
        let answer = world.sends("GET", "/readyz").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(
            (
                world.count("listeners").await,
                ben.friend_is().await.as_str()
            ),
            (1, "available"),
            "{wrong}"
        );
        other.stop();
    }
    world.end().await;
}
