//! What docs/api.md says of ids, times and signed requests, written out anew: the server's own code checks nothing here.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{cluster::Cluster, dice::Dice};
use crate::bench::{
    client::Client,
    requests::Signer,
    sockets::{self, Socket},
};

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one waits before one asks again.
const PAUSE: Duration = Duration::from_millis(50);
/// Of a hundred requests that are repeated until they are answered, so many are cut off before their answer.
const CUTS: usize = 2;
/// The first client version that knows more than is published.
pub const V4: i64 = 4;
/// The published one.
pub const V3: i64 = 3;

/// The id of anything: 128 bits.
pub type Id = u128;

/// The form of user, station and conversation ids: 32 digits.
pub fn plain(id: Id) -> String {
    format!("{id:032x}")
}

/// The form of message and report ids: a UUID.
pub fn dashed(id: Id) -> String {
    let digits = plain(id);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// Reads the form without dashes, in lower case. `None`: it is another one.
pub fn read_plain(text: &str) -> Option<Id> {
    let fits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| Id::from_str_radix(text, 16).ok())?
}

/// Reads the form with dashes, in lower case. `None`: it is another one.
pub fn read_dashed(text: &str) -> Option<Id> {
    let id = read_plain(&text.replace('-', ""))?;
    (dashed(id) == text).then_some(id)
}

/// Now, in Unix seconds.
pub fn now() -> i64 {
    DateTime::<Utc>::from(std::time::SystemTime::now()).timestamp()
}

/// The form of a time, of Unix seconds.
pub fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads a time, as Unix seconds. `None`: it is of another form.
pub fn read_time(text: &str) -> Option<i64> {
    let seconds = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?.and_utc().timestamp();
    (time(seconds) == text).then_some(seconds)
}

/// A user at one of their stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Who.
    pub user: Id,
    /// Where.
    pub station: Id,
}

/// What is asked of an API.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Of which.
    pub api: &'static str,
    /// By a client of which version.
    pub version: i64,
    /// The action and its fields.
    pub fields: Value,
}

impl Asked {
    /// An action on a conversation.
    pub fn on(action: &str, conversation: Id, instance: &str, version: i64) -> Self {
        let fields = json!({ "action": action, "conversationid": plain(conversation), "instance": instance });
        Self { api: "chatconversation", version, fields }
    }

    /// With one more field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(fields) = self.fields.as_object_mut() {
            fields.insert(field.into(), value.into());
        }
        self
    }

    /// The request's bytes, signed at this moment. `from`: nobody, for a login or a registration.
    pub fn request(&self, signer: &Signer, host: &str, from: Option<Station>, dice: &mut Dice) -> Result<Vec<u8>, String> {
        let mut fields = self.fields.clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("clientversioncode".into(), self.version.into());
            fields.insert("timestamp".into(), time(now()).into());
            if self.version >= V4 {
                fields.insert("nonce".into(), format!("{:016x}{:016x}", dice.roll(), dice.roll()).into());
            }
        }
        let (api, body) = (self.api, fields.to_string());
        let head = match from {
            Some(Station { user, station }) => {
                let (user, station) = (plain(user), plain(station));
                let signature = signer.sign(&format!("chatserver\n{api}\n{user}\n{station}\n{body}"))?;
                format!("Ozeki-User: {user}\r\nOzeki-Station: {station}\r\nOzeki-Signature: {signature}\r\n")
            }
            None => String::new(),
        };
        let length = body.len();
        Ok(format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\nHost: {host}\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes())
    }
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    /// OK.
    Done(Value),
    /// No, with an error code.
    Refused(String, Value),
    /// Nothing: nobody knows what became of the request.
    Unknown,
}

/// What became of a request that was repeated until it was answered.
#[derive(Debug)]
pub struct Insisted {
    /// OK, or why not.
    pub result: Result<Value, (String, Value)>,
    /// When the answer was there.
    pub answered: Instant,
    /// Whether one of the tries was not answered: it may be carried out yet.
    pub is_uncertain: bool,
}

/// One client: its connections to all nodes, at a station.
#[derive(Debug)]
pub struct Wire {
    /// Who it is.
    pub who: Station,
    /// The node that it asks first.
    pub home: usize,
    connections: Vec<Option<Client>>,
    cuts_seen: u64,
    dice: Dice,
}

impl Wire {
    /// Not connected yet.
    pub fn new(who: Station, home: usize, dice: Dice) -> Self {
        Self { who, home, connections: vec![], cuts_seen: 0, dice }
    }

    /// The node to ask: home, or now and then another one.
    pub fn node(&mut self, cluster: &Cluster, elsewhere: usize) -> usize {
        let away = usize::from(self.dice.percent(elsewhere));
        cluster.one_that_runs(self.home + away)
    }

    /// Asks once.
    pub async fn ask(&mut self, cluster: &Cluster, node: usize, asked: &Asked) -> Answer {
        let Some(mut client) = self.connection(cluster, node).await else { return Answer::Unknown };
        let Ok(request) = asked.request(&cluster.signer, &cluster.host(node), Some(self.who), &mut self.dice) else {
            return Answer::Unknown;
        };
        let Ok(Ok(refusal)) = timeout(PATIENCE, client.ask(&request)).await else { return Answer::Unknown };
        let body = serde_json::from_slice(client.body()).unwrap_or_default();
        if let Some(place) = self.connections.get_mut(node) {
            *place = Some(client);
        }
        match refusal {
            None => Answer::Done(body),
            Some(code) => Answer::Refused(code, body),
        }
    }

    /// Asks, and hangs up without having read the answer.
    pub async fn ask_and_go(&mut self, cluster: &Cluster, node: usize, asked: &Asked) {
        let Some(client) = self.connection(cluster, node).await else { return };
        let Ok(request) = asked.request(&cluster.signer, &cluster.host(node), Some(self.who), &mut self.dice) else { return };
        let after = Duration::from_millis(u64::try_from(self.dice.below(4)).unwrap_or(0) * 60);
        client.send_and_go(&request, after).await;
    }

    /// Asks until there is an answer that is final.
    pub async fn insist(&mut self, cluster: &Cluster, asked: &Asked) -> Insisted {
        let mut is_uncertain = false;
        loop {
            let node = self.node(cluster, 20);
            let answer = if self.dice.percent(CUTS) {
                self.ask_and_go(cluster, node, asked).await;
                Answer::Unknown
            } else {
                self.ask(cluster, node, asked).await
            };
            let answered = Instant::now();
            match answer {
                Answer::Done(value) => return Insisted { result: Ok(value), answered, is_uncertain },
                Answer::Refused(code, value) if !is_passing(&code) => {
                    return Insisted { result: Err((code, value)), answered, is_uncertain };
                }
                _ => {
                    is_uncertain = true;
                    cluster.count_retry();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Opens a socket at a node.
    pub async fn listen(&self, cluster: &Cluster, node: usize, version: i64) -> Option<Socket> {
        let (Station { user, station }, now) = (self.who, time(now()));
        let (user, station, host) = (plain(user), plain(station), cluster.host(node));
        let signature = cluster.signer.sign(&format!("chatserver\nwebsocket\n{user}\n{station}\n{now}")).ok()?;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (now, signature) = (encoded(&now), encoded(&signature));
        let url = format!("ws://{host}/ws?user={user}&station={station}&timestamp={now}&signature={signature}&clientversioncode={version}");
        timeout(PATIENCE, sockets::connect(cluster.address(node)?, url)).await.ok()?.ok()
    }

    async fn connection(&mut self, cluster: &Cluster, node: usize) -> Option<Client> {
        if self.cuts_seen != cluster.cuts() {
            self.cuts_seen = cluster.cuts();
            self.connections.clear();
        }
        self.connections.resize_with(cluster.size(), || None);
        match self.connections.get_mut(node).and_then(Option::take) {
            Some(client) => Some(client),
            None => timeout(PATIENCE, Client::connect(cluster.address(node)?)).await.ok()?.ok(),
        }
    }
}

/// Whether a refusal says to try again.
pub fn is_passing(code: &str) -> bool {
    ["unavailable", "rate_limited", "502", "503", "504"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_are_read_in_their_documented_form_only() {
        let id = read_dashed("fc2515cb-e483-4f64-936b-98f680565c96").unwrap();
        assert_eq!(plain(id), "fc2515cbe4834f64936b98f680565c96");
        assert_eq!(read_plain(&plain(id)), Some(id));
        for wrong in
            ["fc2515cbe4834f64936b98f680565c96", "FC2515CB-e483-4f64-936b-98f680565c96", "fc2515-cbe483-4f64-936b-98f680565c96", ""]
        {
            assert_eq!(read_dashed(wrong), None, "{wrong}");
        }
        assert_eq!(read_time("2024-03-08 14:12:48"), Some(1_709_907_168));
        for wrong in ["2024-3-08 14:12:48", "2024-03-08T14:12:48", "2024-03-08 14:12:48Z", "2024-03-08"] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }
}
