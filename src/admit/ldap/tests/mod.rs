//! Against a real OpenLDAP server, and against servers that misbehave.

mod hostile;
mod openldap;
mod slapd;

use super::*;
use crate::handshake::ServiceTls;
use slapd::{BASE, PASSWORD, SERVICE, Slapd};
use std::sync::Mutex;
use std::time::Duration;

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl LdapWatch for Told {
    fn refused(&self, name: &str, why: &str) {
        self.0.lock().unwrap().push(format!("refused {name}: {why}"));
    }

    fn failed(&self, server: &str, why: &str) {
        self.0.lock().unwrap().push(format!("failed {server}: {why}"));
    }
}

impl Told {
    /// The last that it was told.
    fn last(&self) -> String {
        self.0.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn told(config: LdapConfig) -> (Ldap, Arc<Told>) {
    let told = Arc::new(Told::default());
    (Ldap::new(config, Arc::<Told>::clone(&told)), told)
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
        groups: Groups {
            by: GroupsBy::Search(Template::group_filter("(member={dn})").unwrap()),
            base: format!("ou=groups,{BASE}"),
            name: "cn".to_owned(),
            depth: 10,
            most: 100,
        },
        limits: Limits::default(),
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

fn login(name: &str) -> Login {
    Login {
        name: name.to_owned(),
        domain: None,
    }
}

fn sorted(verified: Option<Verified>) -> (String, Vec<String>) {
    let Verified { name, mut groups } = verified.expect("verified");
    groups.sort();
    (name, groups)
}
