//! The balancer of `deploy/nginx.conf`: a real nginx in front of two nodes.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parlance::settings::{Database, Settings};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

use crate::world::{Socket, World, database, eventually, file, settings};

/// A port that nothing listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A running nginx with the configuration that operators are given, but for its addresses and directories.
struct Nginx {
    child: Child,
    dir: tempfile::TempDir,
    address: SocketAddr,
}

impl Nginx {
    async fn start(nodes: [SocketAddr; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Its workers do not run as root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut config = fs::read_to_string(file("deploy/nginx.conf")).unwrap();
        let own = dir.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {own}/{name};\n"))
            .concat();
        for (given, here) in [
            ("server node-a:8080", format!("server {}", nodes[0])),
            ("server node-b:8080", format!("server {}", nodes[1])),
            ("listen 8080;", format!("listen {address};")),
            (
                "access_log /dev/stdout",
                format!("access_log {own}/access.log"),
            ),
            ("http {\n", format!("http {{\n{temporary}")),
        ] {
            assert_eq!(config.matches(given).count(), 1, "{given}");
            config = config.replace(given, &here);
        }
        fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("nginx")
            .args(["-p", dir.path().to_str().unwrap(), "-c", "nginx.conf"])
            .args(["-e", "error.log", "-g", "daemon off; pid nginx.pid;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is there");
        let nginx = Self {
            child,
            dir,
            address,
        };
        eventually("nginx listens", async || {
            TcpStream::connect(address).is_ok()
        })
        .await;
        nginx
    }

    /// The server as its clients see it.
    fn world(&self, options: &PgConnectOptions) -> Arc<World> {
        World::at(&format!("http://{}", self.address), options.clone())
    }

    /// What it wrote about its requests.
    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("access.log")).unwrap()
    }

    /// What it answers to these bytes, up to the end of the connection.
    fn answers(&self, request: &[u8]) -> String {
        answers(self.address, request)
    }
}

/// What is answered at this address to these bytes, up to the end of the connection.
fn answers(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The statuses of these answers.
fn statuses(answers: &str) -> Vec<&str> {
    let after_version = answers.split("HTTP/1.1 ").skip(1);
    after_version.map(|answer| &answer[..3]).collect()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Only a master that is asked to end takes its workers along.
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

/// A node that can be started again at the same address.
struct Node {
    address: SocketAddr,
    options: PgConnectOptions,
    world: Option<Arc<World>>,
}

impl Node {
    async fn start(options: &PgConnectOptions) -> Self {
        let mut node = Self {
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            options: options.clone(),
            world: None,
        };
        node.begin().await;
        node
    }

    async fn begin(&mut self) {
        let settings = Settings {
            listen_addr: self.address,
            database: Database::Given(Box::new(self.options.clone())),
            trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
            ..settings()
        };
        self.world = Some(World::start(settings, self.options.clone()).await);
    }

    async fn stop(&mut self) {
        if let Some(world) = self.world.take() {
            world.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_restarted_in_turn_and_no_request_fails() {
    let options = database().await;
    let mut nodes = [Node::start(&options).await, Node::start(&options).await];
    let nginx = Nginx::start(nodes.each_ref().map(|node| node.address)).await;
    let world = nginx.world(&options);
    let (ann, ben, conversation) = world.conversation().await;
    let has_ended = Arc::new(AtomicBool::new(false));
    let writer = {
        let (ann, conversation, has_ended) = (ann.clone(), conversation.clone(), has_ended.clone());
        tokio::spawn(async move {
            let mut ids = vec![];
            while !has_ended.load(Ordering::Relaxed) {
                ids.push(ann.adds(&conversation, "while nodes restart").await);
                ann.lists().await.ok();
            }
            ids
        })
    };
    let stored = async |more: i64| {
        let wanted = world.count("messages").await + more;
        eventually("messages", async || world.count("messages").await >= wanted).await;
    };
    for _ in 0..2 {
        for node in &mut nodes {
            stored(10).await;
            node.stop().await;
            stored(10).await;
            node.begin().await;
        }
    }
    stored(10).await;
    has_ended.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    let read = ben.reads_all(&conversation).await;
    let read: Vec<&str> = read.iter().map(|row| row["ID"].as_str().unwrap()).collect();
    assert_eq!(read, written);
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_balancer_look_like_those_of_the_server() {
    let options = database().await;
    let mut nodes = [Node::start(&options).await, Node::start(&options).await];
    let nginx = Nginx::start(nodes.each_ref().map(|node| node.address)).await;
    let world = nginx.world(&options);
    let refusal = |answer: &str, status: u16, code: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(
            head.contains("\r\nContent-Type: application/json"),
            "{answer}"
        );
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["status"], &body["errorcode"]),
            (&json!("ERROR"), &json!(code))
        );
        assert_ne!(body["errormessage"], json!(""));
    };
    for unreadable in [
        "nonsense\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n".to_owned(),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nLong: {}\r\n\r\n",
            "x".repeat(64 << 10)
        ),
    ] {
        refusal(&nginx.answers(unreadable.as_bytes()), 400, "bad_request");
    }
    let large = "POST /?srv=chatserver&api=chatlogin HTTP/1.1\r\nHost: x\r\nContent-Length: 5242881\r\n\r\n";
    refusal(&nginx.answers(large.as_bytes()), 413, "too_large");
    let good = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = nginx.answers(good.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for node in &mut nodes {
        node.stop().await;
    }
    let answer = nginx.answers(good.as_bytes());
    refusal(&answer, 503, "unavailable");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    // Back at once: a node that refused is not left out for a while.
    nodes[0].begin().await;
    assert_eq!(world.sends("GET", "/readyz").await.status, 200);
    nodes[0].stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_balancer_and_a_node_agree_where_a_request_ends() {
    let options = database().await;
    let mut nodes = [Node::start(&options).await, Node::start(&options).await];
    let nginx = Nginx::start(nodes.each_ref().map(|node| node.address)).await;
    let last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let get = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let post = "POST /?srv=chatserver&api=chatlogin HTTP/1.1\r\nHost: x\r\n";
    // Within the body there is another request, for whoever reads the head otherwise.
    let body = format!("{{\"a\":\"{last}\"}}");
    let (length, hex) = (body.len(), format!("{:x}", body.len()));
    for request in [
        "GET /healthz HTTP/1.1\nHost: x\n\n".to_owned(),
        format!("{get}X: y\n\n"),
        format!("{get}X: y\n\r\n"),
        format!("{get}X: y\r\n\n"),
        format!("{get}X: y\n\r\n\r\n"),
        format!("\n{get}\r\n"),
        format!("{post}Content-Length: {length}\n\n{body}"),
        format!("{post}X: y\nContent-Length: {length}\r\n\r\n{body}"),
        format!("{post}Content-Length: {length}\nX: y\r\n\r\n{body}"),
        format!("{post}X: y\rContent-Length: {length}\r\n\r\n{body}"),
        format!("{post}X: y\n Content-Length: {length}\r\n\r\n{body}"),
        format!("{post}Content-Length: {length}\r\nX: y\nContent-Length: 0\r\n\r\n{body}"),
        format!("{post}X: y\nTransfer-Encoding: chunked\r\n\r\n{hex}\r\n{body}\r\n0\r\n\r\n"),
        format!(
            "{post}Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n{hex}\r\n{body}\r\n0\r\n\r\n"
        ),
        format!("{post}Transfer-Encoding: chunked\n\n{hex}\r\n{body}\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n{hex}\n{body}\n0\n\n"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n{hex};x\ny\r\n{body}\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{body}\r\n0\r\nX: y\n\r\n"),
    ] {
        let sent = format!("{request}{last}");
        let (behind, alone) = (
            nginx.answers(sent.as_bytes()),
            answers(nodes[0].address, sent.as_bytes()),
        );
        for answers in [&behind, &alone] {
            let statuses = statuses(answers);
            // The second request is the second one, or what cannot be read ends the connection.
            assert!(
                statuses.is_empty() || statuses.last() == Some(&"400") || statuses.len() == 2,
                "{request:?}: {answers}"
            );
            assert!(
                statuses.len() < 2 || ["200", "400"].contains(&statuses[1]),
                "{request:?}: {answers}"
            );
            assert!(statuses.len() <= 2, "{request:?}: {answers}");
        }
        // Nothing of it is left on the connections between the two, which others' requests use.
        for _ in 0..4 {
            assert_eq!(
                statuses(&nginx.answers(last.as_bytes())),
                ["200"],
                "{request:?}"
            );
        }
    }
    for node in &mut nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_pass_the_balancer_and_no_signature_gets_into_its_log() {
    let options = database().await;
    let mut nodes = [Node::start(&options).await, Node::start(&options).await];
    let nginx = Nginx::start(nodes.each_ref().map(|node| node.address)).await;
    let (ann, ben, conversation) = nginx.world(&options).conversation().await;
    // A client of version 3 has its signature in the query.
    let mut socket = Socket::of(&ben, 3).await;
    ann.adds(&conversation, "pushed through the balancer").await;
    // Of another node, without a bus between them, it hears that it has to resync.
    socket.hears().await;
    drop(socket);
    eventually("the socket's line", async || {
        nginx.log().contains("GET /ws\"")
    })
    .await;
    let log = nginx.log();
    assert!(log.contains("api=chatconversation 200"), "{log}");
    for secret in ["signature", &ben.station, &ben.user] {
        assert!(!log.contains(secret), "{log}");
    }
    for node in &mut nodes {
        node.stop().await;
    }
}
