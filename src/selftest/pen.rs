//! A client that writes from one station. Most of its messages are encrypted, numbered and signed
//! (docs/e2ee.md).

use std::{collections::HashMap, time::Instant};

use parlance_client::{
    Timestamp,
    e2ee::{Body, Content, Envelope, Head, Kind as BodyKind, seal},
};
use parlance_wire::chain::Chain;
use serde_json::Value;

use super::{
    Test,
    form::{self, Id, dashed},
    keyring::{Followed, Keyring},
    people::Conversation,
    request::Station,
    rng::Rng,
    sent::Sent,
    wire::{Insisted, Wire},
};

/// Percentage of messages that are encrypted; the others are of the published form.
const SEALED_PERCENT: usize = 90;
/// Maximum bytes of a text to be encrypted: padded and in base64 it has to fit into a message.
const LONGEST_TEXT: usize = 41_000;

/// A client that writes from one station, one message at a time.
#[derive(Debug)]
pub(super) struct Pen {
    /// The user's number.
    pub who: usize,
    pub wire: Wire,
    pub keyring: Keyring,
    /// Number of encrypted messages that it has sent, by conversation and instance.
    counts: HashMap<(Id, String), u64>,
    rng: Rng,
}

impl Pen {
    /// A client of the user with this number.
    pub(super) fn new(who: usize, at: Station, rng: &mut Rng) -> Self {
        Self {
            who,
            wire: Wire::new(at, who, rng.fork()),
            keyring: Keyring::default(),
            counts: HashMap::new(),
            rng: rng.fork(),
        }
    }

    /// Creates a message to a conversation, and records it in the ledger before it is sent.
    pub(super) async fn write(
        &mut self,
        test: &Test,
        conversation: &Conversation,
        bytes: Option<usize>,
    ) -> Option<Sent> {
        let is_sealed = self.rng.percent(SEALED_PERCENT);
        if is_sealed && self.keyring.newest(conversation.id).is_none() {
            self.keyring
                .follow(test, &mut self.wire, conversation)
                .await;
        }
        let mut sent =
            test.unsent_message(conversation, self.wire.who, None, bytes, &mut self.rng)?;
        if is_sealed {
            // If it cannot be encrypted, which is recorded, it is sent as it is.
            self.seal(test, &mut sent);
        }
        test.ledger().is_sent(&sent);
        Some(sent)
    }

    /// Encrypts a message in the newest known epoch.
    fn seal(&self, test: &Test, sent: &mut Sent) -> Option<()> {
        let key = self.keyring.newest(sent.conversation)?;
        let user = test.people.users.get(self.who)?;
        let instance = form::instance(&sent.instance)?;
        let (seq, chain) = test.ledger().head(sent.conversation, &sent.instance);
        let mut said = sent.text();
        said.truncate(LONGEST_TEXT);
        let body = Body {
            at: Timestamp::parse(&sent.at())?,
            until: None,
            n: self.count(sent) + 1,
            head: Head {
                seq,
                chain: Chain::parse(&hex::encode(chain)),
            },
            ep: Some(key.announcement.hash()),
            log: None,
            content: Content::Known(BodyKind::Text {
                text: said,
                reply: None,
                mentions: vec![],
            }),
        };
        // The only type that `seal` accepts for a text.
        sent.kind = "Message";
        let envelope = Envelope {
            conversation: form::conversation(sent.conversation)?,
            instance: &instance,
            id: form::message(sent.id)?,
            user: user.id,
            station: form::station(sent.sender.station)?,
            r#type: sent.kind,
        };
        let epoch = key.announcement.epoch();
        let data = seal(&envelope, epoch, &key.secret, &user.sign, &body).ok()?;
        sent.seal(epoch.get(), data.as_str());
        Some(())
    }

    fn count(&self, sent: &Sent) -> u64 {
        let key = (sent.conversation, sent.instance.clone());
        self.counts.get(&key).copied().unwrap_or_default()
    }

    /// Sends a message until it is answered OK, or its instance is gone. If its epoch has ended, it
    /// was not stored, and is encrypted again under the same id.
    pub(super) async fn deliver(&mut self, test: &Test, sent: Sent) {
        let insisted = self.wire.insist(&test.cluster, &sent.add()).await;
        self.finish(test, sent, insisted).await;
    }

    /// Continues with a message after an answer.
    pub(super) async fn finish(&mut self, test: &Test, mut sent: Sent, mut insisted: Insisted) {
        loop {
            match insisted.result {
                Ok(answer) => return self.is_answered(test, &sent, &answer, insisted.answered),
                Err(refusal) => {
                    if refusal.is("stale_epoch") && self.renew(test, &mut sent).await {
                        insisted = self.wire.insist(&test.cluster, &sent.add()).await;
                        continue;
                    }
                    let is_late = refusal.is("stale_instance");
                    if !(is_late && test.is_cleared_often(sent.conversation)) {
                        let what = format!("add of {}", dashed(sent.id));
                        test.cluster.findings.add_refusal(&what, &refusal);
                    }
                    return;
                }
            }
        }
    }

    /// Records that a message was answered OK: its number is used up.
    pub(super) fn is_answered(&mut self, test: &Test, sent: &Sent, answer: &Value, at: Instant) {
        test.is_answered(sent, answer, at);
        if sent.sealed.is_some() {
            let key = (sent.conversation, sent.instance.clone());
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// Encrypts a message in a newer epoch. Returns `false` if there is none.
    async fn renew(&mut self, test: &Test, sent: &mut Sent) -> bool {
        let Some(before) = sent.sealed.as_ref().map(|sealed| sealed.epoch) else {
            return false;
        };
        let conversation = test
            .people
            .conversations
            .iter()
            .find(|one| one.id == sent.conversation);
        let Some(conversation) = conversation else {
            return false;
        };
        let followed = self
            .keyring
            .follow(test, &mut self.wire, conversation)
            .await;
        if followed != Followed::Yes || self.seal(test, sent).is_none() {
            return false;
        }
        test.ledger().is_sent(sent);
        sent.sealed
            .as_ref()
            .is_some_and(|sealed| sealed.epoch > before)
    }
}
