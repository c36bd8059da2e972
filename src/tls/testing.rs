//! What tests of TLS share: identities that a root of their own has signed, and two ends of a connection.

use super::provider::provider;
use crate::accept::{Prefixed, Socket};
use bytes::Bytes;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Long enough for any handshake on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A self-signed CA with a key of this algorithm and this name.
pub(crate) fn root(
    algorithm: &'static SignatureAlgorithm,
    name: &str,
) -> (Issuer<'static, KeyPair>, CertificateDer<'static>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate_for(algorithm).unwrap();
    let der = params.self_signed(&key).unwrap().der().clone();
    (Issuer::new(params, key), der)
}

/// An origin's identity, signed by a root of its own.
pub(crate) struct Identity {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) cert: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

impl Identity {
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    pub(crate) fn with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (issuer, root) = root(
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &format!("Root of {}", names.join(" ")),
        );
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &issuer).unwrap().der().clone();
        Self { root, cert, key }
    }

    pub(crate) fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.cert.clone()],
                PrivateKeyDer::Pkcs8(self.key.serialize_der().into()),
            )
            .unwrap()
    }
}

/// A client that trusts only `root`.
pub(crate) fn client(root: &[u8], versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Two ends of a TCP connection: the one that dialled, and the one that was dialled.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dialled, accepted) = tokio::join!(
        TcpStream::connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (dialled.unwrap(), accepted.unwrap().0)
}

pub(crate) fn plain(tcp: TcpStream) -> Prefixed<Socket> {
    Prefixed::new(Bytes::new(), tcp)
}
