//! Nobody is told too seldom, whatever is late, lost, or happens elsewhere: clients that do what docs/api.md says, to
//! the letter, hold everything in the end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    live::Ear,
    nodes::{at, end, two_nodes, two_nodes_with_nats},
    world::{News, Person, Talk, World, eventually, message},
};

/// A v4 client that appends what a frame brings if the first event of each kind joins its newest row, and else downloads.
struct Follower {
    reader: Person,
    ear: Ear,
    held: HashMap<&'static str, Vec<String>>,
    newest_seq: i64,
    /// Rows that frames brought.
    appended: usize,
}

impl Follower {
    async fn of(reader: &Person) -> Self {
        let held = HashMap::from([("message", vec![]), ("report", vec![])]);
        Self {
            reader: reader.clone(),
            ear: Ear::of(reader, 4).await,
            held,
            newest_seq: 0,
            appended: 0,
        }
    }

    /// Follows until it holds so many messages and reports.
    async fn follows(&mut self, talk: &Talk, messages: usize, reports: usize) {
        while self.held["message"].len() < messages || self.held["report"].len() < reports {
            let frame = self.ear.hears().await;
            let events: Vec<Value> = frame["events"].as_array().unwrap().clone();
            let of = |kind: &str| {
                events
                    .iter()
                    .filter(|event| event.get(kind).is_some())
                    .cloned()
                    .collect::<Vec<_>>()
            };
            let joins = |kind: &str| {
                let newest = self.held[kind].last().cloned().unwrap_or_default();
                of(kind)
                    .first()
                    .is_none_or(|event| event["after"] == newest.as_str())
            };
            let is_new = frame["conversationchangedof"] != json!([])
                || frame["conversationlistchangedof"] != json!([]);
            if !events.is_empty() && joins("message") && joins("report") {
                for kind in ["message", "report"] {
                    for event in of(kind) {
                        // Within a frame each follows the one before.
                        assert_eq!(
                            event["after"],
                            self.held[kind].last().cloned().unwrap_or_default().as_str()
                        );
                        self.appended += 1;
                        self.held
                            .get_mut(kind)
                            .unwrap()
                            .push(event[kind]["ID"].as_str().unwrap().to_owned());
                        // What was added is dense: nothing that came before is missing.
                        if let Some(seq) = event[kind]["Seq"].as_i64() {
                            assert!(
                                self.newest_seq == 0 || seq > self.newest_seq,
                                "{seq} after {}",
                                self.newest_seq
                            );
                            self.newest_seq = seq;
                        }
                    }
                }
            } else if is_new {
                self.downloads(talk).await;
            }
        }
    }

    async fn downloads(&mut self, talk: &Talk) {
        let cursor = json!({ "firstmessageid": self.held["message"].last(), "firstreportid": self.held["report"].last() });
        let page = self
            .reader
            .asks_as(
                4,
                "chatconversation",
                crate::world::on("download", talk, cursor),
            )
            .await
            .is_ok();
        for (kind, rows) in [("message", "messages"), ("report", "reports")] {
            let held = self.held.get_mut(kind).unwrap();
            let ids = page[rows]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["ID"].as_str().unwrap().to_owned());
            let skip = usize::from(!held.is_empty());
            held.extend(ids.skip(skip).collect::<Vec<_>>());
        }
        if let Some(seq) = page["messages"]
            .as_array()
            .unwrap()
            .last()
            .and_then(|row| row["Seq"].as_i64())
        {
            self.newest_seq = self.newest_seq.max(seq);
        }
    }
}

async fn ids_of(person: &Person, talk: &Talk) -> Vec<String> {
    person
        .reads_all(talk)
        .await
        .iter()
        .map(|row| row["ID"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_client_that_appends_what_joins_holds_everything_however_many_write_at_once() {
    let world = World::with(|settings| settings.workers = 2).await;
    let (ann, ben, talk) = world.talk().await;
    let mut follower = Follower::of(&ben).await;
    let writes = async {
        for round in 0..40 {
            let ids = join_all((0..8).map(|n| {
                let (ann, talk) = (ann.clone(), talk.clone());
                async move { ann.adds(&talk, &format!("{round} {n}")).await }
            }))
            .await;
            // Reports are stored in batches of their own, and announced beside the messages.
            let views = ids.chunks(2).map(|two| ben.views(&talk, two));
            join_all(views).await;
        }
    };
    tokio::join!(writes, follower.follows(&talk, 320, 320));
    assert!(follower.appended > 0, "frames bring rows");
    assert_eq!(follower.held["message"], ids_of(&ann, &talk).await);
    world.end().await;
}

#[tokio::test]
async fn on_two_nodes_too_a_client_that_appends_what_joins_holds_everything() {
    let (_nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, talk) = nodes[0].talk().await;
    let (anns_other, bens_other) = (at(&nodes[1], &ann).await, at(&nodes[1], &ben).await);
    let (mut here, mut there) = (Follower::of(&ben).await, Follower::of(&bens_other).await);
    let writes = async {
        for round in 0..40 {
            join_all((0..6).map(|n| {
                let writer = if n % 2 == 0 {
                    ann.clone()
                } else {
                    anns_other.clone()
                };
                let talk = talk.clone();
                async move { writer.adds(&talk, &format!("{round} {n}")).await }
            }))
            .await;
        }
    };
    tokio::join!(
        writes,
        here.follows(&talk, 240, 0),
        there.follows(&talk, 240, 0)
    );
    assert!(here.appended > 0, "frames bring rows");
    let all = ids_of(&ann, &talk).await;
    assert_eq!(here.held["message"], all);
    assert_eq!(there.held["message"], all);
    end(nodes).await;
}

/// Polls, and goes without the answer: at once, or once it has come.
async fn loses_a_poll(person: &Person, version: i64, waits: bool) {
    let mut connection = person.world.connection().await;
    connection
        .write_all(&person.request(version, "chatnotification", json!({ "action": "download" })))
        .await
        .unwrap();
    if waits {
        connection.readable().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_lost_answer_to_a_poll_told_is_told_again() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ben.listens().await;
    for round in 0..20 {
        ann.adds(&talk, &round.to_string()).await;
        for _ in 0..=round % 2 {
            loses_a_poll(&ben, 3 + round % 2, round % 3 > 0).await;
        }
        // The lost poll may be answered after this one.
        let told = async || ben.hears().await.conversations == [talk.id.clone()];
        eventually("the news", told).await;
        eventually("quiet", async || ben.hears().await == News::default()).await;
    }
    world.end().await;
}

/// Asks on a connection; the answer's body.
async fn asks_on(connection: &mut TcpStream, request: &[u8]) -> Value {
    connection.write_all(request).await.unwrap();
    let mut answer = vec![];
    let mut piece = [0; 4096];
    loop {
        let n = connection.read(&mut piece).await.unwrap();
        assert!(n > 0, "an answer");
        answer.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(json) = serde_json::from_str::<Value>(body)
        {
            return json;
        }
    }
}

#[tokio::test]
async fn the_next_request_on_a_connection_shows_that_the_answer_before_arrived() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ben.listens().await;
    ben.hears().await;
    let poll = ben.request(3, "chatnotification", json!({ "action": "download" }));
    let (mut own, mut other) = (world.connection().await, world.connection().await);
    for (round, next) in [
        poll.clone(),
        ben.request(3, "chatfriends", json!({ "action": "list" })),
    ]
    .iter()
    .enumerate()
    {
        ann.adds(&talk, &round.to_string()).await;
        // Asked elsewhere it is told again, as it may have been lost.
        assert_eq!(
            asks_on(&mut own, &poll).await["conversationchangedof"],
            json!([talk.id])
        );
        assert_eq!(
            asks_on(&mut other, &poll).await["conversationchangedof"],
            json!([talk.id])
        );
        asks_on(&mut other, next).await;
        assert_eq!(
            asks_on(&mut own, &poll).await["conversationchangedof"],
            json!([])
        );
    }
    world.end().await;
}

#[tokio::test]
async fn what_was_told_stays_told_once_the_station_shows_that_it_has_it() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ben.listens().await;
    let poll = |fields: Value| ben.request(4, "chatnotification", fields);
    // Each on a connection of its own, as behind a proxy.
    let asks = async |request: Vec<u8>| asks_on(&mut world.connection().await, &request).await;
    ben.hears().await;
    ann.adds(&talk, "x").await;
    let first = asks(poll(json!({ "action": "download" }))).await;
    let again = asks(poll(
        json!({ "action": "download", "received": "ab".repeat(16) }),
    ))
    .await;
    for told in [&first, &again] {
        assert_eq!(told["conversationchangedof"], json!([talk.id]));
    }
    assert_ne!(first["receipt"], again["receipt"]);
    // An answer to a v3 client carries no receipt.
    assert!(
        asks(ben.request(3, "chatnotification", json!({ "action": "download" })))
            .await
            .get("receipt")
            .is_none()
    );
    let newest = asks(poll(json!({ "action": "download" }))).await;
    let quiet = asks(poll(
        json!({ "action": "download", "received": newest["receipt"] }),
    ))
    .await;
    assert_eq!(quiet["conversationchangedof"], json!([]));
    // Who fetches it has it, too.
    ann.adds(&talk, "y").await;
    assert_eq!(
        asks(poll(json!({ "action": "download" }))).await["conversationchangedof"],
        json!([talk.id])
    );
    asks(ben.request(
        4,
        "chatconversation",
        crate::world::on("download", &talk, json!({})),
    ))
    .await;
    assert_eq!(
        asks(poll(json!({ "action": "download" }))).await["conversationchangedof"],
        json!([])
    );
    // The list, to a client that has no invitations to look at beside it.
    ann.does("clear", &talk, json!({})).await.is_ok();
    for (version, is_told_again) in [(4, true), (3, false)] {
        assert_eq!(
            asks(poll(json!({ "action": "download" }))).await["conversationlistchangedof"],
            json!([ben.user])
        );
        asks(ben.request(version, "chatconversation", json!({ "action": "list" }))).await;
        let again = asks(poll(json!({ "action": "download" }))).await;
        assert_eq!(
            again["conversationlistchangedof"] == json!([ben.user]),
            is_told_again,
            "{version}"
        );
    }
    let wrong = asks(poll(json!({ "action": "download", "received": "x" }))).await;
    assert_eq!(wrong["errorcode"], "bad_request");
    world.end().await;
}

#[tokio::test]
async fn behind_a_proxy_the_next_request_on_a_connection_shows_nothing() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ben.listens().await;
    ben.hears().await;
    ann.adds(&talk, "x").await;
    let body =
        json!({ "action": "download", "clientversioncode": 3, "timestamp": crate::world::now() })
            .to_string();
    let signature = ben.signs("chatserver", "chatnotification", &body);
    for header in [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=203.0.113.9"),
        ("Via", "1.1 proxy"),
    ] {
        let headers = [
            ("Ozeki-User", &*ben.user),
            ("Ozeki-Station", &*ben.station),
            ("Ozeki-Signature", &*signature),
            header,
        ];
        let told = world
            .posts("chatserver", "chatnotification", &headers, &body)
            .await
            .is_ok();
        assert_eq!(
            told["conversationchangedof"],
            json!([talk.id]),
            "{header:?}"
        );
    }
    // The same client, without a proxy.
    assert_eq!(ben.hears().await.conversations, [talk.id]);
    assert_eq!(ben.hears().await, News::default());
    world.end().await;
}

#[tokio::test]
async fn a_node_that_ends_and_stays_away_takes_nothing_along() {
    // The other one looks seldom, so that all of what follows is between two looks.
    let nodes = two_nodes(|settings| settings.timings.heartbeat = Duration::from_secs(2)).await;
    let (ann, ben, talk) = nodes[0].talk().await;
    let there = at(&nodes[1], &ben).await;
    there.listens().await;
    // As long as both live, everyone is told all the time.
    eventually("both to know each other", async || {
        there.hears().await.lists == [ben.user.clone()]
    })
    .await;
    ann.adds(&talk, "the last word").await;
    there.hears().await;
    nodes[0].stop().await;
    // It says so itself: nobody has to wait until it is missed.
    assert_eq!(nodes[1].count("nodes where ended_at is not null").await, 1);
    let told = async || {
        let heard = there.hears().await;
        heard.lists == [ben.user.clone()] || heard.conversations == [talk.id.clone()]
    };
    eventually("the news", told).await;
    // And then there is quiet: the node that ended is not missed for ever.
    eventually("quiet", async || there.hears().await == News::default()).await;
    end(nodes).await;
}

#[tokio::test]
async fn a_node_that_starts_and_ends_between_two_looks_of_another_is_missed_too() {
    let long = |settings: &mut parlance::settings::Settings| {
        settings.timings.heartbeat = Duration::from_secs(3);
    };
    let here = World::with(long).await;
    let (ann, ben, talk) = here.talk().await;
    ben.listens().await;
    let brief = here.another_with(long).await;
    let writer = at(&brief, &ann).await;
    writer.adds(&talk, "in passing").await;
    brief.stop().await;
    eventually("the news", async || {
        let heard = ben.hears().await;
        heard.lists == [ben.user.clone()] || heard.conversations == [talk.id.clone()]
    })
    .await;
    here.end().await;
}

#[tokio::test]
async fn what_is_left_of_a_cut_page_is_told_wherever_the_station_listens() {
    let (_nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, talk) = nodes[0].talk().await;
    fill(&nodes[0], &ann, &talk, 1200).await;
    let mut ear = Ear::of(&ben, 3).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    ear.calms_down().await;
    // The same station, whose requests another node answers.
    let there = Person {
        world: nodes[1].clone(),
        ..ben.clone()
    };
    let page = there.reads(&talk).await["messages"].clone();
    assert_eq!(page.as_array().unwrap().len(), 1000);
    let frame = ear.hears().await;
    assert_eq!(
        (
            &frame["conversationchangedof"],
            &frame["conversationlistchangedof"]
        ),
        (&json!([talk.id]), &json!([]))
    );
    let rest = there
        .does(
            "download",
            &talk,
            json!({ "firstmessageid": page[999]["ID"] }),
        )
        .await
        .is_ok();
    assert_eq!(rest["messages"].as_array().unwrap().len(), 201);
    ear.hears_nothing().await;
    end(nodes).await;
}

/// Has so many messages be in a conversation.
async fn fill(world: &Arc<World>, author: &Person, talk: &Talk, messages: usize) {
    for round in 0..messages / 40 {
        join_all((0..40).map(|n| async move {
            author
                .does(
                    "add",
                    talk,
                    json!({ "message": message(&format!("{round} {n}")) }),
                )
                .await
                .is_ok()
        }))
        .await;
    }
    assert_eq!(
        world.count("messages").await,
        i64::try_from(messages).unwrap()
    );
}
