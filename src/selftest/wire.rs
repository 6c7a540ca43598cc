//! Signed requests as docs/api.md describes them, written out anew, and what becomes of them.

use std::{
    fmt,
    time::{Duration, Instant},
};

use parlance_client::keys::KeyPair;
use parlance_wire::signature;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use super::{
    cluster::Cluster,
    dice::Dice,
    findings::Kind,
    form::{Id, now, plain, time},
};
use crate::bench::{
    client::Client,
    sockets::{self, Socket},
};

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one waits before one asks again.
const PAUSE: Duration = Duration::from_millis(50);
/// Whoever was not answered in so much undisturbed time asks no more.
const GIVES_UP: Duration = Duration::from_mins(1);
/// Of a hundred requests that are repeated until they are answered, so many are cut off before their answer.
const CUTS: usize = 2;
/// The first client version that knows more than is published.
pub(super) const V4: i64 = 4;
/// The published one.
pub(super) const V3: i64 = 3;

/// A user at one of their stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Station {
    pub user: Id,
    pub station: Id,
}

/// What is asked of an API.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub api: &'static str,
    /// By a client of which version.
    pub version: i64,
    /// The action and its fields.
    pub fields: Value,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// A user who has logged in; the request is signed.
    Signed(Station),
    /// A station at which nobody has logged in yet.
    Unsigned(Id),
}

impl Asked {
    /// An action on a conversation.
    pub(super) fn on(action: &str, conversation: Id, instance: &str, version: i64) -> Self {
        let fields = json!({ "action": action, "conversationid": plain(conversation), "instance": instance });
        Self {
            api: "chatconversation",
            version,
            fields,
        }
    }

    /// With one more field.
    pub(super) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(fields) = self.fields.as_object_mut() {
            fields.insert(field.into(), value.into());
        }
        self
    }

    /// What is to be done, for findings.
    pub(super) fn action(&self) -> &str {
        self.fields
            .get("action")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The request's bytes, made at this moment.
    pub(super) fn request(
        &self,
        key: &KeyPair,
        host: impl fmt::Display,
        from: From,
        dice: &mut Dice,
    ) -> Result<Vec<u8>, String> {
        let mut fields = self.fields.clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("clientversioncode".into(), self.version.into());
            fields.insert("timestamp".into(), time(now()).into());
            if self.version >= V4 {
                fields.insert(
                    "nonce".into(),
                    format!("{:016x}{:016x}", dice.roll(), dice.roll()).into(),
                );
            }
        }
        let (api, body) = (self.api, fields.to_string());
        let head = match from {
            From::Signed(Station { user, station }) => {
                let (user, station) = (plain(user), plain(station));
                let text = signature::text("chatserver", api, &user, &station, body.as_bytes());
                let signature = key.sign(&text).map_err(|error| error.to_string())?;
                format!(
                    "Ozeki-User: {user}\r\nOzeki-Station: {station}\r\nOzeki-Signature: {signature}\r\n"
                )
            }
            From::Unsigned(station) => format!("Ozeki-Station: {}\r\n", plain(station)),
        };
        let length = body.len();
        Ok(format!(
            "POST /?srv=chatserver&api={api} HTTP/1.1\r\nHost: {host}\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes())
    }
}

/// Why something was not done.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The error code, or the HTTP status of an answer without one. `None`: there was no answer in a long time.
    pub code: Option<String>,
    pub body: Value,
}

impl Refusal {
    /// Whether it has this error code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether it says to try again.
    pub(super) fn passes(&self) -> bool {
        ["unavailable", "rate_limited", "429", "502", "503", "504"]
            .iter()
            .any(|code| self.is(code))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.code.as_deref().unwrap_or("no answer"),
            self.body
        )
    }
}

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    Done(Value),
    Refused(Refusal),
    /// Nothing: nobody knows what became of the request.
    Unknown,
}

/// What became of a request that was repeated until it was answered.
#[derive(Debug)]
pub(super) struct Insisted {
    /// OK, or why not.
    pub result: Result<Value, Refusal>,
    /// When the answer was there.
    pub answered: Instant,
    /// Whether one of the tries was not answered: it may be carried out yet.
    pub is_uncertain: bool,
}

/// One client: its connections to all nodes, at a station.
#[derive(Debug)]
pub(super) struct Wire {
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
    pub(super) fn new(who: Station, home: usize, dice: Dice) -> Self {
        Self {
            who,
            home,
            connections: vec![],
            cuts_seen: 0,
            dice,
        }
    }

    /// The node to ask: home, or in so many of a hundred cases another one.
    pub(super) fn node(&mut self, cluster: &Cluster, elsewhere: usize) -> usize {
        let away = usize::from(self.dice.percent(elsewhere));
        cluster.one_that_runs(self.home + away)
    }

    pub(super) async fn ask(&mut self, cluster: &Cluster, node: usize, asked: &Asked) -> Answer {
        let mut cuts = cluster.cuts();
        let Some((mut client, request)) = self.prepare(cluster, node, asked).await else {
            return Answer::Unknown;
        };
        let answer = tokio::select! {
            answer = timeout(PATIENCE, client.ask(&request)) => answer,
            _ = cuts.changed() => return Answer::Unknown,
        };
        let Ok(Ok(refusal)) = answer else {
            return Answer::Unknown;
        };
        let body = serde_json::from_slice(client.body());
        if body.is_err() && refusal.is_none() {
            let says = || {
                format!(
                    "the answer to {} is not JSON: {:?}",
                    asked.action(),
                    String::from_utf8_lossy(client.body())
                )
            };
            cluster.findings.add(Kind::Altered, says);
        }
        if let Some(place) = self.connections.get_mut(node) {
            *place = Some(client);
        }
        let body = body.unwrap_or_default();
        match refusal {
            None => Answer::Done(body),
            code => Answer::Refused(Refusal { code, body }),
        }
    }

    /// Asks once for what nobody may be refused. `None`: there was no answer, or none yet.
    pub(super) async fn ask_for(
        &mut self,
        cluster: &Cluster,
        node: usize,
        asked: &Asked,
        what: &str,
    ) -> Option<Value> {
        match self.ask(cluster, node, asked).await {
            Answer::Done(answer) => Some(answer),
            Answer::Refused(refusal) => {
                cluster.findings.add_refusal(what, &refusal);
                None
            }
            Answer::Unknown => None,
        }
    }

    /// Asks, and hangs up without having read the answer.
    pub(super) async fn ask_and_go(&mut self, cluster: &Cluster, node: usize, asked: &Asked) {
        let Some((client, request)) = self.prepare(cluster, node, asked).await else {
            return;
        };
        let after = Duration::from_millis(u64::try_from(self.dice.below(4)).unwrap_or(0) * 60);
        // Whether all of it was sent in time is what nobody is to know, either.
        let _ = timeout(PATIENCE, client.send_and_go(&request, after)).await;
    }

    /// Asks until there is an answer that is final.
    pub(super) async fn insist(&mut self, cluster: &Cluster, asked: &Asked) -> Insisted {
        let (begun, mut is_uncertain) = (Instant::now(), false);
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
                Answer::Done(value) => {
                    return Insisted {
                        result: Ok(value),
                        answered,
                        is_uncertain,
                    };
                }
                Answer::Refused(refusal) if !refusal.passes() => {
                    return Insisted {
                        result: Err(refusal),
                        answered,
                        is_uncertain,
                    };
                }
                _ if cluster.wait_since(begun).undisturbed > GIVES_UP => {
                    let says = || {
                        format!(
                            "{} in {:.0} s",
                            asked.action(),
                            begun.elapsed().as_secs_f64()
                        )
                    };
                    cluster.findings.add(Kind::Unanswered, says);
                    return Insisted {
                        result: Err(Refusal {
                            code: None,
                            body: Value::Null,
                        }),
                        answered,
                        is_uncertain: true,
                    };
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
    pub(super) async fn listen(
        &self,
        cluster: &Cluster,
        node: usize,
        version: i64,
    ) -> Option<Socket> {
        let (Station { user, station }, now, address) =
            (self.who, time(now()), cluster.address(node)?);
        let (user, station) = (plain(user), plain(station));
        let (srv, api) = signature::WEBSOCKET;
        let text = signature::text(srv, api, &user, &station, now.as_bytes());
        let signature = cluster.key.sign(&text).ok()?;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (now, signature) = (encoded(&now), encoded(&signature));
        let url = format!(
            "ws://{address}/ws?user={user}&station={station}&timestamp={now}&signature={signature}&clientversioncode={version}"
        );
        match timeout(PATIENCE, sockets::connect(address, url))
            .await
            .ok()?
        {
            Ok(socket) => Some(socket),
            Err(error) => {
                if let tungstenite::Error::Http(answer) = error {
                    let body = answer
                        .body()
                        .as_deref()
                        .and_then(|body| serde_json::from_slice(body).ok())
                        .unwrap_or_default();
                    cluster.findings.add_refusal(
                        "a socket",
                        &Refusal {
                            code: Some(answer.status().as_str().into()),
                            body,
                        },
                    );
                }
                None
            }
        }
    }

    /// Closes its connections to nodes that were ended, so that those need not wait for it.
    pub(super) fn leave_ended(&mut self, cluster: &Cluster) {
        for (node, place) in self.connections.iter_mut().enumerate() {
            place.take_if(|_| !cluster.is_running(node));
        }
    }

    /// A connection, and the request to send over it.
    async fn prepare(
        &mut self,
        cluster: &Cluster,
        node: usize,
        asked: &Asked,
    ) -> Option<(Client, Vec<u8>)> {
        let (address, cuts) = (cluster.address(node)?, *cluster.cuts().borrow());
        if self.cuts_seen != cuts {
            self.cuts_seen = cuts;
            self.connections.clear();
        }
        self.connections.resize_with(cluster.size(), || None);
        let client = match self.connections.get_mut(node).and_then(Option::take) {
            Some(client) => client,
            None => timeout(PATIENCE, Client::connect(address))
                .await
                .ok()?
                .ok()?,
        };
        let request = asked
            .request(
                &cluster.key,
                address,
                From::Signed(self.who),
                &mut self.dice,
            )
            .ok()?;
        Some((client, request))
    }
}
