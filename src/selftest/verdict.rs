//! The verdict: what is in the database's answers, compared with what was answered OK.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde::Serialize;

use super::{
    Test,
    reader::{Held, Reader, next_page},
};
use crate::{
    bench::client::Client,
    model::{
        id::{ConversationId, MessageId},
        time::Timestamp,
    },
};

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Messages that were answered OK.
    pub messages: usize,
    /// Requests that were asked again.
    pub retries: usize,
    /// How often the server was killed.
    pub server_kills: usize,
    /// How often the database was killed.
    pub database_kills: usize,
    /// Answered OK, and not there.
    pub lost: usize,
    /// There twice, or read twice.
    pub doubled: usize,
    /// There, or read, in another order.
    pub reordered: usize,
    /// Never told to someone who waited.
    pub under_notified: usize,
    /// Read, and without the hash over all that came before it (docs/transcript.md).
    pub unproven: usize,
    /// Rules of `parlance doctor` that the tables do not keep.
    pub unsound: usize,
    /// How long was written.
    pub seconds: f64,
    /// What chance was decided by.
    pub seed: u64,
}

impl Verdict {
    /// As decided by this number.
    pub fn with(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether all promises were kept.
    pub fn is_good(&self) -> bool {
        self.lost + self.doubled + self.reordered + self.under_notified + self.unproven + self.unsound == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        writeln!(f, "messages answered OK   {} in {:.0} s, {} retries", self.messages, self.seconds, self.retries)?;
        writeln!(f, "killed                 server {}, database {}", self.server_kills, self.database_kills)?;
        writeln!(f, "lost                   {}", self.lost)?;
        writeln!(f, "doubled                {}", self.doubled)?;
        writeln!(f, "reordered              {}", self.reordered)?;
        writeln!(f, "under-notified         {}", self.under_notified)?;
        writeln!(f, "unproven               {}", self.unproven)?;
        writeln!(f, "rules not kept         {}", self.unsound)?;
        write!(f, "seed                   {}", self.seed)
    }
}

/// Reads everything, from the beginning.
pub async fn truth(test: &Test) -> Result<Held, String> {
    let mut client = Client::connect(test.place.address).await.map_err(|error| error.to_string())?;
    let mut truth = Held::new();
    for pair in &test.scene.conversations {
        let [user, _] = pair.users;
        let caller = test.scene.caller_of(user, 0).ok_or("a user has no station")?;
        let held = truth.entry(pair.conversation_id).or_default();
        loop {
            let asked = next_page(caller, pair.conversation_id, &test.scene.instance, Some(held));
            let request = test.scene.signer.request(asked, Timestamp::now())?;
            if let Some(code) = client.ask(&request).await.map_err(|error| error.to_string())? {
                return Err(format!("the history could not be read: {code}"));
            }
            let page = serde_json::from_slice(client.body()).map_err(|error| error.to_string())?;
            if !held.take(pair.conversation_id, &test.scene.instance, &page) {
                break;
            }
        }
    }
    Ok(truth)
}

/// Compares.
pub fn judge(test: &Test, truth: &Held, unsound: usize, readers: &[Arc<Reader>], kills: [usize; 2], took: Duration) -> Verdict {
    let answered = test.answered();
    let places: HashMap<ConversationId, HashMap<MessageId, usize>> =
        truth.iter().map(|(talk, held)| (*talk, held.rows.iter().enumerate().map(|(place, id)| (*id, place)).collect())).collect();
    let place = |talk: &ConversationId, id: &MessageId| places.get(talk).and_then(|places| places.get(id)).copied();
    let doubled = |rows: &[MessageId]| rows.len() - rows.iter().collect::<HashSet<_>>().len();
    let out_of_order = |talk: &ConversationId, rows: &[MessageId]| {
        let places: Vec<usize> = rows.iter().filter_map(|id| place(talk, id)).collect();
        places.windows(2).filter(|two| two.first() > two.last()).count()
    };
    let mut verdict = Verdict {
        messages: answered.values().map(Vec::len).sum(),
        retries: test.retries.load(Ordering::Relaxed),
        server_kills: kills[0],
        database_kills: kills[1],
        lost: 0,
        doubled: truth.values().map(|held| doubled(&held.rows)).sum(),
        reordered: 0,
        under_notified: readers.iter().map(|reader| reader.misses(truth)).sum(),
        unproven: truth.values().map(|held| held.unproven).sum(),
        unsound,
        seconds: took.as_secs_f64(),
        seed: 0,
    };
    for ((_, talk), ids) in answered.iter() {
        verdict.lost += ids.iter().filter(|id| place(talk, id).is_none()).count();
        verdict.reordered += out_of_order(talk, ids);
    }
    for reader in readers {
        for (talk, held) in reader.held().iter() {
            verdict.lost += held.rows.iter().filter(|id| place(talk, id).is_none()).count();
            verdict.doubled += doubled(&held.rows);
            verdict.reordered += out_of_order(talk, &held.rows);
            verdict.unproven += held.unproven;
        }
    }
    verdict
}
