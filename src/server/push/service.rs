//! Sends a push (RFC 8030) to the push service that an endpoint names, by the server's key (VAPID,
//! RFC 8292). Redirects are not followed, and what a service answers is not read beyond its head.

use std::{io, pin::pin, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use hyper::{
    Request, StatusCode,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_LENGTH, HOST, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    super::error::StartError,
    reach::{self, Unreachable},
};
use crate::{
    chat::{error::Error, push::PushKey},
    settings::{Push, PushServices},
    telemetry::with_causes,
};
use parlance_wire::{text::PushEndpoint, time::Timestamp};

/// Maximum time for a push, from the look-up of its name to the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Seconds for which a push service keeps a push for a device that is away: a week, after which
/// messages expire by default.
const TTL: &str = "604800";
/// Of several pushes that wait for a device, a push service keeps the newest.
const TOPIC: &str = "parlance";
/// How long a signed token is valid. At most a day (RFC 8292); clocks differ.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(12);
/// The header of each token, as a JSON object.
const TOKEN_HEADER: &str = r#"{"typ":"JWT","alg":"ES256"}"#;

/// The outcome of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The push service accepted it.
    Sent,
    /// The push service no longer knows the subscription.
    Gone,
    /// The push service refused it, and would refuse it again.
    Rejected,
    /// The endpoint's name leads to an internal address.
    Internal,
    /// It could not be sent now; perhaps after this delay, if the push service named one.
    Again(Option<Duration>),
}

/// The reasons why a push did not reach its service.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    #[error("the push service cannot be reached")]
    Connection(#[from] io::Error),
    #[error("the request cannot be made")]
    Request(#[from] hyper::http::Error),
    #[error("the push service did not answer")]
    Answer(#[from] hyper::Error),
    #[error("the push cannot be signed")]
    Signature(#[from] Error),
}

/// Reaches push services.
pub(super) struct Service {
    push: Push,
    tls: TlsConnector,
}

#[derive(Serialize)]
struct Token<'a> {
    aud: &'a str,
    exp: i64,
    sub: &'a str,
}

impl Service {
    /// With the certificates that the system trusts.
    ///
    /// # Errors
    /// No push service can be trusted.
    pub(super) fn new(push: &Push) -> Result<Self, StartError> {
        let mut roots = RootCertStore::empty();
        match &push.services {
            PushServices::Public => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            PushServices::At { certificate, .. } => {
                roots.add(CertificateDer::from(certificate.clone()))?;
            }
        }
        if roots.is_empty() {
            return Err(StartError::NothingToTrust);
        }
        // The provider is named explicitly: if several are linked in, rustls' default panics.
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            push: push.clone(),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends an empty push.
    pub(super) async fn send(
        &self,
        endpoint: &PushEndpoint,
        key: &PushKey,
        now: Timestamp,
    ) -> Outcome {
        match timeout(TIMEOUT, self.try_send(endpoint, key, now)).await {
            Ok(Ok(outcome)) => outcome,
            // Without the endpoint: it is a secret between the device and its push service.
            Ok(Err(error)) => {
                tracing::debug!(error = with_causes(&error), "a push was not sent");
                Outcome::Again(None)
            }
            Err(_) => Outcome::Again(None),
        }
    }

    async fn try_send(
        &self,
        endpoint: &PushEndpoint,
        key: &PushKey,
        now: Timestamp,
    ) -> Result<Outcome, NotSent> {
        let stream = match self.connect(endpoint.host()).await {
            Ok(stream) => stream,
            Err(Unreachable::Internal) => return Ok(Outcome::Internal),
            Err(Unreachable::Failed(error)) => return Err(error.into()),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let authorization = self.authorization(endpoint, key, now)?;
        let request = Request::post(endpoint.path())
            .header(HOST, endpoint.host())
            .header(AUTHORIZATION, authorization)
            .header("TTL", TTL)
            .header("Urgency", "normal")
            .header("Topic", TOPIC)
            .header(CONTENT_LENGTH, 0)
            .body(String::new())?;
        // The connection is driven here and ends here: what a service sends after the head of its
        // answer is not read.
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            answer = &mut answer => answer,
            // Perhaps after the answer, which is there then; otherwise it fails.
            _ = connection => answer.await,
        };
        let answer = answer?;
        let after = answer.headers().get(RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(outcome(answer.status(), after.map(Duration::from_secs)))
    }

    async fn connect(&self, host: &str) -> Result<TlsStream<TcpStream>, Unreachable> {
        let stream = match &self.push.services {
            PushServices::Public => reach::connect(host).await?,
            PushServices::At { address, .. } => TcpStream::connect(address)
                .await
                .map_err(Unreachable::Failed)?,
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| Unreachable::Failed(io::Error::other(error)))?;
        let stream = self.tls.connect(name, stream).await;
        stream.map_err(Unreachable::Failed)
    }

    /// Says who sends the push: a JSON Web Token for this push service alone, and the key.
    fn authorization(
        &self,
        endpoint: &PushEndpoint,
        key: &PushKey,
        now: Timestamp,
    ) -> Result<String, Error> {
        let token = serde_json::to_string(&Token {
            aud: endpoint.origin(),
            exp: now.plus(TOKEN_LIFETIME).unix_seconds(),
            sub: &self.push.contact,
        })
        .map_err(|error| Error::Internal(error.into()))?;
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(TOKEN_HEADER),
            URL_SAFE_NO_PAD.encode(token)
        );
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
        Ok(format!("vapid t={signed}.{signature}, k={}", key.public()))
    }
}

fn outcome(status: StatusCode, after: Option<Duration>) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Sent,
        StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS => Outcome::Again(after),
        status if status.is_server_error() => Outcome::Again(after),
        _ => Outcome::Rejected,
    }
}
