use super::*;
use proptest::prelude::*;

/// An element with a tag and a content.
fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let mut bytes = vec![tag, 0x82];
    bytes.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

fn message(id: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &[&[2, 1, id], &parts.concat()])
}

fn ldap_result(tag: u8, code: u8, more: &[u8]) -> Vec<u8> {
    tlv(tag, &[&[10, 1, code], &[4, 0], b"\x04\x02no", more])
}

fn ada() -> Vec<u8> {
    let values = tlv(0x31, &[b"\x04\x03ada", b"\x04\x02\xff\xfe"]);
    let attribute = tlv(SEQUENCE, &[b"\x04\x03uid", &values]);
    tlv(0x64, &[b"\x04\x06dc=com", &tlv(SEQUENCE, &[&attribute])])
}

fn after(operation: u8) -> Option<Asked> {
    Some(Asked { id: 7, operation })
}

#[test]
fn answers_are_told_apart() {
    let control = tlv(
        0xa0,
        &[&tlv(
            SEQUENCE,
            &[b"\x04\x071.2.840", b"\x01\x01\xff", b"\x04\x00"],
        )],
    );
    for (message, asked, reply) in [
        (
            message(7, &[&ldap_result(0x61, 49, &[])]),
            BIND,
            Reply::Last { code: 49 },
        ),
        (
            message(7, &[&ldap_result(0x61, 0, &[]), &control]),
            BIND,
            Reply::Last { code: 0 },
        ),
        (message(7, &[&ada()]), SEARCH, Reply::Part),
        (message(7, &[b"\x73\x08\x04\x06ldap:/"]), SEARCH, Reply::Part),
        (
            message(7, &[&ldap_result(0x65, 4, &[])]),
            SEARCH,
            Reply::Last { code: 4 },
        ),
        (
            message(7, &[&ldap_result(0x65, 10, b"\xa3\x08\x04\x06ldap:/")]),
            SEARCH,
            Reply::Last { code: 10 },
        ),
        (
            message(7, &[&ldap_result(0x78, 0, b"\x8a\x011")]),
            EXTENDED,
            Reply::Last { code: 0 },
        ),
        (
            message(0, &[&ldap_result(0x78, 52, b"\x8a\x011")]),
            SEARCH,
            Reply::Goodbye("no (result 52)".into()),
        ),
        // What AD sends.
        (
            message(0, &[&ldap_result(0x78, 52, &[]), b"\x8a\x011"]),
            BIND,
            Reply::Goodbye("no (result 52)".into()),
        ),
    ] {
        assert_eq!(length(&message), Ok(Some(message.len())));
        assert_eq!(length(&message[..3]), Ok(None));
        assert_eq!(check(&message, after(asked)), Ok(reply), "{message:x?}");
    }
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let bound = message(7, &[&ldap_result(0x61, 0, &[])]);
    assert_eq!(check(&bound, None), Err("an answer that nobody asked for"));
    let other = Some(Asked {
        id: 8,
        operation: BIND,
    });
    assert_eq!(check(&bound, other), Err("an answer that nobody asked for"));
    assert_eq!(check(&bound, after(SEARCH)), Err("an answer to something else"));
    assert_eq!(
        check(&message(7, &[&ada()]), after(BIND)),
        Err("an answer to something else")
    );
}

#[test]
fn what_would_hurt_the_library_is_refused() {
    let mut deep = vec![4, 0];
    for _ in 0..40 {
        deep = tlv(SEQUENCE, &[&deep]);
    }
    // 120,000 bytes of empty elements.
    let mut many = vec![SEQUENCE, 0x83, 1, 0xd4, 0xc0];
    many.extend([5, 0].repeat(60_000));
    let cases: [(Vec<u8>, &str); 9] = [
        (tlv(SEQUENCE, &[&deep]), "nested too deep"),
        (many, "too many parts"),
        (tlv(SEQUENCE, &[]), "malformed"),
        (tlv(SEQUENCE, &[&[2, 9, 1]]), "malformed"),
        (message(7, &[b"\x64\x02\x04\x00"]), "malformed"),
        (
            message(7, &[&tlv(0x65, &[&[10, 1, 0], &[4, 0], &[4, 1, 0xff]])]),
            "not UTF-8",
        ),
        (
            message(7, &[&ldap_result(0x65, 0, b"\xa3\x02\x30\x00")]),
            "malformed",
        ),
        (
            message(7, &[&ldap_result(0x65, 0, &[]), b"\xa0\x04\x30\x02\x01\x00"]),
            "malformed",
        ),
        (message(7, &[b"\x30\x80\x00\x00"]), "no allowed form"),
    ];
    for (message, word) in cases {
        let said = check(&message, after(SEARCH)).unwrap_err();
        assert!(said.contains(word), "{said}, not {word}");
    }
}

#[test]
fn a_message_that_never_ends_is_not_waited_for() {
    assert_eq!(length(&[]), Ok(None));
    assert_eq!(length(b"HTTP/1.1 400"), Err("no LDAP message"));
    assert_eq!(
        length(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
        Err("a message that is too large")
    );
    assert_eq!(length(&[0x30, 0x88]), Err("a length of no allowed form"));
}

proptest! {
    /// Whatever passes is read by the library as it is read in use, and it does not panic.
    #[test]
    fn what_passes_does_no_harm(kind in 0..4_usize, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let control = tlv(0xa0, &[&tlv(SEQUENCE, &[b"\x04\x071.2.840", b"\x01\x01\xff", b"\x04\x00"])]);
        let (mut bytes, operation) = [
            (message(7, &[&ldap_result(0x61, 49, b"\x87\x011"), &control]), BIND),
            (message(7, &[&ada(), &control]), SEARCH),
            (message(7, &[b"\x73\x08\x04\x06ldap:/"]), SEARCH),
            (message(7, &[&ldap_result(0x65, 10, b"\xa3\x08\x04\x06ldap:/")]), SEARCH),
        ][kind].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if length(&bytes) == Ok(Some(bytes.len()))
            && let Ok(reply) = check(&bytes, after(operation))
        {
            let (_, tag) = parse_tag(&bytes).unwrap();
            let PL::C(mut parts) = tag.payload else { panic!() };
            let operation = parts.remove(1);
            match (reply, operation.id) {
                (Reply::Part, 4) => drop(ldap3::SearchEntry::construct(ldap3::ResultEntry::new(operation))),
                (Reply::Part, _) => drop(ldap3::parse_refs(operation)),
                (Reply::Last { code }, _) => {
                    let result = ldap3::LdapResult::from(ldap3::asn1::Tag::StructureTag(operation));
                    prop_assert_eq!(result.rc, code);
                }
                (Reply::Goodbye(_), _) => {}
            }
        }
    }
}
