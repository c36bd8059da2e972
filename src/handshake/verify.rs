//! Verifying the origin's certificate, and saying in plain words why it does not verify.

use super::der;
use super::notes::note;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// WebPKI verification that notes a failure. Where an operator allows invalid certificates the handshake goes
/// on; it still takes the certificate's private key to finish it.
#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    tolerant: bool,
}

impl Verifier {
    pub(super) fn strict(webpki: Arc<WebPkiServerVerifier>) -> Self {
        Self {
            webpki,
            tolerant: false,
        }
    }

    pub(super) fn tolerant(webpki: Arc<WebPkiServerVerifier>) -> Self {
        Self {
            webpki,
            tolerant: true,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.webpki
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(error)) => {
                let text = describe(&error, end_entity, server_name);
                note(|notes| notes.rejected = Some((end_entity.clone().into_owned(), text)));
                if self.tolerant {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(Error::InvalidCertificate(error))
                }
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proved(self.webpki.verify_tls12_signature(message, cert, dss), cert)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proved(self.webpki.verify_tls13_signature(message, cert, dss), cert)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Notes why the origin's signature does not verify, in place of what was tolerated before it.
fn proved(
    verified: Result<HandshakeSignatureValid, Error>,
    cert: &CertificateDer<'_>,
) -> Result<HandshakeSignatureValid, Error> {
    if let Err(Error::InvalidCertificate(error)) = &verified {
        let text = match error {
            CertificateError::BadSignature => {
                "it does not hold the private key of its certificate".to_owned()
            }
            other => format!(
                "its signature cannot be verified: {}",
                der::clean(&other.to_string())
            ),
        };
        note(|notes| notes.rejected = Some((cert.clone().into_owned(), text)));
    }
    verified
}

/// Why `leaf` does not verify, in words that an error page can show. Text from the certificate is cleaned.
pub(super) fn describe(error: &CertificateError, leaf: &[u8], wanted: &ServerName<'_>) -> String {
    use CertificateError as E;
    let x509 = X509Certificate::from_der(leaf).ok().map(|(_, x509)| x509);
    let seconds = |time: &UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match error {
        E::ExpiredContext { not_after, .. } => {
            format!("the certificate expired on {}", der::date(seconds(not_after)))
        }
        E::Expired => "the certificate has expired".to_owned(),
        E::NotValidYetContext { not_before, .. } => {
            format!(
                "the certificate is not valid before {}",
                der::date(seconds(not_before))
            )
        }
        E::NotValidYet => "the certificate is not valid yet".to_owned(),
        E::NotValidForNameContext { presented, .. } => {
            format!(
                "the certificate is for {}; wanted {}",
                list(presented),
                wanted.to_str()
            )
        }
        E::NotValidForName => format!("the certificate is not for {}", wanted.to_str()),
        E::UnknownIssuer => match x509 {
            Some(x509) if x509.subject().as_raw() == x509.issuer().as_raw() => {
                format!(
                    "the certificate is self-signed: {}",
                    der::clean(&x509.subject().to_string())
                )
            }
            Some(x509) => format!(
                "unknown issuer: {}; neither a trusted root nor an intermediate that was sent with it",
                der::clean(&x509.issuer().to_string())
            ),
            None => "unknown issuer".to_owned(),
        },
        E::BadEncoding => "the certificate cannot be parsed".to_owned(),
        E::BadSignature => "a signature in the certificate chain is wrong".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the certificate's extended key usage does not include servers".to_owned()
        }
        E::Other(error) if error.to_string() == "CaUsedAsEndEntity" => match x509 {
            Some(x509) if x509.subject().as_raw() == x509.issuer().as_raw() => {
                format!(
                    "the certificate is self-signed: {}",
                    der::clean(&x509.subject().to_string())
                )
            }
            _ => "the certificate is a CA's, not a server's".to_owned(),
        },
        other => format!("the certificate is invalid: {}", der::clean(&other.to_string())),
    }
}

/// The verifier writes names as `DnsName("a.example")`; people want `a.example`.
fn list(presented: &[String]) -> String {
    const SHOWN: usize = 8;
    let plain = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .unwrap_or(name);
        der::clean(inner.trim_matches('"'))
    };
    let names: Vec<String> = presented.iter().take(SHOWN).map(plain).collect();
    match presented.len() {
        0 => "no name at all".to_owned(),
        shown if shown <= SHOWN => names.join(", "),
        all => format!("{} and {} more", names.join(", "), all - SHOWN),
    }
}
