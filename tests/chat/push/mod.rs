//! Web Push: a station without a socket is woken once when something is new, by an empty push, and
//! whoever does not want to hear is left alone.

mod life;
mod service;

use std::sync::Arc;

use serde_json::{Value, json};

use self::service::{CONTACT, HANGING, PushService};
use crate::world::{Answer, Conversation, Person, Socket, World, eventually, message};

/// Where a person's station is pushed.
fn endpoint(person: &Person) -> String {
    format!("https://push.example/send/{}?t=1", person.station)
}

async fn asks(person: &Person, fields: Value) -> Answer {
    person.asks_as(4, "chatlogin", fields).await
}

async fn enables(person: &Person) {
    let request = json!({ "action": "enablepush", "endpoint": endpoint(person) });
    asks(person, request).await.ok();
}

/// A station was woken, and says so before it fetches.
async fn wakes_up(person: &Person) {
    asks(person, json!({ "action": "ackpush" })).await.ok();
}

/// Whether a station was claimed for a push and has not woken up since.
async fn is_claimed(world: &World, person: &Person) -> bool {
    sqlx::query_scalar("select pushed_at is not null from push_subscriptions where replace(station_id::text, '-', '') = $1")
        .bind(&person.station)
        .fetch_one(&world.db)
        .await
        .unwrap()
}

/// Whether the database says that a node holds a station's socket.
async fn has_known_socket(world: &World, person: &Person) -> bool {
    sqlx::query_scalar(
        "select node_id is not null from push_subscriptions where replace(station_id::text, '-', '') = $1",
    )
    .bind(&person.station)
    .fetch_one(&world.db)
    .await
    .unwrap()
}

/// A world with a push service, and three people. Cleo is pushed: once something was pushed to her,
/// everything before was decided, as a node decides in order.
struct Pushed {
    world: Arc<World>,
    service: PushService,
    ann: Person,
    ben: Person,
    cleo: Person,
    conversation: Conversation,
    witness: Conversation,
}

impl Pushed {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut parlance::settings::Settings)) -> Self {
        let service = PushService::start().await;
        let world = World::with(|settings| {
            service.serves(settings);
            change(settings);
        })
        .await;
        let (ann, ben, conversation) = world.conversation().await;
        let cleo = world.person("Cleo").await;
        ann.befriends(&cleo).await;
        let witness = ann.creates(&cleo).await;
        enables(&cleo).await;
        Self {
            world,
            service,
            ann,
            ben,
            cleo,
            conversation,
            witness,
        }
    }

    async fn key(&self) -> String {
        let answer = asks(&self.ben, json!({ "action": "push" })).await.ok();
        answer["pushkey"].as_str().unwrap().to_owned()
    }

    /// Asserts that this station was not pushed because of anything up to now.
    async fn leaves_alone(&mut self, person: &Person) {
        self.ann.adds(&self.witness, "for Cleo").await;
        let received = self.service.receives().await;
        assert!(received.path.contains(&self.cleo.station), "{received:?}");
        assert!(!is_claimed(&self.world, person).await);
        wakes_up(&self.cleo).await;
    }

    /// Asserts that this station is pushed next.
    async fn pushes(&mut self, person: &Person) {
        let received = self.service.receives().await;
        assert!(received.path.contains(&person.station), "{received:?}");
    }

    async fn end(mut self) {
        self.world.end().await;
        self.service.has_received_nothing();
    }
}

#[tokio::test]
async fn a_push_is_empty_and_says_who_sends_it() {
    let mut pushed = Pushed::new().await;
    enables(&pushed.ben).await;
    pushed.ann.adds(&pushed.conversation, "hi").await;
    let received = pushed.service.receives().await;
    let station = &pushed.ben.station;
    assert_eq!(received.path, format!("/send/{station}?t=1"));
    assert_eq!(received.body, b"");
    let header = |name: &str| received.headers.get(name).map(String::as_str);
    assert_eq!(header("content-length"), Some("0"));
    assert_eq!(header("host"), Some("push.example"));
    assert_eq!(header("ttl"), Some("604800"));
    assert_eq!(header("urgency"), Some("normal"));
    assert_eq!(header("topic"), Some("parlance"));
    assert_eq!(header("content-encoding"), None);
    let claims = received.is_signed_by(&pushed.key().await);
    assert_eq!(claims["aud"], "https://push.example");
    assert_eq!(claims["sub"], CONTACT);
    // Nothing else: not whom it is for, nor what it is about.
    assert_eq!(claims.as_object().unwrap().len(), 3);
    pushed.end().await;
}

#[tokio::test]
async fn a_station_is_pushed_once_until_it_wakes_up() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    for n in 0..5 {
        pushed.ann.adds(&pushed.conversation, &n.to_string()).await;
    }
    pushed.pushes(&ben).await;
    pushed.ann.adds(&pushed.witness, "for Cleo").await;
    let cleo = pushed.cleo.clone();
    pushed.pushes(&cleo).await;
    // Awake: what comes next is pushed again.
    wakes_up(&ben).await;
    pushed.ann.adds(&pushed.conversation, "more").await;
    pushed.pushes(&ben).await;
    // A device that stays away is pushed again after a while.
    pushed
        .world
        .sql("update push_subscriptions set pushed_at = now() - interval '16 minutes'")
        .await;
    pushed.ann.adds(&pushed.conversation, "and more").await;
    pushed.pushes(&ben).await;
    pushed.end().await;
}

#[tokio::test]
async fn who_wrote_it_read_it_muted_it_or_hid_it_is_left_alone() {
    let mut pushed = Pushed::new().await;
    let (ann, ben) = (pushed.ann.clone(), pushed.ben.clone());
    let conversation = pushed.conversation.clone();
    enables(&ben).await;
    enables(&ann).await;
    for (action, undo) in [("mute", "unmute"), ("hide", "unhide")] {
        ben.does(action, &conversation, json!({})).await.ok();
        ann.adds(&conversation, "unheard").await;
        pushed.leaves_alone(&ben).await;
        ben.does(undo, &conversation, json!({})).await.ok();
    }
    // Hidden until it is cleared.
    let hidden = json!({ "hideid": format!("{};", conversation.instance) });
    ben.does("hide", &conversation, hidden).await.ok();
    ann.adds(&conversation, "unheard").await;
    pushed.leaves_alone(&ben).await;
    ben.does("unhide", &conversation, json!({})).await.ok();
    // What is no message for people.
    let mut message = message("a heart");
    message["Type"] = "Reaction".into();
    let reaction = json!({ "message": message.to_string() });
    ann.does("add", &conversation, reaction).await.ok();
    pushed.leaves_alone(&ben).await;
    // What Ben has viewed by the time it would be pushed.
    let (world, user) = (pushed.world.clone(), ben.user.clone());
    let has_viewed = async |seq: i64| {
        let whose = format!("where user_id = '{user}'");
        world
            .sql(&format!(
                "update participants set viewed_seq = {seq} {whose}"
            ))
            .await;
    };
    has_viewed(1000).await;
    ann.adds(&conversation, "viewed").await;
    pushed.leaves_alone(&ben).await;
    has_viewed(0).await;
    ann.adds(&conversation, "heard").await;
    // This one is heard; and the author's own station was never pushed.
    pushed.pushes(&ben).await;
    assert!(!is_claimed(&pushed.world, &ann).await);
    pushed.end().await;
}

#[tokio::test]
async fn a_station_with_a_socket_is_not_pushed_on_whichever_node_the_socket_is() {
    let mut pushed = Pushed::new().await;
    let world = pushed.world.clone();
    let other_node = pushed
        .world
        .another_with(|settings| pushed.service.serves(settings))
        .await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    let elsewhere = Person {
        world: other_node.clone(),
        ..ben.clone()
    };
    let mut socket = Socket::of(&elsewhere, 4).await;
    eventually("the socket is known", async || {
        has_known_socket(&world, &ben).await
    })
    .await;
    pushed.ann.adds(&pushed.conversation, "hi").await;
    pushed.leaves_alone(&ben).await;
    // A second station of the same user has none.
    let phone = ben.second_device().await;
    enables(&phone).await;
    pushed.ann.adds(&pushed.conversation, "hi, phone").await;
    pushed.pushes(&phone).await;
    assert!(!is_claimed(&pushed.world, &ben).await);
    wakes_up(&phone).await;
    // Once the socket is closed, both are pushed, each once, although there are two nodes.
    socket.drain().await;
    socket.closes().await;
    eventually("the end of the socket is known", async || {
        !has_known_socket(&world, &ben).await
    })
    .await;
    let from_elsewhere = Person {
        world: other_node.clone(),
        ..pushed.ann.clone()
    };
    from_elsewhere.adds(&pushed.conversation, "hi, both").await;
    let mut paths = [
        pushed.service.receives().await.path,
        pushed.service.receives().await.path,
    ];
    let mut expected = [&ben, &phone].map(|one| format!("/send/{}?t=1", one.station));
    paths.sort();
    expected.sort();
    assert_eq!(paths, expected);
    other_node.stop().await;
    pushed.end().await;
}

#[tokio::test]
async fn what_went_into_a_dead_socket_is_pushed_when_it_ends() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    let socket = Socket::of(&ben, 4).await;
    eventually("the socket is known", async || {
        has_known_socket(&pushed.world, &ben).await
    })
    .await;
    pushed.ann.adds(&pushed.conversation, "into the void").await;
    pushed.leaves_alone(&ben).await;
    // It never confirmed what it was sent.
    drop(socket);
    pushed.pushes(&ben).await;
    pushed.end().await;
}

#[tokio::test]
async fn the_socket_of_a_node_that_crashed_counts_for_nothing() {
    let mut pushed = Pushed::new().await;
    let ben = pushed.ben.clone();
    enables(&ben).await;
    pushed
        .world
        .sql("update push_subscriptions set node_id = gen_random_uuid()")
        .await;
    pushed.ann.adds(&pushed.conversation, "hi").await;
    pushed.pushes(&ben).await;
    pushed.end().await;
}

#[tokio::test]
async fn slow_push_services_of_one_user_delay_nobody_else() {
    let mut pushed = Pushed::new().await;
    // More than are sent at a time.
    for n in 0..20 {
        let device = pushed.ben.second_device().await;
        let endpoint = format!("https://push.example{HANGING}{n}");
        let request = json!({ "action": "enablepush", "endpoint": endpoint });
        asks(&device, request).await.ok();
    }
    pushed.ann.adds(&pushed.conversation, "hi").await;
    for _ in 0..2 {
        let received = pushed.service.receives().await;
        assert!(received.path.starts_with(HANGING), "{received:?}");
    }
    pushed.ann.adds(&pushed.witness, "for Cleo").await;
    let cleo = pushed.cleo.clone();
    pushed.pushes(&cleo).await;
    pushed.end().await;
}
