//! What the tests of this room share: certificates of all kinds, and the `openssl` command as a judge from outside.

use super::ca::Ca;
use super::forge::{Forge, ForgeConfig};
use crate::accept::{Prefixed, Socket};
use bytes::Bytes;
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Long enough for any handshake on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Runs `openssl` in `dir` and returns what it prints; words are split at spaces.
pub(crate) fn openssl(dir: &Path, args: &str) -> String {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "openssl {args}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// `openssl x509 -text` of a certificate.
pub(crate) fn openssl_text(der: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.der"), der).unwrap();
    openssl(
        dir.path(),
        "x509 -inform DER -in c.der -noout -text -nameopt RFC2253",
    )
}

/// A self-signed CA with a key of this algorithm.
pub(crate) fn ca(algorithm: &'static SignatureAlgorithm) -> Arc<Ca> {
    let (issuer, cert) = root(algorithm, "Test CA");
    Arc::new(Ca::from_pem(&super::der::certificate_pem(&cert), &issuer.key().serialize_pem()).unwrap())
}

pub(crate) fn forge(ca: &Arc<Ca>) -> Forge {
    Forge::new(
        Arc::clone(ca),
        ForgeConfig {
            entries: 100,
            lifetime: Duration::from_secs(3600),
        },
    )
    .unwrap()
}

fn root(
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
        ServerConfig::builder_with_provider(super::provider::provider())
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
    ClientConfig::builder_with_provider(super::provider::provider())
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

/// Journeys are spawned, so every future of this room has to move between threads.
#[test]
fn futures_are_send() {
    fn check<T: Send>(_: impl Fn(TcpStream) -> T) {}
    let bump = crate::decide::Bump::for_test();
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let forge = forge(&ca);
    let host = crate::wire::names::Host::Name("a.example".to_owned());
    let mimic = super::forge::Mimic::Name(host.clone());
    check(|_| forge.leaf(&mimic, super::LeafKey::P256));
    let roots = vec![Identity::new(&["a.example"]).root];
    let config = super::origin::UpstreamConfig {
        system_roots: false,
        extra_roots: roots,
    };
    let upstream = super::origin::Upstream::new(config).unwrap();
    let deny = crate::decide::CertError::Deny;
    check(|tcp| upstream.connect(&bump, tcp, &host, &[], deny, DEADLINE));
    let given = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(forge.leaf(&mimic, super::LeafKey::P256));
    let leaf = given.unwrap().leaf;
    check(|tcp| super::client::accept(&bump, plain(tcp), &leaf, None, DEADLINE));
}
