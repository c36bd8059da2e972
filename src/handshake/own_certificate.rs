//! A certificate of the operator's that the proxy shows as its own: to clients as a server, or to a server as a client.

use super::ca::{CaError, certificates, key_der, parse, readable_by_others};
use super::der;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A certificate with its key and its chain. The private key cannot be read out of it.
#[derive(Clone)]
pub struct OwnCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: Arc<dyn SigningKey>,
    warnings: Vec<String>,
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCertificate")
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// By the certificates: a key cannot change alone.
impl PartialEq for OwnCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain
    }
}

impl Eq for OwnCertificate {}

impl OwnCertificate {
    /// As the TLS library shows it.
    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::new(CertifiedKey::new(self.chain.clone(), Arc::clone(&self.key)))
    }

    /// Reads PEM files, each given by its path and content; both may be the same. The first certificate is the
    /// own one, those after it are sent along. The key is ECDSA, RSA or Ed25519, as PKCS#8, PKCS#1 or SEC1.
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
                "the certificate in {} is good from {} to {} only: whoever is shown it will refuse it",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::Identity;

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let (identity, other) = (Identity::new(&["a.example"]), Identity::new(&["b.example"]));
        let cert = der::certificate_pem(&identity.cert);
        let (good, wrong) = (identity.key.serialize_pem(), other.key.serialize_pem());
        let load = |cert: &str, key: &str| {
            let (cert_path, key_path) = (Path::new("c.pem"), Path::new("k.pem"));
            OwnCertificate::from_pem((cert_path, cert.as_bytes()), (key_path, key.as_bytes()))
        };
        assert!(load(&cert, &good).is_ok());
        for (cert, key, words) in [
            ("", &*good, "c.pem holds no certificate"),
            (&*cert, "", "k.pem holds no private key"),
            (
                &cert,
                &wrong,
                "k.pem does not belong to the first certificate in c.pem",
            ),
            (&good, &good, "c.pem holds no certificate"),
        ] {
            let error = load(cert, key).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let old = Identity::with(&["a.example"], |params| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        });
        let loaded = load(&der::certificate_pem(&old.cert), &old.key.serialize_pem()).unwrap();
        assert!(
            loaded.warnings()[0].contains("2002-01-01"),
            "{:?}",
            loaded.warnings()
        );
    }
}
