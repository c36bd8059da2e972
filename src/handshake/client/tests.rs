use super::*;
use crate::handshake::LeafKey;
use crate::handshake::ca::Ca;
use crate::handshake::forge::{Forge, Mimic};
use crate::handshake::testing::{DEADLINE, Identity, ca, client, forge, plain, tcp};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CipherSuite, ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

async fn leaf(forge: &Forge, key: LeafKey) -> Arc<Leaf> {
    let origin = Identity::new(&["a.example", "127.0.0.1"]);
    forge
        .leaf(&Mimic::Certificate(origin.cert), key)
        .await
        .unwrap()
        .leaf
}

async fn usual() -> (Arc<Ca>, Arc<Leaf>) {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let leaf = leaf(&forge(&ca), LeafKey::P256).await;
    (ca, leaf)
}

fn name() -> ServerName<'static> {
    ServerName::try_from("a.example").unwrap()
}

/// One handshake with a byte sent by the server, so that the client has read the tickets.
async fn shake(
    leaf: &Leaf,
    alpn: Option<&[u8]>,
    config: &Arc<ClientConfig>,
) -> (
    Result<ClientTls, ClientError>,
    std::io::Result<tokio_rustls::client::TlsStream<TcpStream>>,
) {
    let (near, far) = tcp().await;
    let connect = async {
        let mut stream = TlsConnector::from(Arc::clone(config))
            .connect(name(), near)
            .await?;
        assert_eq!(stream.read_u8().await?, b'x');
        Ok(stream)
    };
    let serve = async {
        let mut tls = accept(&Bump::for_test(), plain(far), leaf, alpn, DEADLINE).await?;
        tls.stream.write_all(b"x").await.unwrap();
        tls.stream.flush().await.unwrap();
        Ok(tls)
    };
    tokio::join!(serve, connect)
}

#[tokio::test]
async fn every_version_leaf_and_ca_shakes_hands_and_resumes() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let ca = ca(algorithm);
        let forge = forge(&ca);
        for key in [LeafKey::P256, LeafKey::Rsa2048] {
            let leaf = leaf(&forge, key).await;
            for version in VERSIONS {
                let config = Arc::new(client(ca.der(), &[version]));
                for outcome in [HandshakeOutcome::Full, HandshakeOutcome::Resumed] {
                    let what = format!("{algorithm:?} {key:?} {version:?} {outcome:?}");
                    let (server, client) = shake(&leaf, None, &config).await;
                    let (server, client) = (server.expect(&what), client.expect(&what));
                    assert_eq!(server.outcome, outcome, "{what}");
                    let tls = client.get_ref().1;
                    assert_eq!(tls.protocol_version(), Some(version.version));
                    let kind = tls.handshake_kind().unwrap();
                    assert_eq!(
                        kind == HandshakeKind::Resumed,
                        outcome == HandshakeOutcome::Resumed,
                        "{what}"
                    );
                    let shown = tls.peer_certificates().unwrap();
                    assert_eq!(shown[0].as_ref(), leaf.der());
                }
            }
        }
    }
}

#[tokio::test]
async fn tls12_clients_without_tickets_resume_by_session_id() {
    let (ca, leaf) = usual().await;
    let mut config = client(ca.der(), &[&TLS12]);
    config.resumption = config
        .resumption
        .tls12_resumption(rustls::client::Tls12Resumption::SessionIdOnly);
    let config = Arc::new(config);
    assert_eq!(
        shake(&leaf, None, &config).await.0.unwrap().outcome,
        HandshakeOutcome::Full
    );
    assert_eq!(
        shake(&leaf, None, &config).await.0.unwrap().outcome,
        HandshakeOutcome::Resumed
    );
}

#[tokio::test]
async fn aes128_wins_over_the_clients_order() {
    let (ca, leaf) = usual().await;
    for (version, wanted) in [
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.der().to_vec().into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        assert_ne!(
            provider.cipher_suites[0].suite(),
            wanted,
            "the client prefers another"
        );
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = shake(&leaf, None, &Arc::new(config)).await.1.unwrap();
        assert_eq!(
            stream.get_ref().1.negotiated_cipher_suite().unwrap().suite(),
            wanted
        );
    }
}

#[tokio::test]
async fn alpn_is_the_origins_choice_and_no_other() {
    let (ca, leaf) = usual().await;
    let config = |offer: &[&str]| {
        let mut config = client(ca.der(), &VERSIONS);
        config.alpn_protocols = offer.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    };
    let offered = config(&["h2", "http/1.1"]);
    let (server, client) = shake(&leaf, Some(b"http/1.1"), &offered).await;
    assert_eq!(server.unwrap().alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(
        client.unwrap().get_ref().1.alpn_protocol(),
        Some(&b"http/1.1"[..])
    );
    let (server, _) = shake(&leaf, None, &offered).await;
    assert_eq!(server.unwrap().alpn, None);
    let (server, client) = shake(&leaf, Some(b"http/1.1"), &config(&["h2"])).await;
    assert_eq!(server.unwrap_err().outcome, HandshakeOutcome::Incompatible);
    let error = client.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn a_client_that_takes_no_ecdsa_is_incompatible_with_a_p256_leaf_and_fine_with_rsa() {
    let ca = ca(&rcgen::PKCS_RSA_SHA256);
    let forge = forge(&ca);
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.suite().as_str().unwrap_or("").contains("ECDHE_RSA"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().to_vec().into()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let error = shake(&*leaf(&forge, LeafKey::P256).await, None, &config)
        .await
        .0
        .unwrap_err();
    assert_eq!(
        (error.outcome, error.alert),
        (HandshakeOutcome::Incompatible, "none")
    );
    let tls = shake(&*leaf(&forge, LeafKey::Rsa2048).await, None, &config)
        .await
        .0
        .unwrap();
    assert_eq!(tls.version, Some(ProtocolVersion::TLSv1_2));
}

#[tokio::test]
async fn a_rustls_client_without_the_ca_is_a_refusal() {
    let (_, leaf) = usual().await;
    let stranger = Identity::new(&["a.example"]);
    for version in VERSIONS {
        let config = Arc::new(client(&stranger.root, &[version]));
        let error = shake(&leaf, None, &config).await.0.unwrap_err();
        assert_eq!(
            (error.outcome, error.alert),
            (HandshakeOutcome::ClientRefusedCa, "unknown_ca")
        );
        assert!(error.to_string().contains("unknown_ca"), "{error}");
    }
}

/// Sends a ClientHello, waits for the server's answer, and goes away without a word.
async fn vanish_after_the_answer(config: Arc<ClientConfig>, mut near: TcpStream) {
    let mut tls = ClientConnection::new(config, name()).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    near.write_all(&hello).await.unwrap();
    near.read_u8().await.unwrap();
}

#[tokio::test]
async fn closing_tells_by_when_it_happens() {
    let (ca, leaf) = usual().await;
    for version in VERSIONS {
        let config = Arc::new(client(ca.der(), &[version]));
        let vanish = async || {
            let (near, far) = tcp().await;
            let bump = Bump::for_test();
            let accept = accept(&bump, plain(far), &leaf, None, DEADLINE);
            tokio::join!(accept, vanish_after_the_answer(Arc::clone(&config), near))
                .0
                .unwrap_err()
        };
        let error = vanish().await;
        assert_eq!(
            (error.outcome, error.alert),
            (HandshakeOutcome::ClientRefusedCa, "closed"),
            "{version:?}"
        );
        // With a ticket the handshake shows no certificate that the client could dislike.
        shake(&leaf, None, &config).await.0.unwrap();
        let error = vanish().await;
        assert_eq!(
            (error.outcome, error.alert),
            (HandshakeOutcome::Closed, "closed"),
            "{version:?}"
        );
    }
    for sent in [&b""[..], b"\x16\x03\x01"] {
        let (mut near, far) = tcp().await;
        near.write_all(sent).await.unwrap();
        drop(near);
        let error = accept(&Bump::for_test(), plain(far), &leaf, None, DEADLINE)
            .await
            .unwrap_err();
        assert_eq!((error.outcome, error.alert), (HandshakeOutcome::Closed, "closed"));
    }
}

#[tokio::test]
async fn garbage_fails_and_silence_times_out() {
    let (_, leaf) = usual().await;
    let (mut near, far) = tcp().await;
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let error = accept(&Bump::for_test(), plain(far), &leaf, None, DEADLINE)
        .await
        .unwrap_err();
    assert_eq!((error.outcome, error.alert), (HandshakeOutcome::Failed, "none"));
    let (_near, far) = tcp().await;
    let short = Duration::from_millis(20);
    let error = accept(&Bump::for_test(), plain(far), &leaf, None, short)
        .await
        .unwrap_err();
    assert_eq!((error.outcome, error.alert), (HandshakeOutcome::Timeout, "none"));
}

#[tokio::test]
async fn a_peeked_hello_is_replayed() {
    let (ca, leaf) = usual().await;
    let (near, mut far) = tcp().await;
    let config = Arc::new(client(ca.der(), &VERSIONS));
    let serve = async {
        let mut peeked = vec![0; 100];
        far.read_exact(&mut peeked).await.unwrap();
        let io = crate::accept::Prefixed::new(Bytes::from(peeked), far);
        accept(&Bump::for_test(), io, &leaf, None, DEADLINE).await
    };
    let (server, client) = tokio::join!(serve, TlsConnector::from(config).connect(name(), near));
    assert_eq!(server.unwrap().outcome, HandshakeOutcome::Full);
    client.unwrap();
}

#[test]
fn late_alerts_about_the_certificate_are_refusals() {
    let error = |alert| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
    for (alert, name) in [
        (AlertDescription::UnknownCA, "unknown_ca"),
        (AlertDescription::BadCertificate, "bad_certificate"),
        (AlertDescription::CertificateUnknown, "certificate_unknown"),
        (AlertDescription::CertificateExpired, "certificate_expired"),
        (AlertDescription::CertificateRevoked, "certificate_revoked"),
        (
            AlertDescription::UnsupportedCertificate,
            "unsupported_certificate",
        ),
        (AlertDescription::AccessDenied, "access_denied"),
    ] {
        assert_eq!(refusal(&error(alert)), Some(name));
    }
    assert_eq!(refusal(&error(AlertDescription::HandshakeFailure)), None);
    assert_eq!(refusal(&io::ErrorKind::UnexpectedEof.into()), None);
    assert_eq!(refusal(&io::Error::other("x")), None);
}

/// Runs an outside client against one handshake; returns what `accept` said, and what the client printed.
async fn outside(leaf: &Leaf, command: &str) -> (Result<HandshakeOutcome, ClientError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let command = command.replace("PORT", &port);
    let run = tokio::task::spawn_blocking(move || {
        let mut words = command.split_whitespace();
        let mut run = Command::new(words.next().unwrap());
        run.args(words)
            .stdin(Stdio::null())
            .env("CURL_CA_BUNDLE", "")
            .env("NO_PROXY", "*");
        let output = run.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    });
    let serve = async {
        let (far, _) = listener.accept().await.unwrap();
        let mut tls = accept(&Bump::for_test(), plain(far), leaf, None, DEADLINE).await?;
        // Clients that send nothing close; what they want is answered.
        let _ = tls.stream.read(&mut [0; 1024]).await;
        let _ = tls
            .stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
            .await;
        let _ = tls.stream.shutdown().await;
        Ok(tls.outcome)
    };
    let (served, text) = tokio::join!(serve, run);
    (served, text.unwrap())
}

#[tokio::test]
async fn openssl_and_curl_accept_the_leaf_with_the_ca_and_refuse_it_without() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
        let ca = ca(algorithm);
        std::fs::write(&file, ca.pem()).unwrap();
        let file = file.display();
        let forge = forge(&ca);
        for key in [LeafKey::P256, LeafKey::Rsa2048] {
            let leaf = leaf(&forge, key).await;
            for version in ["-tls1_2", "-tls1_3"] {
                let openssl = format!(
                    "openssl s_client {version} -connect 127.0.0.1:PORT -servername a.example -verify_hostname a.example -verify_return_error"
                );
                let (served, text) = outside(&leaf, &format!("{openssl} -x509_strict -CAfile {file}")).await;
                assert_eq!(served.unwrap(), HandshakeOutcome::Full, "{text}");
                assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
                let (served, text) = outside(&leaf, &openssl).await;
                let error = served.expect_err(&text);
                assert_eq!(
                    (error.outcome, error.alert),
                    (HandshakeOutcome::ClientRefusedCa, "unknown_ca"),
                    "{text}"
                );
            }
            let curl = "curl -sS --max-time 30 https://127.0.0.1:PORT/";
            let (served, text) = outside(&leaf, &format!("{curl} --cacert {file}")).await;
            assert_eq!(served.unwrap(), HandshakeOutcome::Full, "{text}");
            assert_eq!(text, "hello\n");
            let (served, text) = outside(&leaf, curl).await;
            let error = served.expect_err(&text);
            assert_eq!(
                (error.outcome, error.alert),
                (HandshakeOutcome::ClientRefusedCa, "unknown_ca"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_gets_a_hybrid_key_exchange_if_it_wants_one() {
    use rustls::NamedGroup as G;
    let (ca, leaf) = usual().await;
    for (provider, group) in [
        (crate::tls::provider::post_quantum_first(), G::X25519MLKEM768),
        (crate::tls::provider::provider(), G::X25519),
    ] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.der().to_vec().into()).unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (served, stream) = shake(&leaf, None, &Arc::new(config)).await;
        served.unwrap();
        let stream = stream.unwrap();
        let connection = stream.get_ref().1;
        let agreed = connection
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        assert_eq!(agreed, Some(group));
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full));
    }
}
