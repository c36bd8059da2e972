//! A TLS client that looks at whatever it is shown, and judges later.

use super::facts::{Tls, Trouble, TroubleKind};
use super::roots::Roots;
use super::target::clean;
use crate::accept::Socket;
use crate::tls::alert;
use crate::tls::driver::{self, Handshake};
use crate::tls::provider::{VERSIONS, provider};
use crate::wire::names::Host;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shakes hands with whoever answers in the name of `host`, and says what was seen.
pub(super) async fn shake_hands(
    socket: Socket,
    host: &Host,
    alpn: &[&str],
    roots: &Roots,
) -> Result<(Socket, Tls), Trouble> {
    let name = match host {
        Host::Ip(ip) => ServerName::from(*ip),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| Trouble::new(TroubleKind::Tls, "the name is none that TLS can verify"))?,
    };
    let asked = Arc::new(Asked::default());
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| Trouble::new(TroubleKind::Tls, error.to_string()))?
        .dangerous() // nothing of value is said on these connections, and the chain is judged afterwards
        .with_custom_certificate_verifier(Arc::new(Looks))
        .with_client_cert_resolver(asked.clone());
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.enable_secret_extraction = true;
    config.resumption = Resumption::disabled();
    let shaken = driver::connect(Arc::new(config), name.clone(), socket).await;
    let Handshake { stream, negotiated } = shaken.map_err(|error| trouble(&error))?;
    let tls = Tls {
        version: match negotiated.version {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        },
        alpn: negotiated.alpn.map(|name| clean(&name)),
        wants_certificate: asked.0.load(Ordering::Relaxed),
        trust: roots.judge(&negotiated.certificates, &name),
    };
    Ok((Socket::inner(stream), tls))
}

/// What an error of a connection is, in words.
pub(super) fn trouble(error: &io::Error) -> Trouble {
    match alert::tls_error(error) {
        Some(rustls::Error::AlertReceived(sent)) => Trouble::new(
            TroubleKind::Tls,
            format!("the far side sent the TLS alert {}", alert::name(*sent)),
        ),
        Some(rustls::Error::InvalidMessage(_)) => Trouble::new(TroubleKind::Tls, "what came is not TLS"),
        Some(error) => Trouble::new(TroubleKind::Tls, clean(error.to_string().as_bytes())),
        None => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                Trouble::new(TroubleKind::Refused, "nobody listens there (connection refused)")
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Trouble::new(TroubleKind::Ended, "the connection was reset")
            }
            io::ErrorKind::UnexpectedEof => Trouble::new(TroubleKind::Ended, "the connection was closed"),
            _ => Trouble::new(TroubleKind::Other, clean(error.to_string().as_bytes())),
        },
    }
}

/// Accepts every chain; signatures are held to it all the same.
#[derive(Debug)]
struct Looks;

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            leaf,
            signed,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            leaf,
            signed,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Has no certificate to show, and knows whether somebody asked for one.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
