//! Verifying the origin's certificate.

use super::intermediates::Sent;
use super::judge::{Judge, Revocation, told};
use super::notes::{note, noted};
use super::public_key::{Proof, PublicKey};
use super::reasons::{describe, describe_signature};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// WebPKI verification that notes a failure. Where an operator allows invalid certificates the handshake goes
/// on; it still takes the certificate's private key to finish it. A chain that may be completed is left to whoever
/// watches the handshake, since a verifier cannot wait.
#[derive(Debug)]
pub(super) struct OriginVerifier {
    judge: Arc<Judge>,
    tolerant: bool,
}

impl OriginVerifier {
    pub(super) fn strict(judge: Arc<Judge>) -> Self {
        Self {
            judge,
            tolerant: false,
        }
    }

    pub(super) fn tolerant(judge: Arc<Judge>) -> Self {
        Self {
            judge,
            tolerant: true,
        }
    }
}

impl ServerCertVerifier for OriginVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .judge
            .verify(end_entity, intermediates, server_name, ocsp_response, now);
        let known = told(&verified);
        note(|notes| notes.revocation = known);
        match verified {
            Err(Error::InvalidCertificate(error)) => {
                let is_unknown = error == CertificateError::UnknownIssuer;
                if is_unknown && noted(|notes| notes.may_complete) == Some(true) {
                    let sent = Sent {
                        leaf: end_entity.clone().into_owned(),
                        intermediates: intermediates.iter().map(|der| der.clone().into_owned()).collect(),
                        ocsp: ocsp_response.to_vec(),
                    };
                    if sent.says_where() {
                        note(|notes| notes.incomplete = Some(sent));
                        return Ok(ServerCertVerified::assertion());
                    }
                }
                let text = describe(&error, end_entity, server_name);
                note(|notes| notes.rejected = Some((end_entity.clone().into_owned(), text)));
                // What its issuer has revoked is not merely invalid: somebody else may hold its key.
                if self.tolerant && known != Some(Revocation::Revoked) {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(Error::InvalidCertificate(error))
                }
            }
            other => other.map(|_| ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proved(
            self.judge.webpki.verify_tls12_signature(message, cert, dss),
            message,
            cert,
            dss,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proved(
            self.judge.webpki.verify_tls13_signature(message, cert, dss),
            message,
            cert,
            dss,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.webpki.supported_verify_schemes()
    }
}

impl OriginVerifier {
    /// Notes why the origin's signature does not verify, in place of what was tolerated before it. WebPKI takes no key
    /// out of a certificate that it does not like; where such ones are allowed, the key is what counts.
    fn proved(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Err(Error::InvalidCertificate(error)) = &verified else {
            return verified;
        };
        let text = describe_signature(error, cert);
        if self.tolerant {
            let key = PublicKey::of_certificate(cert);
            match key.map(|key| key.proves(dss.scheme, message, dss.signature())) {
                Some(Proof::Valid) => {
                    note(|notes| {
                        notes.rejected.get_or_insert((cert.clone().into_owned(), text));
                    });
                    return Ok(HandshakeSignatureValid::assertion());
                }
                // Nobody could tell apart who shows such a certificate: it is as good as none.
                Some(Proof::Unknown) => {
                    note(|notes| notes.rejected = Some((cert.clone().into_owned(), text)));
                    return Ok(HandshakeSignatureValid::assertion());
                }
                Some(Proof::Invalid) | None => {}
            }
        }
        note(|notes| notes.rejected = Some((cert.clone().into_owned(), text)));
        verified
    }
}
