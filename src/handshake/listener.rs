//! TLS with the proxy itself, for clients that reach it as an `https://` proxy: a certificate of the operator's, or
//! a leaf for whatever name the client calls the proxy by.

use super::LeafKey;
use super::ca::{CaError, certificates, key_der, parse, readable_by_others};
use super::client::{self, ClientError, ClientTls, Shown};
use super::der;
use super::forge::{Forge, ForgeError, LISTENER_ALPN, Mimic, server_template};
use super::mint::Noting;
use crate::accept::{Prefixed, Socket};
use crate::wire::names::Host;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, ServerConfig};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A server's certificate with its key and its chain. The private key cannot be read out of it.
pub struct ServerCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    warnings: Vec<String>,
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// Reads PEM files, each given by its path and content; both may be the same. The first certificate is the
    /// server's, those after it are sent along. The key is ECDSA, RSA or Ed25519, as PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// See [`CaError`]. That the certificate is out of date, or that others may read the key, is only a
    /// [warning](Self::warnings).
    pub fn from_pem(cert: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<Self, CaError> {
        let chain = certificates(cert.0, cert.1)?;
        let file = cert.0.to_owned();
        let Some(leaf) = chain.first() else {
            return Err(CaError::NoCertificate { file });
        };
        let signs = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key_der(key.0, key.1)?);
        let signs = signs.map_err(|_| CaError::BadKey {
            file: key.0.to_owned(),
            text: "it is damaged or of an unsupported kind; ECDSA P-256, P-384 and P-521, RSA and Ed25519 are supported"
                .to_owned(),
        })?;
        let x509 = parse(leaf).map_err(|text| CaError::BadCertificate {
            file: file.clone(),
            text,
        })?;
        let (not_before, not_after) = (
            x509.validity().not_before.timestamp(),
            x509.validity().not_after.timestamp(),
        );
        let mut warnings = Vec::new();
        let now = der::now();
        if now > not_after || now < not_before {
            warnings.push(format!(
                "the certificate in {} is good from {} to {} only: clients will refuse it",
                file.display(),
                der::date(not_before),
                der::date(not_after)
            ));
        }
        warnings.extend(readable_by_others(key.0));
        match CertifiedKey::new(chain.clone(), Arc::clone(&signs)).keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(CaError::KeyMismatch {
                    cert: file,
                    key: key.0.to_owned(),
                });
            }
            Err(error) => {
                let text = error.to_string();
                return Err(CaError::BadCertificate { file, text });
            }
        }
        Ok(Self {
            chain,
            key: signs,
            warnings,
        })
    }

    /// The certificate, and what is sent after it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// What an operator should know though it is no error.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

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
    pub fn certificate(certificate: &ServerCertificate) -> Result<Self, ForgeError> {
        let key = Arc::new(Noting(Arc::clone(&certificate.key)));
        let mut config = server_template().map_err(ForgeError::Tls)?;
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
