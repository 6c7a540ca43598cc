//! A reader: holds its conversations up to the newest row it knows, and looks again only when it is told to, and was not told
//! what is new.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use serde_json::Value;

use super::{Test, scene::Dice};
use crate::{
    bench::{
        client::Client,
        requests::{self, Asked, Caller},
        sockets::{self, Socket},
    },
    model::{
        chain::{Chain, DataHash},
        id::{ConversationId, MessageId},
        text::Instance,
        time::Timestamp,
    },
};

const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);
/// Of a hundred frames or polls, so many are followed by a cut.
const CUTS: usize = 3;

/// How a reader hears of what is new.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// It asks again and again.
    Polls,
    /// Through a WebSocket, which brings most messages itself.
    Listens,
}

/// What is held of each conversation.
pub type Held = HashMap<ConversationId, Talk>;

/// What is held of a conversation: its messages, in their order, and what the transcript proves of them.
#[derive(Debug, Default)]
pub struct Talk {
    /// The messages.
    pub rows: Vec<MessageId>,
    /// The chain up to the last of them.
    chain: Option<Chain>,
    /// How many messages do not carry the hash over all before them.
    pub unproven: usize,
}

impl Talk {
    /// Takes what is new of a page. Whether there was anything.
    pub fn take(&mut self, conversation: ConversationId, instance: &Instance, page: &Value) -> bool {
        let newest = self.rows.last().copied();
        let before = self.rows.len();
        for row in page.get("messages").and_then(Value::as_array).into_iter().flatten() {
            let id = row.get("ID").and_then(Value::as_str).and_then(MessageId::parse);
            if self.rows.len() > before || id != newest {
                self.push(conversation, instance, row);
            }
        }
        self.rows.len() > before
    }

    /// Takes a message that was pushed, if it follows the newest one that is held.
    fn append(&mut self, conversation: ConversationId, instance: &Instance, message: &Value, after: Option<MessageId>) -> bool {
        let follows = self.rows.last().copied() == after;
        if follows {
            self.push(conversation, instance, message);
        }
        follows
    }

    fn push(&mut self, conversation: ConversationId, instance: &Instance, row: &Value) {
        let text = |field: &str| row.get(field).and_then(Value::as_str);
        let Some(id) = text("ID").and_then(MessageId::parse) else { return };
        let (seq, data) = (row.get("Seq").and_then(Value::as_i64), text("Data"));
        let last = self.chain.unwrap_or_else(|| Chain::beginning(conversation, instance));
        let linked = seq.zip(data).map(|(seq, data)| last.link(seq, id, DataHash::of(data)));
        self.chain = text("Chain").and_then(Chain::parse);
        self.unproven += usize::from(linked.is_none() || linked != self.chain);
        self.rows.push(id);
    }
}

/// What follows the newest message held, with its proof.
pub fn next_page(caller: Caller, conversation: ConversationId, instance: &Instance, held: Option<&Talk>) -> Asked {
    let newest = held.and_then(|held| held.rows.last().copied());
    let mut asked = requests::download(caller, conversation, instance, newest);
    if let Some(fields) = asked.fields.as_object_mut() {
        fields.insert("clientversioncode".into(), 4.into());
    }
    asked
}

/// Someone who reads.
pub struct Reader {
    test: Arc<Test>,
    number: usize,
    way: Way,
    dice: Mutex<Dice>,
    held: Mutex<Held>,
}

impl Reader {
    /// The one with this number.
    pub fn new(test: Arc<Test>, number: usize, way: Way, dice: Dice) -> Self {
        Self { test, number, way, dice: Mutex::new(dice), held: Mutex::default() }
    }

    /// What it holds.
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages of its conversations it does not hold.
    pub fn misses(&self, truth: &Held) -> usize {
        let Some(caller) = self.test.scene.caller(self.number, 1) else { return 0 };
        let held = self.held();
        let talks = self.test.scene.talks(caller.user).iter();
        let missing = talks.map(|talk| {
            let has: HashSet<_> = held.get(talk).into_iter().flat_map(|held| &held.rows).collect();
            truth.get(talk).into_iter().flat_map(|truth| &truth.rows).filter(|id| !has.contains(id)).count()
        });
        missing.sum()
    }

    /// Reads until it is over.
    pub async fn run(&self) {
        let Some(caller) = self.test.scene.caller(self.number, 1) else { return };
        let mut client = None;
        let mut socket = None;
        // What it was told of and has not read yet.
        let mut due = BTreeSet::new();
        while !self.test.is_over() {
            let news = match self.way {
                Way::Polls => self.poll(caller, &mut client).await,
                Way::Listens => self.listen(caller, &mut socket).await,
            };
            if let Some(news) = news {
                let talks = self.test.scene.talks(caller.user);
                let named = |field: &str| news.get(field).and_then(Value::as_array).into_iter().flatten();
                let is_everything = named("conversationlistchangedof").next().is_some();
                let known = self.append(named("events"));
                let changed = named("conversationchangedof").filter_map(|id| ConversationId::parse(id.as_str()?));
                due.extend(changed.filter(|talk| known.get(talk) != Some(&true)));
                due.extend(talks.iter().filter(|_| is_everything));
            }
            while let Some(talk) = due.first().copied() {
                match self.read(caller, talk, &mut client).await {
                    Some(false) => drop(due.pop_first()),
                    Some(true) => {}
                    None => tokio::time::sleep(PAUSE).await,
                }
                if self.test.is_over() {
                    return;
                }
            }
            if self.is_cut() {
                (client, socket) = (None, None);
            }
        }
    }

    /// Takes the messages that a frame brought. Of which conversations it has everything by that, and of which it has not.
    fn append<'a>(&self, events: impl Iterator<Item = &'a Value>) -> HashMap<ConversationId, bool> {
        let mut known = HashMap::new();
        for event in events {
            let text = |field: &str| event.get(field).and_then(Value::as_str);
            let Some(talk) = text("conversationid").and_then(ConversationId::parse) else { continue };
            let is_known = known.entry(talk).or_insert(true);
            if let Some(message) = event.get("message").filter(|_| *is_known) {
                let after = text("after").and_then(MessageId::parse);
                *is_known = self.held().entry(talk).or_default().append(talk, &self.test.scene.instance, message, after);
            }
        }
        known
    }

    /// Asks what is new. An answer that was lost on the way may have said anything.
    async fn poll(&self, caller: Caller, client: &mut Option<Client>) -> Option<Value> {
        tokio::time::sleep(PAUSE).await;
        let answer = self.ask(requests::poll(caller), client).await;
        Some(answer.unwrap_or_else(|| serde_json::json!({ "conversationlistchangedof": [caller.user] })))
    }

    /// Hears the next frame.
    async fn listen(&self, caller: Caller, socket: &mut Option<Socket>) -> Option<Value> {
        if socket.is_none() {
            let opened = sockets::open_one(self.test.place.address, &self.test.scene.signer, caller).await;
            let Ok(opened) = opened else {
                tokio::time::sleep(PAUSE).await;
                return None;
            };
            *socket = Some(opened);
        }
        let frame = tokio::time::timeout(PAUSE, socket.as_mut()?.next()).await;
        match frame {
            Err(_) => None,
            Ok(Some(Ok(frame))) => serde_json::from_str(frame.to_text().ok()?).ok(),
            Ok(_) => {
                *socket = None;
                None
            }
        }
    }

    /// Reads on in a conversation. Whether there may be more; `None`: it has to be tried again.
    async fn read(&self, caller: Caller, talk: ConversationId, client: &mut Option<Client>) -> Option<bool> {
        let instance = &self.test.scene.instance;
        let asked = next_page(caller, talk, instance, self.held().get(&talk));
        let page = self.ask(asked, client).await?;
        Some(self.held().entry(talk).or_default().take(talk, instance, &page))
    }

    async fn ask(&self, asked: Asked, client: &mut Option<Client>) -> Option<Value> {
        let request = self.test.scene.signer.request(asked, Timestamp::now()).ok()?;
        let mut connected = match client.take() {
            Some(client) => client,
            None => Client::connect(self.test.place.address).await.ok()?,
        };
        let answer = tokio::time::timeout(PATIENCE, connected.ask(&request)).await.ok()?.ok()?;
        let body = serde_json::from_slice(connected.body()).ok()?;
        *client = Some(connected);
        answer.is_none().then_some(body)
    }

    fn is_cut(&self) -> bool {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).below(100) < CUTS
    }
}
