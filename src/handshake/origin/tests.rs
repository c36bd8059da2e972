use super::*;
use crate::handshake::testing::{DEADLINE, Identity, openssl, tcp};
use crate::tls::provider::provider;
use rustls::ServerConfig;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn trusting(roots: &[&Identity]) -> Upstream {
    let extra_roots = roots.iter().map(|identity| identity.root.clone()).collect();
    Upstream::new(UpstreamConfig {
        system_roots: false,
        extra_roots,
        ..Default::default()
    })
    .unwrap()
}

fn host(text: &str) -> Host {
    text.parse()
        .map_or_else(|_| Host::Name(text.to_owned()), Host::Ip)
}

async fn connect(
    upstream: &Upstream,
    tcp: TcpStream,
    name: &str,
    alpn: &[&str],
    trust: CertError,
) -> Result<OriginTls, OriginError> {
    let alpn: Vec<_> = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let wanted = HelloOffer {
        name: &host(name),
        alpn: &alpn,
        post_quantum: false,
        trust,
        certificate: None,
        deadline: DEADLINE,
        fetcher: None,
    };
    upstream.connect(&Bump::for_test(), tcp, wanted).await
}

/// One handshake with a server of rustls, and a byte from it so that the tickets are read; with the SNI that
/// the server saw.
async fn shake(
    upstream: &Upstream,
    server: &Arc<ServerConfig>,
    name: &str,
    alpn: &[&str],
    trust: CertError,
) -> (Result<OriginTls, OriginError>, Option<String>) {
    let (near, far) = tcp().await;
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::clone(server)).accept(far).await.ok()?;
        let sni = stream.get_ref().1.server_name().map(str::to_owned);
        let _ = stream.write_all(b"x").await;
        let _ = stream.flush().await;
        sni
    };
    let dial = async {
        let mut origin = connect(upstream, near, name, alpn, trust).await?;
        assert_eq!(origin.stream.read_u8().await.unwrap(), b'x');
        Ok(origin)
    };
    tokio::join!(dial, serve)
}

async fn refused(identity: &Identity, upstream: &Upstream, name: &str) -> OriginError {
    let server = Arc::new(identity.server(&VERSIONS));
    let error = shake(upstream, &server, name, &[], CertError::Deny)
        .await
        .0
        .unwrap_err();
    assert_eq!(error.outcome, HandshakeOutcome::CertificateInvalid, "{error}");
    assert_eq!(error.certificate.as_ref(), Some(&identity.cert));
    assert!(error.text.starts_with(name), "{error}");
    error
}

#[tokio::test]
async fn a_verified_origin_shakes_hands_and_resumes() {
    for version in VERSIONS {
        let identity = Identity::new(&["a.example"]);
        let upstream = trusting(&[&identity]);
        let mut server = identity.server(&[version]);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server = Arc::new(server);
        // Resumption works across the settings of different ALPN.
        for (outcome, offer, chosen) in [
            (HandshakeOutcome::Full, &["http/1.1"][..], Some("http/1.1")),
            (HandshakeOutcome::Resumed, &["http/1.1"], Some("http/1.1")),
            (HandshakeOutcome::Resumed, &["http/1.1", "h2"], Some("h2")),
            (HandshakeOutcome::Resumed, &[], None),
        ] {
            for trust in [CertError::Deny, CertError::Allow] {
                let (origin, sni) = shake(&upstream, &server, "a.example", offer, trust).await;
                let origin = origin.unwrap();
                assert_eq!(origin.outcome, outcome, "{version:?} {offer:?} {trust:?}");
                assert_eq!(origin.alpn.as_deref(), chosen.map(str::as_bytes));
                assert_eq!(origin.leaf, identity.cert, "there to mimic when resumed as well");
                assert_eq!(origin.unverified, None);
                assert!(!origin.client_certificate_asked);
                assert_eq!(sni.as_deref(), Some("a.example"));
            }
        }
    }
}

#[tokio::test]
async fn addresses_are_verified_and_sent_no_sni() {
    let identity = Identity::new(&["192.0.2.7", "2001:db8::7"]);
    let upstream = trusting(&[&identity]);
    let server = Arc::new(identity.server(&VERSIONS));
    for name in ["192.0.2.7", "2001:db8::7"] {
        let (origin, sni) = shake(&upstream, &server, name, &[], CertError::Deny).await;
        origin.unwrap();
        assert_eq!(sni, None);
    }
    let error = shake(&upstream, &server, "192.0.2.8", &[], CertError::Deny)
        .await
        .0
        .unwrap_err();
    assert!(error.text.contains("not 192.0.2.8"), "{error}");
}

#[tokio::test]
async fn each_reason_not_to_trust_is_told_in_plain_words() {
    let stranger = Identity::new(&["a.example"]);
    let expired = Identity::with(&["a.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2001, 2, 3)
    });
    let early = Identity::with(&["a.example"], |params| {
        params.not_before = rcgen::date_time_ymd(2999, 2, 3)
    });
    let client_only = Identity::with(&["a.example"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let many: Vec<String> = (0..12).map(|index| format!("h{index}.example")).collect();
    let many = Identity::new(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let unknown = Identity::new(&["a.example", "c.example"]);
    let upstream = trusting(&[&stranger, &expired, &early, &client_only, &many]);
    for (identity, name, wanted) in [
        (
            &expired,
            "a.example",
            "the certificate expired on 2001-02-03 00:00:00 UTC",
        ),
        (
            &early,
            "a.example",
            "the certificate is not valid before 2999-02-03 00:00:00 UTC",
        ),
        (
            &stranger,
            "b.example",
            "the certificate is for a.example, not b.example",
        ),
        (
            &many,
            "b.example",
            "h6.example, h7.example and 4 more, not b.example",
        ),
        (
            &unknown,
            "a.example",
            "unknown issuer: CN=Root of a.example c.example;",
        ),
        (
            &client_only,
            "a.example",
            "extended key usage does not include servers",
        ),
    ] {
        let error = refused(identity, &upstream, name).await;
        assert!(error.text.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn self_signed_certificates_are_called_that() {
    let upstream = trusting(&[&Identity::new(&["other.example"])]);
    for is_ca in [
        rcgen::IsCa::NoCa,
        rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
    ] {
        let mut identity = Identity::new(&["a.example"]);
        let mut params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "evil\r\nname");
        identity.cert = params.self_signed(&identity.key).unwrap().der().clone();
        let error = refused(&identity, &upstream, "a.example").await;
        assert!(
            error.text.contains("self-signed: CN=evil\u{fffd}\u{fffd}name"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_tolerated_origin_says_why_even_when_resumed_and_never_lends_its_session_to_a_strict_one() {
    for version in VERSIONS {
        let upstream = trusting(&[&Identity::new(&["other.example"])]);
        let server = Arc::new(Identity::new(&["a.example"]).server(&[version]));
        for outcome in [HandshakeOutcome::Full, HandshakeOutcome::Resumed] {
            let origin = shake(&upstream, &server, "a.example", &[], CertError::Allow)
                .await
                .0
                .unwrap();
            assert_eq!(origin.outcome, outcome, "{version:?}");
            assert!(origin.unverified.unwrap().contains("unknown issuer"));
        }
        let error = shake(&upstream, &server, "a.example", &[], CertError::Deny)
            .await
            .0
            .unwrap_err();
        assert_eq!(error.outcome, HandshakeOutcome::CertificateInvalid);
    }
}

#[tokio::test]
async fn a_tolerated_origin_still_has_to_own_its_certificate() {
    let (mine, other) = (Identity::new(&["a.example"]), Identity::new(&["a.example"]));
    let upstream = trusting(&[&Identity::new(&["other.example"])]);
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&rustls::pki_types::PrivateKeyDer::Pkcs8(
        mine.key.serialize_der().into(),
    ))
    .unwrap();
    for version in VERSIONS {
        let mut server = mine.server(&[version]);
        let stolen = CertifiedKey::new(vec![other.cert.clone()], Arc::clone(&key));
        server.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
        let error = shake(&upstream, &Arc::new(server), "a.example", &[], CertError::Allow)
            .await
            .0
            .unwrap_err();
        assert_eq!(error.outcome, HandshakeOutcome::CertificateInvalid, "{error}");
        assert!(error.text.contains("does not hold the private key"), "{error}");
    }
}

#[tokio::test]
async fn an_origin_that_wants_a_client_certificate_is_told_apart() {
    let identity = Identity::new(&["a.example"]);
    let upstream = trusting(&[&identity]);
    let mut roots = RootCertStore::empty();
    roots.add(identity.root.clone()).unwrap();
    let config = |version, optional| {
        let verifier =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider());
        let verifier = if optional {
            verifier.allow_unauthenticated()
        } else {
            verifier
        }
        .build()
        .unwrap();
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![identity.cert.clone()],
                rustls::pki_types::PrivateKeyDer::Pkcs8(identity.key.serialize_der().into()),
            );
        Arc::new(server.unwrap())
    };
    for version in VERSIONS {
        let (origin, _) = shake(
            &upstream,
            &config(version, true),
            "a.example",
            &[],
            CertError::Deny,
        )
        .await;
        assert!(
            origin.unwrap().client_certificate_asked,
            "asked, and content without"
        );
    }

    let (near, far) = tcp().await;
    let serve = TlsAcceptor::from(config(&TLS12, false)).accept(far);
    let dial = connect(&upstream, near, "a.example", &[], CertError::Deny);
    let (error, _) = tokio::join!(dial, serve);
    let error = error.unwrap_err();
    assert_eq!(
        error.outcome,
        HandshakeOutcome::ClientCertificateRequired,
        "{error}"
    );
    assert!(error.alert.is_some());

    let (near, far) = tcp().await;
    let serve = TlsAcceptor::from(config(&TLS13, false)).accept(far);
    let dial = async {
        let mut origin = connect(&upstream, near, "a.example", &[], CertError::Deny)
            .await
            .unwrap();
        assert!(origin.client_certificate_asked);
        origin.stream.read_u8().await.unwrap_err()
    };
    let (late, _) = tokio::join!(dial, serve);
    assert_eq!(
        late_failure(&late),
        Some(HandshakeOutcome::ClientCertificateRequired),
        "{late}"
    );
    assert_eq!(late_failure(&io::ErrorKind::UnexpectedEof.into()), None);
}

/// An origin that answers the first bytes with `answer` and closes.
async fn answered(answer: &[u8]) -> OriginError {
    let upstream = trusting(&[&Identity::new(&["a.example"])]);
    let (near, mut far) = tcp().await;
    let serve = async {
        // All of the hello: closing with unread bytes would reset the connection.
        assert!(far.read(&mut [0; 4096]).await.unwrap() > 0);
        far.write_all(answer).await.unwrap();
        drop(far);
    };
    tokio::join!(connect(&upstream, near, "a.example", &[], CertError::Deny), serve)
        .0
        .unwrap_err()
}

#[tokio::test]
async fn failures_say_how_and_with_which_alert() {
    let alert = |code| [0x15, 3, 3, 0, 2, 2, code];
    for (answer, outcome, alert) in [
        (&b""[..], HandshakeOutcome::Closed, None),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            HandshakeOutcome::Failed,
            None,
        ),
        (
            &alert(70),
            HandshakeOutcome::Incompatible,
            Some((70, "protocol_version")),
        ),
        (
            &alert(40),
            HandshakeOutcome::Incompatible,
            Some((40, "handshake_failure")),
        ),
        (&alert(80), HandshakeOutcome::Failed, Some((80, "internal_error"))),
        (&alert(99), HandshakeOutcome::Failed, Some((99, "other"))),
    ] {
        let error = answered(answer).await;
        assert_eq!((error.outcome, error.alert()), (outcome, alert), "{error}");
        assert!(error.text.contains("a.example"), "{error}");
    }

    let identity = Identity::new(&["a.example"]);
    let mut server = identity.server(&VERSIONS);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let offer = &["http/1.1"];
    let upstream = trusting(&[&identity]);
    let error = shake(&upstream, &Arc::new(server), "a.example", offer, CertError::Deny)
        .await
        .0
        .unwrap_err();
    assert_eq!(error.outcome, HandshakeOutcome::Incompatible);
    assert_eq!(error.alert(), Some((120, "no_application_protocol")));

    let (near, _far) = tcp().await;
    let short = Duration::from_millis(20);
    let wanted = HelloOffer {
        name: &host("a.example"),
        alpn: &[],
        post_quantum: false,
        trust: CertError::Deny,
        certificate: None,
        deadline: short,
        fetcher: None,
    };
    let error = upstream
        .connect(&Bump::for_test(), near, wanted)
        .await
        .unwrap_err();
    assert_eq!(error.outcome, HandshakeOutcome::Timeout);

    let (near, _far) = tcp().await;
    let error = connect(&upstream, near, "not a name", &[], CertError::Deny)
        .await
        .unwrap_err();
    assert_eq!(error.outcome, HandshakeOutcome::Failed);
}

#[test]
fn roots_are_needed_and_bad_ones_are_named() {
    let none = Upstream::new(UpstreamConfig::default()).unwrap_err();
    assert!(
        matches!(&none, UpstreamError::NoRoots(texts) if texts.is_empty()),
        "{none}"
    );
    let good = Identity::new(&["a.example"]).root;
    let extra_roots = vec![good.clone(), b"garbage".to_vec().into()];
    let bad = Upstream::new(UpstreamConfig {
        system_roots: false,
        extra_roots,
        ..Default::default()
    })
    .unwrap_err();
    assert!(matches!(bad, UpstreamError::BadRoot(1, _)), "{bad}");
    let one = Upstream::new(UpstreamConfig {
        system_roots: false,
        extra_roots: vec![good.clone()],
        ..Default::default()
    })
    .unwrap();
    assert_eq!(one.roots(), 1);
    let system = rustls_native_certs::load_native_certs().certs;
    let both = Upstream::new(UpstreamConfig {
        system_roots: true,
        extra_roots: vec![good],
        ..Default::default()
    })
    .unwrap();
    assert!(both.roots() > 1 || system.is_empty(), "{}", both.roots());
}

/// `openssl s_server` on a free port, ended when dropped.
struct OpensslServer(std::process::Child, u16);

impl OpensslServer {
    fn start(args: &str) -> (Self, CertificateDer<'static>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        openssl(
            path,
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
        );
        openssl(path, "req -x509 -key key.pem -subj /CN=Root -days 3 -out ca.pem");
        std::fs::write(path.join("ext"), "subjectAltName=DNS:a.example\n").unwrap();
        openssl(path, "req -new -key key.pem -subj /CN=a.example -out csr");
        openssl(
            path,
            "x509 -req -in csr -CA ca.pem -CAkey key.pem -CAcreateserial -days 3 -extfile ext -out cert.pem",
        );
        openssl(path, "x509 -in ca.pem -outform DER -out ca.der");
        let root = std::fs::read(path.join("ca.der")).unwrap().into();
        let mut child = Command::new("openssl")
            .args("s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -CAfile ca.pem".split(' '))
            .args(args.split_whitespace())
            .current_dir(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let accept = lines
            .find_map(|line| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_owned()))
            .unwrap();
        // It goes on writing there; a closed pipe would end it.
        std::thread::spawn(move || lines.for_each(drop));
        let port = accept.rsplit(':').next().unwrap().trim().parse().unwrap();
        (Self(child, port), root)
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn openssl_as_origin_resumes_and_demands_client_certificates() {
    for version in ["-tls1_2", "-tls1_3"] {
        let (server, root) = OpensslServer::start(&format!("{version} -www -alpn http/1.1"));
        let upstream = Upstream::new(UpstreamConfig {
            system_roots: false,
            extra_roots: vec![root],
            ..Default::default()
        })
        .unwrap();
        for outcome in [HandshakeOutcome::Full, HandshakeOutcome::Resumed] {
            let tcp = TcpStream::connect(("127.0.0.1", server.1)).await.unwrap();
            let mut origin = connect(&upstream, tcp, "a.example", &["http/1.1"], CertError::Deny)
                .await
                .unwrap();
            assert_eq!(origin.outcome, outcome, "{version}");
            assert_eq!(origin.alpn.as_deref(), Some(&b"http/1.1"[..]));
            origin.stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            let mut page = Vec::new();
            let _ = origin.stream.read_to_end(&mut page).await;
            assert!(
                page.starts_with(b"HTTP/1.0 200"),
                "{}",
                String::from_utf8_lossy(&page)
            );
        }
    }
    let (server, root) = OpensslServer::start("-tls1_2 -Verify 1 -verify_return_error");
    let upstream = Upstream::new(UpstreamConfig {
        system_roots: false,
        extra_roots: vec![root],
        ..Default::default()
    })
    .unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", server.1)).await.unwrap();
    let error = connect(&upstream, tcp, "a.example", &[], CertError::Deny)
        .await
        .unwrap_err();
    assert_eq!(
        error.outcome,
        HandshakeOutcome::ClientCertificateRequired,
        "{error}"
    );
    assert_eq!(error.alert(), Some((40, "handshake_failure")), "{error}");
}

#[tokio::test]
async fn a_hybrid_key_exchange_is_had_where_the_client_wants_it_and_costs_no_round_trip_elsewhere() {
    use rustls::NamedGroup as G;
    let identity = Identity::new(&["a.example"]);
    let knowing = Arc::new(identity.server(&[&TLS13]));
    let mut classic = crate::tls::provider::provider().as_ref().clone();
    classic
        .kx_groups
        .retain(|group| group.name() != G::X25519MLKEM768);
    let mut not_knowing = ServerConfig::builder_with_provider(Arc::new(classic))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&knowing.cert_resolver));
    not_knowing.send_tls13_tickets = 0;
    let not_knowing = Arc::new(not_knowing);
    for (server, post_quantum, group) in [
        (&not_knowing, true, G::X25519),
        (&not_knowing, false, G::X25519),
        (&knowing, true, G::X25519MLKEM768),
    ] {
        let (near, far) = tcp().await;
        let upstream = trusting(&[&identity]);
        let name = host("a.example");
        let wanted = HelloOffer {
            name: &name,
            alpn: &[],
            post_quantum,
            trust: CertError::Deny,
            certificate: None,
            deadline: DEADLINE,
            fetcher: None,
        };
        let bump = Bump::for_test();
        let (origin, served) = tokio::join!(
            upstream.connect(&bump, near, wanted),
            TlsAcceptor::from(Arc::clone(server)).accept(far),
        );
        origin.unwrap();
        let served = served.unwrap();
        let connection = served.get_ref().1;
        let agreed = connection
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        assert_eq!(agreed, Some(group), "{post_quantum}");
        assert_eq!(connection.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}
