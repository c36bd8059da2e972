//! Who vouches for a chain: the public roots, this machine's, or those that were given.

use super::facts::{Trust, UNKNOWN_ISSUER};
use super::target::clean;
use crate::tls::provider::provider;
use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use std::sync::Arc;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;

/// The roots that a chain is held against.
#[derive(Debug)]
pub struct Roots {
    public: RootCertStore,
    system: RootCertStore,
    given: Vec<(String, RootCertStore)>,
    /// The CA of this machine's wsbump, which is known and not believed.
    own: RootCertStore,
}

impl Roots {
    /// The public roots, this machine's, and those of the files that were given; `own` is the CA of this machine's wsbump,
    /// if it has one. Blocks on the file system.
    ///
    /// # Errors
    /// A given file's certificate cannot be used; the text says which and why.
    pub fn new(
        given: Vec<(String, Vec<CertificateDer<'static>>)>,
        own: Vec<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        let mut public = RootCertStore::empty();
        public.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        let mut system = RootCertStore::empty();
        system.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let given = given
            .into_iter()
            .map(|(name, roots)| {
                let mut store = RootCertStore::empty();
                for root in roots {
                    store.add(root).map_err(|error| {
                        format!("{name}: a certificate cannot be used as a root: {error}")
                    })?;
                }
                Ok((name, store))
            })
            .collect::<Result<_, String>>()?;
        let mut wsbump = RootCertStore::empty();
        wsbump.add_parsable_certificates(own);
        Ok(Self {
            public,
            system,
            given,
            own: wsbump,
        })
    }

    /// Judges a chain by all of them.
    pub(super) fn judge(&self, chain: &[CertificateDer<'static>], name: &ServerName<'static>) -> Trust {
        let Some((leaf, rest)) = chain.split_first() else {
            return Trust::default();
        };
        let by = |store: &RootCertStore| verdict(store, leaf, rest, name);
        let given = self.given.iter();
        Trust {
            issuer: issuer(leaf),
            leaf: digest::digest(&digest::SHA256, leaf).as_ref().to_vec(),
            public: by(&self.public),
            system: by(&self.system),
            given: given.map(|(name, store)| (name.clone(), by(store))).collect(),
            is_by_wsbump: by(&self.own).is_none(),
            strict: strict(chain),
            has_revocation: has_revocation(leaf),
        }
    }
}

/// Why these roots do not accept the chain.
fn verdict(
    store: &RootCertStore,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    name: &ServerName<'static>,
) -> Option<String> {
    if store.is_empty() {
        return Some(format!("{UNKNOWN_ISSUER}: there are no roots"));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store.clone()), provider());
    let verifier = match verifier.build() {
        Ok(verifier) => verifier,
        Err(error) => return Some(error.to_string()),
    };
    let error = verifier
        .verify_server_cert(leaf, rest, name, &[], UnixTime::now())
        .err()?;
    Some(match error {
        rustls::Error::InvalidCertificate(error) => words(&error, leaf),
        error => error.to_string(),
    })
}

fn words(error: &CertificateError, leaf: &CertificateDer<'_>) -> String {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => UNKNOWN_ISSUER.to_owned(),
        E::Expired | E::ExpiredContext { .. } => match dates(leaf) {
            Some((_, until)) => format!("it expired on {until}"),
            None => "it has expired".to_owned(),
        },
        E::NotValidYet | E::NotValidYetContext { .. } => match dates(leaf) {
            Some((from, _)) => format!("it is not valid before {from}"),
            None => "it is not valid yet".to_owned(),
        },
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another name".to_owned(),
        E::BadSignature => "a signature in its chain is wrong".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it is not for servers".to_owned(),
        error => clean(error.to_string().as_bytes()),
    }
}

fn dates(leaf: &CertificateDer<'_>) -> Option<(String, String)> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    let date = |time: x509_parser::time::ASN1Time| time.to_datetime().date().to_string();
    let validity = parsed.validity();
    Some((date(validity.not_before), date(validity.not_after)))
}

/// The issuer as people call it.
fn issuer(leaf: &CertificateDer<'_>) -> String {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
        return "a certificate that cannot be read".to_owned();
    };
    called(parsed.issuer())
}

fn called(name: &X509Name<'_>) -> String {
    let first = |mut texts: Vec<Option<&str>>| texts.drain(..).flatten().next().map(str::to_owned);
    let common = first(name.iter_common_name().map(|part| part.as_str().ok()).collect());
    let organization = first(name.iter_organization().map(|part| part.as_str().ok()).collect());
    let text = match (common, organization) {
        (Some(common), Some(organization)) if common != organization => format!("{common}, {organization}"),
        (Some(only), _) | (None, Some(only)) => only,
        (None, None) => "a CA without a name".to_owned(),
    };
    clean(text.as_bytes())
}

/// What Python 3.13, OpenSSL's `-x509_strict`, Apple's and others' clients refuse in a chain whose root they trust.
fn strict(chain: &[CertificateDer<'_>]) -> Vec<String> {
    const DAYS: i64 = 825;
    let mut found = Vec::new();
    for (at, der) in chain.iter().enumerate() {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            found.push("a certificate of the chain cannot be read".to_owned());
            continue;
        };
        let who = match at {
            0 => "the leaf".to_owned(),
            _ => format!("the CA {:?}", called(certificate.subject())),
        };
        let mut wrong = |what: &str| found.push(format!("{who} {what}"));
        let is_root = certificate.subject() == certificate.issuer();
        let (mut authority, mut subject, mut critical) = (false, false, false);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(_) => authority = true,
                ParsedExtension::SubjectKeyIdentifier(_) => subject = true,
                ParsedExtension::BasicConstraints(_) => critical = extension.critical,
                _ => {}
            }
        }
        if !authority && !is_root {
            wrong("has no Authority Key Identifier: Python 3.13 and later refuse it");
        }
        if at > 0 && !critical {
            wrong("has no critical Basic Constraints: Python 3.13 and later refuse it");
        }
        if at > 0 && !subject {
            wrong("has no Subject Key Identifier: Python 3.13 and later refuse it");
        }
        if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed()
            && key.key_size() < 2048
        {
            wrong("has an RSA key of fewer than 2,048 bits: rustls, OpenSSL and others refuse it");
        }
        // sha1WithRSAEncryption and ecdsa-with-SHA1.
        let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
        if !is_root && matches!(&*algorithm, "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1") {
            wrong("is signed with SHA-1: nearly all clients refuse it");
        }
        let validity = certificate.validity();
        let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
        if at == 0 && days > DAYS {
            wrong("is valid for more than 825 days: Apple's clients refuse it");
        }
    }
    found
}

/// Whether the leaf names a list or a responder: without either, Schannel says CRYPT_E_NO_REVOCATION_CHECK.
fn has_revocation(leaf: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
        return false;
    };
    parsed.extensions().iter().any(|extension| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::CRLDistributionPoints(_) | ParsedExtension::AuthorityInfoAccess(_)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    struct Made {
        root: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "A company");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2028, 1, 1);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        Made { root, leaf }
    }

    fn judged(made: &Made, name: &'static str) -> Trust {
        let roots = Roots::new(vec![("ca.pem".to_owned(), vec![made.root.clone()])], Vec::new()).unwrap();
        roots.judge(
            &[made.leaf.clone(), made.root.clone()],
            &ServerName::try_from(name).unwrap(),
        )
    }

    #[test]
    fn a_companys_ca_is_told_from_a_public_one() {
        let trust = judged(&made(|_| {}), "a.example");
        assert_eq!(trust.issuer, "A company");
        assert_eq!(trust.public.as_deref(), Some(UNKNOWN_ISSUER));
        assert_eq!(trust.given, [("ca.pem".to_owned(), None)]);
        assert!(trust.is_accepted() && trust.strict.is_empty(), "{trust:?}");
        assert!(!trust.has_revocation);
    }

    #[test]
    fn what_is_wrong_is_said_by_whoever_knows_the_issuer() {
        let old = judged(
            &made(|params| params.not_after = rcgen::date_time_ymd(2026, 2, 1)),
            "a.example",
        );
        assert_eq!(old.problem(), Some("it expired on 2026-02-01"));
        assert!(!old.is_by_stranger());
        let other = judged(&made(|_| {}), "b.example");
        assert_eq!(other.problem(), Some("it is for another name"));
    }

    #[test]
    fn strict_clients_complaints_are_foreseen() {
        let trust = judged(
            &made(|params| {
                params.use_authority_key_identifier_extension = false;
                params.not_after = rcgen::date_time_ymd(2030, 1, 1);
            }),
            "a.example",
        );
        let text = trust.strict.join("; ");
        assert!(
            text.contains("no Authority Key Identifier") && text.contains("825 days"),
            "{text}"
        );
    }
}
