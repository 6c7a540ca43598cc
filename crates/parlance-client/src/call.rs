//! A call: writes, signs and sends a request, and repeats it where that is safe.

use std::{ops::Range, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use parlance_wire::{
    e2ee::CardHash,
    id::{FileId, StationId, UserId},
    request::{self, Api},
    signature::{REQUEST_HEADER, SIGNATURE_HEADER, STATION_HEADER, USER_HEADER},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE, RETRY_AFTER};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorCode, Refusal},
    keys,
    server::Server,
    signing::Identity,
};

/// Maximum size of an answer. Pages are about 8 MiB at most (4 MiB of `Data`, escaped as JSON); an
/// export may be larger.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Bytes per second of the slowest connection on which files are sent and read.
// What the server allows for a body, too (docs/api.md, Files).
const SLOW: u64 = 8 << 10;

/// A call to be sent.
pub(crate) struct Call<'a, A> {
    server: &'a Server,
    api: Api,
    action: &'a A,
    identity: Option<&'a Identity>,
    user: Option<UserId>,
    station: Option<StationId>,
    repeatable: bool,
    content: Content<'a>,
}

/// The bytes that are sent or requested along with the action.
#[derive(Clone)]
enum Content<'a> {
    /// The action is the body.
    Action,
    /// The action is in a header, and records of a file are the body.
    Records(&'a [u8]),
    /// The action is in a header, and bytes of a file are the answer.
    Read(FileId, Range<u64>),
}

/// A part of a file.
pub(crate) struct Part {
    pub bytes: Vec<u8>,
    /// Bytes of the whole file.
    pub total: u64,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct RefusalBody {
    errormessage: String,
    #[serde(default)]
    errorcode: ErrorCode,
    #[serde(default)]
    instance: Option<Instance>,
    #[serde(default)]
    epoch: Option<u32>,
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    card: Option<CardHash>,
}

impl<'a, A: Serialize> Call<'a, A> {
    pub(crate) fn new(server: &'a Server, api: Api, action: &'a A) -> Self {
        Self {
            server,
            api,
            action,
            identity: None,
            user: None,
            station: None,
            // Most calls are idempotent: messages and reports by their ids, flags by their values.
            repeatable: true,
            content: Content::Action,
        }
    }

    /// Sends records of a file as the body.
    pub(crate) fn records(self, records: &'a [u8]) -> Self {
        Self {
            content: Content::Records(records),
            ..self
        }
    }

    /// Reads these bytes of a file, or as many of them as exist.
    pub(crate) async fn read(self, file: FileId, bytes: Range<u64>) -> Result<Part, Error> {
        let call = Self {
            content: Content::Read(file, bytes),
            ..self
        };
        let (bytes, range) = call.answer().await?;
        let total = range.and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let total = total.ok_or(Error::Invalid("the server's Content-Range"))?;
        Ok(Part { bytes, total })
    }

    /// Signs the call as this user.
    pub(crate) fn signed(self, identity: &'a Identity) -> Self {
        Self {
            identity: Some(identity),
            ..self
        }
    }

    /// Names the user of an unsigned call.
    pub(crate) fn user(self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// Sends the call unsigned, from this station.
    pub(crate) fn station(self, station: StationId) -> Self {
        Self {
            station: Some(station),
            ..self
        }
    }

    /// Marks the call as unsafe to repeat.
    pub(crate) fn once(self) -> Self {
        Self {
            repeatable: false,
            ..self
        }
    }

    /// Makes the call, and repeats it until it is answered or given up.
    pub(crate) async fn send<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // An answer that cannot be parsed is not requested again: the server has done the work, and
        // would answer the same.
        let (body, _) = self.answer().await?;
        serde_json::from_slice(&body).map_err(Error::Answer)
    }

    /// The body of the answer, and its `Content-Range`.
    async fn answer(&self) -> Result<(Vec<u8>, Option<String>), Error> {
        let (mut failures, mut was_uncertain) = (0, false);
        loop {
            match self.attempt().await {
                Ok(answer) => return Ok(answer),
                Err(mut error) => {
                    failures += 1;
                    let retry = &self.server.retry;
                    let Some(pause) = retry.pause(failures, &error, self.repeatable) else {
                        // A refusal of the last attempt does not undo what an earlier one did.
                        if let Error::Refused(refusal) = &mut error {
                            refusal.was_uncertain = was_uncertain;
                        }
                        return Err(error);
                    };
                    was_uncertain |= error.is_uncertain();
                    tracing::debug!(api = self.api.names().1, failures, ?pause, %error, "sent again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn attempt(&self) -> Result<(Vec<u8>, Option<String>), Error> {
        // New for each attempt, as a server refuses a nonce that it has seen, and an old timestamp.
        let nonce = keys::random_secret()?;
        let body = request::body(self.action, ClientVersion::V4, Timestamp::now(), &nonce)
            .map_err(Error::Request)?;
        let (srv, api) = self.api.names();
        // Derived from the server's address, which may have a path of its own behind a proxy.
        let mut url = self.server.url.clone();
        if let Content::Read(file, _) = &self.content {
            // Files lie beside `index.php`, and not below it.
            let path = url.path().trim_end_matches("index.php");
            let path = format!("{}/file/{file}", path.trim_end_matches('/'));
            url.set_path(&path);
        } else {
            url.query_pairs_mut()
                .append_pair("srv", srv)
                .append_pair("api", api);
        }
        let http = &self.server.http;
        let mut request = match &self.content {
            Content::Action => http.post(url).header(CONTENT_TYPE, "application/json"),
            Content::Records(records) => http
                .post(url)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(REQUEST_HEADER, URL_SAFE_NO_PAD.encode(&body))
                .timeout(self.time_for(records.len() as u64)),
            Content::Read(_, bytes) => http
                .get(url)
                .header(REQUEST_HEADER, URL_SAFE_NO_PAD.encode(&body))
                .header(RANGE, format!("bytes={}-{}", bytes.start, bytes.end - 1))
                .timeout(self.time_for(bytes.end - bytes.start)),
        };
        if let Some(user) = self.user {
            request = request.header(USER_HEADER, user.to_string());
        }
        if let Some(station) = self.station {
            request = request.header(STATION_HEADER, station.to_string());
        }
        if let Some(identity) = self.identity {
            request = request
                .header(USER_HEADER, identity.user.to_string())
                .header(STATION_HEADER, identity.station.to_string())
                .header(SIGNATURE_HEADER, identity.sign(self.api, &body)?);
        }
        let request = match &self.content {
            Content::Action => request.body(body),
            // A copy, as a request owns its body and another attempt may need it again.
            Content::Records(records) => request.body(records.to_vec()),
            Content::Read(..) => request,
        };
        let mut answer = request.send().await?;
        let status = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let range = answer.headers().get(CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok().map(str::to_owned));
        // Before the status is checked: reading a body to its end leaves the connection reusable.
        let mut body = vec![];
        while let Some(chunk) = answer.chunk().await? {
            // A server that writes without end must not fill the client's memory.
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Error::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        if matches!(status, 200 | 206) {
            return Ok((body, range));
        }
        Err(refusal(status, retry_after, &body).into())
    }

    /// Maximum time for this many bytes of a file, on a slow mobile connection.
    fn time_for(&self, bytes: u64) -> Duration {
        self.server.retry.timeout + Duration::from_secs(bytes / SLOW)
    }
}

/// Parses a refusal, which may come from a proxy.
pub(crate) fn refusal(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Refusal {
    // A proxy's error page is not JSON: its status alone decides whether to retry.
    let body = serde_json::from_slice(body).unwrap_or_else(|_| RefusalBody {
        errormessage: format!("HTTP status {status}"),
        errorcode: ErrorCode::Unknown,
        instance: None,
        epoch: None,
        version: None,
        n: None,
        card: None,
    });
    Refusal {
        status,
        code: body.errorcode,
        message: body.errormessage,
        retry_after,
        instance: body.instance,
        epoch: body.epoch,
        version: body.version,
        card: body.n.zip(body.card).map(Box::new),
        was_uncertain: false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parlance_wire::id::StationId;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use crate::{ErrorCode, Retry, Server};

    /// A server that reads a request for each of these answers, and closes the connection after it.
    async fn answers(answers: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut client, _) = listener.accept().await.unwrap();
                assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
                client.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn a_refusal_after_an_attempt_without_an_answer_is_uncertain() {
        const REFUSAL: &str = "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 50\r\n\r\n\
            {\"errormessage\":\"wait\",\"errorcode\":\"rate_limited\"}";
        let retry = Retry {
            attempts: 2,
            first_pause: Duration::ZERO,
            ..Retry::default()
        };
        let lost: &[&str] = &["", REFUSAL];
        for (all, is_uncertain) in [(lost, true), (&[REFUSAL, REFUSAL], false)] {
            let url = answers(all).await;
            let server = Server::with_retry(&url, retry.clone()).unwrap();
            let refused = server
                .login_service("an apikey", StationId::random())
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::RateLimited), "{refused:?}");
            assert_eq!(refused.is_uncertain(), is_uncertain);
        }
    }
}
