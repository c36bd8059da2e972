//! TLS with the clients of one's own origins: a certificate of the operator's, and the protocol that the origin has agreed to.

use super::client::{self, ClientError, ClientTls, Shown};
use super::forge::{ForgeError, server_template};
use super::mint::Noting;
use super::own_certificate::OwnCertificate;
use crate::accept::{Prefixed, Socket};
use crate::decide::Bump;
use rustls::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the clients of one's own origin are shown.
pub struct SiteTls {
    template: ServerConfig,
    /// One for each protocol, or none: those that are agreed on are few.
    configs: Mutex<Vec<Arc<ServerConfig>>>,
}

/// Origins agree to HTTP/2, HTTP/1.1 or neither; others are made each time.
const KEPT: usize = 4;

impl SiteTls {
    /// Shows `certificate`.
    ///
    /// # Errors
    /// [`ForgeError::Tls`] if the cryptographic library has no randomness for the ticket key.
    pub fn new(certificate: &OwnCertificate) -> Result<Self, ForgeError> {
        let key = Arc::new(Noting(Arc::clone(&certificate.key)));
        let mut template = server_template(None).map_err(ForgeError::Tls)?;
        let shown = CertifiedKey::new(certificate.chain.clone(), key);
        template.cert_resolver = Arc::new(SingleCertAndKey::from(shown));
        Ok(Self {
            template,
            configs: Mutex::default(),
        })
    }

    fn config(&self, alpn: Option<&[u8]>) -> Arc<ServerConfig> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |config: &&Arc<ServerConfig>| config.alpn_protocols == alpn.as_slice();
        if let Some(config) = configs.iter().find(has) {
            return Arc::clone(config);
        }
        let mut config = self.template.clone();
        config.alpn_protocols = alpn.into_iter().map(<[u8]>::to_vec).collect();
        let config = Arc::new(config);
        if configs.len() < KEPT {
            configs.push(Arc::clone(&config));
        }
        config
    }

    /// Shakes hands with a client, with the ALPN that the origin chose.
    ///
    /// # Errors
    /// As [`client::accept`].
    pub async fn accept(
        &self,
        _: &Bump,
        io: Prefixed<Socket>,
        alpn: Option<&[u8]>,
        deadline: Duration,
    ) -> Result<ClientTls, ClientError> {
        client::shake_hands(self.config(alpn), io, Shown::Own, deadline).await
    }

    /// One for tests that shake no hands.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self {
            template: server_template(None).unwrap(),
            configs: Mutex::default(),
        }
    }
}

impl fmt::Debug for SiteTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteTls").finish_non_exhaustive()
    }
}
