//! A push service of the tests' own: it speaks TLS, checks who pushes as RFC 8292 says, records what
//! arrives, and answers as it is told.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use parlance::settings::{Push, PushServices, Settings};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Whom a push service may turn to.
pub(super) const CONTACT: &str = "mailto:operator@example.org";

/// How the path of a push begins that is never answered.
pub(super) const HANGING: &str = "/hangs/";

/// The service.
pub(super) struct PushService {
    address: SocketAddr,
    certificate: Vec<u8>,
    answers: Arc<Mutex<VecDeque<String>>>,
    pushes: mpsc::UnboundedReceiver<Received>,
}

/// A push as it arrived.
#[derive(Debug)]
pub(super) struct Received {
    pub path: String,
    pub headers: HashMap<String, String>,
    /// Everything after the head.
    pub body: Vec<u8>,
}

impl PushService {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| dir.path().join(name));
        let made = std::process::Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", "/CN=push.example"])
            .args(["-addext", "subjectAltName=DNS:push.example"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success());
        let certificate = CertificateDer::from_pem_file(certificate).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.clone()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::<Mutex<VecDeque<String>>>::default();
        let (sender, pushes) = mpsc::unbounded_channel();
        let told = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, sender, told) = (acceptor.clone(), sender.clone(), told.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    let mut bytes = vec![];
                    let head = loop {
                        let mut part = [0; 4096];
                        let count = stream.read(&mut part).await.unwrap();
                        assert_ne!(count, 0, "a push ended early");
                        bytes.extend_from_slice(&part[..count]);
                        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                            break end + 4;
                        }
                    };
                    let body = bytes.split_off(head);
                    let received = Received::parse(&String::from_utf8(bytes).unwrap(), body);
                    let answer = told.lock().unwrap().pop_front();
                    let answer = answer.unwrap_or_else(|| "201 Created".to_owned());
                    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                    let hangs = received.path.starts_with(HANGING);
                    let _ = sender.send(received);
                    if !hangs {
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                    // Until the other side closes it.
                    let _ = stream.read(&mut [0; 16]).await;
                });
            }
        });
        Self {
            address,
            certificate: certificate.to_vec(),
            answers,
            pushes,
        }
    }

    /// Makes a server push here.
    pub(super) fn serves(&self, settings: &mut Settings) {
        settings.push = Some(Push {
            contact: CONTACT.to_owned(),
            services: PushServices::At {
                address: self.address,
                certificate: self.certificate.clone(),
            },
        });
        settings.timings.push_retry = Duration::from_millis(1);
    }

    /// Answers the next push with this status, and headers, if there are some.
    pub(super) fn answers_with(&self, status: &str) {
        self.answers.lock().unwrap().push_back(status.to_owned());
    }

    /// The next push.
    pub(super) async fn receives(&mut self) -> Received {
        timeout(Duration::from_secs(20), self.pushes.recv())
            .await
            .expect("a push")
            .unwrap()
    }

    /// Asserts that nothing more has arrived.
    pub(super) fn has_received_nothing(&mut self) {
        if let Ok(push) = self.pushes.try_recv() {
            panic!("{push:?} was pushed");
        }
    }
}

impl Received {
    fn parse(head: &str, body: Vec<u8>) -> Self {
        let mut lines = head.split("\r\n");
        let request = lines.next().unwrap();
        let path = request.strip_prefix("POST ").unwrap();
        let path = path.strip_suffix(" HTTP/1.1").unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            path: path.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body,
        }
    }

    /// Checks who sent it: the holder of this key, to this service, a moment ago. Returns the claims.
    pub(super) fn is_signed_by(&self, key: &str) -> Value {
        let authorization = &self.headers["authorization"];
        let (token, named) = authorization
            .strip_prefix("vapid t=")
            .unwrap()
            .split_once(", k=")
            .unwrap();
        assert_eq!(named, key);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key))
            .verify(signed.as_bytes(), &decode(signature))
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!(header["alg"], "ES256");
        let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
        let ahead = claims["exp"].as_i64().unwrap() - Utc::now().timestamp();
        assert!((60..=24 * 3600).contains(&ahead), "{ahead}");
        claims
    }
}
