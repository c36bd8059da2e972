use super::*;
use std::net::IpAddr;

fn at(host: &str, port: u16) -> Authority {
    let host = match host.parse::<IpAddr>() {
        Ok(ip) => Host::Ip(ip),
        Err(_) => Host::Name(host.to_owned()),
    };
    Authority { host, port }
}

fn list(text: &str, format: Format) -> List {
    List::parse("test", text, format, true).unwrap()
}

fn line(list: &List, host: &str, port: u16) -> Option<usize> {
    list.find(&at(host, port)).map(|matched| matched.line)
}

const ARTICLE: &str =
    "^wss-(backup|primary|mobile)\\.slack\\.com:443$\n^([^/][^/]*\\.)*slack-msgs\\.com:443$\n";

#[test]
fn the_published_lists_match_slack_and_nothing_like_it() {
    let list = list(ARTICLE, Format::UrlRegex);
    assert_eq!(list.len(), 2);
    for (host, expected) in [
        ("wss-primary.slack.com", Some(1)),
        ("WSS-Mobile.Slack.com.", Some(1)),
        ("slack-msgs.com", Some(2)),
        ("a.b.slack-msgs.com", Some(2)),
        ("xslack-msgs.com", None),
        ("slack.com", None),
        ("wss-primary.slack.com.evil.example", None),
        ("wss-primaryxslack.com", None),
    ] {
        assert_eq!(line(&list, host, 443), expected, "{host}");
        assert_eq!(list.find_name(host, 443).map(|m| m.line), expected, "{host}");
        assert_eq!(line(&list, host, 8443), None, "{host}");
    }
    let matched = list.find(&at("slack-msgs.com", 443)).unwrap();
    assert_eq!(
        (&*matched.list, &*matched.pattern),
        ("test", r"^([^/][^/]*\.)*slack-msgs\.com:443$")
    );
}

#[test]
fn lines_are_read_as_squid_reads_a_quoted_file() {
    for (raw, expected) in [
        ("  a b \t c\r", "a b \t c"),
        ("# x", ""),
        (" \t#x", ""),
        ("a#b", "a#b"),
        ("a #b c", "a"),
        ("a # b #", "a"),
        ("\r", ""),
        ("", ""),
        ("\u{b}a", "\u{b}a"),
    ] {
        assert_eq!(content(raw), expected, "{raw:?}");
    }
}

#[test]
fn case_toggles_hold_for_the_patterns_after_them() {
    let text = "+i\n^Upper\n-i\n^LOWER\n+i # back\n^Again";
    let list = list(text, Format::UrlRegex);
    assert_eq!(list.len(), 3);
    assert_eq!(line(&list, "upper", 1), None);
    assert_eq!(line(&list, "lower", 1), Some(4));
    assert_eq!(line(&list, "again", 1), None);
}

#[test]
fn the_first_line_of_the_file_is_reported() {
    let text = "x[0-9]+\nexample\n^example\\.com:443$\n";
    let list = list(text, Format::UrlRegex);
    assert_eq!(line(&list, "example.com", 443), Some(2));
    assert_eq!(line(&list, "x1.example.com", 443), Some(1));
}

#[test]
fn leading_wildcards_go_as_in_squid() {
    for (pattern, rest) in [
        ("^.*a", "a"),
        (".*.*a", "a"),
        ("^.*", ".*"),
        (".*", ".*"),
        ("^a.*", "^a.*"),
        ("^.*.*", ".*"),
        ("^.a", "^.a"),
    ] {
        assert_eq!(without_wildcards(pattern), rest);
    }
    // So this is an error, in Squid too.
    assert!(List::parse("test", ".*?a", Format::UrlRegex, false).is_err());
}

#[test]
fn addresses_are_written_as_squid_writes_them() {
    for (host, expected) in [
        ("2001:DB8::1", "[2001:db8::1]:443"),
        ("192.0.2.1", "192.0.2.1:443"),
        ("::ffff:192.0.2.1", "192.0.2.1:443"),
        ("::192.0.2.1", "[::192.0.2.1]:443"),
        ("::1", "[::1]:443"),
        ("Example.COM..", "example.com:443"),
    ] {
        assert_eq!(subject(&at(host, 443).host, 443), expected);
    }
}

#[test]
fn every_bad_line_is_named() {
    let long = "a".repeat(MAX_LINE + 1);
    let text = format!("ok\n(a\n\n(b)\\1\n{long}\nz\0\n");
    let errors = List::parse("test", &text, Format::UrlRegex, false).unwrap_err();
    assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 4, 5, 6]);
    assert!(errors[1].to_string().contains("back-references"), "{}", errors[1]);
    assert!(errors[2].to_string().len() < 400);
    let bom = List::parse("test", "\u{feff}a\n", Format::UrlRegex, false).unwrap_err();
    assert!(bom[0].message.contains("byte order mark"));
}

#[test]
fn domains_are_exact_or_trees() {
    let list = list(
        "# comment\nexample.com\n.Example.ORG # tree\nport.example:8443\n.tree.example:443\n192.0.2.7\n10.0.0.0/8\n\
         [2001:db8::7]:443\n2001:db8:1::/48\nlast.example.org\n192.0.2.9:80\n2001:db8::9\n",
        Format::Domains,
    );
    for (host, port, expected) in [
        ("example.com", 443, Some(2)),
        ("EXAMPLE.com.", 1, Some(2)),
        ("www.example.com", 443, None),
        ("example.org", 443, Some(3)),
        ("a.b.example.org", 443, Some(3)),
        ("last.example.org", 443, Some(3)),
        ("xexample.org", 443, None),
        ("org", 443, None),
        ("port.example", 8443, Some(4)),
        ("port.example", 443, None),
        ("a.tree.example", 443, Some(5)),
        ("a.tree.example", 80, None),
        ("192.0.2.7", 1, Some(6)),
        ("::ffff:192.0.2.7", 1, Some(6)),
        ("192.0.2.8", 1, None),
        ("10.200.0.1", 1, Some(7)),
        ("11.0.0.1", 1, None),
        ("2001:db8::7", 443, Some(8)),
        ("2001:db8::7", 80, None),
        ("2001:db8:1:ffff::1", 80, Some(9)),
        ("2001:db8:2::1", 80, None),
        ("192.0.2.9", 80, Some(11)),
        ("192.0.2.9", 81, None),
        ("2001:db8::9", 81, Some(12)),
    ] {
        assert_eq!(line(&list, host, port), expected, "{host}:{port}");
    }
    assert_eq!(list.find_name("a.b.Example.Org.", 443).unwrap().line, 3);
    assert_eq!(list.find_name("192.0.2.7", 443).unwrap().line, 6);
}

#[test]
fn what_is_no_domain_is_refused() {
    for bad in [
        "*.example.com",
        "exa mple.com",
        "..example.com",
        "example..com",
        ".",
        ":443",
        "example.com:0",
        "example.com:65536",
        "example.com:+1",
        "example.com:",
        "http://example.com",
        "example.com/path",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/8:443",
        "10.0.0.256",
        "1.2.3",
        "[example.com]",
        "[::1",
        "[::1]443",
        "b\u{fc}cher.example",
        "^example\\.com$",
        "example.com,example.org",
    ] {
        let errors =
            List::parse("test", &format!("ok.example\n{bad}\n"), Format::Domains, false).unwrap_err();
        assert_eq!(
            (errors.len(), errors[0].line, errors[0].pattern.as_str()),
            (1, 2, bad)
        );
    }
}

#[test]
fn every_prefix_and_every_mutation_of_a_list_is_answered() {
    let domains = "a.b\n.c:1 # x\n[::1]:2\n10.0.0.0/8\n";
    for (text, format) in [(ARTICLE, Format::UrlRegex), (domains, Format::Domains)] {
        let check = |text: &str| {
            if let Ok(list) = List::parse("test", text, format, true) {
                list.find(&at("wss-backup.slack.com", 443));
            }
        };
        for end in 0..=text.len() {
            check(&text[..end]);
        }
        for at in 0..text.len() {
            for byte in (0..128_u8).step_by(3) {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                check(std::str::from_utf8(&bytes).unwrap());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_entries_of_each_kind_are_found() {
    let domains: String = (0..100_000).map(|i| format!(".d{i}.example\n")).collect();
    let regexes: String = (0..100_000)
        .map(|i| match i % 4 {
            0 => format!("^h{i}\\.example:443$\n"),
            1 => format!("^([^/][^/]*\\.)*h{i}\\.example:443$\n"),
            2 => format!("^(.*\\.)?h{i}\\.example:443$\n"),
            _ => format!("h{i}\\.example\n"),
        })
        .collect();
    for (text, format, host) in [
        (domains, Format::Domains, "a.d99998.example"),
        (regexes, Format::UrlRegex, "a.h99998.example"),
    ] {
        let list = list(&text, format);
        assert_eq!(list.len(), 100_000);
        assert_eq!(line(&list, host, 443), Some(99_999));
        assert_eq!(line(&list, "nothing.example", 443), None);
    }
}

#[test]
fn a_host_expression_sees_no_port() {
    let list = list(
        "\\.bank\\.example$\n^\\[2001:db8::7\\]$\n:443\n^192\\.0\\.2\\.1$\n",
        Format::HostRegex,
    );
    for (host, expected) in [
        ("www.Bank.example.", Some(1)),
        ("bank.example", None),
        ("www.bank.example.org", None),
        ("2001:db8::7", Some(2)),
        ("192.0.2.1", Some(4)),
        ("192.0.2.12", None),
    ] {
        for port in [443, 8443] {
            assert_eq!(line(&list, host, port), expected, "{host}:{port}");
        }
    }
}
