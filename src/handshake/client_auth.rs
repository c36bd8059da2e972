//! Certificates that clients show to the proxy itself, on a listener that speaks TLS (RFC 8446 section 4.3.2).

use super::crls::Crl;
use super::forge::server_template;
use crate::tls::provider::provider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};
use std::fmt;
use std::sync::Arc;

/// Whose certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthConfig {
    /// The authorities that sign them.
    pub roots: Vec<CertificateDer<'static>>,
    /// What they have revoked. With any, each client's certificate must be spoken of by one that is not out of date.
    pub crls: Vec<Crl>,
    /// Whether a client without one goes no further than the handshake.
    pub required: bool,
}

/// Asks clients for certificates, and verifies them.
pub struct ClientAuth {
    config: ClientAuthConfig,
    /// TLS with clients that are asked.
    template: ServerConfig,
}

impl ClientAuth {
    /// Asks as `config` says.
    ///
    /// # Errors
    /// The authorities or what they have revoked cannot be used; the text says which.
    pub fn new(config: ClientAuthConfig) -> Result<Self, String> {
        let verifier = Arc::new(ClientVerifier::new(&config)?);
        let mut template = server_template(Some(verifier)).map_err(|error| error.to_string())?;
        // A session that is resumed shows no certificate, and the one that it began with may have ended since, or have been
        // revoked: each handshake is a whole one.
        template.ticketer = Arc::new(NoTickets);
        template.send_tls13_tickets = 0;
        template.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config, template })
    }

    /// What it was made of.
    pub fn config(&self) -> &ClientAuthConfig {
        &self.config
    }

    /// Shows clients what `shown` does, and asks them.
    pub(super) fn asking(&self, shown: &ServerConfig) -> Arc<ServerConfig> {
        let mut config = self.template.clone();
        config.cert_resolver = Arc::clone(&shown.cert_resolver);
        config.alpn_protocols.clone_from(&shown.alpn_protocols);
        Arc::new(config)
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Makes no tickets.
#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _plain: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// WebPKI's, asked of chains and of revocation.
#[derive(Debug)]
struct ClientVerifier {
    /// Takes what no CRL speaks of, and refuses all of a chain that one has revoked.
    chain: Arc<dyn ClientCertVerifier>,
    /// Wants a CRL of the leaf's issuer that is not out of date; `None` without any.
    leaf: Option<Arc<dyn ClientCertVerifier>>,
}

impl ClientVerifier {
    fn new(config: &ClientAuthConfig) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for root in &config.roots {
            roots.add(root.clone()).map_err(|error| error.to_string())?;
        }
        let roots = Arc::new(roots);
        let builder = || {
            let lists = config.crls.iter().map(|crl| crl.der().to_vec());
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
                .with_crls(lists.map(CertificateRevocationListDer::from))
        };
        let chain = match config.required {
            true => builder(),
            false => builder().allow_unauthenticated(),
        };
        let chain = chain.allow_unknown_revocation_status().build();
        let leaf = match config.crls.is_empty() {
            true => None,
            false => Some(
                builder()
                    .only_check_end_entity_revocation()
                    .enforce_revocation_expiration()
                    .build()
                    .map_err(|error| error.to_string())?,
            ),
        };
        Ok(Self {
            chain: chain.map_err(|error| error.to_string())?,
            leaf,
        })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(strict) = &self.leaf {
            strict.verify_client_cert(leaf, above, now)?;
        }
        self.chain.verify_client_cert(leaf, above, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// An error of the listener's that is about a certificate.
pub(super) fn blames(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented | Error::InvalidCertRevocationList(_)
    )
}

#[cfg(test)]
mod tests;
