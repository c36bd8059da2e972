//! The policy's table: what it costs a connection and a request, whatever the number of its rules.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use regex::Regex;
use std::sync::Arc;
use wsbump::decide::{
    Addresses, Conditions, DefaultAction, Facts, Format, HeaderEdit, Hours, List, Moment, Policy,
    PolicyConfig, PolicyRule, PolicySetting, RequestFacts, RuleAction, Says, User,
};
use wsbump::identity::Identity;
use wsbump::wire::names::{Authority, Host};

/// A policy of so many rules, of which the last one holds.
pub(crate) struct Table {
    pub(crate) policy: Policy,
    target: Authority,
    user: Identity,
    fields: HeaderMap,
}

fn list(name: &str, text: &str) -> Option<Arc<List>> {
    List::parse(name, text, Format::Domains, true).ok().map(Arc::new)
}

/// What the rule at `at` asks for: one of ten mixes.
fn conditions(at: usize) -> Option<(RuleAction, Conditions)> {
    let mut it = Conditions::default();
    let hosts = || {
        let names: String = (0..20).map(|i| format!(".host{i}.list{at}.example\n")).collect();
        list(&format!("list{at}"), &names).map(|list| vec![list])
    };
    let action = match at % 10 {
        0 => {
            it.hosts = hosts()?;
            RuleAction::Deny
        }
        1 => {
            it.clients = vec![Addresses::from(
                format!("10.{}.0.0/16", at % 200).parse::<IpNet>().ok()?,
            )];
            it.ports = vec![443..=443];
            RuleAction::Deny
        }
        2 => {
            it.hosts = hosts()?;
            it.methods = vec![Method::POST, Method::PUT];
            it.path = Some(Regex::new(&format!("^/api/v[0-9]+/item{at}/")).ok()?);
            RuleAction::Deny
        }
        3 => {
            it.users = vec![format!("user{at}").into(), format!("guest{at}").into()];
            RuleAction::Allow
        }
        4 => {
            it.groups = vec![format!("group{at}").into()];
            it.hosts = hosts()?;
            RuleAction::Allow
        }
        5 => {
            it.time = vec![Hours::parse("Sat,Sun").ok()?, Hours::parse("22:00-06:00").ok()?];
            it.clients = vec![Addresses::from("10.0.0.0/8".parse::<IpNet>().ok()?)];
            RuleAction::Deny
        }
        6 => {
            it.hosts = hosts()?;
            it.clients = vec![Addresses::from("10.0.0.0/8".parse::<IpNet>().ok()?)];
            RuleAction::Splice
        }
        7 => {
            it.path = Some(Regex::new(&format!("[?&]tenant={at}(&|$)")).ok()?);
            RuleAction::Deny
        }
        8 => {
            it.methods = vec![Method::DELETE];
            it.ports = vec![8000..=8999];
            RuleAction::Deny
        }
        _ => {
            it.methods = vec![Method::POST];
            it.path = Some(Regex::new(&format!("^/admin{at}(/|$)")).ok()?);
            RuleAction::Deny
        }
    };
    Some((action, it))
}

fn rule(at: usize, action: RuleAction, conditions: Conditions) -> PolicyRule {
    PolicyRule {
        name: format!("rule-{at}").into(),
        title: None,
        conditions,
        is_observed: false,
        action,
        page: None,
        at: "".into(),
    }
}

impl Table {
    /// One of `count` rules of ten kinds, and a tenth as many settings, of which two hold.
    pub(crate) fn of(count: usize) -> Option<Self> {
        let good = list("good", ".good.example\n")?;
        let mut rules = Vec::new();
        for at in 1..count {
            let (action, conditions) = conditions(at)?;
            rules.push(rule(at, action, conditions));
        }
        let last = Conditions {
            hosts: vec![Arc::clone(&good)],
            users: vec!["*".into()],
            ..Conditions::default()
        };
        rules.push(rule(count, RuleAction::Allow, last));
        let mut settings = Vec::new();
        for at in 0..count / 10 {
            let names = format!(".set{at}.example\n");
            let hosts = if at < 2 {
                Arc::clone(&good)
            } else {
                list("set", &names)?
            };
            let (name, value) = (
                HeaderName::from_static("x-tenant"),
                HeaderValue::from_static("ours"),
            );
            settings.push(PolicySetting {
                conditions: Conditions {
                    hosts: vec![hosts],
                    ..Conditions::default()
                },
                says: Says {
                    headers: vec![HeaderEdit::Set(name, value)],
                    via: Some(false),
                    ..Says::default()
                },
            });
        }
        let mut fields = HeaderMap::new();
        fields.insert(http::header::USER_AGENT, HeaderValue::from_static("Mozilla/5.0"));
        Some(Self {
            policy: Policy::new(PolicyConfig {
                rules,
                settings,
                default: DefaultAction::Deny,
                ..PolicyConfig::default()
            }),
            target: Authority {
                host: Host::Name("www.good.example".to_owned()),
                port: 443,
            },
            user: Identity {
                name: "ada".into(),
                groups: (0..20).map(|at| format!("team{at}").into()).collect(),
                proof: None,
            },
            fields,
        })
    }

    /// A tunnel that only the last rule speaks of.
    pub(crate) fn tunnel(&self) -> Facts<'_> {
        Facts {
            user: User::Known(&self.user),
            // Wednesday, 10 o'clock.
            moment: Moment {
                weekday: 2,
                minute: 600,
            },
            listener: "proxy",
            ..Facts::tunnel([10, 220, 0, 1].into(), &self.target)
        }
    }

    /// Its ClientHello.
    pub(crate) fn hello(&self) -> Facts<'_> {
        self.tunnel().beginning(Some("www.good.example"))
    }

    /// A request that only the last rule speaks of.
    pub(crate) fn request<'a>(&'a self, of: Facts<'a>) -> Facts<'a> {
        Facts {
            request: Some(RequestFacts {
                method: &Method::GET,
                path: "/shop/articles/4711/reviews?sort=newest&page=2",
                is_tls: true,
                upgrade: None,
                fields: &self.fields,
            }),
            ..of
        }
    }

    /// The same, of a client that names its server with each request.
    pub(crate) fn named_request(&self) -> Facts<'_> {
        let facts = Facts {
            is_tunnel: false,
            ..self.tunnel()
        };
        self.request(facts.beginning(None))
    }
}
