//! Clients of the test: their connections to the nodes, and what becomes of their requests.

use std::time::{Duration, Instant};

use parlance_wire::signature;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use super::{
    cluster::Cluster,
    findings::Kind,
    form::{now, plain, time},
    request::{From, Refusal, Request, Station},
    rng::Rng,
};
use crate::bench::{
    client::Client,
    sockets::{self, Socket},
};

/// Maximum time for an answer. The server holds a request back for a connection for up to 5 seconds, and then answers
/// 503.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// The pause before a request is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Undisturbed time after which a request is given up.
const GIVE_UP_AFTER: Duration = Duration::from_mins(1);
/// Percentage of repeated requests that are cut off before their answer.
const CUT_PERCENT: usize = 2;
/// The outcome of one attempt.
#[derive(Debug)]
pub(super) enum Answer {
    Done(Value),
    Refused(Refusal),
    /// No answer: whether the request was carried out is unknown.
    Unknown,
}

/// The outcome of a request that was repeated until it was answered.
#[derive(Debug)]
pub(super) struct Insisted {
    /// The final answer.
    pub result: Result<Value, Refusal>,
    /// When the answer arrived.
    pub answered: Instant,
    /// An attempt was not answered, and may be carried out later.
    pub is_uncertain: bool,
}

/// One client: its connections to all nodes, at a station.
#[derive(Debug)]
pub(super) struct Wire {
    /// Its user and station.
    pub who: Station,
    /// Its usual node.
    pub home: usize,
    connections: Vec<Option<Client>>,
    cuts_seen: u64,
    rng: Rng,
}

impl Wire {
    /// Not connected yet.
    pub(super) fn new(who: Station, home: usize, rng: Rng) -> Self {
        Self {
            who,
            home,
            connections: vec![],
            cuts_seen: 0,
            rng,
        }
    }

    /// The node to use: home or, in `elsewhere` of a hundred cases, the next one.
    pub(super) fn node(&mut self, cluster: &Cluster, elsewhere: usize) -> usize {
        let away = usize::from(self.rng.percent(elsewhere));
        cluster.one_that_runs(self.home + away)
    }

    pub(super) async fn ask(&mut self, cluster: &Cluster, node: usize, asked: &Request) -> Answer {
        let mut cuts = cluster.cuts();
        let Some((mut client, request)) = self.prepare(cluster, node, asked).await else {
            return Answer::Unknown;
        };
        let answer = tokio::select! {
            // A frozen node still accepts connections, as the kernel does that: only its answer is missing.
            answer = timeout(ANSWER_TIMEOUT, client.ask(&request)) => answer,
            // Dropped in the middle, as by a network that goes away: the request may be carried out or not.
            _ = cuts.changed() => return Answer::Unknown,
        };
        let Ok(Ok(refusal)) = answer else {
            return Answer::Unknown;
        };
        let body = serde_json::from_slice(client.body());
        // Only an OK has to be JSON: a refusal may come from HTTP alone.
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
        // Only after a whole answer: the rest of one would be taken for the next request's.
        if let Some(place) = self.connections.get_mut(node) {
            *place = Some(client);
        }
        let body = body.unwrap_or_default();
        match refusal {
            None => Answer::Done(body),
            code => Answer::Refused(Refusal { code, body }),
        }
    }

    /// Sends a request that must not be refused, once. Returns `None` when there was no answer, or a temporary
    /// refusal.
    pub(super) async fn ask_for(
        &mut self,
        cluster: &Cluster,
        node: usize,
        asked: &Request,
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

    /// Sends a request, and closes the connection without reading the answer.
    pub(super) async fn ask_and_go(&mut self, cluster: &Cluster, node: usize, asked: &Request) {
        let Some((client, request)) = self.prepare(cluster, node, asked).await else {
            return;
        };
        let after = Duration::from_millis(u64::try_from(self.rng.below(4)).unwrap_or(0) * 60);
        // Ignored: whether all of it was sent in time stays unknown to the client, too.
        let _ = timeout(ANSWER_TIMEOUT, client.send_and_go(&request, after)).await;
    }

    /// Repeats a request until its answer is final.
    pub(super) async fn insist(&mut self, cluster: &Cluster, asked: &Request) -> Insisted {
        let (begun, mut is_uncertain) = (Instant::now(), false);
        loop {
            // Now and then another node: a retry has to be recognized there, too.
            let node = self.node(cluster, 20);
            let answer = if self.rng.percent(CUT_PERCENT) {
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
                Answer::Refused(refusal) if !refusal.is_temporary() => {
                    return Insisted {
                        result: Err(refusal),
                        answered,
                        is_uncertain,
                    };
                }
                // In undisturbed time: under a fault, clients retry for as long as it lasts.
                _ if cluster.wait_since(begun).undisturbed > GIVE_UP_AFTER => {
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
                    tokio::time::sleep(RETRY_PAUSE).await;
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
        // Written out, and not by `parlance-client`: the test is a second reading of docs/api.md.
        let (body, nonce) = if version < 4 {
            (now.clone(), String::new())
        } else {
            let nonce = Uuid::new_v4().simple().to_string();
            (format!("{now}\n{nonce}"), format!("&nonce={nonce}"))
        };
        let text = signature::text(srv, api, &user, &station, body.as_bytes());
        let signature = cluster.key.sign(&text).ok()?;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (now, signature) = (encoded(&now), encoded(&signature));
        let url = format!(
            "ws://{address}/ws?user={user}&station={station}&timestamp={now}&signature={signature}&clientversioncode={version}{nonce}"
        );
        match timeout(ANSWER_TIMEOUT, sockets::connect(address, url))
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
        asked: &Request,
    ) -> Option<(Client, Vec<u8>)> {
        let (address, cuts) = (cluster.address(node)?, *cluster.cuts().borrow());
        if self.cuts_seen != cuts {
            self.cuts_seen = cuts;
            self.connections.clear();
        }
        self.connections.resize_with(cluster.size(), || None);
        let client = match self.connections.get_mut(node).and_then(Option::take) {
            Some(client) => client,
            None => timeout(ANSWER_TIMEOUT, Client::connect(address))
                .await
                .ok()?
                .ok()?,
        };
        let request = asked
            .bytes(&cluster.key, address, From::Signed(self.who), &mut self.rng)
            .ok()?;
        Some((client, request))
    }
}
