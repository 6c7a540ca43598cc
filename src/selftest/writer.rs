//! A writer: one message after the other, each again until it is answered OK.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::json;

use super::{Test, scene::Dice};
use crate::{
    bench::{
        client::Client,
        requests::{Asked, Caller},
    },
    model::{
        id::{ConversationId, MessageId},
        time::Timestamp,
    },
};

/// An answer is waited for so long; then the same is asked again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one waits before one asks again.
const PAUSE: Duration = Duration::from_millis(50);
/// Of a hundred requests, so many have their connection cut before the answer.
const CUTS: usize = 2;
/// A client's clock may be wrong by so many days.
const DAYS: usize = 3;

/// Someone who writes.
pub struct Writer {
    test: Arc<Test>,
    number: usize,
    pause: Option<Duration>,
    dice: Dice,
    client: Option<Client>,
}

impl Writer {
    /// The one with this number, who pauses for so long between messages.
    pub fn new(test: Arc<Test>, number: usize, pause: Option<Duration>, dice: Dice) -> Self {
        Self { test, number, pause, dice, client: None }
    }

    /// Writes until enough is written.
    pub async fn run(mut self) -> Result<(), String> {
        let caller = self.test.scene.caller(self.number, 0).ok_or("there are no users")?;
        let talks = self.test.scene.talks(caller.user).to_vec();
        while self.test.written.fetch_add(1, Ordering::Relaxed) < self.test.target.load(Ordering::Relaxed) {
            let Some(talk) = talks.get(self.dice.below(talks.len())) else { return Err("a user has no conversations".into()) };
            let id = MessageId::random();
            self.write(caller, *talk, id).await?;
            self.test.answered().entry((self.number, *talk)).or_default().push(id);
            if let Some(pause) = self.pause {
                tokio::time::sleep(pause).await;
            }
        }
        self.test.written.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    async fn write(&mut self, caller: Caller, talk: ConversationId, id: MessageId) -> Result<(), String> {
        let wrong = TimeDelta::days(i64::try_from(self.dice.below(2 * DAYS + 1)).unwrap_or(0) - 3);
        let created = Timestamp::now().plus(wrong);
        let message = json!({ "ID": id, "Type": "Message", "Created": created, "Data": format!("{id} by {}", self.number) }).to_string();
        let fields = json!({ "action": "add", "conversationid": talk, "instance": self.test.scene.instance, "message": message });
        loop {
            let asked = Asked { caller, api: "chatconversation", fields: fields.clone() };
            let request = self.test.scene.signer.request(asked, Timestamp::now())?;
            match self.ask(&request).await {
                Some(None) => return Ok(()),
                // A refusal that no retry mends is a broken promise.
                Some(Some(code)) if !["unavailable", "503"].contains(&code.as_str()) => {
                    return Err(format!("a message was refused: {code}"));
                }
                _ => {
                    self.test.retries.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// `None`: nobody knows what became of it.
    async fn ask(&mut self, request: &[u8]) -> Option<Option<String>> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(self.test.place.address).await.ok()?,
        };
        if self.dice.below(100) < CUTS {
            client.send_and_go(request).await;
            return None;
        }
        let answer = tokio::time::timeout(PATIENCE, client.ask(request)).await.ok()?.ok()?;
        self.client = Some(client);
        Some(answer)
    }
}
