use super::*;
use crate::wire::Parse;
use proptest::prelude::*;

fn done<T>(parsed: Parse<(T, usize)>) -> (T, usize) {
    match parsed {
        Parse::Complete(done) => done,
        Parse::Invalid(why) => panic!("{why}"),
        _ => panic!("not whole"),
    }
}

fn v4(bytes: &[u8]) -> Request4 {
    match done(beginning(bytes)).0 {
        Beginning::V4(request) => request,
        other => panic!("{other:?}"),
    }
}

fn to(bytes: &[u8]) -> Result<String, &'static str> {
    done(request(bytes)).0.to.map(|to| to.to_string())
}

fn named(name: &[u8], port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
    bytes.extend(name);
    bytes.extend(port.to_be_bytes());
    bytes
}

const IPV4: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 7, 1, 187];

fn ipv6() -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 4];
    bytes.extend("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    bytes.extend([0, 80]);
    bytes
}

#[test]
fn clients_of_version_5_say_what_they_can_and_who_they_are() {
    let (greeting, length) = done(beginning(&[5, 2, 0, 2, 9]));
    let Beginning::V5(greeting) = greeting else {
        panic!("{greeting:?}")
    };
    assert!(greeting.offers(NO_PASSWORD) && greeting.offers(PASSWORD) && !greeting.offers(1));
    assert_eq!(length, 4);
    let (login, length) = done(login(b"\x01\x03ada\x06secret5"));
    assert_eq!(
        (&*login.name, &*login.password, length),
        (&b"ada"[..], &b"secret"[..], 12)
    );
    assert_eq!(format!("{login:?}"), "Login(..)");
    assert_eq!(done(super::login(b"\x01\x00\x00")).0.password, b"");
    assert!(matches!(super::login(b"\x05\x03ada"), Parse::Invalid(_)));
    assert!(matches!(beginning(&[5, 0]), Parse::Invalid(_)));
    assert_eq!(beginning(b"GET / HTTP/1.1"), Parse::NotThis);
    assert_eq!(beginning(&[0x16, 3, 1]), Parse::NotThis);
}

#[test]
fn destinations_are_names_and_addresses_of_both_families() {
    assert_eq!(to(&IPV4).unwrap(), "192.0.2.7:443");
    assert_eq!(to(&ipv6()).unwrap(), "[2001:db8::7]:80");
    assert_eq!(to(&named(b"A.example.", 443)).unwrap(), "a.example:443");
    assert_eq!(to(&named(b"192.0.2.7", 443)).unwrap(), "192.0.2.7:443");
    assert_eq!(to(&named(b"2001:db8::7", 443)).unwrap(), "[2001:db8::7]:443");
    let mut mapped = vec![5, 1, 0, 4];
    mapped.extend("::ffff:192.0.2.7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    mapped.extend([0, 80]);
    assert_eq!(to(&mapped).unwrap(), "192.0.2.7:80");
    for (command, wanted) in [
        (1, SocksCommand::Connect),
        (2, SocksCommand::Other(2)),
        (3, SocksCommand::Other(3)),
    ] {
        let mut bytes = IPV4;
        bytes[1] = command;
        assert_eq!(done(request(&bytes)).0.command, wanted);
    }
}

#[test]
fn what_is_no_destination_is_not_cut_to_one() {
    for name in [
        &b"a.example\0.evil.example"[..],
        b"a.example\r\nHost: x",
        b"a example",
        b"",
        b"\xff\xfe",
        b"user@a.example",
        b"a.example:80",
        b"0x7f.1",
    ] {
        assert_eq!(to(&named(name, 443)), Err("the name is no host name"), "{name:?}");
    }
    assert_eq!(to(&named(b"a.example", 0)), Err("there is no port 0"));
    let mut bytes = IPV4;
    (bytes[8], bytes[9]) = (0, 0);
    assert_eq!(to(&bytes), Err("there is no port 0"));
    assert_eq!(request(&[5, 1, 0, 2, 9]), Parse::Invalid(UNKNOWN_KIND));
    assert!(matches!(request(&[4, 1, 0, 1]), Parse::Invalid(_)));
}

#[test]
fn version_4_has_addresses_and_4a_names() {
    let request = v4(b"\x04\x01\x01\xbb\xc0\x00\x02\x07ada\0");
    assert_eq!(request.to.unwrap().to_string(), "192.0.2.7:443");
    let request = v4(b"\x04\x01\x00\x50\x00\x00\x00\x01\0a.example\0");
    assert_eq!(request.to.unwrap().to_string(), "a.example:80");
    assert_eq!(
        v4(b"\x04\x02\x00\x50\xc0\x00\x02\x07\0").command,
        SocksCommand::Other(2)
    );
    // 0.0.0.0 is an address.
    let request = v4(b"\x04\x01\x00\x50\x00\x00\x00\x00\0");
    assert_eq!(request.to.unwrap().to_string(), "0.0.0.0:80");
    assert!(v4(b"\x04\x01\x00\x50\x00\x00\x00\x01\0\0").to.is_err());
    let endless = [&b"\x04\x01\x00\x50\xc0\x00\x02\x07"[..], &[b'x'; 256]].concat();
    assert!(matches!(beginning(&endless), Parse::Invalid(_)));
    assert_eq!(beginning(&endless[..endless.len() - 1]), Parse::NeedMore);
}

#[test]
fn every_beginning_waits_for_the_rest() {
    let socks4 = b"\x04\x01\x00\x50\x00\x00\x00\x01ada\0a.example\0";
    for end in 0..socks4.len() {
        assert_eq!(beginning(&socks4[..end]), Parse::NeedMore, "{end}");
    }
    for whole in [&IPV4[..], &ipv6(), &named(b"a.example", 443)] {
        for end in 0..whole.len() {
            assert_eq!(request(&whole[..end]), Parse::NeedMore, "{end} of {whole:?}");
        }
    }
    let whole = b"\x01\x03ada\x06secret";
    for end in 0..whole.len() {
        assert_eq!(login(&whole[..end]), Parse::NeedMore, "{end}");
    }
    assert_eq!(beginning(&[5, 2, 0]), Parse::NeedMore);
}

#[test]
fn no_byte_of_a_message_makes_it_longer_than_it_is() {
    let socks4 = b"\x04\x01\x00\x50\x00\x00\x00\x01ada\0a.example\0".to_vec();
    let whole = [
        socks4,
        IPV4.to_vec(),
        ipv6(),
        named(b"a.example", 443),
        b"\x01\x03ada\x06secret".to_vec(),
        vec![5, 2, 0, 2],
    ];
    for message in whole {
        for at in 0..message.len() {
            for byte in 0..=255 {
                let mut mutated = message.clone();
                mutated[at] = byte;
                let lengths = [
                    beginning(&mutated).map(|(_, length)| length),
                    request(&mutated).map(|(_, length)| length),
                    login(&mutated).map(|(_, length)| length),
                ];
                for length in lengths {
                    assert!(
                        !matches!(length, Parse::Complete(length) if length > mutated.len()),
                        "{mutated:?}"
                    );
                }
                if let Parse::Complete((Request { to: Ok(to), .. }, _)) = request(&mutated) {
                    let text = to.to_string();
                    assert!(to.port > 0 && !text.contains(['\0', '\r', '\n', ' ']), "{text:?}");
                }
            }
        }
    }
}

#[test]
fn replies_have_the_length_of_their_address() {
    let bound = Some("[2001:db8::1]:1080".parse().unwrap());
    assert_eq!(Reply::Granted.v5(bound).len(), 22);
    assert_eq!(
        Reply::Granted.v5(Some("192.0.2.1:1080".parse().unwrap())),
        [5, 0, 0, 1, 192, 0, 2, 1, 4, 56]
    );
    assert_eq!(Reply::NotAllowed.v5(None), [5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Reply::Granted.v4(), [0, 90, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Reply::Refused.v4()[1], 91);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_whole_stays_so(bytes: Vec<u8>, version in 4_u8..6) {
        let begun = [&[version][..], &bytes].concat();
        if let Parse::Complete((_, length)) = beginning(&begun) {
            prop_assert_eq!(beginning(&begun[..length]), beginning(&begun));
            prop_assert!(length <= V4_LIMIT);
        }
        let asked = [&[5][..], &bytes].concat();
        if let Parse::Complete((_, length)) = request(&asked) {
            prop_assert_eq!(request(&asked[..length]), request(&asked));
            prop_assert!(length <= LIMIT);
        }
        if let Parse::Complete((_, length)) = login(&[&[1][..], &bytes].concat()) {
            prop_assert!(length <= LIMIT);
        }
    }

    #[test]
    fn what_is_written_is_read(name in "[a-z]{1,20}\\.example", port in 1_u16..) {
        prop_assert_eq!(to(&named(name.as_bytes(), port)).unwrap(), format!("{name}:{port}"));
    }
}
