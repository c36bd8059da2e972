//! How an origin's handshake fails, and what that is called.

use crate::handshake::HandshakeOutcome;
use crate::handshake::der;
use crate::handshake::judge::Revocation;
use crate::handshake::notes::HandshakeNotes;
use crate::tls::alert;
use crate::wire::names::Host;
use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::io;

/// A handshake with an origin that failed.
#[derive(Debug)]
pub struct OriginError {
    /// The kind of failure.
    pub outcome: HandshakeOutcome,
    /// What went wrong, in words for an error page and the log.
    pub text: String,
    /// The certificate that does not verify.
    pub certificate: Option<CertificateDer<'static>>,
    /// The alert that the origin sent.
    pub alert: Option<AlertDescription>,
    /// What is known of its certificate's revocation; `None` where nobody asked.
    pub revocation: Option<Revocation>,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for OriginError {}

impl OriginError {
    /// The alert's number and name: the parameters `alert-id` and `alert-message` of RFC 9209 section 2.3.15.
    pub fn alert(&self) -> Option<(u8, &'static str)> {
        self.alert.map(|alert| (u8::from(alert), alert::name(alert)))
    }

    pub(in crate::handshake) fn new(outcome: HandshakeOutcome, text: String) -> Self {
        Self {
            outcome,
            text,
            certificate: None,
            alert: None,
            revocation: None,
        }
    }
}

/// What an origin may be missing.
const OFFERED: &str = "offered were TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305: no older version, no CBC, no RSA key exchange; \
     a list in policy.splice lets clients speak with it as they can";

/// What a failed handshake was about.
pub(in crate::handshake) fn failure(error: &io::Error, name: &Host, notes: HandshakeNotes) -> OriginError {
    let Some(tls) = alert::tls_error(error) else {
        return if alert::is_end(error) {
            OriginError::new(
                HandshakeOutcome::Closed,
                format!("{name} closed the connection during the TLS handshake"),
            )
        } else {
            OriginError::new(
                HandshakeOutcome::Failed,
                format!("the TLS handshake with {name} failed: {error}"),
            )
        };
    };
    let outcome = outcome(tls, notes.client_certificate_asked);
    let received = match tls {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    };
    let (certificate, reason) = match notes.rejected {
        // Only if it is what ended the handshake: a tolerated one may end for another reason.
        Some((certificate, text)) if outcome == HandshakeOutcome::CertificateInvalid => {
            (Some(certificate), Some(text))
        }
        _ => (None, None),
    };
    let text = match (outcome, received, reason) {
        (HandshakeOutcome::CertificateInvalid, _, Some(reason)) => format!("{name}: {reason}"),
        (HandshakeOutcome::ClientCertificateRequired, ..) => {
            format!("{name} wants a client certificate, which a proxy cannot have")
        }
        (_, Some(alert), _) => {
            format!(
                "{name} ended the TLS handshake with the alert {}",
                alert::name(alert)
            )
        }
        _ => format!(
            "the TLS handshake with {name} failed: {}",
            der::clean(&tls.to_string())
        ),
    };
    let about_alpn = matches!(
        tls,
        rustls::Error::NoApplicationProtocol
            | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
    );
    let text = match outcome {
        HandshakeOutcome::Incompatible if !about_alpn => format!("{text}; {OFFERED}"),
        _ => text,
    };
    OriginError {
        outcome,
        text,
        certificate,
        alert: received,
        revocation: notes.revocation,
    }
}

fn outcome(error: &rustls::Error, client_certificate_asked: bool) -> HandshakeOutcome {
    use AlertDescription as A;
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(_) => HandshakeOutcome::CertificateInvalid,
        E::AlertReceived(A::CertificateRequired) => HandshakeOutcome::ClientCertificateRequired,
        // TLS 1.2 has no alert of its own for it; servers use these.
        E::AlertReceived(alert)
            if client_certificate_asked
                && (*alert == A::HandshakeFailure || alert::blames_certificate(*alert)) =>
        {
            HandshakeOutcome::ClientCertificateRequired
        }
        E::AlertReceived(alert) if alert::blames_offer(*alert) => HandshakeOutcome::Incompatible,
        E::PeerIncompatible(_) | E::NoApplicationProtocol => HandshakeOutcome::Incompatible,
        _ => HandshakeOutcome::Failed,
    }
}

/// What an error on a read after the handshake says about the handshake: in TLS 1.3 an origin learns only
/// after it that no client certificate comes. `None` if it is no such thing.
pub fn late_failure(error: &io::Error) -> Option<HandshakeOutcome> {
    match alert::tls_error(error)? {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Some(HandshakeOutcome::ClientCertificateRequired)
        }
        _ => None,
    }
}
