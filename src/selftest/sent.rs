//! A message as its sender made it, with which everything that others are shown of it is compared.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use super::{
    chain::{Hash, sha256},
    form::{Id, dashed, now, plain, time},
    ledger::SLACK,
    request::{Request, Station, V3, V4},
    rng::Rng,
};

/// Maximum seconds that a sender's clock may be ahead.
const CLOCK_AHEAD: i64 = 300;
/// The default of `MESSAGE_LIFETIME`, in seconds.
const LIFETIME: i64 = 7 * 24 * 3600;

/// The encryption of a message.
#[derive(Debug, Clone)]
pub(super) struct Sealing {
    /// The number of its epoch.
    pub epoch: u32,
    /// When it was encrypted. It may be stored from then on.
    pub at: Instant,
    /// Its `Data`, shared by all who may send it again.
    pub data: Arc<str>,
}

/// A message as its sender made it, and what was answered.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub id: Id,
    pub sender: Station,
    pub conversation: Id,
    /// The instance that it is written for.
    pub instance: String,
    pub kind: &'static str,
    /// The time of the sender's clock, in Unix seconds.
    pub created: i64,
    /// Its end, if the sender sets one.
    pub valid_until: Option<i64>,
    /// Bytes of `Data`.
    pub bytes: usize,
    /// When it was first sent.
    pub begun: Instant,
    begun_at: i64,
    /// When it was first answered OK.
    pub answered: Option<Instant>,
    /// `Created` and `ValidUntil` as first answered.
    pub stored: Option<(i64, i64)>,
    /// SHA-256 of its `Data`.
    pub data: Hash,
    /// Its encryption. `None` for `Data` of the published form, which is opaque to the server and
    /// to this test.
    pub sealed: Option<Sealing>,
}

/// Base64 of this length, different for each id.
fn data(id: Id, bytes: usize) -> String {
    plain(id).chars().cycle().take(bytes).collect()
}

impl Sent {
    /// A new message of a random form.
    pub(super) fn new(
        sender: Station,
        conversation: Id,
        instance: &str,
        id: Id,
        bytes: usize,
        rng: &mut Rng,
    ) -> Self {
        let begun_at = now();
        let days = i64::try_from(rng.below(7)).unwrap_or(0) - 3;
        let created = match rng.below(20) {
            0..=11 => begun_at,
            // Many in the same second, by their senders' clocks: no order may be derived from times.
            12..=15 => begun_at / 1000 * 1000,
            16..=18 => begun_at + days * 24 * 3600,
            _ => begun_at + 200,
        };
        // At least a day from now, even for a clock that is three days behind: nothing expires during a run.
        let valid_until = rng
            .percent(30)
            .then_some(created + 24 * 3600 * (4 + i64::try_from(rng.below(30)).unwrap_or(0)));
        // All characters that a type may have: it must come back unchanged.
        let kind = rng
            .pick(&["Message", "Message", "Message", "Edit.v1", "a_b-c"])
            .copied()
            .unwrap_or("Message");
        let (instance, data) = (instance.to_owned(), sha256(&[data(id, bytes).as_bytes()]));
        Self {
            id,
            sender,
            conversation,
            instance,
            kind,
            created,
            valid_until,
            bytes,
            begun: Instant::now(),
            begun_at,
            answered: None,
            stored: None,
            data,
            sealed: None,
        }
    }

    /// Sets its encrypted content, or replaces it in another epoch.
    pub(super) fn seal(&mut self, epoch: u32, data: &str) {
        self.data = sha256(&[data.as_bytes()]);
        self.sealed = Some(Sealing {
            epoch,
            at: Instant::now(),
            data: data.into(),
        });
    }

    /// The request that sends it, with its epoch if it is encrypted.
    pub(super) fn add(&self) -> Request {
        let version = if self.sealed.is_some() { V4 } else { V3 };
        let asked = Request::on("add", self.conversation, &self.instance, version)
            .with("message", self.document(false));
        match &self.sealed {
            Some(sealed) => asked.with("epoch", sealed.epoch),
            None => asked,
        }
    }

    /// The request that sends other content under its id.
    pub(super) fn add_altered(&self) -> Request {
        Request::on("add", self.conversation, &self.instance, V3)
            .with("message", self.document(true))
    }

    /// The sender's time, in the form that clients write.
    pub(super) fn at(&self) -> String {
        time(self.created)
    }

    pub(super) fn text(&self) -> String {
        data(self.id, self.bytes)
    }

    /// The document that `add` takes. With `is_altered`, it has other content under the same id.
    pub(super) fn document(&self, is_altered: bool) -> String {
        let text = match &self.sealed {
            Some(sealed) if !is_altered => sealed.data.to_string(),
            _ => data(if is_altered { !self.id } else { self.id }, self.bytes),
        };
        let mut document = json!({ "ID": dashed(self.id), "Type": self.kind, "Created": time(self.created), "Data": text });
        if let (Some(valid_until), Some(fields)) = (self.valid_until, document.as_object_mut()) {
            fields.insert("ValidUntil".into(), time(valid_until).into());
        }
        document.to_string()
    }

    /// Returns why these cannot be this message's times, if so.
    pub(super) fn check_times(&self, created: i64, valid_until: i64) -> Option<&'static str> {
        if let Some(stored) = self.stored {
            // Once answered, its times are settled, whatever the clocks say by now.
            return (stored != (created, valid_until))
                .then_some("other times than those first answered");
        }
        // Judged by the server's clock, which may have moved on a little since this was made.
        let is_as_sent = created == self.created && self.created <= now() + CLOCK_AHEAD + SLACK;
        let is_set_to_now = self.created > self.begun_at + CLOCK_AHEAD
            && (self.begun_at - SLACK..=now() + SLACK).contains(&created);
        if !is_as_sent && !is_set_to_now {
            return Some("Created is not what was sent");
        }
        (valid_until != self.valid_until.unwrap_or(created + LIFETIME))
            .then_some("ValidUntil is not what was sent")
    }
}
