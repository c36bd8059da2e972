//! TLS to a server that the proxy asks on its own behalf, such as a scanner. It is always verified.

use super::HandshakeOutcome;
use super::crls::Issuers;
use super::judge::{Judge, RevocationMode};
use super::notes::{note, watch};
use super::origin::{self, OriginError, Upstream, UpstreamConfig, UpstreamError};
use super::own_certificate::OwnCertificate;
use super::verify::OriginVerifier;
use crate::accept::{Prefixed, Socket};
use crate::tls::TlsStream;
use crate::tls::alert;
use crate::tls::driver;
use crate::tls::provider::{VERSIONS, provider};
use crate::wire::names::Host;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ClientConfig, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;

/// How one server is verified, and what it is shown. Its sessions are resumed, unless it is shown a certificate. Two are
/// equal that were made of the same certificates.
#[derive(Debug)]
pub struct ServiceTls {
    roots: Option<Vec<CertificateDer<'static>>>,
    certificate: Option<OwnCertificate>,
    config: Arc<ClientConfig>,
}

impl ServiceTls {
    /// Trusts `roots`, or those of the operating system; then this blocks on the file system. Shows `certificate` if
    /// the server asks for one.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub fn new(
        roots: Option<Vec<CertificateDer<'static>>>,
        certificate: Option<OwnCertificate>,
    ) -> Result<Self, UpstreamError> {
        let (store, _) = origin::root_store(UpstreamConfig {
            system_roots: roots.is_none(),
            extra_roots: roots.clone().unwrap_or_default(),
            ..UpstreamConfig::default()
        })?;
        let shown = certificate
            .as_ref()
            .map(|own| Arc::new(CertifiedKey::new(own.chain.clone(), Arc::clone(&own.key))));
        let mut config = client_config(Arc::new(store), shown)?;
        if certificate.is_some() {
            // OpenSSL refuses to resume what began with a client certificate, unless the server has set a context for
            // its sessions. c-icap has not: each second handshake failed with internal_error.
            config.resumption = Resumption::disabled();
        }
        Ok(Self {
            roots,
            certificate,
            config: Arc::new(config),
        })
    }

    /// The same for a library that speaks TLS by itself.
    pub fn for_library(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// Shakes hands with the server `name`: SNI for names, none for addresses. There is no deadline here.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub async fn connect(
        &self,
        leg: impl Into<Prefixed<Socket>>,
        name: &Host,
    ) -> Result<TlsStream, OriginError> {
        let connect = driver::connect(Arc::clone(&self.config), origin::server_name(name)?, leg);
        let (shaken, notes) = watch(connect).await;
        shaken.map(|shaken| shaken.stream).map_err(|error| {
            let failed = origin::failure(&error, name, notes);
            if failed.outcome != HandshakeOutcome::ClientCertificateRequired {
                return failed;
            }
            let shown = failed.alert.filter(|_| self.certificate.is_some());
            OriginError {
                text: format!("{name} {}", unwelcome(shown)),
                ..failed
            }
        })
    }
}

impl PartialEq for ServiceTls {
    fn eq(&self, other: &Self) -> bool {
        (&self.roots, &self.certificate) == (&other.roots, &other.certificate)
    }
}

impl Eq for ServiceTls {}

/// Shakes hands once with the server `name`, which is verified by those that `upstream` trusts. Its revocation is not
/// looked up: what says so may be what is to be had there. There is no deadline here.
///
/// # Errors
/// See [`OriginError`].
pub async fn connect_once(
    upstream: &Upstream,
    leg: impl Into<Prefixed<Socket>>,
    name: &Host,
) -> Result<TlsStream, OriginError> {
    let config = client_config(upstream.trusted(), None)
        .map_err(|error| OriginError::new(HandshakeOutcome::Failed, error.to_string()))?;
    let connect = driver::connect(Arc::new(config), origin::server_name(name)?, leg);
    let (shaken, notes) = watch(connect).await;
    shaken
        .map(|shaken| shaken.stream)
        .map_err(|error| origin::failure(&error, name, notes))
}

fn client_config(
    roots: Arc<RootCertStore>,
    shown: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, UpstreamError> {
    let issuers = Arc::new(Issuers::new(Arc::clone(&roots)));
    let judge = Judge::new(roots, issuers, RevocationMode::Off, &[]).map_err(UpstreamError::Tls)?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| UpstreamError::Tls(error.to_string()))?
        .dangerous() // the verifier is WebPKI's with notes
        .with_custom_certificate_verifier(Arc::new(OriginVerifier::strict(Arc::new(judge))))
        .with_client_cert_resolver(Arc::new(OwnIdentity(shown)));
    // The record layer after the handshake is the proxy's own.
    config.enable_secret_extraction = true;
    Ok(config)
}

/// What a server that was shown no certificate wants, or says of the one that it was shown.
fn unwelcome(shown: Option<AlertDescription>) -> String {
    match shown {
        None => "wants a client certificate".to_owned(),
        Some(alert) => format!("does not accept the client certificate ({})", alert::name(alert)),
    }
}

/// What an error on a read says about the certificate that the server was shown: in TLS 1.3 it says so only after the
/// handshake. `None` if it is no such thing.
pub fn late_refusal(error: &io::Error) -> Option<String> {
    match alert::tls_error(error)? {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Some(unwelcome(None)),
        rustls::Error::AlertReceived(alert) if alert::blames_certificate(*alert) => {
            Some(unwelcome(Some(*alert)))
        }
        _ => None,
    }
}

/// What a server is shown that asks for a certificate.
#[derive(Debug)]
struct OwnIdentity(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for OwnIdentity {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        note(|notes| notes.client_certificate_asked = true);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests;
