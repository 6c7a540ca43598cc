//! A client that appends what follows its newest row holds everything.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::ids_of;
use crate::{
    nodes::{at, end, two_nodes_with_nats},
    world::{Conversation, Person, Socket, World},
};

/// A v4 client that appends the events of a frame that it does not have yet if the first of each
/// kind follows its newest row, and otherwise downloads.
struct Follower {
    reader: Person,
    socket: Socket,
    held: HashMap<&'static str, Vec<String>>,
    newest_seq: i64,
    /// Number of rows that came with frames.
    appended: usize,
}

impl Follower {
    async fn of(reader: &Person) -> Self {
        let held = HashMap::from([("message", vec![]), ("report", vec![])]);
        Self {
            reader: reader.clone(),
            socket: Socket::of(reader, 4).await,
            held,
            newest_seq: 0,
            appended: 0,
        }
    }

    /// Follows until it holds this many messages and reports.
    async fn follows(&mut self, conversation: &Conversation, messages: usize, reports: usize) {
        while self.held["message"].len() < messages || self.held["report"].len() < reports {
            let frame = self.socket.hears().await;
            let sent = frame["events"].as_array().unwrap();
            // A download brings rows whose frames are still on their way. A client that downloaded
            // again for each of them would always be behind its frames, and append nothing.
            let events: Vec<Value> = sent
                .iter()
                .filter(|event| !self.holds(event))
                .cloned()
                .collect();
            let is_held = !sent.is_empty() && events.is_empty();
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
                        // Within a frame, each event follows the previous one.
                        assert_eq!(
                            event["after"],
                            self.held[kind].last().cloned().unwrap_or_default().as_str()
                        );
                        self.appended += 1;
                        self.held
                            .get_mut(kind)
                            .unwrap()
                            .push(event[kind]["ID"].as_str().unwrap().to_owned());
                        // The appended numbers are dense, so no earlier row is missing.
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
            } else if is_new && !is_held {
                self.downloads(conversation).await;
            }
        }
    }

    fn holds(&self, event: &Value) -> bool {
        self.held
            .iter()
            .any(|(kind, ids)| ids.iter().rev().any(|id| event[kind]["ID"] == id.as_str()))
    }

    async fn downloads(&mut self, conversation: &Conversation) {
        let cursor = json!({ "firstmessageid": self.held["message"].last(), "firstreportid": self.held["report"].last() });
        let page = self
            .reader
            .asks_as(
                4,
                "chatconversation",
                crate::world::request("download", conversation, cursor),
            )
            .await
            .ok();
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

#[tokio::test]
async fn a_client_that_appends_adjoining_pages_holds_everything_with_many_writers() {
    let world = World::with(|settings| settings.workers = 2).await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut follower = Follower::of(&ben).await;
    let writes = async {
        for round in 0..40 {
            let ids = join_all((0..8).map(|n| {
                let (ann, conversation) = (ann.clone(), conversation.clone());
                async move { ann.adds(&conversation, &format!("{round} {n}")).await }
            }))
            .await;
            // Reports are stored in batches of their own, and announced concurrently with messages.
            let views = ids.chunks(2).map(|two| ben.views(&conversation, two));
            join_all(views).await;
        }
    };
    tokio::join!(writes, follower.follows(&conversation, 320, 320));
    let mut written = 320;
    while follower.appended == 0 {
        assert!(written < 380, "frames bring rows");
        ann.adds(&conversation, "alone").await;
        written += 1;
        follower.follows(&conversation, written, 320).await;
    }
    assert_eq!(follower.held["message"], ids_of(&ann, &conversation).await);
    world.end().await;
}

#[tokio::test]
async fn a_client_that_appends_adjoining_pages_holds_everything_on_two_nodes() {
    let (_nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, conversation) = nodes[0].conversation().await;
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
                let conversation = conversation.clone();
                async move { writer.adds(&conversation, &format!("{round} {n}")).await }
            }))
            .await;
        }
    };
    tokio::join!(
        writes,
        here.follows(&conversation, 240, 0),
        there.follows(&conversation, 240, 0)
    );
    // Under concurrent writes, a row may be announced late, and is then only named. Once the
    // writers are done, a row follows the last one that its node has announced, and the frame has
    // it.
    let mut written = 240;
    while here.appended == 0 {
        assert!(written < 300, "frames bring rows");
        ann.adds(&conversation, "alone").await;
        written += 1;
        tokio::join!(
            here.follows(&conversation, written, 0),
            there.follows(&conversation, written, 0)
        );
    }
    let all = ids_of(&ann, &conversation).await;
    assert_eq!(here.held["message"], all);
    assert_eq!(there.held["message"], all);
    end(nodes).await;
}
