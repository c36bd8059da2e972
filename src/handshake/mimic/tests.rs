use super::*;
use crate::handshake::LeafKey;
use crate::handshake::ca::Ca;
use crate::handshake::mint::{KeyOfLeaf, mint};
use crate::handshake::testing::{openssl, openssl_text};
use std::fs;

/// A certificate with everything: made by `openssl` from these extensions, under a CA in `ca.pem`.
fn certificate(subject: &str, extensions: &str, days: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    openssl(
        path,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
    );
    let config = format!("[req]\ndistinguished_name=dn\nprompt=no\nstring_mask=utf8only\n[dn]\n{subject}\n");
    fs::write(path.join("config"), config).unwrap();
    fs::write(path.join("ext"), extensions).unwrap();
    openssl(path, "req -new -config config -key key.pem -out csr");
    openssl(
        path,
        &format!("x509 -req -in csr -signkey key.pem -days {days} -extfile ext -outform DER -out c.der"),
    );
    fs::read(path.join("c.der")).unwrap()
}

const RICH_SUBJECT: &str =
    "C=DE\nST=Bayern\nL=München\n0.OU=Eins\n1.OU=Zwei\nO=Käse GmbH\n+serialNumber=HRB 1\nCN=www.example.com";
const RICH_EXTENSIONS: &str = "\
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth,clientAuth,1.2.3.4.5
subjectAltName=DNS:www.example.com,DNS:*.example.com,IP:192.0.2.7,IP:2001:db8::1,email:a@example.com,URI:https://example.com/x,RID:1.2.3,otherName:1.2.3;UTF8:x,dirName:dir
authorityInfoAccess=OCSP;URI:http://ocsp.example.com/
crlDistributionPoints=URI:http://crl.example.com/
certificatePolicies=2.23.140.1.2.2
tlsfeature=status_request
1.3.6.1.4.1.11129.2.4.2=DER:04:00
[dir]
CN=dir
";

fn rich() -> Vec<u8> {
    certificate(RICH_SUBJECT, RICH_EXTENSIONS, 100)
}

fn forged(der: &[u8], kind: LeafKey) -> (Ca, Vec<u8>) {
    let (ca, _) = Ca::generate("Test").unwrap();
    let copied = Copied::from_certificate(der).unwrap();
    let leaf = mint(&ca, &copied, &KeyOfLeaf::make(kind).unwrap()).unwrap();
    (ca, leaf.to_vec())
}

fn line_after<'a>(text: &'a str, heading: &str) -> &'a str {
    let rest = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("{heading} in {text}"))
        .1;
    rest.lines().nth(1).unwrap().trim()
}

fn line_with<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines()
        .find(|line| line.contains(word))
        .unwrap_or_else(|| panic!("{word} in {text}"))
        .trim()
}

#[test]
fn openssl_sees_the_origins_names_and_dates_and_nothing_of_its_issuer() {
    let origin = rich();
    let (ca, leaf) = forged(&origin, LeafKey::P256);
    let (theirs, ours) = (openssl_text(&origin), openssl_text(&leaf));

    for word in ["Subject:", "Not Before:", "Not After :"] {
        assert_eq!(line_with(&ours, word), line_with(&theirs, word));
    }
    let subject = |der: &[u8]| {
        let (_, x509) = X509Certificate::from_der(der).unwrap();
        x509.subject().as_raw().to_vec()
    };
    assert_eq!(
        subject(&leaf),
        subject(&origin),
        "byte for byte, with both OUs and the multi-valued RDN"
    );

    let san = line_after(&ours, "Subject Alternative Name:");
    assert_eq!(
        san,
        "DNS:www.example.com, DNS:*.example.com, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:1, \
         email:a@example.com, URI:https://example.com/x"
    );
    assert_eq!(line_after(&ours, "Key Usage: critical"), "Digital Signature");
    assert_eq!(
        line_after(&ours, "Extended Key Usage:"),
        "TLS Web Server Authentication, TLS Web Client Authentication, 1.2.3.4.5"
    );
    assert_eq!(line_after(&ours, "Basic Constraints: critical"), "CA:FALSE");
    let ca_text = openssl_text(ca.der());
    assert_eq!(
        line_after(&ours, "Authority Key Identifier:"),
        line_after(&ca_text, "Subject Key Identifier:")
    );
    assert_ne!(
        line_after(&ours, "Subject Key Identifier:"),
        line_after(&ca_text, "Subject Key Identifier:"),
        "the leaf's key is not the CA's"
    );
    for left_behind in [
        "Authority Information Access",
        "CRL Distribution",
        "Policies",
        "TLS Feature",
        "CT Precertificate",
        "SCT",
    ] {
        assert!(!ours.contains(left_behind), "{left_behind}");
    }
    for there in [
        "Authority Information Access",
        "CRL Distribution",
        "Policies",
        "TLS Feature",
    ] {
        assert!(
            theirs.contains(there),
            "the origin's certificate has it to leave behind: {there}"
        );
    }
    assert!(
        openssl_text(&forged(&origin, LeafKey::Rsa2048).1).contains("Digital Signature, Key Encipherment")
    );
}

#[test]
fn a_common_name_stands_in_for_a_missing_san_only_if_it_is_a_host() {
    for (subject, wanted) in [
        ("CN=old.example.com", Some("DNS:old.example.com")),
        ("CN=*.example.com", Some("DNS:*.example.com")),
        ("CN=192.0.2.9", Some("IP Address:192.0.2.9")),
        ("CN=A Person", None),
        ("CN=localhost", None),
        ("O=Nobody", None),
    ] {
        let (_, leaf) = forged(
            &certificate(subject, "basicConstraints=CA:FALSE\n", 10),
            LeafKey::P256,
        );
        let text = openssl_text(&leaf);
        match wanted {
            Some(wanted) => assert_eq!(line_after(&text, "Subject Alternative Name:"), wanted),
            None => assert!(!text.contains("Alternative"), "{subject}"),
        }
        assert_eq!(
            line_after(&text, "Extended Key Usage:"),
            "TLS Web Server Authentication"
        );
        assert!(
            !text.contains("X509v3 Key Usage"),
            "none where the origin's has none"
        );
    }
}

#[test]
fn validity_never_leaves_the_cas() {
    let (ca, leaf) = forged(
        &certificate("CN=a.example", "basicConstraints=CA:FALSE\n", 36_500),
        LeafKey::P256,
    );
    assert_eq!(
        line_with(&openssl_text(&leaf), "Not After :"),
        line_with(&openssl_text(ca.der()), "Not After :")
    );
    let copied = Copied {
        not_before: 0,
        not_after: 1,
        ..Copied::from_host(&Host::Name("a".into()), 0)
    };
    let leaf = mint(&ca, &copied, &KeyOfLeaf::make(LeafKey::P256).unwrap()).unwrap();
    let (_, x509) = X509Certificate::from_der(&leaf).unwrap();
    assert_eq!(x509.validity().not_before.timestamp(), ca.not_before);
    assert_eq!(x509.validity().not_after.timestamp(), ca.not_before);
}

#[test]
fn serials_are_random_positive_and_short() {
    let (ca, _) = Ca::generate("Test").unwrap();
    let copied = Copied::from_host(&Host::Name("a.example".into()), der::now());
    let key = KeyOfLeaf::make(LeafKey::P256).unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let leaf = mint(&ca, &copied, &key).unwrap();
        let (_, x509) = X509Certificate::from_der(&leaf).unwrap();
        let serial = x509.raw_serial().to_vec();
        assert!(
            serial.len() == 16 && (0x40..0x80).contains(&serial[0]),
            "{serial:?}"
        );
        assert!(seen.insert(serial));
    }
}

#[test]
fn a_host_without_a_certificate_gets_a_plain_leaf() {
    let (ca, _) = Ca::generate("Test").unwrap();
    let long = format!("{}.example", ["a".repeat(60), "b".repeat(60)].join("."));
    for (host, subject, san, critical) in [
        (
            Host::Name("a.example".into()),
            "Subject: CN=a.example",
            "DNS:a.example".to_owned(),
            false,
        ),
        (
            Host::Ip("2001:db8::7".parse().unwrap()),
            "Subject: CN=2001:db8::7",
            "IP Address:2001:DB8:0:0:0:0:0:7".to_owned(),
            false,
        ),
        (Host::Name(long.clone()), "Subject:", format!("DNS:{long}"), true),
    ] {
        let copied = Copied::from_host(&host, der::now());
        let leaf = mint(&ca, &copied, &KeyOfLeaf::make(LeafKey::P256).unwrap()).unwrap();
        let text = openssl_text(&leaf);
        assert_eq!(line_with(&text, "Subject:"), subject);
        assert_eq!(line_after(&text, "Subject Alternative Name:"), san);
        assert_eq!(text.contains("Subject Alternative Name: critical"), critical);
    }
}

#[test]
fn garbage_never_panics_and_whatever_parses_gives_a_parsable_leaf() {
    let (ca, _) = Ca::generate("Test").unwrap();
    let key = KeyOfLeaf::make(LeafKey::P256).unwrap();
    let valid = rich();
    for end in 0..valid.len() {
        assert!(
            Copied::from_certificate(&valid[..end]).is_err(),
            "a prefix is no certificate"
        );
    }
    let mut parsed = 0;
    for place in 0..valid.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = valid.clone();
            broken[place] ^= flip;
            if let Ok(copied) = Copied::from_certificate(&broken) {
                parsed += 1;
                if flip == 0x01 {
                    let leaf = mint(&ca, &copied, &key).unwrap();
                    X509Certificate::from_der(&leaf)
                        .unwrap_or_else(|error| panic!("{place} {copied:x?}: {error}"));
                }
            }
        }
    }
    assert!(
        parsed > 100,
        "mutations of the signature parse, at least: {parsed}"
    );
}

#[test]
fn names_that_are_not_text_are_dropped() {
    for (name, kept) in [
        (GeneralName::DNSName("ok.example"), true),
        (GeneralName::DNSName(""), false),
        (GeneralName::DNSName("a\0.example"), false),
        (GeneralName::DNSName("ü.example"), false),
        (GeneralName::IPAddress(&[1, 2, 3, 4]), true),
        (GeneralName::IPAddress(&[1, 2, 3, 4, 255, 255, 255, 0]), false),
    ] {
        assert_eq!(!general_name(&name).is_empty(), kept, "{name:?}");
    }
}

#[test]
fn a_leaf_lasts_no_longer_than_clients_accept() {
    const DAY: i64 = 86_400;
    let origin = |not_before, not_after| Copied {
        not_before,
        not_after,
        ..Copied::from_host(&Host::Name("a.example".into()), 0)
    };
    let now = 20_000 * DAY;
    for (before, after, wanted) in [
        // What is short stays as it is, ended or not yet begun too.
        (now - 10 * DAY, now + 80 * DAY, None),
        (now - 900 * DAY, now - 100 * DAY, None),
        (now + 10 * DAY, now + 100 * DAY, None),
        (now - DAY, now + 824 * DAY - 1, None),
        // Ten years, of which three have passed; ten that end soon, have ended, or have yet to begin.
        (
            now - 1000 * DAY,
            now + 2650 * DAY,
            Some((now - DAY, now + 824 * DAY - 1)),
        ),
        (
            now - 3600 * DAY,
            now + 50 * DAY,
            Some((now - 775 * DAY + 1, now + 50 * DAY)),
        ),
        (
            now - 3700 * DAY,
            now - 50 * DAY,
            Some((now - 875 * DAY + 1, now - 50 * DAY)),
        ),
        (
            now + 5 * DAY,
            now + 3650 * DAY,
            Some((now + 5 * DAY, now + 830 * DAY - 1)),
        ),
    ] {
        let cut = origin(before, after).cut(now);
        assert_eq!((cut.not_before, cut.not_after), wanted.unwrap_or((before, after)));
    }
}

proptest::proptest! {
    #[test]
    fn a_cut_leaf_is_a_part_of_the_origins_time_that_holds_now_if_that_does(
        before in -5_000_000_000i64..5_000_000_000, length in 0i64..3_000_000_000, now in -5_000_000_000i64..5_000_000_000,
    ) {
        let after = before + length;
        let copied = Copied { not_before: before, not_after: after, ..Copied::from_host(&Host::Name("a.example".into()), 0) };
        let cut = copied.cut(now);
        assert!(before <= cut.not_before && cut.not_before <= cut.not_after && cut.not_after <= after);
        assert!(cut.not_after - cut.not_before < LONGEST_LIFETIME);
        if (before..=after).contains(&now) {
            assert!((cut.not_before..=cut.not_after).contains(&now));
        }
    }
}
