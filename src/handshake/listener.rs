//! TLS with the proxy itself, for clients that reach it as an `https://` proxy: a certificate of the operator's, or
//! a leaf for whatever name the client calls the proxy by.

use super::LeafKey;
use super::client::{self, ClientError, ClientTls, Shown};
use super::client_auth::ClientAuth;
use super::forge::{Forge, ForgeError, LISTENER_ALPN, Mimic, server_template};
use super::mint::Noting;
use super::own_certificate::OwnCertificate;
use crate::accept::{Prefixed, Socket};
use crate::wire::names::Host;
use rustls::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::sync::Arc;
use std::time::Duration;

/// What the proxy shows to clients that speak TLS with it.
#[derive(Debug, Clone)]
pub enum ListenerTls {
    /// A leaf for the name, or the address, that the client asks for.
    Forged(Arc<Forge>),
    /// One certificate for all.
    Certificate(Arc<ServerConfig>),
}

impl ListenerTls {
    /// Shows `certificate`.
    ///
    /// # Errors
    /// [`ForgeError::Tls`] if the cryptographic library has no randomness for the ticket key.
    pub fn certificate(certificate: &OwnCertificate) -> Result<Self, ForgeError> {
        let key = Arc::new(Noting(Arc::clone(&certificate.key)));
        let mut config = server_template(None).map_err(ForgeError::Tls)?;
        config.cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(
            certificate.chain.clone(),
            key,
        )));
        config.alpn_protocols = LISTENER_ALPN.iter().map(|alpn| alpn.to_vec()).collect();
        Ok(Self::Certificate(Arc::new(config)))
    }

    /// What a client is shown that calls the proxy `name` and takes leaves with a `key`.
    ///
    /// # Errors
    /// See [`ForgeError`]; a certificate that is there already cannot fail.
    pub async fn present(&self, name: &Host, key: LeafKey) -> Result<Presented, ForgeError> {
        let forge = match self {
            Self::Certificate(config) => {
                return Ok(Presented {
                    config: Arc::clone(config),
                    leaf: None,
                });
            }
            Self::Forged(forge) => forge,
        };
        let given = forge.leaf(&Mimic::Name(name.clone()), key).await?;
        Ok(Presented {
            config: given.leaf.listener_config(),
            leaf: Some((key, given.minted)),
        })
    }
}

/// What one client is shown.
#[derive(Debug)]
pub struct Presented {
    config: Arc<ServerConfig>,
    /// The kind of leaf, and how long minting it took if it was minted for this client; `None` for the operator's
    /// certificate.
    pub leaf: Option<(LeafKey, Option<Duration>)>,
}

impl Presented {
    /// The client is asked for a certificate.
    #[must_use]
    pub fn asking(self, asks: &ClientAuth) -> Self {
        Self {
            config: asks.asking(&self.config),
            ..self
        }
    }

    /// The client is offered HTTP/1.1 alone.
    #[must_use]
    pub fn without_http2(self) -> Self {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            config: Arc::new(config),
            ..self
        }
    }

    /// Shakes hands, and agrees on HTTP/2 (`h2`) or HTTP/1.1 (`http/1.1`, or nothing).
    ///
    /// # Errors
    /// As [`client::accept`].
    pub async fn accept(self, io: Prefixed<Socket>, deadline: Duration) -> Result<ClientTls, ClientError> {
        client::shake_hands(self.config, io, Shown::Own, deadline).await
    }
}

#[cfg(test)]
mod tests;
