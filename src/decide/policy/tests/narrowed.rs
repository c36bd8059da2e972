//! A walk over the rules that can hold is a walk over all of them.

use super::*;
use crate::decide::candidates::Wanted;
use crate::decide::rule::{Asked, walk};
use crate::decide::{HelloFacts, Moment};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use regex::Regex;
use std::net::IpAddr;

/// Few values, so that rules and facts meet.
const NAMES: [&str; 5] = [
    "a.example",
    "b.example",
    "www.a.example",
    "www.b.example",
    "10.0.0.1",
];
const CLIENTS: [&str; 6] = [
    "10.0.0.1",
    "10.0.1.1",
    "192.0.2.1",
    "2001:db8::1",
    "2001:db8:1::1",
    "::ffff:10.0.0.1",
];
const NETS: [(&str, &str); 7] = [
    ("10.0.0.0", "10.0.0.255"),
    ("10.0.0.1", "10.0.0.1"),
    ("10.0.0.0", "10.255.255.255"),
    ("0.0.0.0", "255.255.255.255"),
    ("2001:db8::", "2001:db8::ffff"),
    ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("192.0.2.1", "192.0.2.9"),
];
const HOURS: [&str; 5] = [
    "Mon-Fri 08:00-18:00",
    "Sat,Sun",
    "22:00-06:00",
    "Sun 23:00-00:00",
    "12:00-24:00",
];
const PATHS: [&str; 4] = ["/", "/admin/x", "/x/../%61dmin", "//admin?q=1"];

fn lists() -> Vec<Arc<List>> {
    let lists = [
        ("a", "a.example\n", Format::Domains),
        ("tree", ".b.example\n10.0.0.0/8\n", Format::Domains),
        ("port", "www.a.example:443\n", Format::Domains),
        ("expression", "^www\\.\n", Format::UrlRegex),
        ("host", "b\\.example$\n", Format::HostRegex),
    ];
    let parse = |(name, text, format)| Arc::new(List::parse(name, text, format, true).unwrap());
    lists.into_iter().map(parse).collect()
}

/// None most of the time.
fn some<T: Clone + std::fmt::Debug + 'static>(of: Vec<T>) -> BoxedStrategy<Vec<T>> {
    let most = of.len().min(2);
    prop_oneof![2 => Just(Vec::new()), 1 => subsequence(of, 1..=most)].boxed()
}

fn names(of: &[&str]) -> BoxedStrategy<Vec<Box<str>>> {
    some(of.iter().map(|name| (*name).into()).collect())
}

fn conditions(lists: Vec<Arc<List>>) -> impl Strategy<Value = Conditions> {
    let nested = |lists: Vec<Arc<List>>| prop_oneof![4 => Just(Vec::new()), 1 => vec(flat(lists), 1..3)];
    (flat(lists.clone()), nested(lists.clone()), nested(lists)).prop_map(|(flat, also, except)| Conditions {
        also,
        except,
        ..flat
    })
}

fn flat(lists: Vec<Arc<List>>) -> impl Strategy<Value = Conditions> {
    let nets =
        NETS.map(|(first, last)| Addresses::new(first.parse().unwrap(), last.parse().unwrap()).unwrap());
    let path = |text: &str| Regex::new(text).unwrap();
    let paths: Vec<_> = ["^/admin", "^/$", "x", "[?]q=1$", "^//"].map(path).into();
    let agent = (http::header::USER_AGENT, Regex::new("bot").unwrap());
    let connection = (
        some(lists.clone()),
        some(lists),
        some(nets.to_vec()),
        names(&["ada", "max", "*"]),
        names(&["staff", "guests", "*"]),
        names(&["proxy", "tls"]),
        some(vec![443..=443, 80..=443, 8000..=8999]),
        some(HOURS.map(|text| Hours::parse(text).unwrap()).to_vec()),
    );
    let content = (
        some(vec![Method::GET, Method::POST, Method::CONNECT]),
        weighted(0.3, select(paths)),
        names(&["websocket", "h2c"]),
        weighted(0.1, Just(agent)),
        weighted(0.1, any::<bool>()),
    );
    (connection, content).prop_map(|(connection, content)| {
        let (hosts, except_hosts, clients, users, groups, listeners, ports, time) = connection;
        let (methods, path, upgrade, header, certificate_valid) = content;
        Conditions {
            hosts,
            except_hosts,
            clients,
            users,
            groups,
            listeners,
            ports,
            time,
            methods,
            path,
            upgrade,
            headers: header.into_iter().collect(),
            certificate_valid,
            ..Conditions::default()
        }
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let lists = lists();
    let actions = select(vec![
        RuleAction::Allow,
        RuleAction::Splice,
        RuleAction::Deny,
        RuleAction::Authenticate,
    ]);
    let rule_of = (conditions(lists.clone()), actions, weighted(0.1, Just(())));
    let setting_of = (conditions(lists), of(any::<bool>()), of(any::<bool>()));
    let sni = select(vec![SniTrust::Checked, SniTrust::Believed]);
    (vec(rule_of, 0..70), vec(setting_of, 0..8), sni).prop_map(|(rules, settings, sni)| {
        let rules = rules
            .into_iter()
            .enumerate()
            .map(|(at, (conditions, action, observed))| PolicyRule {
                is_observed: observed.is_some(),
                ..rule(&at.to_string(), action, conditions)
            });
        let settings = settings
            .into_iter()
            .map(|(conditions, via, only_http1)| PolicySetting {
                conditions: Conditions {
                    methods: Vec::new(),
                    path: None,
                    upgrade: Vec::new(),
                    headers: Vec::new(),
                    certificate_valid: None,
                    ..conditions
                },
                says: Says {
                    via,
                    only_http1,
                    ..Says::default()
                },
            });
        Policy::new(PolicyConfig {
            rules: rules.collect(),
            settings: settings.collect(),
            sni,
            ..PolicyConfig::default()
        })
    })
}

/// What facts are made of.
type Known = (
    (IpAddr, &'static str, Option<Identity>, bool),
    (Authority, Moment, Option<(Option<&'static str>, bool)>),
    Option<(Method, &'static str, Option<&'static str>, HeaderMap)>,
    Option<bool>,
);

fn known() -> impl Strategy<Value = Known> {
    let groups = subsequence(vec!["Staff", "guests", "others"], 0..=3);
    let user = (select(vec!["ada", "Max", "eve"]), groups).prop_map(|(name, groups)| Identity {
        name: name.into(),
        groups: groups.into_iter().map(Arc::from).collect(),
        proof: None,
    });
    let client = select(CLIENTS.map(|text| text.parse().unwrap()).to_vec());
    let target =
        (select(NAMES.to_vec()), select(vec![443, 80, 8080])).prop_map(|(host, port)| at(host, port));
    let moment = (
        0..7_u8,
        select(vec![0, 359, 360, 480, 720, 1079, 1080, 1320, 1380, 1439]),
    )
        .prop_map(|(weekday, minute)| Moment { weekday, minute });
    let agent = select(vec!["a bot", "curl"]).prop_map(|agent| {
        HeaderMap::from_iter([(http::header::USER_AGENT, HeaderValue::from_static(agent))])
    });
    let request = (
        select(vec![Method::GET, Method::POST, Method::DELETE]),
        select(PATHS.to_vec()),
        of(Just("websocket")),
        agent,
    );
    (
        (client, select(vec!["proxy", "tls"]), of(user), any::<bool>()),
        (target, moment, of((of(select(NAMES.to_vec())), any::<bool>()))),
        of(request),
        of(any::<bool>()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_out_would_have_said_no(policy in policy(), many in vec(known(), 12)) {
        for ((client, listener, user, may_ask), (target, moment, hello), request, certificate) in &many {
            let mut facts = Facts {
                listener,
                moment: *moment,
                user: match user {
                    Some(user) => User::Known(user),
                    None if *may_ask => User::Unasked,
                    None => User::Nobody,
                },
                ..Facts::tunnel(*client, target)
            };
            let same = |facts: &Facts<'_>, wanted: Wanted<'_>| {
                let left = match wanted {
                    Wanted::Remaining(rules, _) => Some(rules),
                    Wanted::Now | Wanted::Later => None,
                };
                let each = walk(&policy.rules, Asked::Each(left), &policy.lists, facts, None);
                let asked = Asked::Candidates(&policy.candidates, wanted);
                let narrowed = walk(&policy.rules, asked, &policy.lists, facts, None);
                prop_assert_eq!(each.reached, narrowed.reached, "{:?} {:?}", wanted, facts);
                prop_assert_eq!(each.may_permit, narrowed.may_permit, "{:?} {:?}", wanted, facts);
                prop_assert_eq!(&each.observed, &narrowed.observed);
                if !matches!(wanted, Wanted::Now) {
                    prop_assert_eq!(&each.later, &narrowed.later);
                }
                Ok(())
            };
            same(&facts, Wanted::Now)?;
            same(&facts, Wanted::Later)?;
            // Of settings each is asked here, too.
            let treated = |facts: &Facts<'_>| {
                let treatment = policy.treatment(facts);
                let by_each = policy.settings.treatment_by_each(facts, &policy.lists);
                prop_assert_eq!(
                    (treatment.via, treatment.may_speak_http2),
                    (by_each.via, by_each.may_speak_http2),
                    "{:?}",
                    facts
                );
                Ok(())
            };
            treated(&facts)?;

            facts.hello = hello.map(|(sni, is_confirmed)| HelloFacts { sni, is_confirmed });
            same(&facts, Wanted::Later)?;
            let remaining = policy.at_hello(&facts).remaining;
            facts.origin = certificate.map(|is_valid| OriginFacts { is_valid, issuer: None });
            if let Some(remaining) = &remaining {
                same(&facts, remaining.wanted())?;
            }
            if let Some((method, path, upgrade, fields)) = request {
                facts.request = Some(RequestFacts { method, path, is_tls: true, upgrade: *upgrade, fields });
                same(&facts, Wanted::Later)?;
                treated(&facts)?;
                if let Some(remaining) = &remaining {
                    same(&facts, remaining.wanted())?;
                }
            }
        }
    }
}
