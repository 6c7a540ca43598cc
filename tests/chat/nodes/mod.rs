//! Several nodes: a message that is added on one is pushed by another, and whatever happens to
//! NATS, no client believes itself up to date when it is not.

mod end;
mod key;
mod push;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use parlance::settings::{Database, Settings};

use crate::world::{Changes, Person, World, database, eventually, file, settings};

/// A real nats-server on a port of its own.
pub(crate) struct Nats {
    port: u16,
    child: Option<Child>,
}

impl Nats {
    /// Not yet started.
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
        self.start_with(&[]);
    }

    fn start_with(&mut self, arguments: &[&str]) {
        self.start_by(|command| {
            command.args(arguments);
        });
    }

    fn start_by(&mut self, change: impl FnOnce(&mut Command)) {
        let mut command = Command::new("nats-server");
        change(&mut command);
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
        nodes.push(World::start(settings, options.clone()).await);
    }
    let other = nodes.pop().unwrap();
    [nodes.pop().unwrap(), other]
}

/// Settings with frequent heartbeats.
pub(crate) fn soon(settings: &mut Settings) {
    settings.timings.heartbeat = Duration::from_millis(200);
    settings.timings.bus_repeat = Duration::from_millis(100);
}

/// Waits until both nodes have heard of each other, so that stations are only notified of changes:
/// for two heartbeats, no station at the second node has to resync.
pub(crate) async fn know_each_other(nodes: &[Arc<World>; 2], person: &Person) {
    let watcher = at(&nodes[1], person).await;
    eventually("quiet", async || {
        watcher.hears().await;
        nodes[1].heartbeats(2).await;
        watcher.hears().await == Changes::default()
    })
    .await;
}

/// Two nodes connected by NATS.
pub(crate) async fn two_nodes_with_nats() -> (Nats, [Arc<World>; 2]) {
    let mut nats = Nats::new();
    nats.start();
    let nodes = two_nodes(|settings| {
        soon(settings);
        settings.nats_url = vec![nats.url().parse().unwrap()];
    })
    .await;
    for node in &nodes {
        eventually("the bus", async || has_bus(node, "connected").await).await;
    }
    (nats, nodes)
}

#[tokio::test]
async fn a_node_logs_in_to_nats_with_what_its_url_says() {
    for (arguments, login) in [
        (
            &["--user", "chat", "--pass", "p@ss w/rd"][..],
            "chat:p%40ss%20w%2Frd@",
        ),
        (&["--auth", "a-token"], "a-token@"),
    ] {
        let mut nats = Nats::new();
        nats.start_with(arguments);
        let url = nats.url().replace("//", &format!("//{login}"));
        let world = World::with(|settings| settings.nats_url = vec![url.parse().unwrap()]).await;
        eventually("the bus", async || has_bus(&world, "connected").await).await;
        world.end().await;
    }
}

#[tokio::test]
async fn the_shipped_nats_lets_nobody_in_without_its_password() {
    let mut nats = Nats::new();
    nats.start_by(|command| {
        let config = file("deploy/nats.conf");
        command.arg("-c").arg(config).env("NATS_PASSWORD", "ab12");
    });
    let url = nats.url().replace("//", "//parlance:ab12@");
    let world = World::with(|settings| settings.nats_url = vec![url.parse().unwrap()]).await;
    eventually("the bus", async || has_bus(&world, "connected").await).await;
    world.end().await;
    for (login, answer) in [
        (r#"{"user":"parlance","pass":"ab12"}"#, "PONG"),
        (r#"{"user":"parlance","pass":"ab13"}"#, "-ERR"),
        (r#"{"user":"parlance","pass":""}"#, "-ERR"),
        ("{}", "-ERR"),
    ] {
        let stream = TcpStream::connect(("127.0.0.1", nats.port)).unwrap();
        (&stream)
            .write_all(format!("CONNECT {login}\r\nPING\r\n").as_bytes())
            .unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let answered = lines.find(|line| !line.starts_with("INFO") && line != "+OK");
        assert!(answered.unwrap().starts_with(answer), "{login}");
    }
}

/// The same person at the other node, with a station of their own.
pub(crate) async fn at(world: &Arc<World>, person: &Person) -> Person {
    Person {
        world: world.clone(),
        ..person.clone()
    }
    .second_device()
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
