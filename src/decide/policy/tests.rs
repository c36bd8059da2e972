mod narrowed;
mod nested;

use super::*;
use crate::decide::addresses::Addresses;
use crate::decide::hosts::Format;
use crate::decide::{
    Conditions, HeaderEdit, Hours, PolicySetting, ProxyProtocolOut, RequestFacts, Says, Sources, TellClient,
    User,
};
use crate::identity::Identity;
use crate::wire::names::{Authority, Host};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::net::IpAddr;

const ME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 2, 3, 4));

fn at(host: &str, port: u16) -> Authority {
    Authority {
        host: Host::parse(host).unwrap(),
        port,
    }
}

fn list(name: &str, text: &str) -> Arc<List> {
    Arc::new(List::parse(name, text, Format::UrlRegex, true).unwrap())
}

fn domains(text: &str) -> Vec<Arc<List>> {
    vec![Arc::new(
        List::parse("domains", text, Format::Domains, true).unwrap(),
    )]
}

fn rule(name: &str, action: RuleAction, conditions: Conditions) -> PolicyRule {
    PolicyRule {
        name: name.into(),
        title: None,
        conditions,
        is_observed: false,
        action,
        page: None,
        at: format!("w.toml:{name}").into(),
    }
}

/// A policy of these rules, and nothing else, with this default.
fn table(default: DefaultAction, rules: Vec<PolicyRule>) -> Policy {
    Policy::new(PolicyConfig {
        rules,
        default,
        ..PolicyConfig::default()
    })
}

fn of_hosts(text: &str) -> Conditions {
    Conditions {
        hosts: domains(text),
        ..Conditions::default()
    }
}

/// What a policy says of a tunnel and the name in its ClientHello: `deny@ask by RULE`, `splice by RULE`.
fn says(policy: &Policy, facts: Facts<'_>, sni: Option<&str>) -> String {
    let by = |verdict: &Verdict| {
        verdict
            .rule
            .as_deref()
            .unwrap_or(verdict.reason.label())
            .to_owned()
    };
    match policy.at_ask(&facts) {
        AtAsk::Denied(verdict) => return format!("deny@ask by {}", by(&verdict)),
        AtAsk::Name(rule) => return format!("name by {rule}"),
        AtAsk::Open(_) => {}
    }
    let AtHello { verdict, .. } = policy.at_hello(&facts.beginning(sni));
    format!("{} by {}", verdict.act.label(), by(&verdict))
}

fn tunnel(policy: &Policy, target: &str, sni: Option<&str>) -> String {
    let target = Authority::parse(target, Some(443)).unwrap();
    says(policy, Facts::tunnel(ME, &target), sni)
}

#[test]
fn lists_decide_by_target_and_by_sni() {
    let policy = Policy::new(PolicyConfig {
        deny: vec![
            list("bad", "\n^bad\\.example:\n"),
            list("worse", "^worse\\.example:443$"),
        ],
        splice: vec![
            list("first", "^a\\.example:443$\n"),
            list("second", "\n^(b|bad)\\.example:\n"),
        ],
        ..PolicyConfig::default()
    });
    for (target, sni, wanted) in [
        ("a.example", Some("a.example"), "splice by list_connect"),
        ("a.example", None, "splice by list_connect"),
        ("A.example.", None, "splice by list_connect"),
        ("a.example:8443", None, "bump by default"),
        ("c.example", Some("c.example"), "bump by default"),
        // Neither of the two names carries the other one through.
        ("c.example", Some("a.example"), "bump by default"),
        ("a.example", Some("c.example"), "bump by default"),
        ("192.0.2.1", Some("a.example"), "bump by default"),
        ("bad.example", None, "deny@ask by list_deny"),
        ("worse.example", None, "deny@ask by list_deny"),
        ("worse.example:8443", None, "bump by default"),
        ("a.example", Some("BAD.example"), "deny by list_deny"),
        ("192.0.2.1", Some("worse.example"), "deny by list_deny"),
    ] {
        assert_eq!(tunnel(&policy, target, sni), wanted, "{target} {sni:?}");
    }
    let target = at("192.0.2.1", 443);
    let mut facts = Facts::tunnel(ME, &target).beginning(Some("B.example"));
    facts.hello.as_mut().unwrap().is_confirmed = true;
    let AtHello {
        verdict, remaining, ..
    } = policy.at_hello(&facts);
    assert!(matches!(
        (&verdict.act, verdict.reason),
        (Act::Splice(_), Reason::ListSni)
    ));
    let matched = verdict.matched.unwrap();
    assert_eq!((&*matched.list, matched.line), ("second", 2));
    assert_eq!(remaining, None);
}

#[test]
fn what_leads_nowhere_is_decrypted_unless_it_is_spliced() {
    let policy = table(
        DefaultAction::Allow,
        vec![
            rule("no-bad", RuleAction::Deny, of_hosts("bad.example\n")),
            rule(
                "private",
                RuleAction::Splice,
                of_hosts("bank.example\nbad.example\n"),
            ),
        ],
    );
    for (target, sni, expected) in [
        ("bad.example", None, true),
        ("bad.example", Some("bank.example"), true),
        ("gone.example", Some("gone.example"), true),
        ("bank.example", None, false),
        ("bank.example", Some("bank.example"), false),
        // By its address alone it could not be told apart.
        ("192.0.2.1", Some("bank.example"), false),
        ("192.0.2.1", None, true),
    ] {
        let target = Authority::parse(target, Some(443)).unwrap();
        let mut facts = Facts::tunnel(ME, &target).beginning(sni);
        if let Some(hello) = &mut facts.hello {
            hello.is_confirmed = true;
        }
        assert_eq!(policy.at_dead_end(&facts).is_some(), expected, "{target} {sni:?}");
    }
}

#[test]
fn an_explanation_tells_of_pages_for_failed_connects() {
    let policy = Policy::new(PolicyConfig {
        deny: domains("bad.example\n"),
        splice: domains("bank.example\n"),
        pages_for_connect: true,
        ..PolicyConfig::default()
    });
    let inside = "the reason told inside";
    for (target, told) in [
        ("bad.example", true),
        ("a.example", true),
        ("bank.example", false),
    ] {
        let said = explained(&policy, &at(target, 443));
        assert_eq!(said.contains(inside), told, "{said}");
    }
}

#[test]
fn an_sni_is_believed_where_that_is_wanted() {
    let policy = Policy::new(PolicyConfig {
        splice: vec![list("all", "^a\\.example:443$\n")],
        sni: SniTrust::Believed,
        ..PolicyConfig::default()
    });
    assert_eq!(
        tunnel(&policy, "c.example", Some("a.example")),
        "splice by list_sni"
    );
    assert_eq!(tunnel(&policy, "a.example", Some("c.example")), "bump by default");
    assert_eq!(tunnel(&policy, "a.example", None), "splice by list_connect");
    assert_eq!(tunnel(&policy, "c.example", None), "bump by default");
    let allowed = Conditions {
        except_hosts: domains("bad.good.example\n"),
        ..of_hosts(".good.example\n")
    };
    let policy = Policy::new(PolicyConfig {
        rules: vec![rule("allowed", RuleAction::Allow, allowed)],
        default: DefaultAction::Deny,
        sni: SniTrust::Believed,
        ..PolicyConfig::default()
    });
    for (target, sni, wanted) in [
        ("good.example", None, "bump by allowed"),
        ("good.example", Some("evil.example"), "deny by default"),
        ("evil.example", Some("good.example"), "bump by allowed"),
        ("evil.example", None, "deny by default"),
        ("bad.good.example", Some("www.good.example"), "bump by allowed"),
        ("www.good.example", Some("bad.good.example"), "deny by default"),
    ] {
        assert_eq!(tunnel(&policy, target, sni), wanted, "{target} {sni:?}");
    }
}

#[test]
fn an_allowlist_is_one_rule_and_a_default() {
    let policy = table(
        DefaultAction::Deny,
        vec![rule("allowed", RuleAction::Allow, of_hosts(".good.example\n"))],
    );
    for (target, sni, wanted) in [
        ("good.example", Some("good.example"), "bump by allowed"),
        ("www.good.example", None, "bump by allowed"),
        ("evil.example", Some("good.example"), "deny@ask by default"),
        // A host that was allowed does not carry another name through.
        ("good.example", Some("evil.example"), "deny by default"),
        // An address may have an allowed name, which is to be seen.
        ("192.0.2.1", Some("evil.example"), "deny by default"),
        ("192.0.2.1", Some("good.example"), "deny by default"),
    ] {
        assert_eq!(tunnel(&policy, target, sni), wanted, "{target} {sni:?}");
    }
}

#[test]
fn the_first_rule_that_holds_decides_and_a_denial_comes_as_early_as_it_can() {
    let offices = Addresses::from("10.2.0.0/16".parse::<ipnet::IpNet>().unwrap());
    let policy = table(
        DefaultAction::Allow,
        vec![
            rule("bank", RuleAction::Splice, of_hosts(".bank.example\n")),
            rule(
                "no-smtp",
                RuleAction::Deny,
                Conditions {
                    ports: vec![25..=25, 8000..=8999],
                    ..Conditions::default()
                },
            ),
            rule(
                "others",
                RuleAction::Deny,
                Conditions {
                    clients: vec![offices],
                    except_hosts: domains(".example\n"),
                    ..Conditions::default()
                },
            ),
        ],
    );
    for (target, sni, wanted) in [
        ("www.bank.example", Some("www.bank.example"), "splice by bank"),
        ("www.bank.example:8443", None, "splice by bank"),
        ("a.example:8443", None, "deny@ask by no-smtp"),
        ("a.example", Some("a.example"), "bump by default"),
        ("a.test", None, "deny@ask by others"),
        ("a.example", Some("a.test"), "deny by others"),
        // A rule above could still permit what an address stands for, so it waits for the name.
        ("192.0.2.1:25", Some("a.test"), "deny by no-smtp"),
    ] {
        assert_eq!(tunnel(&policy, target, sni), wanted, "{target} {sni:?}");
    }
    let target = at("a.test", 443);
    let elsewhere = "10.3.0.1".parse().unwrap();
    assert_eq!(
        says(&policy, Facts::tunnel(elsewhere, &target), None),
        "bump by default"
    );
    let mapped = "::ffff:10.2.0.9".parse().unwrap();
    assert_eq!(
        says(&policy, Facts::tunnel(mapped, &target), None),
        "deny@ask by others"
    );
}

#[test]
fn names_are_asked_for_where_a_rule_needs_them_and_nowhere_else() {
    let users = |users: &[&str], groups: &[&str]| Conditions {
        users: users.iter().map(|name| (*name).into()).collect(),
        groups: groups.iter().map(|name| (*name).into()).collect(),
        ..Conditions::default()
    };
    let policy = table(
        DefaultAction::Deny,
        vec![
            rule("free", RuleAction::Allow, of_hosts("free.example\n")),
            rule(
                "no-games",
                RuleAction::Deny,
                Conditions {
                    hosts: domains("games.example\n"),
                    ..users(&["max"], &[])
                },
            ),
            rule("staff", RuleAction::Allow, users(&["*"], &["web-full"])),
            rule("ada", RuleAction::Allow, users(&["ada"], &[])),
        ],
    );
    let known = |name: &str, group: &str| Identity {
        groups: [group.into()].into(),
        ..Identity::from(name)
    };
    let of = |user: User<'_>, target: &str, sni: Option<&str>| {
        let target = at(target, 443);
        says(
            &policy,
            Facts {
                user,
                ..Facts::tunnel(ME, &target)
            },
            sni,
        )
    };
    let (ada, max, eve) = (known("Ada", "x"), known("max", "Web-Full"), known("eve", "x"));
    for (user, target, sni, wanted) in [
        (
            User::Unasked,
            "free.example",
            Some("free.example"),
            "bump by free",
        ),
        (User::Unasked, "a.example", None, "name by staff"),
        (User::Unasked, "games.example", None, "name by no-games"),
        (User::Known(&ada), "a.example", None, "bump by ada"),
        (User::Known(&max), "a.example", None, "bump by staff"),
        (User::Known(&max), "games.example", None, "deny@ask by no-games"),
        (
            User::Known(&max),
            "a.example",
            Some("games.example"),
            "deny by no-games",
        ),
        (User::Known(&ada), "games.example", None, "bump by ada"),
        // Somebody who is known and not allowed is not asked again.
        (User::Known(&eve), "a.example", None, "deny@ask by default"),
        (User::Nobody, "a.example", None, "deny@ask by default"),
        // Whoever got in without a name by a host that needs none is held to what is forbidden to anybody by name.
        (
            User::Unasked,
            "free.example",
            Some("games.example"),
            "deny by no-games",
        ),
    ] {
        assert_eq!(of(user, target, sni), wanted, "{user:?} {target} {sni:?}");
    }
}

#[test]
fn an_authenticate_rule_wants_a_name_and_then_goes_on() {
    let policy = table(
        DefaultAction::Allow,
        vec![
            rule("exempt", RuleAction::Allow, of_hosts("updates.example\n")),
            rule("who", RuleAction::Authenticate, Conditions::default()),
        ],
    );
    let ada = Identity::from("ada");
    let target = at("a.example", 443);
    let exempt = at("updates.example", 443);
    let of = |user, target| {
        says(
            &policy,
            Facts {
                user,
                ..Facts::tunnel(ME, target)
            },
            None,
        )
    };
    assert_eq!(of(User::Unasked, &target), "name by who");
    assert_eq!(of(User::Known(&ada), &target), "bump by default");
    assert_eq!(of(User::Nobody, &target), "deny@ask by who");
    assert_eq!(of(User::Unasked, &exempt), "bump by exempt");
}

/// What a policy says of a request in a tunnel that it let pass.
fn inside(policy: &Policy, target: &str, method: &str, path: &str, agent: &str) -> String {
    let target = at(target, 443);
    let facts = Facts::tunnel(ME, &target).beginning(None);
    let AtHello {
        verdict, remaining, ..
    } = policy.at_hello(&facts);
    let Some(remaining) = remaining else {
        return format!("{} for all", verdict.act.label());
    };
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut fields = HeaderMap::new();
    fields.insert("user-agent", HeaderValue::from_str(agent).unwrap());
    let facts = Facts {
        request: Some(RequestFacts {
            method: &method,
            path,
            is_tls: true,
            upgrade: (path == "/ws").then_some("websocket"),
            fields: &fields,
        }),
        ..facts
    };
    match policy.at_request(&facts, &remaining) {
        AtAsk::Denied(verdict) => format!("deny by {}", verdict.rule.as_deref().unwrap_or("default")),
        AtAsk::Name(rule) => format!("name by {rule}"),
        AtAsk::Open(Permitted { observed, .. }) if observed.is_empty() => "allow".to_owned(),
        AtAsk::Open(Permitted { observed, .. }) => format!("allow, observed {}", observed[0].rule),
    }
}

#[test]
fn requests_are_held_to_what_only_they_show() {
    let regex = |text| regex::Regex::new(text).unwrap();
    let mut watched = rule(
        "bots",
        RuleAction::Deny,
        Conditions {
            headers: vec![(HeaderName::from_static("user-agent"), regex("(?i)bot"))],
            ..Conditions::default()
        },
    );
    watched.is_observed = true;
    let policy = table(
        DefaultAction::Deny,
        vec![
            watched,
            rule(
                "no-admin",
                RuleAction::Deny,
                Conditions {
                    hosts: domains(".files.example\n"),
                    path: Some(regex("^/admin")),
                    ..Conditions::default()
                },
            ),
            rule(
                "no-chat",
                RuleAction::Deny,
                Conditions {
                    upgrade: vec!["websocket".into()],
                    ..Conditions::default()
                },
            ),
            rule("files", RuleAction::Allow, of_hosts(".files.example\n")),
            rule(
                "read-only",
                RuleAction::Allow,
                Conditions {
                    methods: vec![Method::GET, Method::HEAD],
                    ..Conditions::default()
                },
            ),
        ],
    );
    for (target, method, path, agent, wanted) in [
        ("files.example", "POST", "/a", "x", "allow"),
        ("files.example", "GET", "/admin/x", "x", "deny by no-admin"),
        // However it is written.
        ("files.example", "GET", "/x/../%61dmin", "x", "deny by no-admin"),
        ("files.example", "GET", "//admin", "x", "deny by no-admin"),
        ("files.example", "GET", "/ws", "x", "deny by no-chat"),
        ("files.example", "GET", "/", "a Robot", "allow, observed bots"),
        ("other.example", "GET", "/admin", "x", "allow"),
        ("other.example", "POST", "/", "x", "deny by default"),
    ] {
        assert_eq!(
            inside(&policy, target, method, path, agent),
            wanted,
            "{target} {method} {path}"
        );
    }
    // A tunnel is let pass where a rule may permit what goes on inside.
    assert_eq!(tunnel(&policy, "other.example", None), "bump by default");
}

#[test]
fn what_is_spliced_is_judged_by_what_can_be_seen() {
    let policy = table(
        DefaultAction::Allow,
        vec![
            rule(
                "no-posts",
                RuleAction::Deny,
                Conditions {
                    methods: vec![Method::POST],
                    ..Conditions::default()
                },
            ),
            rule("bank", RuleAction::Splice, of_hosts("bank.example\n")),
        ],
    );
    assert_eq!(tunnel(&policy, "bank.example", None), "splice by bank");
    assert_eq!(inside(&policy, "bank.example", "POST", "/", ""), "splice for all");
    assert_eq!(inside(&policy, "a.example", "POST", "/", ""), "deny by no-posts");
}

#[test]
fn a_certificate_can_deny_and_allow() {
    let certificate = |valid, issuer: Option<&str>| Conditions {
        certificate_valid: valid,
        issuer: issuer.map(|text| regex::Regex::new(text).unwrap()),
        ..Conditions::default()
    };
    let policy = table(
        DefaultAction::Allow,
        vec![
            rule(
                "lab",
                RuleAction::Allow,
                Conditions {
                    hosts: domains(".lab.example\n"),
                    ..certificate(Some(false), None)
                },
            ),
            rule("bad-ca", RuleAction::Deny, certificate(None, Some("Bad CA"))),
        ],
    );
    let of = |target: &str, is_valid, issuer| {
        let target = at(target, 443);
        let facts = Facts::tunnel(ME, &target).beginning(None);
        let AtHello { remaining, .. } = policy.at_hello(&facts);
        let allows = policy.treatment(&facts).cert_error;
        let facts = Facts {
            origin: Some(OriginFacts {
                is_valid,
                issuer: Some(issuer),
            }),
            ..facts
        };
        let denied = policy.at_origin(&facts, remaining.as_ref());
        (
            allows,
            denied
                .and_then(|verdict| verdict.rule)
                .map(|rule| rule.to_string()),
        )
    };
    assert_eq!(of("x.lab.example", false, "CN=Lab"), (CertError::Allow, None));
    assert_eq!(of("a.example", true, "CN=Good CA"), (CertError::Deny, None));
    assert_eq!(
        of("a.example", true, "CN=Bad CA"),
        (CertError::Deny, Some("bad-ca".into()))
    );
    assert_eq!(
        of("x.lab.example", true, "CN=Bad CA"),
        (CertError::Allow, Some("bad-ca".into()))
    );
}

#[test]
fn time_and_listener_count() {
    let policy = table(
        DefaultAction::Allow,
        vec![rule(
            "at-night",
            RuleAction::Deny,
            Conditions {
                time: vec![Hours::parse("22:00-06:00").unwrap()],
                listeners: vec!["lan".into()],
                ..Conditions::default()
            },
        )],
    );
    assert!(policy.needs_time() && !policy.needs_certificate());
    let target = at("a.example", 443);
    for (listener, time, wanted) in [
        ("lan", "Mon 23:00", "deny@ask by at-night"),
        ("lan", "Mon 12:00", "bump by default"),
        ("dmz", "Mon 23:00", "bump by default"),
    ] {
        let facts = Facts {
            listener,
            moment: time.parse().unwrap(),
            ..Facts::tunnel(ME, &target)
        };
        assert_eq!(says(&policy, facts, None), wanted, "{listener} {time}");
    }
}

#[test]
fn observed_rules_decide_nothing_and_are_told() {
    let mut deny = rule("later", RuleAction::Deny, of_hosts("a.example\n"));
    deny.is_observed = true;
    let policy = table(DefaultAction::Allow, vec![deny]);
    let target = at("a.example", 443);
    let AtHello {
        verdict, remaining, ..
    } = policy.at_hello(&Facts::tunnel(ME, &target).beginning(None));
    assert!(matches!(verdict.act, Act::Bump(_)));
    assert_eq!(verdict.observed[0].action, RuleAction::Deny);
    assert_eq!((&*verdict.observed[0].rule, remaining), ("later", None));
}

#[test]
fn settings_are_read_key_by_key_and_the_last_word_counts() {
    let set = |name: &'static str, value: &'static str| {
        HeaderEdit::Set(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let setting = |hosts: &str, write: &dyn Fn(&mut Says)| {
        let mut says = Says::default();
        write(&mut says);
        PolicySetting {
            conditions: of_hosts(hosts),
            says,
        }
    };
    let policy = Policy::new(PolicyConfig {
        only_http1: domains("old.example\n"),
        without_via: domains(".example\n"),
        settings: vec![
            setting(".example\n", &|says| {
                says.headers = vec![set("x-tenant", "one"), set("x-other", "kept")];
                says.tunnel_idle = Some(std::time::Duration::from_secs(7));
                says.deny_networks = ["192.0.2.0/24".parse().unwrap()].into();
            }),
            setting("a.example\n", &|says| {
                says.headers = vec![
                    set("x-tenant", "two"),
                    HeaderEdit::Remove(HeaderName::from_static("x-gone")),
                ];
                says.via = Some(true);
                says.inspect = Some(false);
                says.deny_networks = ["198.51.100.0/24".parse().unwrap()].into();
            }),
        ],
        ..PolicyConfig::default()
    });
    let of = |host: &str, sni| {
        let target = at(host, 443);
        policy.treatment(&Facts::tunnel(ME, &target).beginning(sni))
    };
    let treatment = of("a.example", None);
    assert_eq!(
        treatment.headers,
        [
            set("x-other", "kept"),
            set("x-tenant", "two"),
            HeaderEdit::Remove(HeaderName::from_static("x-gone"))
        ]
    );
    assert!(treatment.via && !treatment.inspects && treatment.may_speak_http2);
    assert_eq!(treatment.tunnel_idle, Some(std::time::Duration::from_secs(7)));
    let denied: Vec<_> = treatment.way.denied.iter().map(ToString::to_string).collect();
    assert_eq!(denied, ["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!(of("b.example", None).way.denied.len(), 1);
    let treatment = of("192.0.2.1", Some("old.example"));
    assert!(!treatment.via && treatment.inspects && !treatment.may_speak_http2);
    // Where nothing is said, everybody is treated by one and the same.
    assert!(Arc::ptr_eq(&of("a.test", None), policy.usual_treatment()));
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

fn explained(policy: &Policy, target: &Authority) -> String {
    policy.explain(&Facts::tunnel(ME, target)).to_string()
}

#[test]
fn an_explanation_names_list_line_and_pattern() {
    let policy = Policy::new(PolicyConfig {
        deny: vec![list("bad", "^bad\\.example:\n")],
        splice: vec![
            list("first", "^(bad|a)\\.example:"),
            list("second", "\n^b\\.example:443$"),
        ],
        allow_invalid_certificate: vec![list("lab", "^lab\\.example:")],
        only_http1: vec![list("old", "^old\\.example:")],
        without_via: vec![list("nginx", "^plain\\.example:")],
        ..PolicyConfig::default()
    });
    let of = |host: &str| explained(&policy, &at(host, 443));
    assert_eq!(
        of("bad.example"),
        "bad.example:443 is denied: nothing is resolved or dialled.\n  by list \"bad\", line 1: ^bad\\.example:"
    );
    let spliced = of("b.example");
    assert!(
        spliced.starts_with(
            "b.example:443 is spliced: its bytes are relayed unread.\n  by list \"second\", line 2: ^b\\.example:443$"
        ),
        "{spliced}"
    );
    assert!(
        spliced.ends_with("as SNI:443, and can still lead to a denial."),
        "{spliced}"
    );
    let bumped = of("lab.example");
    for part in [
        "is bumped",
        "No deny list matches it: bad (1 entry).\n",
        "first (1 entry), second (1 entry).",
        "A certificate that does not verify is accepted\n  by list \"lab\", line 1: ",
    ] {
        assert!(bumped.contains(part), "{part}: {bumped}");
    }
    assert!(of("old.example").contains("HTTP/2 is not offered\n  by list \"old\", line 1"));
    assert!(of("plain.example").contains("No Via header is added\n  by list \"nginx\", line 1"));
    let address = of("192.0.2.1");
    assert!(
        address.contains("can still lead to a denial or a splice."),
        "{address}"
    );
    let bare = explained(&Policy::new(PolicyConfig::default()), &at("b.example", 443));
    assert!(bare.contains("No splice list is configured"), "{bare}");
    assert!(
        bare.contains("error page") && !bare.contains("SNI") && !bare.contains("Via"),
        "{bare}"
    );
}

#[test]
fn an_explanation_says_who_the_origin_takes_for_its_client() {
    const AS_CLIENT: &str = "Its connections to origins come from the client's own address, where both have one of the same family";
    let own = Sources {
        v4: Some([192, 0, 2, 1].into()),
        v6: Some("2001:db8::1".parse().unwrap()),
    };
    let told = |tell_client, proxy_protocol| Says {
        tell_client: Some(tell_client),
        proxy_protocol: Some(proxy_protocol),
        ..Says::default()
    };
    let policy = Policy::new(PolicyConfig {
        settings: vec![
            PolicySetting {
                conditions: Conditions::default(),
                says: Says {
                    at: "w.toml:all".into(),
                    as_client: Some(true),
                    source: Some(own),
                    ..told(TellClient::Forwarded, ProxyProtocolOut::V1)
                },
            },
            PolicySetting {
                conditions: of_hosts("alone.example\n"),
                says: Says {
                    as_client: Some(false),
                    tell_client_alone: Some(true),
                    ..told(TellClient::XForwardedFor, ProxyProtocolOut::V2)
                },
            },
            PolicySetting {
                conditions: of_hosts("none.example\n"),
                says: told(TellClient::No, ProxyProtocolOut::No),
            },
        ],
        ..PolicyConfig::default()
    });
    let told = |host: &str| {
        let explanation = policy.explain(&Facts::tunnel(ME, &at(host, 443)));
        let text = explanation.to_string();
        let said = explanation.treatment.into_iter().chain(explanation.way);
        let said: Vec<_> = said
            .filter(|sentence| !sentence.contains("certificate"))
            .collect();
        assert!(said.iter().all(|sentence| text.contains(sentence)), "{text}");
        said
    };
    assert_eq!(
        told("a.example"),
        [
            "Its origins are told the client's address in Forwarded, behind what the request says of it\n  by the setting at w.toml:all".to_owned(),
            format!("{AS_CLIENT}\n  by the setting at w.toml:all"),
            "Its other connections come from 192.0.2.1 and 2001:db8::1\n  by the setting at w.toml:all".to_owned(),
            "Its origins are told the client's address by the PROXY protocol (v1), before the first byte\n  by the setting at w.toml:all".to_owned(),
        ]
    );
    assert_eq!(
        told("alone.example"),
        [
            "Its origins are told the client's address in X-Forwarded-For, in the place of what the request says of it\n  by list \"domains\", line 1: alone.example",
            "Its connections come from 192.0.2.1 and 2001:db8::1\n  by the setting at w.toml:all",
            "Its origins are told the client's address by the PROXY protocol (v2), before the first byte\n  by list \"domains\", line 1: alone.example",
        ]
    );
    assert_eq!(
        told("none.example"),
        [
            format!("{AS_CLIENT}\n  by the setting at w.toml:all"),
            "Its other connections come from 192.0.2.1 and 2001:db8::1\n  by the setting at w.toml:all"
                .to_owned(),
        ]
    );
}

#[test]
fn an_explanation_says_why_each_rule_above_did_not_hold() {
    let policy = table(
        DefaultAction::Deny,
        vec![
            rule("bank", RuleAction::Splice, of_hosts("bank.example\n")),
            rule(
                "posts",
                RuleAction::Deny,
                Conditions {
                    methods: vec![Method::POST],
                    ..Conditions::default()
                },
            ),
            rule("rest", RuleAction::Allow, Conditions::default()),
        ],
    );
    let target = at("a.example", 443);
    let said = explained(&policy, &target);
    for part in [
        "is bumped",
        "by rule \"rest\"  [w.toml:rest]",
        "ask: rule \"bank\" (splice) does not hold: hosts",
        "ask: rule \"posts\" (deny) waits for: methods",
        "ask: rule \"rest\" (allow) holds",
        "Each request is held to the policy too, by posts.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let fields = HeaderMap::new();
    let facts = Facts {
        request: Some(RequestFacts {
            method: &Method::POST,
            path: "/",
            is_tls: true,
            upgrade: None,
            fields: &fields,
        }),
        ..Facts::tunnel(ME, &target)
    };
    let explanation = policy.explain(&facts);
    assert_eq!(explanation.action, crate::decide::ExplainedAction::Deny);
    assert_eq!(explanation.rule.as_deref(), Some("posts"));
    let stages: Vec<_> = explanation.steps.iter().map(|step| step.stage).collect();
    assert_eq!(
        stages,
        ["ask", "ask", "ask", "hello", "hello", "hello", "request"]
    );
}
