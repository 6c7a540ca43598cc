//! TLS without a proxy. The certificate is read again on SIGHUP, which renewal tools send. Existing
//! connections keep the old one.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::settings::Tls;

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
    /// A sentence that names the file, or says that the two do not match.
    pub(super) fn read(files: &Tls) -> Result<Arc<Self>, String> {
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
    pub(super) fn read_again(&self) -> Result<(), String> {
        // Parsed before the lock is taken, because every handshake waits for it.
        let read = load(&self.files, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// The TLS configuration of a listener.
    // The provider is named explicitly: if several are linked in, rustls' default panics.
    ///
    /// # Errors
    /// A sentence, if the library refuses its own defaults.
    pub(super) fn config(self: &Arc<Self>) -> Result<ServerConfig, String> {
        Ok(ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
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

fn load(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("TLS_CERT {}: {error}", files.cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("TLS_KEY {}: {error}", files.key.display()))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| format!("TLS_CERT and TLS_KEY: {error}"))
}
