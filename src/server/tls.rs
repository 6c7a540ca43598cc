//! TLS without a proxy. The certificate is read again on SIGHUP, which renewal tools send. Existing
//! connections keep the old one.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::error::CertificateError;
use crate::settings::Tls;
use parlance_wire::time::Timestamp;

/// The current certificate, and the files that it comes from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: Tls,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, or the two do not match.
    pub(super) fn read(files: &Tls) -> Result<Arc<Self>, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = RwLock::new(Arc::new(load(files, &provider)?));
        Ok(Arc::new(Self {
            files: files.clone(),
            provider,
            current,
        }))
    }

    /// Reads the files again. If that fails, the old certificate stays in use.
    ///
    /// # Errors
    /// As for [`Certificate::read`].
    pub(super) fn read_again(&self) -> Result<(), CertificateError> {
        // Parsed before the lock is taken, because every handshake waits for it.
        let read = load(&self.files, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// When the certificate ends. Returns `None` if that cannot be read.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        not_after(current.cert.first()?)
    }

    /// The TLS configuration of a listener.
    // The provider is named explicitly: if several are linked in, rustls' default panics.
    ///
    /// # Errors
    /// The library refuses its own defaults.
    pub(super) fn config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        Ok(ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone()))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.current
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

/// The end of a certificate's validity (RFC 5280, 4.1). Returns `None` if it is not where it should be.
// Read by hand, as it is the one field that is needed, and the TLS library does not tell it.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    const VERSION: u8 = 0xa0;
    const UTC_TIME: u8 = 0x17;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    let (tag, _, rest) = element(fields)?;
    if tag == VERSION {
        fields = rest;
    }
    // The serial number, the algorithm and the issuer come before the validity.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    let text = std::str::from_utf8(text).ok()?;
    // A year of two digits is between 1950 and 2049.
    let text = match (tag, text.as_bytes().first()?) {
        (UTC_TIME, b'5'..=b'9') => format!("19{text}"),
        (UTC_TIME, _) => format!("20{text}"),
        _ => text.to_owned(),
    };
    let part = |range: std::ops::Range<usize>| text.get(range);
    Timestamp::parse(&format!(
        "{}-{}-{} {}:{}:{}",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?,
    ))
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0x00..=0x7f => (usize::from(first), rest),
        // The length is in as many bytes; more than four are no certificate.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            (length, rest)
        }
        0x80 | 0x85..=0xff => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn load(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let unreadable = |setting, path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::File {
            setting,
            path,
            source,
        }
    };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable("TLS_CERT", &files.cert))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable("TLS_KEY", &files.key))?;
    CertifiedKey::from_der(chain, key, provider).map_err(CertificateError::Pair)
}
