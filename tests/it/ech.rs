//! Encrypted ClientHello (ECH): a client's name is behind a public one, and the proxy has no key for it.

use crate::harness::certs::certs;
use crate::harness::proxy::Setup;
use crate::harness::raw::{Secure, start_tls_with, tunnel};
use crate::harness::recorder::Recorder;
use rustls::client::{EchConfig, EchGreaseConfig, EchMode};
use rustls::crypto::aws_lc_rs::hpke::{ALL_SUPPORTED_SUITES, DH_KEM_X25519_HKDF_SHA256_AES_128};
use rustls::crypto::hpke::Hpke;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, EchConfigListBytes};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

const SUITE: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_128;

fn config(ca: &Path, mode: EchMode) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_ech(mode)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A list with one configuration, as a server would publish it (RFC 9849 section 4).
fn published(public_name: &str) -> EchConfigListBytes<'static> {
    let (key, _) = SUITE.generate_key_pair().unwrap();
    let mut contents = vec![7, 0, 0x20];
    let with_length = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    contents.extend(with_length(&key.0));
    contents.extend(with_length(&[0, 1, 0, 1]));
    contents.extend([0, u8::try_from(public_name.len()).unwrap()]);
    contents.extend(public_name.as_bytes());
    contents.extend([0, 0]);
    let config = [&[0xfe, 0x0d][..], &with_length(&contents)].concat();
    with_length(&config).into()
}

fn answered(client: &mut Secure, recorder: &Recorder) {
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

/// Browsers send the extension where there is nothing to hide, so that it does not stand out.
#[test]
fn an_extension_that_hides_nothing_is_in_nobodys_way() {
    let recorder = Recorder::start();
    let splice = "[policy]\nsplice = ['own']\n[[list]]\nname = 'own'\nformat = 'domains'\nfile = 'own'\n";
    for (list, action) in [("", "bump"), ("origin.test\n", "splice")] {
        let proxy = Setup::new().file("own", list).config(splice).start();
        let ca = if action == "bump" {
            &proxy.ca
        } else {
            &certs().root
        };
        let (key, _) = SUITE.generate_key_pair().unwrap();
        let grease = EchMode::Grease(EchGreaseConfig::new(SUITE, key));
        let mut client = start_tls_with(
            tunnel(&proxy, &recorder.target()),
            &recorder.target(),
            config(ca, grease),
        );
        answered(&mut client, &recorder);
        drop(client);
        let line = proxy.log("connection", |line| line["action"] == action);
        assert_eq!(line["sni"], "origin.test", "{line}");
    }
}

/// The policy has the public name; and the client, whom nobody answers by the name that it has hidden, goes no further.
#[test]
fn a_hidden_name_is_not_reached_and_the_public_one_is_what_is_judged() {
    let recorder = Recorder::start();
    let proxy = Setup::new().start();
    let hides = EchMode::Enable(EchConfig::new(published("other.test"), ALL_SUPPORTED_SUITES).unwrap());
    let target = format!("127.0.0.1:{}", recorder.port);
    let named = format!("origin.test:{}", recorder.port);
    let mut client = start_tls_with(tunnel(&proxy, &target), &named, config(&proxy.ca, hides));
    let error = client.try_send("GET / HTTP/1.1\r\n\r\n").unwrap_err().to_string();
    assert!(error.contains("ServerRejectedEncryptedClientHello"), "{error}");
    drop(client);
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["sni"], &line["requests"]),
        (&"other.test".into(), &0.into()),
        "{line}"
    );
    // One whose public name is denied is denied.
    let proxy = Setup::new()
        .file("closed", "other.test\n")
        .config(
            "[policy]\ndeny = ['closed']\n[[list]]\nname = 'closed'\nformat = 'domains'\nfile = 'closed'\n",
        )
        .start();
    let hides = EchMode::Enable(EchConfig::new(published("other.test"), ALL_SUPPORTED_SUITES).unwrap());
    let mut client = start_tls_with(tunnel(&proxy, &target), &named, config(&proxy.ca, hides));
    assert!(client.try_send("GET / HTTP/1.1\r\n\r\n").is_err());
    drop(client);
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["action"], &line["sni"]),
        (&"deny".into(), &"other.test".into()),
        "{line}"
    );
}
