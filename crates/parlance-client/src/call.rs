//! A call: writes, signs and sends a request, and repeats it where that is safe.

use std::time::Duration;

use parlance_wire::{
    id::StationId,
    request::{self, Api},
    signature::{SIGNATURE_HEADER, STATION_HEADER, USER_HEADER},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorCode, Refusal},
    keys,
    server::Server,
    signing::Identity,
};

/// Maximum size of an answer. The largest ones are about 8 MiB (a page of 4 MiB of `Data`, escaped
/// as JSON).
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A call to be sent.
pub(crate) struct Call<'a, A> {
    server: &'a Server,
    api: Api,
    action: &'a A,
    identity: Option<&'a Identity>,
    station: Option<StationId>,
    repeatable: bool,
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
}

impl<'a, A: Serialize> Call<'a, A> {
    pub(crate) fn new(server: &'a Server, api: Api, action: &'a A) -> Self {
        Self {
            server,
            api,
            action,
            identity: None,
            station: None,
            // Most calls are idempotent: messages and reports by their ids, flags by their values.
            repeatable: true,
        }
    }

    /// Signs the call as this user.
    pub(crate) fn signed(self, identity: &'a Identity) -> Self {
        Self {
            identity: Some(identity),
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
        let mut failures = 0;
        loop {
            match self.attempt().await {
                // An answer that cannot be parsed is not requested again: the server has done the
                // work, and would answer the same.
                Ok(body) => return serde_json::from_slice(&body).map_err(Error::Answer),
                Err(error) => {
                    failures += 1;
                    let retry = &self.server.retry;
                    let Some(pause) = retry.pause(failures, &error, self.repeatable) else {
                        return Err(error);
                    };
                    tracing::debug!(api = self.api.names().1, failures, ?pause, %error, "sent again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn attempt(&self) -> Result<Vec<u8>, Error> {
        // New for each attempt, as a server refuses a nonce that it has seen, and an old timestamp.
        let nonce = keys::random_secret()?;
        let body = request::body(self.action, ClientVersion::V4, Timestamp::now(), &nonce)
            .map_err(Error::Request)?;
        let (srv, api) = self.api.names();
        // Derived from the server's address, which may have a path of its own behind a proxy.
        let mut url = self.server.url.clone();
        url.query_pairs_mut()
            .append_pair("srv", srv)
            .append_pair("api", api);
        let mut request = self
            .server
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json");
        if let Some(station) = self.station {
            request = request.header(STATION_HEADER, station.to_string());
        }
        if let Some(identity) = self.identity {
            request = request
                .header(USER_HEADER, identity.user.to_string())
                .header(STATION_HEADER, identity.station.to_string())
                .header(SIGNATURE_HEADER, identity.sign(self.api, &body)?);
        }
        let mut answer = request.body(body).send().await?;
        let status = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        // Before the status is checked: reading a body to its end leaves the connection reusable.
        let mut body = vec![];
        while let Some(chunk) = answer.chunk().await? {
            // A server that writes without end must not fill the client's memory.
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Error::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        if status == 200 {
            return Ok(body);
        }
        Err(refusal(status, retry_after, &body).into())
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
    });
    Refusal {
        status,
        code: body.errorcode,
        message: body.errormessage,
        retry_after,
        instance: body.instance,
        epoch: body.epoch,
        version: body.version,
    }
}
