//! The certificate authority that signs the leaves: loading one that exists.

mod error;
pub use error::CaError;

use super::ca_doubts::doubts;
use super::der;
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// A certificate authority that can sign leaves. The private key cannot be read out of it.
pub struct Ca {
    pub(super) key: KeyPair,
    pub(super) der: CertificateDer<'static>,
    /// The subject's DER, which becomes the leaves' issuer byte for byte.
    pub(super) name: Vec<u8>,
    /// The content of the subject key identifier, if it has one.
    pub(super) key_id: Option<Vec<u8>>,
    /// What is sent after the leaf: nothing for a self-signed CA.
    pub(super) sent: Vec<CertificateDer<'static>>,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// Where clients may ask which leaves were revoked: an address that stands in each of them.
    pub(super) crl_url: Option<Arc<str>>,
    root: CertificateDer<'static>,
    pem: String,
    subject: String,
    warnings: Vec<String>,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl Ca {
    /// Loads a CA from PEM files; both may be the same file. The first certificate signs, those after it are
    /// sent along with each leaf (a self-signed one at the end is not). The key is ECDSA P-256 or P-384, or
    /// RSA with 2048 to 4096 bits, as PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// See [`CaError`]. A key file that others may read is only a [warning](Self::warnings).
    pub fn load(cert: &Path, key: &Path) -> Result<Self, CaError> {
        let read = |file: &Path| {
            std::fs::read(file).map_err(|source| CaError::Read {
                file: file.to_owned(),
                source,
            })
        };
        let mut ca = Self::build((cert, &read(cert)?), (key, &read(key)?), der::now())?;
        ca.warnings.extend(readable_by_others(key));
        Ok(ca)
    }

    /// Like [`load`](Self::load), from PEM text.
    ///
    /// # Errors
    /// See [`CaError`]; the files are called "certificate" and "key".
    pub fn from_pem(cert: &str, key: &str) -> Result<Self, CaError> {
        let (cert_name, key_name) = (Path::new("certificate"), Path::new("key"));
        Self::build(
            (cert_name, cert.as_bytes()),
            (key_name, key.as_bytes()),
            der::now(),
        )
    }

    /// The signing certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The signing certificate as DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What clients should trust, as PEM: the self-signed root at the end of the chain if the file has one, else
    /// the signing certificate.
    pub fn root_pem(&self) -> String {
        der::certificate_pem(&self.root)
    }

    /// What clients should trust, as DER: see [`root_pem`](Self::root_pem).
    pub fn root_der(&self) -> &[u8] {
        &self.root
    }

    /// The signing certificate's subject, as text.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When the signing certificate expires; no leaf lives longer.
    pub fn not_after(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.not_after.max(0).unsigned_abs())
    }

    /// SHA-256 of what clients should trust, as `openssl x509 -fingerprint -sha256` writes it: see
    /// [`root_pem`](Self::root_pem).
    pub fn root_fingerprint_sha256(&self) -> String {
        fingerprint(&self.root)
    }

    /// SHA-256 of the signing certificate, as `openssl x509 -fingerprint -sha256` writes it.
    pub fn fingerprint_sha256(&self) -> String {
        fingerprint(&self.der)
    }

    /// What an operator should know though it is no error, such as a key file that others may read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The same CA, whose leaves name this address as the place to ask for revocations (RFC 5280 section 4.2.1.13).
    #[must_use]
    pub fn naming_crl(self, url: Option<Arc<str>>) -> Self {
        Self { crl_url: url, ..self }
    }

    /// Where clients may ask which leaves were revoked.
    pub fn crl_url(&self) -> Option<&str> {
        self.crl_url.as_deref()
    }

    /// Whether signing takes long enough (RSA: 1 ms and more) to be kept off the async threads.
    pub(super) fn signs_slowly(&self) -> bool {
        self.key.algorithm() == &rcgen::PKCS_RSA_SHA256
    }

    pub(super) fn build(cert: (&Path, &[u8]), key: (&Path, &[u8]), now: i64) -> Result<Self, CaError> {
        let (cert_file, cert_pem) = cert;
        let mut certificates = certificates(cert_file, cert_pem)?.into_iter();
        let Some(der) = certificates.next() else {
            return Err(CaError::NoCertificate {
                file: cert_file.to_owned(),
            });
        };
        let key_pair = private_key(key.0, key.1)?;

        let bad = |text: String| CaError::BadCertificate {
            file: cert_file.to_owned(),
            text,
        };
        let x509 = parse(&der).map_err(bad)?;
        if *x509.public_key().subject_public_key.data != *key_pair.der_bytes() {
            return Err(CaError::KeyMismatch {
                cert: cert_file.to_owned(),
                key: key.0.to_owned(),
            });
        }
        check_key(key.0, &x509, &key_pair)?;
        may_sign(&x509).map_err(|text| CaError::NotACa {
            file: cert_file.to_owned(),
            text,
        })?;
        let (not_before, not_after) = (
            x509.validity().not_before.timestamp(),
            x509.validity().not_after.timestamp(),
        );
        if now > not_after {
            return Err(CaError::Expired {
                file: cert_file.to_owned(),
                since: der::date(not_after),
            });
        }
        if now < not_before {
            return Err(CaError::NotYetValid {
                file: cert_file.to_owned(),
                from: der::date(not_before),
            });
        }
        let key_id = x509
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            });

        let mut chain = vec![der.clone()];
        let mut sent: Vec<CertificateDer<'static>> = Vec::new();
        let mut root = der.clone();
        if !self_issued(&x509) {
            sent.push(der.clone());
            for certificate in certificates {
                chain.push(certificate.clone());
                if self_issued(&parse(&certificate).map_err(bad)?) {
                    root = certificate;
                    break;
                }
                sent.push(certificate);
            }
        }
        let mut warnings: Vec<_> = ends_soon(cert_file, not_after, now).into_iter().collect();
        warnings.extend(doubts(cert_file, &chain));
        Ok(Self {
            key: key_pair,
            name: x509.subject().as_raw().to_vec(),
            key_id,
            sent,
            not_before,
            not_after,
            crl_url: None,
            root,
            pem: der::certificate_pem(&der),
            subject: der::clean(&x509.subject().to_string()),
            warnings,
            der,
        })
    }
}

fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let bytes: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(error.to_string()),
    }
}

/// How long before its end a CA is worth a warning: clients have to get a new one first, and some of them by hand.
const SOON: i64 = 90 * 86_400;

fn ends_soon(file: &Path, not_after: i64, now: i64) -> Option<String> {
    (not_after - now < SOON).then(|| {
        format!(
            "the CA in {} expires on {}: clients refuse what it signs from then on; make a new one and install it on them first",
            file.display(),
            der::date(not_after)
        )
    })
}

fn self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

pub(super) fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CaError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| CaError::BadPem {
            file: file.to_owned(),
            text: error.to_string(),
        })
}

pub(super) fn private_key(file: &Path, pem: &[u8]) -> Result<KeyPair, CaError> {
    KeyPair::try_from(&key_der(file, pem)?).map_err(|_| CaError::BadKey {
        file: file.to_owned(),
        text: format!("it is damaged or of an unsupported kind; {SUPPORTED}"),
    })
}

/// The first private key in a PEM file.
pub(super) fn key_der(file: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, CaError> {
    let contains = |text: &str| pem.windows(text.len()).any(|window| window == text.as_bytes());
    // A legacy encrypted key has the label of a plain one and a header of RFC 1421 that says otherwise.
    if contains("BEGIN ENCRYPTED PRIVATE KEY") || contains("Proc-Type: 4,ENCRYPTED") {
        return Err(CaError::EncryptedKey {
            file: file.to_owned(),
        });
    }
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| CaError::BadPem {
            file: file.to_owned(),
            text: error.to_string(),
        })?;
        return Ok(match kind {
            SectionKind::PrivateKey => PrivateKeyDer::Pkcs8(der.into()),
            SectionKind::RsaPrivateKey => PrivateKeyDer::Pkcs1(der.into()),
            SectionKind::EcPrivateKey => PrivateKeyDer::Sec1(der.into()),
            _ => continue,
        });
    }
    Err(CaError::NoKey {
        file: file.to_owned(),
    })
}

const SUPPORTED: &str = "ECDSA P-256, ECDSA P-384 and RSA with 2048 to 4096 bits are supported";

fn check_key(file: &Path, x509: &X509Certificate<'_>, key: &KeyPair) -> Result<(), CaError> {
    let bad = |text| {
        Err(CaError::BadKey {
            file: file.to_owned(),
            text,
        })
    };
    let algorithm = key.algorithm();
    if algorithm == &rcgen::PKCS_RSA_SHA256 {
        let size = match x509.public_key().parsed() {
            Ok(PublicKey::RSA(rsa)) => rsa.key_size(),
            _ => 0,
        };
        if !(2048..=4096).contains(&size) {
            return bad(format!("it is RSA with {size} bits; {SUPPORTED}"));
        }
    } else if algorithm != &rcgen::PKCS_ECDSA_P256_SHA256 && algorithm != &rcgen::PKCS_ECDSA_P384_SHA384 {
        return bad(format!("browsers would not accept its signatures; {SUPPORTED}"));
    }
    Ok(())
}

/// RFC 5280 sections 4.2.1.9, 4.2.1.3 and 4.2.1.12; the last constrains what a chain may be used for.
fn may_sign(x509: &X509Certificate<'_>) -> Result<(), &'static str> {
    if !matches!(x509.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca) {
        return Err("its basic constraints do not say CA:TRUE");
    }
    match x509.key_usage() {
        Ok(None) => {}
        Ok(Some(usage)) if usage.value.key_cert_sign() => {}
        _ => return Err("its key usage lacks keyCertSign"),
    }
    match x509.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.any || usage.value.server_auth => Ok(()),
        _ => Err("its extended key usage lacks serverAuth"),
    }
}

#[cfg(unix)]
pub(super) fn readable_by_others(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "the private key in {} may be read by others (mode {mode:04o}); use 0600",
            file.display()
        )
    })
}

#[cfg(not(unix))]
pub(super) fn readable_by_others(_file: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests;
