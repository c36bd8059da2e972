//! The client's handshake: it is shown the forged leaf, and either trusts the CA or does not.

use super::HandshakeOutcome;
use super::client_auth;
use super::der;
use super::forge::Leaf;
use super::notes::{HandshakeNotes, watch};
use crate::accept::{Prefixed, Socket};
use crate::decide::Bump;
use crate::tls::TlsStream;
use crate::tls::alert;
use crate::tls::driver::{self, Handshake};
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, ProtocolVersion, ServerConfig};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A client that finished the handshake.
#[derive(Debug)]
pub struct ClientTls {
    /// The client's end, decrypted.
    pub stream: TlsStream,
    /// [`HandshakeOutcome::Full`] or [`HandshakeOutcome::Resumed`].
    pub outcome: HandshakeOutcome,
    /// The version of TLS.
    pub version: Option<ProtocolVersion>,
    /// The protocol that was agreed on for what is inside (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// The chain that the client has shown, which was verified; empty where it was not asked.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// A handshake with a client that failed.
#[derive(Debug)]
pub struct ClientError {
    /// The kind of failure.
    pub outcome: HandshakeOutcome,
    /// The alert that the client sent, by its name of RFC 8446 section 6; `closed` if it closed without one;
    /// `none` if the failure is not the client's word.
    pub alert: &'static str,
    /// What went wrong, for the log.
    pub text: String,
    /// Whether it is the client's own certificate, or that there is none.
    pub is_about_certificate: bool,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ClientError {}

const CLOSED: &str = "closed";
const NONE: &str = "none";

/// Shakes hands as the server that `leaf` mimics, with the ALPN that the origin chose.
///
/// # Errors
/// [`HandshakeOutcome::ClientRefusedCa`] if the client says so by an alert about the certificate or its signature, or closes
/// after the leaf was sent (many apps with pinned certificates do); [`HandshakeOutcome::Closed`] if it closes before that, or
/// in a resumed handshake, which shows no certificate; else see [`HandshakeOutcome`].
pub async fn accept(
    _: &Bump,
    io: Prefixed<Socket>,
    leaf: &Leaf,
    alpn: Option<&[u8]>,
    deadline: Duration,
) -> Result<ClientTls, ClientError> {
    shake_hands(leaf.server_config(alpn), io, Shown::Forged, deadline).await
}

/// Whose certificate a client is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// A forged one, in the name of an origin.
    Forged,
    /// The proxy's own, on a listener that speaks TLS.
    Own,
}

impl Shown {
    const fn words(self) -> &'static str {
        match self {
            Self::Forged => "the forged certificate",
            Self::Own => "the proxy's own certificate",
        }
    }
}

/// Shakes hands with a client that is shown what `config` has.
pub(super) async fn shake_hands(
    config: Arc<ServerConfig>,
    io: Prefixed<Socket>,
    shown: Shown,
    deadline: Duration,
) -> Result<ClientTls, ClientError> {
    let handshake = driver::accept(config, io);
    let (shaken, notes) = watch(tokio::time::timeout(deadline, handshake)).await;
    match shaken {
        Ok(Ok(Handshake { stream, negotiated })) => Ok(ClientTls {
            stream,
            outcome: if negotiated.resumed {
                HandshakeOutcome::Resumed
            } else {
                HandshakeOutcome::Full
            },
            version: negotiated.version,
            alpn: negotiated.alpn,
            certificates: negotiated.certificates,
        }),
        Ok(Err(error)) => Err(failure(&error, &notes, shown)),
        Err(_) => Err(ClientError {
            outcome: HandshakeOutcome::Timeout,
            alert: NONE,
            text: format!("the client did not finish the TLS handshake within {deadline:?}"),
            is_about_certificate: false,
        }),
    }
}

/// The alert's name if an error on a read after the handshake is the client's refusal of the certificate: in
/// TLS 1.3 some clients finish the handshake first and look at the certificate then.
pub fn refusal(error: &io::Error) -> Option<&'static str> {
    match alert::tls_error(error)? {
        rustls::Error::AlertReceived(alert) if alert::blames_certificate(*alert) => Some(alert::name(*alert)),
        _ => None,
    }
}

fn failure(error: &io::Error, notes: &HandshakeNotes, shown: Shown) -> ClientError {
    // A client that trusts an older CA of the same name finds a wrong signature, which has no alert of its own.
    let wrong_signature = rustls::Error::AlertReceived(AlertDescription::DecryptError);
    let mistrusted = notes.leaf_shown && alert::tls_error(error) == Some(&wrong_signature);
    if let Some(alert) = refusal(error).or(mistrusted.then_some("decrypt_error")) {
        return ClientError {
            outcome: HandshakeOutcome::ClientRefusedCa,
            alert,
            text: format!("the client refused {} with the alert {alert}", shown.words()),
            is_about_certificate: false,
        };
    }
    match alert::tls_error(error) {
        Some(tls) => {
            let (outcome, alert) = outcome(tls);
            let text = format!(
                "the TLS handshake with the client failed: {}",
                der::clean(&tls.to_string())
            );
            ClientError {
                outcome,
                alert,
                text,
                is_about_certificate: client_auth::blames(tls),
            }
        }
        None if alert::is_end(error) && notes.leaf_shown => ClientError {
            outcome: HandshakeOutcome::ClientRefusedCa,
            alert: CLOSED,
            text: format!("the client closed the connection when it saw {}", shown.words()),
            is_about_certificate: false,
        },
        None if alert::is_end(error) => ClientError {
            outcome: HandshakeOutcome::Closed,
            alert: CLOSED,
            text: "the client closed the connection during the TLS handshake".to_owned(),
            is_about_certificate: false,
        },
        None => ClientError {
            outcome: HandshakeOutcome::Failed,
            alert: NONE,
            text: format!("the TLS handshake with the client failed: {error}"),
            is_about_certificate: false,
        },
    }
}

fn outcome(error: &rustls::Error) -> (HandshakeOutcome, &'static str) {
    use rustls::Error as E;
    match error {
        E::AlertReceived(alert) if alert::blames_offer(*alert) => {
            (HandshakeOutcome::Incompatible, alert::name(*alert))
        }
        E::AlertReceived(alert) => (HandshakeOutcome::Failed, alert::name(*alert)),
        E::PeerIncompatible(_) | E::NoApplicationProtocol => (HandshakeOutcome::Incompatible, NONE),
        _ => (HandshakeOutcome::Failed, NONE),
    }
}

#[cfg(test)]
mod tests;
