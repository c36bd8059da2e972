use super::*;
use crate::handshake::testing::{Identity, tcp};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream as Served;

const BOTH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

fn host(text: &str) -> Host {
    match text.parse() {
        Ok(ip) => Host::Ip(ip),
        Err(_) => Host::Name(text.to_owned()),
    }
}

fn trusting(identity: &Identity) -> ServiceTls {
    ServiceTls::new(Some(vec![identity.root.clone()]), None).unwrap()
}

fn own(identity: &Identity) -> OwnCertificate {
    let cert = crate::handshake::der::certificate_pem(&identity.cert);
    let key = identity.key.serialize_pem();
    let path = std::path::Path::new("client.pem");
    OwnCertificate::from_pem((path, cert.as_bytes()), (path, key.as_bytes())).unwrap()
}

async fn shake(
    service: &ServiceTls,
    name: &str,
    config: &Arc<ServerConfig>,
) -> (Result<TlsStream, OriginError>, io::Result<Served<TcpStream>>) {
    let (near, far) = tcp().await;
    let name = host(name);
    tokio::join!(
        service.connect(near, &name),
        TlsAcceptor::from(Arc::clone(config)).accept(far)
    )
}

async fn refused(service: &ServiceTls, name: &str, identity: &Identity) -> OriginError {
    let config = Arc::new(identity.server(&[&TLS13]));
    let (near, far) = shake(service, name, &config).await;
    assert!(far.is_err(), "the server must not think that it is trusted");
    near.unwrap_err()
}

#[tokio::test]
async fn a_verified_server_is_spoken_to_and_its_session_resumed() {
    for versions in BOTH {
        for name in ["scanner.example", "192.0.2.7", "2001:db8::7"] {
            let identity = Identity::new(&[name]);
            let (service, config) = (trusting(&identity), Arc::new(identity.server(versions)));
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let (near, far) = shake(&service, name, &config).await;
                let (mut near, mut far) = (near.unwrap(), far.unwrap());
                assert_eq!(far.get_ref().1.handshake_kind(), Some(kind), "{name}");
                let sni = far.get_ref().1.server_name();
                assert_eq!(sni, name.contains("example").then_some(name));
                let mut word = [0; 4];
                near.write_all(b"ping").await.unwrap();
                near.flush().await.unwrap();
                far.read_exact(&mut word).await.unwrap();
                far.write_all(b"pong").await.unwrap();
                near.read_exact(&mut word).await.unwrap();
                assert_eq!(&word, b"pong");
            }
        }
    }
}

#[tokio::test]
async fn each_reason_not_to_trust_is_told() {
    let good = Identity::new(&["scanner.example"]);
    let old = Identity::with(&["scanner.example"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let other = Identity::new(&["other.example"]);
    for (service, name, identity, words) in [
        (
            trusting(&other),
            "scanner.example",
            &good,
            "neither a trusted root",
        ),
        (
            trusting(&good),
            "192.0.2.7",
            &good,
            "the certificate is for scanner.example, not 192.0.2.7",
        ),
        (trusting(&old), "scanner.example", &old, "expired on 2021-01-01"),
    ] {
        let error = refused(&service, name, identity).await;
        assert_eq!(error.outcome, HandshakeOutcome::CertificateInvalid);
        assert!(error.text.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_servers_own_self_signed_certificate_can_be_the_trusted_one() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["scanner.example".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap().der().clone();
    let identity = Identity {
        root: cert.clone(),
        cert,
        key,
    };
    let config = Arc::new(identity.server(&[&TLS13]));
    let (near, far) = shake(&trusting(&identity), "scanner.example", &config).await;
    assert!(near.is_ok() && far.is_ok(), "{near:?}");
}

/// A server that wants a certificate under the root of `clients`.
fn wanting(
    server: &Identity,
    clients: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(clients.root.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![server.cert.clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(server.key.serialize_der().into()),
        );
    Arc::new(config.unwrap())
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_what_the_server_says_of_it_is_told() {
    let server = Identity::new(&["scanner.example"]);
    let clients = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    };
    let (known, stranger) = (
        Identity::with(&["proxy.example"], clients),
        Identity::with(&["stranger.example"], clients),
    );
    for versions in BOTH {
        let config = wanting(&server, &known, versions);
        for (shown, words) in [
            (Some(&known), None),
            (None, Some("wants a client certificate")),
            (Some(&stranger), Some("does not accept the client certificate (")),
        ] {
            let roots = Some(vec![server.root.clone()]);
            let service = ServiceTls::new(roots, shown.map(own)).unwrap();
            let Some(words) = words else {
                for _ in 0..2 {
                    let (near, far) = shake(&service, "scanner.example", &config).await;
                    // Its tickets are there to be used.
                    let (_near, mut far) = (near.unwrap(), far.unwrap());
                    far.flush().await.unwrap();
                    let session = far.get_ref().1;
                    assert_eq!(session.peer_certificates().unwrap()[0], known.cert);
                    assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
                }
                continue;
            };
            let (near, far) = shake(&service, "scanner.example", &config).await;
            assert!(far.is_err());
            let text = match near {
                Err(error) => error.text,
                // TLS 1.3: the client was done before the server had seen what it sent.
                Ok(mut near) => late_refusal(&near.read_u8().await.unwrap_err()).unwrap(),
            };
            assert!(text.contains(words), "{versions:?}: {text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_leaves_is_told_apart() {
    let service = trusting(&Identity::new(&["scanner.example"]));
    for (answer, words) in [
        (
            &b"ICAP/1.0 400 Bad request\r\n\r\n"[..],
            "the TLS handshake with scanner.example failed",
        ),
        (b"", "closed the connection during the TLS handshake"),
        (
            b"\x16\x03\x03\x00",
            "closed the connection during the TLS handshake",
        ),
    ] {
        let (near, mut far) = tcp().await;
        let name = host("scanner.example");
        let answering = async {
            // Its whole greeting, lest the close becomes a reset.
            assert!(far.read(&mut [0; 4096]).await.unwrap() > 0);
            far.write_all(answer).await.unwrap();
            drop(far);
        };
        let (told, ()) = tokio::join!(service.connect(near, &name), answering);
        let error = told.unwrap_err();
        assert!(error.text.contains(words), "{error}");
    }
}

#[test]
fn equal_are_those_that_trust_and_show_the_same() {
    let (one, other) = (Identity::new(&["a.example"]), Identity::new(&["a.example"]));
    let made = |roots: &[&Identity], shown: Option<&Identity>| {
        let roots = roots.iter().map(|identity| identity.root.clone()).collect();
        ServiceTls::new(Some(roots), shown.map(own)).unwrap()
    };
    assert_eq!(made(&[&one], Some(&other)), made(&[&one], Some(&other)));
    assert_ne!(made(&[&one], None), made(&[&other], None));
    assert_ne!(made(&[&one], None), made(&[&one, &other], None));
    assert_ne!(made(&[&one], None), made(&[&one], Some(&one)));
    assert_ne!(made(&[&one], Some(&one)), made(&[&one], Some(&other)));
    let system = ServiceTls::new(None, None).unwrap();
    assert_eq!(system, ServiceTls::new(None, None).unwrap());
    assert_ne!(system, made(&[&one], None));
    assert!(
        ServiceTls::new(Some(Vec::new()), None).is_err(),
        "nobody could be trusted"
    );
}
