//! Against a real OpenLDAP server, a real domain, and servers that misbehave.

mod ad;
mod hostile;
mod openldap;
mod slapd;

use super::*;
use crate::admit::names::Names;
use crate::admit::testing::Told;
use crate::handshake::ServiceTls;
use slapd::{BASE, PASSWORD, SERVICE, Slapd};
use std::time::Duration;

fn told(config: LdapConfig) -> (Ldap, Arc<Told>) {
    let told = Arc::new(Told::default());
    (Ldap::new(Arc::new(config), Arc::<Told>::clone(&told)), told)
}

/// Why the directory says no.
fn no(said: Result<Result<Verified, Refused>, Unavailable>) -> String {
    let refused = said.expect("the directory can tell").expect_err("it says no");
    refused.why.expect("it says why")
}

/// No server, and groups of OpenLDAP's.
fn config() -> LdapConfig {
    LdapConfig {
        servers: Vec::new(),
        tls: None,
        bind: BindBy::Search,
        users: Some(Users {
            base: format!("ou=people,{BASE}"),
            filter: Template::user_filter("(&(objectClass=inetOrgPerson)(|(uid={name})(mail={principal})))")
                .unwrap(),
            name: "uid".to_owned(),
        }),
        account: Some(ServiceAccount {
            name: SERVICE.to_owned(),
            password: Secret(PASSWORD.to_owned()),
        }),
        groups: GroupSearch {
            by: GroupsBy::Search(Template::group_filter("(member={dn})").unwrap()),
            base: format!("ou=groups,{BASE}"),
            name: "cn".to_owned(),
            depth: 10,
            most: 100,
        },
        limits: LdapLimits::default(),
        connections: 4,
        waiting: 100,
        rest: Duration::from_secs(60),
    }
}

/// By `ldaps://`, trusting the server's CA.
fn tls(slapd: &Slapd) -> LdapConfig {
    LdapConfig {
        servers: vec![slapd.ldaps()],
        tls: Some(trusting(slapd)),
        ..config()
    }
}

fn trusting(slapd: &Slapd) -> Arc<ServiceTls> {
    Arc::new(ServiceTls::new(Some(vec![slapd.identity.root.clone()]), None).unwrap())
}

/// A name as Basic has read it, which is stricter than this room has to rely on.
fn login(name: &str) -> Login {
    Login {
        name: name.to_owned(),
        domain: None,
        canonical: name.to_lowercase(),
    }
}

/// With its domain, of which `corp.example` and `CORP` are ours.
fn with_domain(text: &str) -> Login {
    Names::of(["corp.example", "CORP"]).login(text).unwrap()
}

fn sorted(verified: Result<Verified, Refused>) -> (String, Vec<String>) {
    let Verified { name, mut groups } = verified.expect("verified");
    groups.sort();
    (name, groups)
}
