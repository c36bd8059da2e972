use super::*;
use crate::handshake::HandshakeOutcome;
use crate::handshake::ca::Ca;
use crate::handshake::der;
use crate::handshake::testing::{DEADLINE, Identity, ca, client, forge, plain, tcp};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion};
use std::path::Path;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn forged() -> (Arc<Ca>, ListenerTls) {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let forge = Arc::new(forge(&ca));
    (ca, ListenerTls::Forged(forge))
}

/// The operator's, and the root that trusts it.
fn given(names: &[&str]) -> (CertificateDer<'static>, OwnCertificate) {
    let identity = Identity::new(names);
    let cert = der::certificate_pem(&identity.cert);
    let key = identity.key.serialize_pem();
    let (cert_path, key_path) = (Path::new("proxy.pem"), Path::new("proxy.key"));
    let certificate =
        OwnCertificate::from_pem((cert_path, cert.as_bytes()), (key_path, key.as_bytes())).unwrap();
    (identity.root, certificate)
}

async fn shake(
    listener: &ListenerTls,
    called: &str,
    key: LeafKey,
    config: ClientConfig,
) -> (
    Result<ClientTls, ClientError>,
    std::io::Result<TlsStream<TcpStream>>,
) {
    let (near, far) = tcp().await;
    let name = ServerName::try_from(called.to_owned()).unwrap();
    let connect = TlsConnector::from(Arc::new(config)).connect(name, near);
    let serve = async {
        let host = Host::parse(called).unwrap();
        let presented = listener.present(&host, key).await.unwrap();
        presented.accept(plain(far), DEADLINE).await
    };
    tokio::join!(serve, connect)
}

#[tokio::test]
async fn the_proxy_has_a_leaf_for_whatever_it_is_called_and_speaks_h2_before_http_1() {
    let (ca, listener) = forged();
    for called in ["proxy.example", "127.0.0.1"] {
        for (version, key) in [
            (&TLS12, LeafKey::Rsa2048),
            (&TLS13, LeafKey::P256),
            (&TLS12, LeafKey::P256),
        ] {
            for (offered, agreed) in [
                (&[&b"http/1.1"[..], b"h2"][..], Some(&b"h2"[..])),
                (&[b"http/1.1"], Some(b"http/1.1")),
                (&[], None),
            ] {
                let mut config = client(ca.der(), &[version]);
                config.alpn_protocols = offered.iter().map(|alpn| alpn.to_vec()).collect();
                let (server, client) = shake(&listener, called, key, config).await;
                let (server, client) = (server.unwrap(), client.unwrap());
                assert_eq!(server.alpn.as_deref(), agreed);
                assert_eq!(client.get_ref().1.alpn_protocol(), agreed);
                assert_eq!(server.version, Some(version.version));
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_speaks_neither_is_told() {
    let (ca, listener) = forged();
    let mut config = client(ca.der(), &[&TLS13]);
    config.alpn_protocols = vec![b"h3".to_vec()];
    let (server, client) = shake(&listener, "proxy.example", LeafKey::P256, config).await;
    assert_eq!(server.unwrap_err().outcome, HandshakeOutcome::Incompatible);
    let error = client.unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn the_operators_certificate_is_shown_with_its_own_key_and_resumes() {
    let (root, certificate) = given(&["proxy.example"]);
    assert_eq!(certificate.warnings(), [""; 0]);
    let listener = ListenerTls::certificate(&certificate).unwrap();
    for (version, agreed) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let config = client(&root, &[version]);
        let (server, peer) = shake(&listener, "proxy.example", LeafKey::P256, config).await;
        assert_eq!(server.unwrap().version, Some(agreed));
        let shown = peer.unwrap().get_ref().1.peer_certificates().unwrap().to_vec();
        assert_eq!(shown, certificate.chain());
    }
    let presented = listener
        .present(&Host::parse("other.example").unwrap(), LeafKey::P256)
        .await;
    assert!(presented.unwrap().leaf.is_none(), "nothing is minted");
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_proxy_is_named_as_such() {
    let (_, certificate) = given(&["proxy.example"]);
    let (ca, forged) = forged();
    for listener in [forged, ListenerTls::certificate(&certificate).unwrap()] {
        let other = Identity::new(&["proxy.example"]).root;
        assert_ne!(&other[..], ca.der());
        let config = client(&other, &[&TLS13]);
        let (server, _) = shake(&listener, "proxy.example", LeafKey::P256, config).await;
        let error = server.unwrap_err();
        assert_eq!(error.outcome, HandshakeOutcome::ClientRefusedCa);
        assert!(
            error.text.contains("refused the proxy's own certificate"),
            "{error}"
        );
    }
}
