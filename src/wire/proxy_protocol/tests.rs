use super::crc32c::crc32c;
use super::*;
use crate::wire::Parse;
use proptest::prelude::*;
use std::net::SocketAddr;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The endpoints of a header that is whole.
fn endpoints(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    match parse(bytes) {
        Parse::Complete((header, length)) => {
            assert!(length <= bytes.len());
            header.endpoints.map(|both| (both.source, both.destination))
        }
        other => panic!("{other:?}"),
    }
}

fn why(bytes: &[u8]) -> &'static str {
    match parse(bytes) {
        Parse::Invalid(why) => why,
        other => panic!("{other:?}: {bytes:?}"),
    }
}

/// A header of version 2.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
    bytes.extend(block);
    bytes
}

fn value(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x01, 0xbb];

fn of_v4(values: &[&[u8]]) -> Vec<u8> {
    v2(0x21, 0x11, &[&V4[..], &values.concat()].concat())
}

fn told(values: &[&[u8]]) -> Told {
    match parse(&of_v4(values)) {
        Parse::Complete((header, _)) => header.told,
        other => panic!("{other:?}"),
    }
}

/// Headers that are good, each whole.
fn good() -> Vec<Vec<u8>> {
    let tls = [
        &[7, 0, 0, 0, 0][..],
        &value(0x21, b"TLSv1.3"),
        &value(0x22, b"ada"),
    ]
    .concat();
    let mut summed = of_v4(&[&value(0x03, &[0; 4]), &value(0x02, b"a.example")]);
    let sum = crc32c(&[&summed]).to_be_bytes();
    summed[31..35].copy_from_slice(&sum);
    vec![
        b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff:f...f:ffff whatever 65535\r\n".to_vec(),
        of_v4(&[]),
        of_v4(&[&value(0x20, &tls), &value(0xea, b"\x01vpce-1")]),
        v2(0x21, 0x21, &[0x20; 36]),
        v2(0x21, 0x31, &[b'/'; 216]),
        v2(0x20, 0x00, &[]),
        // A load balancer of AWS checks health so.
        v2(0x20, 0x11, &[0xff; 17]),
        v2(0x21, 0x00, b"whatever"),
        summed,
    ]
}

#[test]
fn each_version_says_who_the_client_is() {
    let both = Some((at("192.0.2.7:40000"), at("198.51.100.1:443")));
    assert_eq!(endpoints(&good()[0]), both);
    assert_eq!(endpoints(&of_v4(&[])), both);
    assert_eq!(
        endpoints(&good()[1]),
        Some((at("[2001:db8::7]:1"), at("[2001:db8::1]:65535")))
    );
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
    assert_eq!(
        endpoints(&v2(0x21, 0x21, &v6)),
        Some((at("[::1]:3"), at("[::2]:4")))
    );
}

#[test]
fn who_speaks_for_itself_or_of_no_address_is_taken_at_its_own() {
    for at in [2, 3, 7, 8, 9, 10] {
        assert_eq!(endpoints(&good()[at]), None, "{at}");
    }
}

#[test]
fn what_follows_a_header_is_not_its_own() {
    for header in good() {
        let more = [&header[..], b"CONNECT a.example:443 HTTP/1.1\r\n"].concat();
        match parse(&more) {
            Parse::Complete((_, length)) => assert_eq!(length, header.len()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_beginning_of_a_header_waits_for_the_rest() {
    for header in good() {
        for end in 0..header.len() {
            assert_eq!(parse(&header[..end]), Parse::NeedMore, "{end} of {header:?}");
        }
    }
}

#[test]
fn no_byte_of_a_header_makes_it_longer_than_it_is() {
    for header in good() {
        for at in 0..header.len() {
            for byte in 0..=255 {
                let mut mutated = header.clone();
                mutated[at] = byte;
                if let Parse::Complete((_, length)) = parse(&mutated) {
                    assert!(length <= mutated.len(), "{mutated:?}");
                    assert_eq!(parse(&mutated[..length]), parse(&mutated));
                }
            }
        }
    }
}

#[test]
fn what_is_no_header_is_told_at_once() {
    for bytes in [
        &b"C"[..],
        b"GET / HTTP/1.1\r\n",
        b"PROXX",
        b"\x16\x03\x01",
        b"\r\n\r\nX",
        b"proxy ",
    ] {
        assert_eq!(parse(bytes), Parse::NotThis, "{bytes:?}");
    }
}

#[test]
fn what_a_line_may_not_be() {
    for (line, what) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\n", "CR LF"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 \r\n", "too many"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 x\r\n", "too many"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n", "missing"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 05555 443\r\n", "a port"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", "a port"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n", "a port"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1  443\r\n", "a port"),
        ("PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n", "an address"),
        ("PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n", "an address"),
        ("PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n", "an address"),
        ("PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n", "the family"),
        ("PROXY  TCP4 192.0.2.7 198.51.100.1 1 443\r\n", ""),
        ("PROXY \r\n", "missing"),
    ] {
        assert!(
            why(line.as_bytes()).contains(what),
            "{line}: {}",
            why(line.as_bytes())
        );
    }
    let long = format!("PROXY UNKNOWN {}", "x".repeat(100));
    assert!(why(long.as_bytes()).contains("too long"));
    assert!(why(b"PROXY TCP4 \xff 198.51.100.1 1 443\r\n").contains("no text"));
    // The longest line that there can be.
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
    assert_eq!(endpoints(longest.as_bytes()), None);
}

#[test]
fn what_version_2_may_not_be() {
    for (bytes, what) in [
        (v2(0x11, 0x11, &V4), "version"),
        (v2(0x22, 0x11, &V4), "command"),
        (v2(0x21, 0x12, &V4), "family"),
        (v2(0x21, 0x41, &V4), "family"),
        (v2(0x21, 0x11, &V4[..11]), "cut short"),
        (v2(0x21, 0x21, &[0; 35]), "cut short"),
        (v2(0x21, 0x31, &[0; 215]), "cut short"),
        (of_v4(&[&[0x02]]), "longer than"),
        (of_v4(&[&[0x02, 0, 9, 1]]), "longer than"),
        (of_v4(&[&value(0x03, &[1, 2, 3, 4])]), "checksum is wrong"),
        (of_v4(&[&value(0x03, &[1, 2, 3])]), "four bytes"),
        (of_v4(&[&value(0x20, &[1])]), "cut short"),
        (
            of_v4(&[&value(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9])]),
            "longer than",
        ),
        (of_v4(&[&value(0x05, &[b'x'; 129])]), "too long"),
    ] {
        assert!(why(&bytes).contains(what), "{what}: {}", why(&bytes));
    }
    // What cannot become right is not waited for.
    assert!(why(&v2(0x10, 0, &[])[..13]).contains("version"));
}

#[test]
fn what_else_is_told_is_read() {
    let tls = [
        &[0x07, 0, 0, 0, 0][..],
        &value(0x21, b"TLSv1.3"),
        &value(0x22, b"ada"),
        &value(0x23, b"TLS_AES_256_GCM_SHA384"),
        &value(0x25, b"RSA2048"),
    ]
    .concat();
    let all = told(&[
        &value(0x01, b"h2"),
        &value(0x02, b"a.example"),
        &value(0x04, &[0; 3]),
        &value(0x05, b"x-1"),
        &value(0x20, &tls),
        &value(0x30, b"blue"),
        &value(0xf7, b"?"),
    ]);
    assert_eq!(all.alpn.as_deref(), Some("h2"));
    assert_eq!(all.authority.as_deref(), Some("a.example"));
    assert_eq!(all.unique_id.as_deref(), Some("x-1"));
    assert_eq!(all.netns.as_deref(), Some("blue"));
    let tls = all.tls.unwrap();
    assert_eq!(tls.version.as_deref(), Some("TLSv1.3"));
    assert_eq!(tls.common_name.as_deref(), Some("ada"));
    assert!(tls.cipher.is_some() && tls.is_verified);
    let with = |begin: [u8; 5]| told(&[&value(0x20, &begin)]).tls.unwrap().is_verified;
    assert!(with([0x05, 0, 0, 0, 0]), "in its session");
    assert!(!with([0x01, 0, 0, 0, 0]), "no certificate");
    assert!(!with([0x07, 0, 0, 0, 1]), "not verified");
    assert_eq!(
        told(&[&value(0x05, &[0, 0xff])]).unique_id.as_deref(),
        Some("00ff")
    );
    assert!(told(&[&value(0xf0, b"?")]).is_empty());
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_header_is_longer_than_its_bytes(
        which in 0..good().len(), at in 0_usize..300, byte: u8, bytes: Vec<u8>, cut in 0_usize..300,
    ) {
        let mut mutated = good().swap_remove(which);
        if let Some(place) = mutated.get_mut(at) {
            *place = byte;
        }
        mutated.truncate(cut);
        mutated.extend(&bytes);
        for bytes in [&mutated, &bytes] {
            if let Parse::Complete((_, length)) = parse(bytes) {
                prop_assert!(length <= bytes.len() && length <= LIMIT);
                // What has been read does not change with what follows.
                prop_assert_eq!(parse(&bytes[..length]), parse(bytes));
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found_by_the_checksum(at in 16_usize..28, bit in 0..8) {
        let mut summed = good().pop().unwrap();
        summed[at] ^= 1_u8 << bit;
        prop_assert_eq!(why(&summed), "the checksum is wrong");
    }

    #[test]
    fn addresses_are_read_back(source: std::net::SocketAddrV4, destination: std::net::SocketAddrV4) {
        let line = format!(
            "PROXY TCP4 {} {} {} {}\r\n", source.ip(), destination.ip(), source.port(), destination.port()
        );
        prop_assert_eq!(endpoints(line.as_bytes()), Some((source.into(), destination.into())));
    }
}

#[test]
fn what_is_written_is_what_is_read() {
    for (source, destination, family) in [
        ("192.0.2.7:40000", "198.51.100.1:443", "TCP4"),
        ("[2001:db8::7]:1", "[2001:db8::1]:65535", "TCP6"),
        ("192.0.2.7:0", "[2001:db8::1]:443", "TCP6"),
        ("[::ffff:192.0.2.7]:5", "198.51.100.1:443", "TCP4"),
    ] {
        let both = Endpoints {
            source: at(source),
            destination: at(destination),
        };
        let (v1, v2) = (write::v1(Some(both)), write::v2(Some(both)));
        assert!(v1.starts_with(format!("PROXY {family} ").as_bytes()) && v1.len() <= 107);
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        for header in [v1, v2] {
            let (from, to) = endpoints(&header).unwrap();
            assert_eq!(
                (canonical(from), canonical(to)),
                (canonical(both.source), canonical(both.destination))
            );
        }
    }
    for header in [write::v1(None), write::v2(None)] {
        assert_eq!(endpoints(&header), None);
    }
}
