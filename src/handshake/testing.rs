//! What the tests of this room share: certificates of all kinds, and the `openssl` command as a judge from outside.

use super::ca::Ca;
use super::forge::{Forge, ForgeConfig};
use crate::tls::testing::root;
pub(crate) use crate::tls::testing::{DEADLINE, Identity, client, plain, tcp};
use rcgen::SignatureAlgorithm;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

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
        ..Default::default()
    };
    let upstream = super::origin::Upstream::new(config).unwrap();
    let deny = crate::decide::CertError::Deny;
    let wanted = super::origin::HelloOffer {
        name: &host,
        alpn: &[],
        post_quantum: false,
        trust: deny,
        certificate: None,
        deadline: DEADLINE,
        fetcher: None,
    };
    check(|tcp| upstream.connect(&bump, tcp, wanted));
    let given = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(forge.leaf(&mimic, super::LeafKey::P256));
    let leaf = given.unwrap().leaf;
    check(|tcp| super::client::accept(&bump, plain(tcp), &leaf, None, DEADLINE));
}
