use super::*;
use crate::decide::hosts::Format;
use crate::wire::names::Host;

fn at(host: &str, port: u16) -> Authority {
    Authority {
        host: Host::Name(host.into()),
        port,
    }
}

fn list(name: &str, text: &str) -> Arc<List> {
    Arc::new(List::parse(name, text, Format::UrlRegex, true).unwrap())
}

fn policy() -> Policy {
    Policy::new(PolicyConfig {
        splice: vec![
            list("first", "^a\\.example:443$\n"),
            list("second", "\n^[ab]\\.example:443$\n"),
        ],
        allow_invalid_certificate: vec![list("lab", "^([^/][^/]*\\.)*lab\\.example:")],
        ..PolicyConfig::default()
    })
}

#[test]
fn http2_is_kept_from_what_a_list_names() {
    let policy = Policy::new(PolicyConfig {
        only_http1: vec![list("old", "^old\\.example:")],
        ..PolicyConfig::default()
    });
    assert!(!policy.may_speak_http2(&at("old.example", 443), None));
    assert!(!policy.may_speak_http2(&at("192.0.2.1", 443), Some("old.example")));
    assert!(policy.may_speak_http2(&at("a.example", 443), Some("b.example")));
    let told = policy.explain(&at("old.example", 443)).to_string();
    assert!(
        told.contains("HTTP/2 is not offered\n  by list \"old\", line 1"),
        "{told}"
    );
    assert!(
        !policy
            .explain(&at("a.example", 443))
            .to_string()
            .contains("HTTP/2")
    );
}

#[test]
fn the_target_decides_first_and_the_sni_after_it() {
    let policy = policy();
    let verdict = policy.at_ask(&at("a.example", 443)).unwrap();
    assert!(matches!(
        (&verdict.act, verdict.reason),
        (Act::Splice(_), Reason::ListConnect)
    ));
    assert_eq!(&*verdict.matched.unwrap().list, "first");
    assert_eq!(
        policy
            .at_ask(&at("b.example", 443))
            .unwrap()
            .matched
            .unwrap()
            .line,
        2
    );
    assert!(policy.at_ask(&at("c.example", 443)).is_none());
    assert!(policy.at_ask(&at("a.example", 8443)).is_none());

    let verdict = policy.at_hello(&at("192.0.2.1", 443), Some("B.example"));
    assert!(matches!(
        (&verdict.act, verdict.reason),
        (Act::Splice(_), Reason::ListSni)
    ));
    assert_eq!(&*verdict.matched.unwrap().list, "second");
    for sni in [None, Some("c.example")] {
        let verdict = policy.at_hello(&at("192.0.2.1", 443), sni);
        assert!(matches!(
            (&verdict.act, verdict.reason),
            (Act::Bump(_), Reason::Default)
        ));
        assert_eq!(verdict.matched, None);
    }
    let other_port = policy.at_hello(&at("192.0.2.1", 8443), Some("a.example"));
    assert!(matches!(other_port.act, Act::Bump(_)));
}

#[test]
fn a_denial_comes_first_and_by_sni_too() {
    let policy = Policy::new(PolicyConfig {
        deny: vec![
            list("bad", "\n^bad\\.example:\n"),
            list("worse", "^worse\\.example:443$"),
        ],
        splice: vec![list("all", "\\.example:")],
        ..PolicyConfig::default()
    });
    for (host, port, list) in [("BAD.example", 80, "bad"), ("worse.example", 443, "worse")] {
        let verdict = policy.at_ask(&at(&host.to_lowercase(), port)).unwrap();
        assert!(matches!(
            (&verdict.act, verdict.reason),
            (Act::Deny, Reason::ListDeny)
        ));
        assert_eq!(&*verdict.matched.unwrap().list, list);
        // The target is another one, or was spliced: the name still counts.
        for verdict in [
            policy.at_hello(&at("192.0.2.1", port), Some(host)),
            policy.denied_sni(&at("a.example", port), Some(host)).unwrap(),
        ] {
            assert!(matches!(
                (&verdict.act, verdict.reason),
                (Act::Deny, Reason::ListDeny)
            ));
            assert_eq!(&*verdict.matched.unwrap().list, list);
        }
    }
    let spliced = policy.at_ask(&at("worse.example", 8443)).unwrap();
    assert!(matches!(spliced.act, Act::Splice(_)));
    assert!(policy.at_ask(&at("192.0.2.1", 443)).is_none());
    for sni in [None, Some("a.example")] {
        assert!(policy.denied_sni(&at("192.0.2.1", 443), sni).is_none());
    }
}

#[test]
fn via_is_kept_from_what_a_list_names_and_from_all() {
    let without_via = vec![list("nginx", "^plain\\.example:")];
    let policy = Policy::new(PolicyConfig {
        without_via: without_via.clone(),
        ..PolicyConfig::default()
    });
    assert!(!policy.adds_via(&at("plain.example", 443), None));
    assert!(!policy.adds_via(&at("192.0.2.1", 443), Some("plain.example")));
    assert!(policy.adds_via(&at("a.example", 443), Some("b.example")));
    let told = policy.explain(&at("plain.example", 443)).to_string();
    assert!(
        told.contains("No Via header is added\n  by list \"nginx\", line 1"),
        "{told}"
    );
    assert!(!policy.explain(&at("a.example", 443)).to_string().contains("Via"));

    let nowhere = Policy::new(PolicyConfig {
        via: false,
        without_via,
        ..PolicyConfig::default()
    });
    assert!(!nowhere.adds_via(&at("a.example", 443), None));
    // Where nothing is added anyway, no list is to be blamed.
    assert!(
        !nowhere
            .explain(&at("plain.example", 443))
            .to_string()
            .contains("Via")
    );
}

#[test]
fn what_cannot_be_served_is_refused_or_tunnelled_with_its_reason() {
    let cases = [
        (Unserved::UnknownProtocol, Reason::UnknownProtocol),
        (Unserved::ServerSpeaksFirst, Reason::ServerSpeaksFirst),
        (Unserved::Silent, Reason::Silent),
        (Unserved::BadClientHello, Reason::BadClientHello),
    ];
    for (what, reason) in cases {
        let refused = Policy::new(PolicyConfig::default()).at_unserved(what);
        assert!(matches!(refused.act, Act::Refuse));
        assert_eq!(refused.reason, reason);
        let rules = PolicyConfig {
            unknown_protocol: Unknown::Tunnel,
            ..PolicyConfig::default()
        };
        let tunnelled = Policy::new(rules).at_unserved(what);
        assert!(matches!(tunnelled.act, Act::Tunnel(_)));
        assert_eq!(tunnelled.reason, reason);
    }
}

#[test]
fn an_invalid_certificate_is_allowed_by_target_or_sni_only() {
    let policy = policy();
    assert_eq!(
        policy.cert_error(&at("x.lab.example", 443), None),
        CertError::Allow
    );
    assert_eq!(
        policy.cert_error(&at("192.0.2.1", 443), Some("lab.example")),
        CertError::Allow
    );
    assert_eq!(
        policy.cert_error(&at("192.0.2.1", 443), Some("a.example")),
        CertError::Deny
    );
    assert_eq!(policy.cert_error(&at("a.example", 443), None), CertError::Deny);
    assert_eq!(
        Policy::new(PolicyConfig::default()).cert_error(&at("lab.example", 443), None),
        CertError::Deny
    );
}

#[test]
fn the_rest_is_as_configured() {
    let rules = PolicyConfig {
        other_upgrades: OtherUpgrade::Refuse,
        ..PolicyConfig::default()
    };
    assert_eq!(Policy::new(rules).other_upgrade(), OtherUpgrade::Refuse);
    let verdict = policy().plain_http(&at("a.example", 80));
    assert!(matches!(
        (verdict.act, verdict.reason),
        (Act::Serve, Reason::PlainHttp)
    ));
}

#[test]
fn an_explanation_names_list_line_and_pattern() {
    let policy = policy();
    assert_eq!(
        policy.explain(&at("b.example", 443)).to_string(),
        "b.example:443 is spliced: its bytes are relayed unread.\n  by list \"second\", line 2: \
         ^[ab]\\.example:443$"
    );
    let bumped = policy.explain(&at("lab.example", 443)).to_string();
    assert!(bumped.contains("is bumped"), "{bumped}");
    assert!(bumped.contains("first (1 entry), second (1 entry)."), "{bumped}");
    assert!(bumped.contains("SNI:443"), "{bumped}");
    assert!(bumped.contains("by list \"lab\", line 1: "), "{bumped}");
    let bare = Policy::new(PolicyConfig::default())
        .explain(&at("b.example", 443))
        .to_string();
    assert!(bare.contains("No splice list is configured"), "{bare}");
    assert!(bare.contains("error page"), "{bare}");
}

#[test]
fn an_explanation_says_what_is_denied_and_what_may_be() {
    let policy = Policy::new(PolicyConfig {
        deny: vec![list("bad", "^bad\\.example:\n")],
        splice: vec![list("first", "^(bad|a)\\.example:")],
        ..PolicyConfig::default()
    });
    assert_eq!(
        policy.explain(&at("bad.example", 80)).to_string(),
        "bad.example:80 is denied: nothing is resolved or dialled.\n  by list \"bad\", line 1: ^bad\\.example:"
    );
    let spliced = policy.explain(&at("a.example", 443)).to_string();
    assert!(spliced.contains("is spliced"), "{spliced}");
    assert!(
        spliced.ends_with("as SNI:443, and can still lead to a denial."),
        "{spliced}"
    );
    let bumped = policy.explain(&at("b.example", 443)).to_string();
    assert!(
        bumped.contains("No deny list matches it: bad (1 entry).\n"),
        "{bumped}"
    );
    assert!(
        bumped.contains("can still lead to a denial or a splice."),
        "{bumped}"
    );
}
