use super::*;
use proptest::prelude::*;

fn host(text: &str) -> Option<String> {
    Host::parse(text).map(|host| host.to_string())
}

#[test]
fn names_are_lower_cased_and_lose_trailing_dots() {
    for (text, want) in [
        ("example.com", "example.com"),
        ("WSS-Primary.Slack.COM", "wss-primary.slack.com"),
        ("example.com.", "example.com"),
        ("example.com..", "example.com"),
        ("localhost", "localhost"),
        ("_sip._tcp.a_b.example", "_sip._tcp.a_b.example"),
        ("r3---sn.example.com", "r3---sn.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("4chan.org", "4chan.org"),
        ("host.0xyz", "host.0xyz"),
        ("1e100", "1e100"),
    ] {
        assert!(matches!(Host::parse(text), Some(Host::Name(_))), "{text}");
        assert_eq!(host(text).as_deref(), Some(want));
    }
}

#[test]
fn addresses_are_addresses() {
    for (text, want) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
    ] {
        assert!(matches!(Host::parse(text), Some(Host::Ip(_))), "{text}");
        assert_eq!(host(text).as_deref(), Some(want));
    }
}

#[test]
fn odd_addresses_and_broken_names_are_refused() {
    for text in [
        "",
        ".",
        "..",
        ".example.com",
        "a..b",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0X7F000001",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.256",
        "1.2.3.4.5",
        "example.1",
        "example.0x",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[127.0.0.1]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "[::1].",
        "user@example.com",
        "exa mple.com",
        "example.com/",
        "example.com?",
        "*.example.com",
        "ex%61mple.com",
        "b\u{fc}cher.example",
        "example\u{3002}com",
        "example.com\0",
    ] {
        assert_eq!(host(text), None, "{text:?}");
    }
}

#[test]
fn lengths_are_capped() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(longest.len(), 253);
    assert_eq!(host(&longest).as_deref(), Some(&*longest));
    assert_eq!(host(&format!("{longest}.")).as_deref(), Some(&*longest));
    assert_eq!(host(&format!("{longest}b")), None);
    assert_eq!(host(&format!("a{label}.example")), None);
}

#[test]
fn authorities() {
    let parse = |text, default| Authority::parse(text, default).map(|a| a.to_string());
    for (text, default, want) in [
        ("Example.com:443", None, Some("example.com:443")),
        ("example.com", Some(80), Some("example.com:80")),
        ("example.com:", Some(80), Some("example.com:80")),
        ("example.com:8443", Some(80), Some("example.com:8443")),
        ("example.com.:00443", None, Some("example.com:443")),
        ("[2001:db8::1]:443", None, Some("[2001:db8::1]:443")),
        ("[2001:db8::1]", Some(443), Some("[2001:db8::1]:443")),
        ("1.2.3.4:65535", None, Some("1.2.3.4:65535")),
        ("example.com", None, None),
        ("example.com:", None, None),
        ("example.com:0", Some(80), None),
        ("example.com:65536", Some(80), None),
        ("example.com:000443", Some(80), None),
        ("example.com:+80", Some(80), None),
        ("example.com:-1", Some(80), None),
        ("example.com: 80", Some(80), None),
        ("example.com:80:80", Some(80), None),
        ("example.com:http", Some(80), None),
        ("user:pass@example.com:80", Some(80), None),
        ("user@example.com", Some(80), None),
        ("2001:db8::1:443", Some(443), None),
        ("[::1]x:443", None, None),
        ("[::1]443", None, None),
        (":443", None, None),
        ("", Some(80), None),
        ("http://example.com", Some(80), None),
    ] {
        assert_eq!(parse(text, default).as_deref(), want, "{text:?}");
    }
}

#[test]
fn a_host_header_names_the_target_or_not() {
    let target = |text| Authority::parse(text, None).unwrap();
    for (text, header, same) in [
        ("wss.example.com:9454", "wss.example.com", true),
        ("wss.example.com:9454", "WSS.example.com.:9454", true),
        ("wss.example.com:9454", "wss.example.com:", true),
        ("wss.example.com:9454", " wss.example.com ", true),
        ("wss.example.com:9454", "wss.example.com:443", false),
        ("wss.example.com:9454", "wss.example.com:0", false),
        ("wss.example.com:9454", "wss.example.com:x", false),
        ("wss.example.com:9454", "example.com", false),
        ("wss.example.com:9454", "u@wss.example.com", false),
        ("wss.example.com:9454", "wss.example.com, wss.example.com", false),
        ("wss.example.com:9454", "", false),
        ("[2001:db8::1]:443", "[2001:DB8:0::1]", true),
        ("[2001:db8::1]:443", "[2001:db8::1]:443", true),
        ("[2001:db8::1]:443", "[2001:db8::2]", false),
        ("[2001:db8::1]:443", "2001:db8::1", false),
        ("127.0.0.1:443", "127.0.0.1", true),
        ("127.0.0.1:443", "127.1", false),
        ("127.0.0.1:443", "localhost", false),
    ] {
        assert_eq!(target(text).names_same_host(header), same, "{text} {header:?}");
    }
}

#[test]
fn every_prefix_and_mutation_is_an_answer_that_reads_back() {
    for text in ["Example.com.:443", "[2001:db8::1]:8443", "127.0.0.1:80"] {
        let mut inputs: Vec<String> = (0..=text.len()).map(|n| text[..n].to_owned()).collect();
        for at in 0..text.len() {
            for byte in 0..=255u8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                inputs.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        for input in inputs {
            for default in [None, Some(443)] {
                let Some(parsed) = Authority::parse(&input, default) else {
                    continue;
                };
                let written = parsed.to_string();
                assert_eq!(
                    Authority::parse(&written, None).as_ref(),
                    Some(&parsed),
                    "{input:?}"
                );
                assert!(parsed.names_same_host(&input), "{input:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn anything_is_an_answer(text in "[a-zA-Z0-9.:\\[\\]@%_x-]{0,24}|\\PC{0,24}", port in prop::option::of(1u16..)) {
        if let Some(parsed) = Authority::parse(&text, port) {
            let written = parsed.to_string();
            prop_assert_eq!(Authority::parse(&written, None), Some(parsed.clone()));
            prop_assert!(parsed.names_same_host(&text));
            // Nothing that the system's own parser takes for an address may be a name.
            if let Host::Name(name) = &parsed.host {
                prop_assert!(name.parse::<IpAddr>().is_err());
            }
        }
    }
}
