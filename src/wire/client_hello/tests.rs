use super::*;
use proptest::prelude::*;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};
use std::sync::Arc;

/// `openssl s_client -servername Example.COM -alpn h2,http/1.1` of OpenSSL 3.0.
const OPENSSL_3: &str = "\
    160301014a010001460303e9d2b7e2cb578986adea7c8c9e8500921ccda544db3912b6051d53c31bd8b90e2076255d34c04b\
    e4dea9f74a6d27ddde28e034de3218121a93463f48a94b5f223a003e130213031301c02cc030009fcca9cca8ccaac02bc02f\
    009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000bf00000010000e\
    00000b4578616d706c652e434f4d000b000403000102000a00160014001d0017001e00190018010001010102010301040023\
    00000010000e000c02683208687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b\
    080408050806040105010601030303010302040205020602002b0009080304030303020301002d0002010100330026002400\
    1d0020137c4adfc7e2e8d1ee0616c8b9175d9abecb5319dec2cdecc081ead9a1779100";

/// `openssl s_client -tls1_2 -noservername -cipher ECDHE-RSA-AES128-GCM-SHA256` of OpenSSL 3.0.
const OPENSSL_TLS12_RSA: &str = "\
    16030100830100007f03036b64d6c93fa4b26ae1cda166aa0a1bd0595fc5779fa96f7b0947532ec4d797a6000004c02f00ff\
    01000052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a002804030503\
    0603080708080809080a080b080408050806040105010601030303010302040205020602";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn complete(input: &[u8]) -> ClientHello {
    match parse(input) {
        Parse::Complete(hello) => hello,
        other => panic!("{other:?}"),
    }
}

/// What rustls says first to `name`.
fn rustls_hello(
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
    adjust: impl FnOnce(&mut CryptoProvider, &mut Vec<Vec<u8>>),
) -> Vec<u8> {
    let mut provider = aws_lc_rs::default_provider();
    let mut alpn = Vec::new();
    adjust(&mut provider, &mut alpn);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn vector(width: usize, data: &[u8]) -> Vec<u8> {
    [&data.len().to_be_bytes()[8 - width..], data].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, data)].concat()
}

fn numbers(width: usize, list: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = list.iter().flat_map(|number| number.to_be_bytes()).collect();
    vector(width, &bytes)
}

fn sni(kind: u8, name: &[u8]) -> Vec<u8> {
    extension(SERVER_NAME, &vector(2, &[&[kind][..], &vector(2, name)].concat()))
}

/// A hello's message with these suites and extensions.
fn message_of(suites: &[u16], extensions: Option<&[Vec<u8>]>) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(vector(1, &[9; 32]));
    body.extend(numbers(2, suites));
    body.extend(vector(1, &[0]));
    if let Some(extensions) = extensions {
        body.extend(vector(2, &extensions.concat()));
    }
    [&[CLIENT_HELLO][..], &vector(3, &body)].concat()
}

/// Records that carry at most `size` bytes each.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &vector(2, part)].concat())
        .collect()
}

fn with_extensions(extensions: &[Vec<u8>]) -> Parse<ClientHello> {
    parse(&records(&message_of(&[0x1301], Some(extensions)), RECORD_MAX))
}

/// All answers to prefixes are "more", until one stays.
fn assert_steady(input: &[u8]) {
    let mut decided = None;
    for n in 0..=input.len() {
        let answer = parse(&input[..n]);
        match &decided {
            Some(before) => assert_eq!(&answer, before, "{n}"),
            None if answer != Parse::NeedMore => decided = Some(answer),
            None => {}
        }
    }
}

#[test]
fn openssl_with_its_defaults() {
    let hello = complete(&unhex(OPENSSL_3));
    assert_eq!(hello.server_name.as_deref(), Some("example.com"));
    assert_eq!(hello.alpn, [&b"h2"[..], b"http/1.1"]);
    assert_eq!(hello.versions, [0x0304, 0x0303, 0x0302, 0x0301]);
    assert_eq!(hello.cipher_suites.len(), 31);
    assert_eq!(hello.cipher_suites[..4], [0x1302, 0x1303, 0x1301, 0xC02C]);
    assert_eq!(hello.signature_schemes[..3], [0x0403, 0x0503, 0x0603]);
    assert_eq!(hello.groups[..2], [29, 23]);
    assert!(!hello.ech);
    assert!(hello.takes_p256());
}

#[test]
fn openssl_with_rsa_alone() {
    let hello = complete(&unhex(OPENSSL_TLS12_RSA));
    assert_eq!(hello.server_name, None);
    assert_eq!(hello.alpn, Vec::<Vec<u8>>::new());
    assert_eq!(hello.versions, [0x0303]);
    assert_eq!(hello.cipher_suites, [0xC02F, 0x00FF]);
    assert!(hello.signature_schemes.contains(&0x0403));
    assert!(hello.groups.contains(&23));
    assert!(!hello.takes_p256(), "no ECDHE_ECDSA suite");
}

#[test]
fn rustls_in_several_settings() {
    let both = [&version::TLS13, &version::TLS12];
    let bytes = rustls_hello("Wss-Primary.Slack.com", &both, |_, alpn| {
        *alpn = vec![b"http/1.1".to_vec()];
    });
    let hello = complete(&bytes);
    assert_eq!(hello.server_name.as_deref(), Some("wss-primary.slack.com"));
    assert_eq!(hello.alpn, [b"http/1.1"]);
    assert_eq!(hello.versions, [0x0304, 0x0303]);
    assert!(hello.takes_p256());

    let hello = complete(&rustls_hello("127.0.0.1", &[&version::TLS12], |_, _| {}));
    assert_eq!(hello.server_name, None, "an address is no SNI");
    assert_eq!(hello.versions, [0x0303]);
    assert!(hello.takes_p256());

    let rsa = |suite: &rustls::SupportedCipherSuite| format!("{suite:?}").contains("RSA_WITH");
    let ecdsa = |suite: &rustls::SupportedCipherSuite| format!("{suite:?}").contains("ECDSA");
    let hello = complete(&rustls_hello("a.example", &[&version::TLS12], |provider, _| {
        provider.cipher_suites.retain(|suite| rsa(suite) && !ecdsa(suite));
    }));
    assert!(!hello.cipher_suites.is_empty());
    assert!(!hello.takes_p256());

    let not_p256 = |provider: &mut CryptoProvider| {
        provider
            .kx_groups
            .retain(|group| group.name() == rustls::NamedGroup::X25519);
    };
    let hello = complete(&rustls_hello("a.example", &[&version::TLS12], |p, _| not_p256(p)));
    assert_eq!(hello.groups, [29]);
    assert!(!hello.takes_p256());
    let hello = complete(&rustls_hello("a.example", &[&version::TLS13], |p, _| not_p256(p)));
    assert!(
        hello.takes_p256(),
        "in TLS 1.3 the groups do not bind the certificate"
    );
}

#[test]
fn every_prefix_wants_more_and_what_follows_is_not_looked_at() {
    for bytes in [
        unhex(OPENSSL_3),
        unhex(OPENSSL_TLS12_RSA),
        rustls_hello("a.example", &[&version::TLS13], |_, _| {}),
    ] {
        for n in 0..bytes.len() {
            assert_eq!(parse(&bytes[..n]), Parse::NeedMore, "{n}");
        }
        let longer = [&bytes[..], &[0xFF; 100]].concat();
        assert_eq!(parse(&longer), parse(&bytes));
        assert!(matches!(parse(&bytes), Parse::Complete(_)));
    }
}

#[test]
fn every_mutation_is_an_answer_that_stays() {
    let bytes = unhex(OPENSSL_TLS12_RSA);
    for at in 0..bytes.len() {
        for byte in 0..=255 {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            if matches!(byte, 0 | 0x7F | 0xFF) {
                assert_steady(&bytes);
            } else {
                parse(&bytes);
            }
        }
    }
    let bytes = unhex(OPENSSL_3);
    for at in 0..bytes.len() {
        for flip in 1..=255 {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            parse(&bytes);
        }
    }
}

#[test]
fn a_hello_in_many_records_is_the_same() {
    let whole = unhex(OPENSSL_3);
    let want = complete(&whole);
    let message = &whole[RECORD_HEADER..];
    for size in [1, 2, 3, 4, 5, 7, 100, message.len() - 1] {
        let bytes = records(message, size);
        assert_eq!(complete(&bytes), want, "{size}");
        for n in 0..bytes.len() {
            assert_eq!(parse(&bytes[..n]), Parse::NeedMore, "{size} {n}");
        }
    }
}

#[test]
fn other_protocols_are_not_this() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"SSH-2.0-OpenSSH",
        // SSLv2.
        &[0x80, 0x2E, 1, 0, 2],
        &[22, 2, 0],
        &[22, 4],
        // An alert, and data.
        &[21, 3, 1, 0, 2],
        &[23, 3, 3],
        &[0],
    ] {
        assert_eq!(parse(bytes), Parse::NotThis, "{bytes:?}");
    }
    assert_eq!(parse(&[]), Parse::NeedMore);
    assert_eq!(parse(&[22]), Parse::NeedMore);
}

#[test]
fn broken_records_are_invalid() {
    let message = message_of(&[0x1301], None);
    let half = records(&message[..20], 20);
    let then = |bytes: &[u8]| [&half, bytes].concat();
    for bytes in [
        vec![22, 3, 1, 0, 0],
        vec![22, 3, 1, 0x40, 1],
        // A ServerHello.
        vec![22, 3, 1, 0, 10, 2],
        // 64 KiB and 16 MiB.
        vec![22, 3, 1, 0, 10, 1, 1, 0, 0],
        vec![22, 3, 1, 0, 10, 1, 0xFF, 0xFF, 0xFF],
        then(&[23, 3, 3, 0, 1]),
        then(&[22, 2, 3, 0, 1]),
        then(&[22, 3, 3, 0, 0]),
    ] {
        assert!(matches!(parse(&bytes), Parse::Invalid(_)), "{bytes:?}");
        assert_steady(&bytes);
    }
}

#[test]
fn the_cap_is_on_all_bytes() {
    let padding = |size| extension(21, &vec![0; size]);
    let message = message_of(&[0x1301], Some(&[padding(60_000)]));
    assert!(matches!(
        parse(&records(&message, RECORD_MAX)),
        Parse::Complete(_)
    ));
    // The same in records of one byte is six times as long.
    let bytes = records(&message, 1);
    assert_eq!(parse(&bytes[..CAP - 1]), Parse::NeedMore);
    assert!(matches!(parse(&bytes[..CAP]), Parse::Invalid(_)));
    assert!(matches!(parse(&bytes), Parse::Invalid(_)));
}

#[test]
fn a_hello_may_have_no_extensions() {
    let hello = complete(&records(&message_of(&[0x0035, 0x000A], None), 100));
    assert_eq!(hello.cipher_suites, [0x0035, 0x000A]);
    assert_eq!(hello.versions, [0x0303]);
    assert!(!hello.takes_p256());
}

#[test]
fn grease_and_unknown_extensions_are_stepped_over() {
    let bytes = records(
        &message_of(
            &[0xDADA, 0x1301, 0xC02B],
            Some(&[
                extension(0x3A3A, b""),
                sni(0, b"chat.example"),
                extension(
                    ALPN,
                    &vector(2, &[vector(1, &[0x8A, 0x8A]), vector(1, b"h2")].concat()),
                ),
                extension(SUPPORTED_GROUPS, &numbers(2, &[0xCACA, 29, 23])),
                extension(SUPPORTED_VERSIONS, &numbers(1, &[0x5A5A, 0x0304, 0x0303])),
                extension(SIGNATURE_ALGORITHMS, &numbers(2, &[0x0403, 0x0804])),
                extension(ENCRYPTED_CLIENT_HELLO, &[0; 100]),
                extension(0xABCD, &[1, 2, 3]),
                extension(0xABCD, &[1, 2, 3]),
                extension(0x7A7A, &[0]),
            ]),
        ),
        50,
    );
    assert_eq!(
        complete(&bytes),
        ClientHello {
            server_name: Some("chat.example".into()),
            alpn: vec![b"h2".to_vec()],
            versions: vec![0x0304, 0x0303],
            cipher_suites: vec![0x1301, 0xC02B],
            signature_schemes: vec![0x0403, 0x0804],
            groups: vec![29, 23],
            ech: true,
        }
    );
    // Near misses are no GREASE.
    assert!(!read::is_grease(0x0A1A) && !read::is_grease(0x0A0B) && read::is_grease(0xFAFA));
}

#[test]
fn a_server_name_that_is_no_dns_name_is_none() {
    for name in [
        &b"192.0.2.1"[..],
        b"[::1]",
        b"",
        b"a..b",
        b"b\xfccher.example",
        b"127.1",
        b"a b",
    ] {
        match with_extensions(&[sni(0, name)]) {
            Parse::Complete(hello) => assert_eq!(hello.server_name, None, "{name:?}"),
            other => panic!("{name:?} {other:?}"),
        }
    }
    let of_another_kind = with_extensions(&[sni(1, b"a.example")]);
    assert!(matches!(of_another_kind, Parse::Complete(hello) if hello.server_name.is_none()));
}

#[test]
fn ambiguous_and_broken_extensions_are_invalid() {
    let name = |text: &[u8]| [&[0][..], &vector(2, text)].concat();
    for extensions in [
        vec![sni(0, b"a.example"), sni(0, b"b.example")],
        vec![extension(
            SERVER_NAME,
            &vector(2, &[name(b"a.example"), name(b"b.example")].concat()),
        )],
        vec![extension(SERVER_NAME, b"")],
        vec![extension(SERVER_NAME, &[0, 0])],
        vec![extension(SERVER_NAME, &[0, 3, 0, 0])],
        vec![extension(
            SERVER_NAME,
            &[vector(2, &name(b"a")), vec![0]].concat(),
        )],
        vec![extension(ALPN, &[0, 0])],
        vec![extension(ALPN, &[0, 1, 0])],
        vec![extension(ALPN, &[0, 2, 2, b'h'])],
        vec![extension(ALPN, &[0, 3, 2, b'h', b'2', 0])],
        vec![extension(SUPPORTED_GROUPS, &[0, 1, 29])],
        vec![extension(SUPPORTED_GROUPS, &[0, 0])],
        vec![extension(SIGNATURE_ALGORITHMS, &[0, 4, 4, 3])],
        vec![extension(SUPPORTED_VERSIONS, &[2, 3, 4, 3])],
        vec![vec![0]],
        vec![vec![0, 21, 0, 1]],
    ] {
        let answer = with_extensions(&extensions);
        assert!(matches!(answer, Parse::Invalid(_)), "{extensions:?} {answer:?}");
    }
}

#[test]
fn broken_fields_are_invalid() {
    let message = message_of(&[0x1301], Some(&[]));
    let suites = 4 + 2 + 32 + 33;
    let mutate = |at: usize, value: u8| {
        let mut message = message.clone();
        message[at] = value;
        parse(&records(&message, RECORD_MAX))
    };
    assert!(matches!(mutate(0, 1), Parse::Complete(_)));
    // Session id, odd suites, no suites, no compression, extensions too short and too long.
    for (at, value) in [
        (4 + 34, 33),
        (suites + 1, 3),
        (suites + 1, 0),
        (suites + 4, 0),
        (message.len() - 1, 1),
    ] {
        assert!(matches!(mutate(at, value), Parse::Invalid(_)), "{at}");
    }
    let mut long = message_of(&[0x1301], Some(&[extension(21, b"x")]));
    let last = long.len() - 6;
    long[last] = 4;
    assert!(matches!(parse(&records(&long, RECORD_MAX)), Parse::Invalid(_)));
}

proptest! {
    #[test]
    fn anything_is_an_answer_that_stays(
        start in prop::sample::select(vec![vec![], vec![22], vec![22, 3, 1], vec![22, 3, 1, 0, 60, 1, 0, 0, 56]]),
        rest in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..4], 0..80),
    ) {
        assert_steady(&[start, rest].concat());
    }
}
