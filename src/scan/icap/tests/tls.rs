//! `icaps://`: the same conversations inside TLS.

use super::*;
use crate::dial::ServiceNames;
use crate::handshake::ServiceTls;
use crate::handshake::testing::Identity;
use crate::inspect::Scanner;
use crate::scan::{ScannerConfig, ScannerKind, Thresholds, build};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const BOTH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

fn identity() -> Identity {
    Identity::new(&["127.0.0.1"])
}

fn server(identity: &Identity) -> ServerConfig {
    identity.server(&[&TLS12, &TLS13])
}

fn config(endpoint: &Endpoint, trusted: &Identity) -> IcapConfig {
    let url = IcapUrl::parse(&format!("icaps://{endpoint}/scan")).unwrap();
    let tls = ServiceTls::new(Some(vec![trusted.root.clone()]), None).unwrap();
    IcapConfig {
        tls: Some(Shared::new(tls)),
        ..IcapConfig::new(url)
    }
}

fn secure(peer: &Peer, trusted: &Identity) -> Icap {
    Icap::new(
        &config(&peer.endpoint(), trusted),
        &ServiceNames::default(),
        2,
        1 << 20,
    )
}

fn scanner(icap: IcapConfig, deadline: Duration) -> Shared<dyn Scanner> {
    build(
        ScannerConfig {
            deadline,
            breaker: Thresholds {
                failures: 2,
                rest: Duration::from_secs(3600),
            },
            ..ScannerConfig::new("icap", ScannerKind::Icap(icap))
        },
        &ServiceNames::default(),
    )
}

fn scan_turns() -> [Turn; 2] {
    [heard("0\r\n\r\n"), says(NOTHING)]
}

/// The whole of a conversation on one connection.
fn once() -> Vec<Turn> {
    let mut script = vec![asked(), options("")];
    script.extend(scan_turns());
    script
}

#[track_caller]
fn failed(told: &ScanAnswer, words: &str) {
    assert!(
        matches!(told, Err(ScanFailure::Scanner(text)) if text.contains(words)),
        "wanted {words:?}: {told:?}"
    );
}

#[tokio::test]
async fn many_scans_share_one_connection_and_its_url_is_named_as_it_is_written() {
    for versions in BOTH {
        let identity = identity();
        let mut script = vec![asked(), options("")];
        for _ in 0..5 {
            script.extend(scan_turns());
            script.extend([heard("0\r\n\r\n"), Turn::SaysSlowly(INFECTED.as_bytes().to_vec())]);
        }
        let peer = Peer::tls(identity.server(versions), vec![script]).await;
        let client = secure(&peer, &identity);
        for _ in 0..5 {
            let clean = client.ask(&message(ToOrigin, "hello")).await;
            assert_eq!(clean, Ok(ScanOutcome::Clean));
            assert_eq!(client.ask(&message(ToClient, "hello")).await, found("Eicar"));
        }
        peer.ended().await;
    }
    let url = IcapUrl::parse("icaps://scanner/avscan").unwrap();
    assert!(
        request::options(&url)
            .starts_with(b"OPTIONS icaps://scanner:11344/avscan ICAP/1.0\r\nHost: scanner:11344\r\n")
    );
}

#[tokio::test]
async fn whoever_cannot_prove_to_be_the_server_hears_nothing() {
    let (right, other) = (identity(), identity());
    let elsewhere = Identity::new(&["scanner.example"]);
    let old = Identity::with(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    for (shown, trusted, words) in [
        (&right, &other, "a signature in the certificate chain is wrong"),
        (&elsewhere, &right, "neither a trusted root"),
        (
            &elsewhere,
            &elsewhere,
            "127.0.0.1: the certificate is for scanner.example, not 127.0.0.1",
        ),
        (&old, &old, "127.0.0.1: the certificate expired on 2021-01-01"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Shared::new(server(shown)));
        let client = Icap::new(&config(&endpoint, trusted), &ServiceNames::default(), 2, 1 << 20);
        let item = message(ToOrigin, "secret");
        let accept = async {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await
        };
        let (told, accepted) = tokio::join!(client.ask(&item), accept);
        failed(&told, words);
        assert!(accepted.is_err(), "the handshake must not end well");
    }
}

#[tokio::test]
async fn the_operating_systems_roots_do_not_know_a_companys_own() {
    let identity = identity();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
    let config = IcapConfig {
        tls: Some(Shared::new(ServiceTls::new(None, None).unwrap())),
        ..config(&endpoint, &identity)
    };
    let client = Icap::new(&config, &ServiceNames::default(), 2, 1 << 20);
    let acceptor = tokio_rustls::TlsAcceptor::from(Shared::new(server(&identity)));
    let item = message(ToOrigin, "x");
    let accept = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let (told, accepted) = tokio::join!(client.ask(&item), accept);
    failed(&told, "neither a trusted root");
    assert!(accepted.is_err());
}

#[tokio::test]
async fn without_a_way_to_verify_nothing_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("icaps://{}/scan", listener.local_addr().unwrap());
    let config = IcapConfig::new(IcapUrl::parse(&url).unwrap());
    let told = Icap::new(&config, &ServiceNames::default(), 2, 1 << 20)
        .ask(&message(ToOrigin, "secret"))
        .await;
    failed(&told, "nothing says how to verify it");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard)
        .await
        .unwrap();
    assert_eq!(heard, b"");
    let problems = ScannerConfig::new("a", ScannerKind::Icap(config)).problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key, "url");
}

#[tokio::test]
async fn a_handshake_that_is_cut_or_silent_is_a_failure_within_the_deadline() {
    let identity = identity();
    // What a server says at first, cut everywhere that matters: in the record's head, in its message, before the end.
    for said in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x03\x00\x7a\x02\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
    ] {
        let peer = Peer::tcp(vec![vec![Turn::HearsUntil(vec![0x13, 0x01]), says(said)]]).await;
        let told = secure(&peer, &identity).ask(&message(ToOrigin, "x")).await;
        let words = match said {
            [0x15, ..] => "ended the TLS handshake with the alert handshake_failure",
            _ => "closed the connection during the TLS handshake",
        };
        failed(&told, words);
    }

    // The kernel accepts, and nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
    let deadline = Duration::from_millis(200);
    let scanner = scanner(config(&endpoint, &identity), deadline);
    let begin = Instant::now();
    for words in [
        "no connection within 200ms",
        "no connection within 200ms",
        "resting",
    ] {
        let outcome = scanner.scan(message(ToOrigin, "x")).await;
        assert!(
            matches!(&outcome, ScanOutcome::Failed(text) if text.contains(words)),
            "{outcome:?}"
        );
    }
    assert!(begin.elapsed() >= 2 * deadline);
}

#[tokio::test]
async fn a_handshake_byte_by_byte_ends_with_the_deadline() {
    let identity = identity();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
    let drip = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // A record that would take an hour.
        let mut said = b"\x16\x03\x03\x40\x00\x02".to_vec();
        said.resize(16 << 10, 0);
        for byte in said {
            use tokio::io::AsyncWriteExt as _;
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let scanner = scanner(config(&endpoint, &identity), Duration::from_millis(200));
    let outcome = scanner.scan(message(ToOrigin, "x")).await;
    assert!(
        matches!(&outcome, ScanOutcome::Failed(text) if text.contains("no connection within")),
        "{outcome:?}"
    );
    // It leaves, and does not read on.
    drip.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_ended_between_two_uses_is_not_used_again() {
    for versions in BOTH {
        // With a close_notify and without one; the third scan comes on the connection of the second.
        for ends in [vec![Turn::Ends], Vec::new()] {
            let identity = identity();
            let mut first = once();
            first.extend(ends);
            let second = [scan_turns(), scan_turns()].concat();
            let peer = Peer::tls(identity.server(versions), vec![first, second]).await;
            let client = secure(&peer, &identity);
            for _ in 0..3 {
                let told = client.ask(&message(ToOrigin, "hello")).await;
                assert_eq!(told, Ok(ScanOutcome::Clean));
            }
            peer.ended().await;
        }
    }
}

#[tokio::test]
async fn one_that_is_closed_behind_the_next_request_costs_one_more_try() {
    for ends in [vec![Turn::Ends], Vec::new()] {
        let identity = identity();
        let mut first = once();
        first.push(heard("0\r\n\r\n"));
        first.extend(ends);
        let second = vec![heard("0\r\n\r\n"), says(INFECTED)];
        let peer = Peer::tls(server(&identity), vec![first, second]).await;
        let client = secure(&peer, &identity);
        let told = client.ask(&message(ToOrigin, "hello")).await;
        assert_eq!(told, Ok(ScanOutcome::Clean));
        assert_eq!(client.ask(&message(ToOrigin, "hello")).await, found("Eicar"));
        peer.ended().await;
    }
}

#[tokio::test]
async fn an_answer_that_tls_ends_early_is_a_failure() {
    let whole = modified("res", "HTTP/1.1 200 OK\r\n\r\n", "better");
    for cut in [1, 30, whole.len() - 3, whole.len() - 1] {
        for ends in [vec![Turn::Ends], Vec::new()] {
            let identity = identity();
            let mut script = vec![asked(), options(""), heard("0\r\n\r\n"), says(&whole[..cut])];
            script.extend(ends);
            let peer = Peer::tls(server(&identity), vec![script]).await;
            let told = secure(&peer, &identity).ask(&message(ToClient, "hello")).await;
            assert!(matches!(told, Err(ScanFailure::Scanner(_))), "{cut}: {told:?}");
        }
    }
}

#[tokio::test]
async fn plain_and_tls_do_not_take_each_other_for_what_they_are_not() {
    let identity = identity();
    let peer = Peer::tcp(vec![vec![
        Turn::HearsUntil(vec![0x13, 0x01]),
        says("ICAP/1.0 400 Bad request\r\n\r\n"),
        Turn::Hold,
    ]])
    .await;
    let told = secure(&peer, &identity).ask(&message(ToOrigin, "x")).await;
    failed(&told, "the TLS handshake with 127.0.0.1 failed");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Shared::new(server(&identity)));
    let client = client_of(&endpoint, 1 << 20);
    let item = message(ToOrigin, "x");
    let accept = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let (told, _) = tokio::join!(client.ask(&item), accept);
    failed(&told, "does not speak ICAP");
}

#[tokio::test]
async fn large_content_goes_both_ways_at_once() {
    let identity = identity();
    let content = "0123456789abcdef".repeat(1 << 17);
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let better = content.replace('0', "X");
    let answer = modified("res", head, &better);
    let script = vec![
        asked(),
        options(""),
        // Answers when it has heard little of it.
        heard("\r\n\r\n10000\r\n"),
        says(answer),
        heard("0\r\n\r\n"),
    ];
    let peer = Peer::tls(server(&identity), vec![script]).await;
    let icap = Icap::new(
        &config(&peer.endpoint(), &identity),
        &ServiceNames::default(),
        2,
        64 << 20,
    );
    let told = icap.ask(&message(ToClient, &content)).await;
    assert_eq!(told, Ok(ScanOutcome::Replaced(better.into())));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_says_so() {
    use rustls::server::WebPkiClientVerifier;
    let identity = identity();
    for versions in BOTH {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(identity.root.clone()).unwrap();
        let provider = Shared::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Shared::new(roots), Shared::clone(&provider));
        let wanting = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![identity.cert.clone()],
                rustls::pki_types::PrivateKeyDer::Pkcs8(identity.key.serialize_der().into()),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Shared::new(wanting));
        let client = Icap::new(
            &config(&endpoint, &identity),
            &ServiceNames::default(),
            2,
            1 << 20,
        );
        let item = message(ToOrigin, "x");
        let accept = async { acceptor.accept(listener.accept().await.unwrap().0).await };
        let (told, accepted) = tokio::join!(client.ask(&item), accept);
        assert!(accepted.is_err());
        failed(&told, "wants a client certificate");
    }
}
