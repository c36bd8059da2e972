//! A full handshake of TLS 1.3, both ends of it and nothing between them: with X25519, and with the hybrid of X25519 and
//! ML-KEM-768, which holds against quantum computers.
#![allow(clippy::expect_used, reason = "a benchmark may stop when it cannot run")]

use criterion::Criterion;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore, ServerConfig, ServerConnection};
use std::sync::Arc;

const NAME: &str = "origin.bench.test";

/// One suite and these groups, the first choice first.
fn provider(groups: &[NamedGroup]) -> Arc<CryptoProvider> {
    let usual = aws_lc_rs::default_provider();
    let find = |wanted: &NamedGroup| usual.kx_groups.iter().find(|group| group.name() == *wanted);
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: groups.iter().filter_map(find).copied().collect(),
        ..aws_lc_rs::default_provider()
    })
}

fn ends(groups: &[NamedGroup]) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let certificate = CertificateParams::new(vec![NAME.to_owned()])
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a root");
    let mut client = ClientConfig::builder_with_provider(provider(groups))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = Resumption::disabled();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(provider(groups))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a certificate of its own");
    (Arc::new(client), Arc::new(server))
}

/// What it takes from the first to the last flight; the group that was agreed on.
fn shake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Option<NamedGroup> {
    let name = ServerName::try_from(NAME).expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).expect("memory");
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("memory");
            server.process_new_packets().expect("a sound flight");
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).expect("memory");
        }
        let mut rest = &flight[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("memory");
            client.process_new_packets().expect("a sound flight");
        }
    }
    client.negotiated_key_exchange_group().map(|group| group.name())
}

pub(crate) fn key_exchange(c: &mut Criterion) {
    let mut group = c.benchmark_group("key exchange");
    for (what, groups) in [
        ("x25519", &[NamedGroup::X25519][..]),
        (
            "x25519mlkem768",
            &[NamedGroup::X25519MLKEM768, NamedGroup::X25519],
        ),
    ] {
        let (client, server) = ends(groups);
        assert_eq!(shake(&client, &server), groups.first().copied());
        group.bench_function(what, |b| b.iter(|| shake(&client, &server)));
    }
    group.finish();
}
