//! A client of version 4 comes back and asks what has changed in its list: 3 of 1,000 conversations.
//! Beside it, all of that list.

use std::time::{Duration, Instant};

use parlance_wire::time::Timestamp;
use serde_json::Value;

use super::{
    Measuring,
    client::Client,
    report::Measurement,
    requests::{self, Caller, UnsignedRequest},
    workload::Workload,
};
use crate::store::seed::Pair;

/// Number of conversations that have changed.
const CHANGED: usize = 3;
/// Maximum time until the server gives marks: data that was made beside it ended the era, and its next heartbeat begins one.
const MARKS_TIMEOUT: Duration = Duration::from_secs(30);

impl Measuring<'_> {
    /// Two rows: what has changed, and the whole list.
    pub(super) async fn list_known(&self) -> Result<[Measurement; 2], String> {
        let mut client = Client::connect(self.target.address)
            .await
            .map_err(|error| error.to_string())?;
        let mut marks = vec![];
        for caller in &self.fixture.long_lists {
            marks.push((*caller, self.mark(&mut client, *caller).await?));
            for friend in self.fixture.users.iter().take(CHANGED) {
                let conversation = Pair::of(caller.user, *friend).conversation_id;
                let (instance, bytes) = (&self.fixture.instance, self.bench.bytes);
                let add = requests::add(*caller, conversation, instance, bytes);
                self.answer(&mut client, add).await?;
            }
        }
        let first = marks.first().ok_or("there are no lists")?;
        let signed = |count, from: usize, is_whole: bool| {
            self.signer.requests(count, |number| {
                let (caller, mark) = marks.get((from + number) % marks.len()).unwrap_or(first);
                requests::list_v4(*caller, (!is_whole).then_some(mark))
            })
        };
        let workload = Workload::ListKnown;
        let name = workload.name();
        let whole = format!("{name}, all of it");
        let known = self.runs(name, workload, |count, from| signed(count, from, false));
        Ok([
            known.await?,
            self.runs(whole, workload, |count, from| signed(count, from, true))
                .await?,
        ])
    }

    /// The mark of a user's list.
    async fn mark(&self, client: &mut Client, caller: Caller) -> Result<String, String> {
        let deadline = Instant::now() + MARKS_TIMEOUT;
        loop {
            let list = requests::list_v4(caller, None);
            let answer = self.answer(client, list).await?;
            match answer.get("known").and_then(Value::as_str) {
                Some(mark) if !mark.is_empty() => return Ok(mark.to_owned()),
                _ if Instant::now() > deadline => return Err("the server gives no marks".into()),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The answer to a request that must not be refused.
    async fn answer(&self, client: &mut Client, asked: UnsignedRequest) -> Result<Value, String> {
        let request = self.signer.request(asked, Timestamp::now())?;
        match client.ask(&request).await {
            Ok(None) => serde_json::from_slice(client.body()).map_err(|error| error.to_string()),
            Ok(Some(code)) => Err(format!("the list could not be made: {code}")),
            Err(error) => Err(error.to_string()),
        }
    }
}
