//! What it takes to believe an origin: a chain up to a root, and no word that its certificate has been revoked.

use super::crls::{Crl, Issuers};
use super::der;
use super::ocsp::{Issuer, Stapled, stapled};
use super::public_key::PublicKey;
use crate::tls::provider::provider;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// What is made of revocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RevocationMode {
    /// Nothing is looked at.
    Off,
    /// A certificate that is known to be revoked is refused.
    #[default]
    Soft,
    /// So is one of which nothing is known.
    Hard,
}

/// What is known of a certificate's revocation; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// A stapled response or a CRL of its issuer says that it is not revoked.
    Good,
    /// One of them says that it is, or that one of the intermediates is.
    Revoked,
    /// Neither says anything.
    Unknown,
}

impl Revocation {
    /// All of them, for metrics that start at zero.
    pub const ALL: [Self; 3] = [Self::Good, Self::Revoked, Self::Unknown];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// Verifies chains.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) webpki: Arc<WebPkiServerVerifier>,
    crls: Option<Crls>,
    roots: Arc<RootCertStore>,
    issuers: Arc<Issuers>,
    mode: RevocationMode,
}

/// Verifiers that know of CRLs.
#[derive(Debug)]
struct Crls {
    /// Takes what no CRL speaks of.
    any: Arc<WebPkiServerVerifier>,
    /// Wants one of the leaf's issuer that is not out of date.
    leaf: Arc<WebPkiServerVerifier>,
}

impl Judge {
    /// Against `roots`, and `crls`, of which the first counts that is about a certificate. `issuers` learn from the chains
    /// that verify. The text says what is wrong.
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        issuers: Arc<Issuers>,
        mode: RevocationMode,
        crls: &[Crl],
    ) -> Result<Self, String> {
        let builder = || WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider());
        let lists = || -> Vec<CertificateRevocationListDer<'static>> {
            crls.iter().map(|crl| crl.der().to_vec().into()).collect()
        };
        let crls = match mode {
            RevocationMode::Soft | RevocationMode::Hard if !crls.is_empty() => Some(Crls {
                any: builder()
                    .with_crls(lists())
                    .allow_unknown_revocation_status()
                    .build()
                    .map_err(|error| error.to_string())?,
                leaf: builder()
                    .with_crls(lists())
                    .only_check_end_entity_revocation()
                    .enforce_revocation_expiration()
                    .build()
                    .map_err(|error| error.to_string())?,
            }),
            _ => None,
        };
        let webpki = builder().build().map_err(|error| error.to_string())?;
        Ok(Self {
            webpki,
            crls,
            roots,
            issuers,
            mode,
        })
    }

    /// Whether `leaf` with `chain` is to be believed, and what is known of its revocation; `None` where that is switched
    /// off.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<Option<Revocation>, Error> {
        let ask = |verifier: &WebPkiServerVerifier| verifier.verify_server_cert(leaf, chain, name, &[], now);
        ask(&self.webpki)?;
        if self.mode == RevocationMode::Off {
            return Ok(None);
        }
        self.issuers.learn(chain);
        let revoked = Error::InvalidCertificate(CertificateError::Revoked);
        let mut known = match self.stapled(leaf, chain, ocsp, now) {
            Stapled::Revoked(_) => return Err(revoked),
            Stapled::Good => true,
            Stapled::Nothing => false,
        };
        if let Some(crls) = &self.crls {
            // A CRL that cannot be used says nothing.
            match ask(&crls.any) {
                Err(error) if error == revoked => return Err(error),
                _ => known |= ask(&crls.leaf).is_ok(),
            }
        }
        match (known, self.mode) {
            (true, _) => Ok(Some(Revocation::Good)),
            (false, RevocationMode::Hard) => Err(CertificateError::UnknownRevocationStatus.into()),
            (false, _) => Ok(Some(Revocation::Unknown)),
        }
    }

    /// The same for a session that is resumed, which comes without a stapled response: only that is asked which cannot
    /// have been known better when the session was made.
    pub(super) fn verify_again(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = self.webpki.verify_server_cert(leaf, chain, name, &[], now);
        verified.map(|_| ())
    }

    fn stapled(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        ocsp: &[u8],
        now: UnixTime,
    ) -> Stapled {
        let Some((_, x509)) = (!ocsp.is_empty())
            .then(|| X509Certificate::from_der(leaf).ok())
            .flatten()
        else {
            return Stapled::Nothing;
        };
        let name = x509.issuer().as_raw();
        let content = der::expect(name, der::SEQUENCE).map(|(name, _)| name.content);
        let sent = chain.iter().filter_map(|above| {
            let (_, x509) = X509Certificate::from_der(above).ok()?;
            (x509.subject().as_raw() == name).then_some(PublicKey::info_of(above)?)
        });
        let roots = self
            .roots
            .roots
            .iter()
            .filter(|root| Some(&*root.subject) == content);
        let keys = sent.chain(roots.map(|root| &*root.subject_public_key_info));
        let issuers: Vec<Issuer<'_>> = keys.map(|key| Issuer { name, key }).collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        stapled(ocsp, leaf, &issuers, now)
    }
}

/// What a verdict says about revocation.
pub(super) fn told(verdict: &Result<Option<Revocation>, Error>) -> Option<Revocation> {
    match verdict {
        Ok(known) => *known,
        Err(Error::InvalidCertificate(CertificateError::Revoked)) => Some(Revocation::Revoked),
        Err(Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)) => {
            Some(Revocation::Unknown)
        }
        Err(_) => None,
    }
}
