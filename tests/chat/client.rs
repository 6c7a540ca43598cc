//! The client crate and its examples against a server: failures in between are repeated, and
//! nothing arrives twice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parlance_client::{
    DisplayName, Error, ErrorCode, Feed, History, NewUser, Secret, Server, Session, StationId,
    Update, answer::Conversation, message,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    time::timeout,
};

use crate::world::World;

mod account;
mod feed;

#[path = "../../crates/parlance-client/examples/news.rs"]
#[expect(dead_code, reason = "its `main`")]
mod news;

const PASSWORD: &str = "a long password";

/// Relays between client and server, and breaks connections on demand.
pub(crate) struct Relay {
    pub url: String,
    server: Mutex<String>,
    /// Number of answers that will get lost.
    lost: AtomicUsize,
    /// The answers to requests with this text get lost.
    pub loses: Mutex<Option<&'static str>>,
    /// Requests with this text are held back, until it is another one.
    pub holds: watch::Sender<Option<&'static str>>,
    /// Told when a request is held back.
    pub held: Notify,
    /// The first text becomes the second one, of the same length, in answers and frames.
    pub garbles: Mutex<Option<(String, String)>>,
    /// Changed to cut all connections.
    cut: watch::Sender<()>,
}

impl Relay {
    pub(crate) async fn open() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            server: Mutex::default(),
            lost: AtomicUsize::new(0),
            loses: Mutex::default(),
            holds: watch::Sender::new(None),
            held: Notify::new(),
            garbles: Mutex::default(),
            cut: watch::Sender::new(()),
        });
        tokio::spawn({
            let relay = relay.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(relay.clone().serve(client));
                }
            }
        });
        relay
    }

    /// Sends further connections to this server.
    pub(crate) fn leads_to(&self, world: &World) {
        world
            .url
            .trim_start_matches("http://")
            .clone_into(&mut self.server.lock().unwrap());
    }

    fn garble(&self, bytes: &mut [u8]) {
        let garbles = self.garbles.lock().unwrap();
        let Some((from, to)) = &*garbles else { return };
        assert_eq!(from.len(), to.len());
        for at in 0..bytes.len().saturating_sub(from.len()) {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
        }
    }

    async fn serve(self: Arc<Self>, client: TcpStream) {
        let mut cut = self.cut.subscribe();
        let address = self.server.lock().unwrap().clone();
        let server = TcpStream::connect(address).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let is_lost = AtomicBool::new(false);
        let requests = async {
            let mut bytes = vec![0; 64 << 10];
            while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                let request = String::from_utf8_lossy(&bytes[..length]);
                if self
                    .loses
                    .lock()
                    .unwrap()
                    .is_some_and(|text| request.contains(text))
                {
                    is_lost.store(true, Ordering::Relaxed);
                }
                let is_held = |held: Option<&str>| held.is_some_and(|text| request.contains(text));
                let mut holds = self.holds.subscribe();
                if is_held(*holds.borrow()) {
                    self.held.notify_one();
                }
                let _ = holds.wait_for(|held| !is_held(*held)).await;
                if to_server.write_all(&bytes[..length]).await.is_err() {
                    break;
                }
            }
        };
        let answers = async {
            let mut bytes = [0; 16 << 10];
            while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                self.garble(&mut bytes[..length]);
                let take = |lost: usize| lost.checked_sub(1);
                let lost = self
                    .lost
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
                if lost.is_ok()
                    || is_lost.load(Ordering::Relaxed)
                    || to_client.write_all(&bytes[..length]).await.is_err()
                {
                    break;
                }
            }
        };
        tokio::select! {
            () = answers => {}
            () = requests => {}
            _ = cut.changed() => {}
        }
    }
}

/// A world whose clients connect through a relay.
async fn relayed() -> (Arc<World>, Arc<Relay>) {
    let relay = Relay::open().await;
    let world = World::with(|settings| settings.public_url.clone_from(&relay.url)).await;
    relay.leads_to(&world);
    (world, relay)
}

async fn user(url: &str, name: &str) -> Session {
    let server = Server::new(url).unwrap();
    let email = format!("{}@example.org", name.to_lowercase());
    let new = NewUser {
        email: &email,
        fullname: name,
        nick: name,
        invite: None,
    };
    server.register(&new, PASSWORD).await.unwrap();
    server
        .login(&email, PASSWORD, StationId::random())
        .await
        .unwrap()
}

/// Ann and Ben, friends, and their conversation.
async fn friends(url: &str) -> (Session, Session, Conversation) {
    let (ann, ben) = tokio::join!(user(url, "Ann"), user(url, "Ben"));
    ann.add_friend("ben@example.org").await.unwrap();
    ben.accept_friend(ann.user()).await.unwrap();
    let secret = Secret::parse("d3JhcHBlZA==".into()).unwrap();
    let secrets = BTreeMap::from([(ann.user(), secret.clone()), (ben.user(), secret)]);
    let name = DisplayName::parse("bmFtZQ==".into()).unwrap();
    let names = BTreeMap::from([(ann.user(), name.clone()), (ben.user(), name)]);
    let conversation = ann.create(ben.user(), secrets, names).await.unwrap();
    (ann, ben, conversation)
}

async fn adds(session: &Session, conversation: &Conversation, data: &str) {
    let message = message(data).unwrap();
    session
        .add(conversation.id, &conversation.instance, message)
        .await
        .unwrap();
}

/// The next message of a feed.
async fn hears(feed: &mut Feed) -> String {
    let next = async {
        loop {
            if let Update::Message { message, .. } = feed.next().await.unwrap() {
                return message.data.as_str().to_owned();
            }
        }
    };
    timeout(Duration::from_secs(30), next)
        .await
        .expect("a message")
}

#[tokio::test]
async fn the_example_that_prints_news_prints_messages_and_reports() {
    let (world, relay) = relayed().await;
    let (ann, ben, conversation) = friends(&relay.url).await;
    let mut feed = Feed::open(ben).await.unwrap();
    let sent = message("aGVsbG8=").unwrap();
    let id = sent.id;
    ann.add(conversation.id, &conversation.instance, sent)
        .await
        .unwrap();
    ann.viewed(conversation.id, &conversation.instance, vec![id])
        .await
        .unwrap();
    let mut printed = Vec::new();
    let reported = format!("{id} viewed by {}\n", ann.user());
    let print = async {
        while !String::from_utf8_lossy(&printed).contains(&reported) {
            news::print(&feed.next().await.unwrap(), &mut printed).unwrap();
        }
    };
    timeout(Duration::from_secs(30), print)
        .await
        .expect("a report");
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        printed.contains(&format!("{}: aGVsbG8=\n", ann.user())),
        "{printed}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_reconnected_socket_gets_missed_messages_once_and_in_order_from_any_node() {
    let (world, relay) = relayed().await;
    let (ann, ben, conversation) = friends(&world.url).await;
    let ben_by_relay = Server::new(&relay.url)
        .unwrap()
        .login("ben@example.org", PASSWORD, StationId::random())
        .await
        .unwrap();
    let mut feed = Feed::open(ben_by_relay).await.unwrap();
    adds(&ann, &conversation, "one").await;
    assert_eq!(hears(&mut feed).await, "one");

    // On the same node, which still has what the socket did not deliver.
    relay.cut.send_replace(());
    adds(&ann, &conversation, "two").await;
    adds(&ben, &conversation, "three").await;
    assert_eq!(hears(&mut feed).await, "two");
    assert_eq!(hears(&mut feed).await, "three");

    // On another node without any of these changes, so the client resyncs.
    let node = world.another().await;
    relay.leads_to(&node);
    adds(&ann, &conversation, "four").await;
    relay.cut.send_replace(());
    assert_eq!(hears(&mut feed).await, "four");
    node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_sent_again_and_stored_once() {
    let (world, relay) = relayed().await;
    let (ann, _, conversation) = friends(&relay.url).await;
    relay.lost.store(2, Ordering::Relaxed);
    adds(&ann, &conversation, "once").await;
    assert_eq!(relay.lost.load(Ordering::Relaxed), 0, "answers were lost");
    assert_eq!(world.count("messages").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_group_is_not_made_twice_when_the_answer_was_lost() {
    let (world, relay) = relayed().await;
    let (ann, ..) = friends(&relay.url).await;
    let before = world.count("conversations").await;
    relay.lost.store(1, Ordering::Relaxed);
    let secret = Secret::parse("d3JhcHBlZA==".into()).unwrap();
    let made = ann
        .create_group(
            Secret::parse("bmFtZQ==".into()).unwrap(),
            [].into(),
            BTreeMap::from([(ann.user(), secret)]),
        )
        .await;
    assert!(matches!(made, Err(Error::Transport(_))), "{made:?}");
    assert_eq!(world.count("conversations").await, before + 1);
    world.end().await;
}

#[tokio::test]
async fn a_history_has_every_row_once_and_a_cleared_one_begins_anew() {
    let (world, relay) = relayed().await;
    let (ann, ben, conversation) = friends(&relay.url).await;
    for number in 0..20 {
        adds(&ann, &conversation, &number.to_string()).await;
    }
    let mut history = History::beginning(&conversation);
    let first = history.next_page(&ben).await.unwrap();
    assert_eq!(first.messages.len(), 20);
    let again = history.next_page(&ben).await.unwrap();
    assert!(again.messages.is_empty() && !again.hasmore);
    assert!(history.is_current(&ben.list().await.unwrap()[0]));

    let cleared = ann
        .clear(conversation.id, &conversation.instance)
        .await
        .unwrap();
    let error = history.next_page(&ben).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::StaleInstance));
    history.restart(cleared.instance.clone());
    adds(&ann, &cleared, "after").await;
    let page = history.next_page(&ben).await.unwrap();
    assert_eq!(page.messages[0].data.as_str(), "after");
    world.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_its_code() {
    let (world, relay) = relayed().await;
    let ann = user(&relay.url, "Ann").await;
    let server = Server::new(&relay.url).unwrap();
    let wrong = server
        .login("ann@example.org", "another password", StationId::random())
        .await;
    assert_eq!(wrong.unwrap_err().code(), Some(ErrorCode::LoginFailed));
    // Only her password decrypts her key.
    let key = ann.login().rsakey.clone();
    assert!(parlance_client::keys::KeyPair::decrypt(&key, "another password").is_err());
    world.end().await;
}

#[tokio::test]
async fn a_server_that_writes_without_end_does_not_fill_a_clients_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        // An answer before its request would be a different error.
        assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        let spaces = vec![b' '; 65_536];
        while client.write_all(&spaces).await.is_ok() {}
    });
    let server = Server::new(&url).unwrap();
    let error = server
        .login_service("an apikey", StationId::random())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge), "{error:?}");
}
