//! Conditions in conditions: what has to hold too, and what is excepted.

use super::*;

fn clients(text: &str) -> Conditions {
    Conditions {
        clients: vec![text.parse::<ipnet::IpNet>().unwrap().into()],
        ..Conditions::default()
    }
}

fn users(name: &str) -> Conditions {
    Conditions {
        users: vec![name.into()],
        ..Conditions::default()
    }
}

fn methods(name: &str) -> Conditions {
    Conditions {
        methods: vec![Method::from_bytes(name.as_bytes()).unwrap()],
        ..Conditions::default()
    }
}

fn except(conditions: Conditions, except: Vec<Conditions>) -> Conditions {
    Conditions { except, ..conditions }
}

#[test]
fn both_of_two_lists_are_asked_for() {
    let both = Conditions {
        also: vec![of_hosts("www.a.example\nwww.b.example\n")],
        ..of_hosts(".a.example\n")
    };
    let policy = table(
        DefaultAction::Deny,
        vec![rule("both", RuleAction::Splice, both.clone())],
    );
    assert_eq!(tunnel(&policy, "www.a.example", None), "splice by both");
    assert_eq!(
        tunnel(&policy, "www.a.example", Some("www.a.example")),
        "splice by both"
    );
    // Each list has to have all names.
    assert_eq!(
        tunnel(&policy, "www.a.example", Some("www.b.example")),
        "deny by default"
    );
    assert_eq!(tunnel(&policy, "a.example", None), "deny@ask by default");
    let policy = table(DefaultAction::Allow, vec![rule("both", RuleAction::Deny, both)]);
    assert_eq!(tunnel(&policy, "www.a.example", None), "deny@ask by both");
    // Where it forbids, any name will do.
    assert_eq!(
        tunnel(&policy, "www.b.example", Some("a.example")),
        "deny by both"
    );
    assert_eq!(tunnel(&policy, "www.b.example", None), "bump by default");
}

#[test]
fn whoever_is_excepted_is_not_meant() {
    let all = except(
        Conditions::default(),
        vec![
            clients("10.9.0.0/16"),
            Conditions {
                ports: vec![443..=443],
                ..clients("10.2.0.0/16")
            },
        ],
    );
    let policy = table(DefaultAction::Allow, vec![rule("all", RuleAction::Deny, all)]);
    // All that one exception asks for has to be so.
    assert_eq!(tunnel(&policy, "a.example", None), "bump by default");
    assert_eq!(tunnel(&policy, "a.example:8443", None), "deny@ask by all");
    let target = at("a.example", 8443);
    let facts = Facts::tunnel("10.9.1.1".parse().unwrap(), &target);
    assert_eq!(says(&policy, facts, None), "bump by default");
}

#[test]
fn a_name_that_is_to_come_may_be_excepted() {
    let spared = || except(Conditions::default(), vec![of_hosts("a.example\n")]);
    // A permission is for nobody who could still show an excepted name.
    let policy = table(
        DefaultAction::Deny,
        vec![rule("rest", RuleAction::Allow, spared())],
    );
    assert_eq!(tunnel(&policy, "b.example", Some("b.example")), "bump by rest");
    assert_eq!(tunnel(&policy, "b.example", Some("a.example")), "deny by default");
    assert_eq!(
        tunnel(&policy, "a.example", Some("b.example")),
        "deny@ask by default"
    );
    // What is forbidden is forbidden unless all names are excepted.
    let policy = table(
        DefaultAction::Allow,
        vec![rule("rest", RuleAction::Deny, spared())],
    );
    assert_eq!(tunnel(&policy, "a.example", Some("a.example")), "bump by default");
    assert_eq!(tunnel(&policy, "a.example", Some("b.example")), "deny by rest");
    assert_eq!(
        tunnel(&policy, "b.example", Some("a.example")),
        "deny@ask by rest"
    );
}

#[test]
fn who_is_not_known_is_not_excepted_from_what_is_forbidden() {
    let but_ada = || except(Conditions::default(), vec![users("ada")]);
    let forbids = table(
        DefaultAction::Allow,
        vec![rule("but-ada", RuleAction::Deny, but_ada())],
    );
    let permits = table(
        DefaultAction::Deny,
        vec![rule("but-ada", RuleAction::Allow, but_ada())],
    );
    let (ada, max) = (Identity::from("ada"), Identity::from("max"));
    let target = at("a.example", 443);
    for (user, forbidding, permitting) in [
        (User::Known(&ada), "bump by default", "deny@ask by default"),
        (User::Known(&max), "deny@ask by but-ada", "bump by but-ada"),
        (User::Unasked, "name by but-ada", "name by but-ada"),
        (User::Nobody, "deny@ask by but-ada", "deny@ask by default"),
    ] {
        let facts = Facts {
            user,
            ..Facts::tunnel(ME, &target)
        };
        assert_eq!(says(&forbids, facts.clone(), None), forbidding, "{user:?}");
        assert_eq!(says(&permits, facts, None), permitting, "{user:?}");
    }
}

#[test]
fn a_tunnels_own_connect_says_nothing_of_the_requests_inside() {
    let inner = rule(
        "inner",
        RuleAction::Deny,
        except(Conditions::default(), vec![methods("CONNECT")]),
    );
    let policy = table(DefaultAction::Allow, vec![inner]);
    assert_eq!(tunnel(&policy, "a.example", None), "bump by default");
    assert_eq!(inside(&policy, "a.example", "GET", "/", "curl"), "deny by inner");
    let reads = except(Conditions::default(), vec![methods("GET"), methods("CONNECT")]);
    let policy = table(DefaultAction::Allow, vec![rule("reads", RuleAction::Deny, reads)]);
    assert_eq!(inside(&policy, "a.example", "GET", "/", "curl"), "allow");
    assert_eq!(inside(&policy, "a.example", "PUT", "/", "curl"), "deny by reads");
}

#[test]
fn a_url_is_searched_as_a_whole() {
    let url = |text| Conditions {
        url: Some(regex::Regex::new(text).unwrap()),
        ..Conditions::default()
    };
    let of = |text| {
        table(
            DefaultAction::Allow,
            vec![rule("url", RuleAction::Deny, url(text))],
        )
    };
    for (text, path, wanted) in [
        (r"^https://a\.example/x", "/x?y=1", "deny by url"),
        (r"^https://a\.example/x", "/y", "allow"),
        (r"^http://", "/x", "allow"),
        (r"\?y=1$", "/x?y=1", "deny by url"),
        // As servers may read it, too.
        (r"a\.example/x$", "/y/../%78", "deny by url"),
    ] {
        assert_eq!(
            inside(&of(text), "a.example", "GET", path, "curl"),
            wanted,
            "{text}"
        );
    }
    // Nothing is known of it before there is one.
    assert_eq!(tunnel(&of("."), "a.example", None), "bump by default");
    let permits = table(
        DefaultAction::Deny,
        vec![rule("url", RuleAction::Allow, url("/x$"))],
    );
    assert_eq!(inside(&permits, "a.example", "GET", "/x", "curl"), "allow");
    assert_eq!(
        inside(&permits, "a.example", "GET", "/y", "curl"),
        "deny by default"
    );
}

#[test]
fn a_port_stands_in_a_url_where_it_is_not_the_schemes_own() {
    let find = |text: &str, target: &str, is_tls: bool| {
        let url = Conditions {
            url: Some(regex::Regex::new(text).unwrap()),
            ..Conditions::default()
        };
        let policy = table(DefaultAction::Deny, vec![rule("url", RuleAction::Allow, url)]);
        let target = Authority::parse(target, None).unwrap();
        let fields = HeaderMap::new();
        let facts = Facts {
            is_tunnel: false,
            request: Some(RequestFacts {
                method: &Method::GET,
                path: "/",
                is_tls,
                upgrade: None,
                fields: &fields,
            }),
            ..Facts::tunnel(ME, &target).beginning(None)
        };
        matches!(policy.at_named_request(&facts).0, AtAsk::Open(_))
    };
    assert!(find(r"^http://a\.example/$", "a.example:80", false));
    assert!(find(r"^http://a\.example:443/$", "a.example:443", false));
    assert!(find(r"^https://a\.example/$", "a.example:443", true));
    assert!(find(
        r"^https://\[2001:db8::1\]:8443/$",
        "[2001:db8::1]:8443",
        true
    ));
    assert!(!find(r"^https://a\.example/$", "a.example:8443", true));
}
