//! A certificate that origins are shown who ask who the client is.

use super::own_certificate::OwnCertificate;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use std::sync::Arc;

/// These settings, with that certificate. A session belongs to whom it was made for, and is not for those who are shown to be
/// somebody else: none is kept.
pub(super) fn showing(config: &ClientConfig, certificate: &OwnCertificate) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.client_auth_cert_resolver = Arc::new(ShownCertificate(certificate.certified()));
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Shows the one that it has.
#[derive(Debug)]
struct ShownCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for ShownCertificate {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        super::notes::note(|notes| notes.client_certificate_asked = true);
        self.0.key.choose_scheme(schemes)?;
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
