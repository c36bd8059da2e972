//! Against a real Active Directory domain: Samba's.

use super::*;
use crate::admit::admission::{Admission, AdmitConfig, BasicConfig};
use crate::admit::challenge::{Admitted, Unproven};
use crate::admit::directory::DirectoryConfig;
use crate::admit::ldap::connection::Connection;
use crate::admit::limits::PasswordLimits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ldap3::Scope;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Domain {
    process: Child,
    address: String,
    password: String,
    base: String,
    tls: Arc<ServiceTls>,
    _folder: tempfile::TempDir,
}

impl Domain {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/ad_domain.py");
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", "/usr/bin/python3", program])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let facts: serde_json::Value = serde_json::from_str(&line).expect("the domain's facts");
        let fact = |name: &str| facts[name].as_str().unwrap().to_owned();
        let roots = CertificateDer::pem_file_iter(fact("ca")).unwrap();
        let roots = roots.collect::<Result<_, _>>().unwrap();
        Self {
            process,
            address: fact("address"),
            password: fact("password"),
            base: fact("base"),
            tls: Arc::new(ServiceTls::new(Some(roots), None).unwrap()),
            _folder: folder,
        }
    }

    fn url(&self, scheme: &str) -> LdapUrl {
        LdapUrl::parse(&format!("{scheme}://{}", self.address)).unwrap()
    }

    /// As `[auth.ldap]` has it with `groups = "ad"`.
    fn config(&self) -> LdapConfig {
        let filter = "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={name})(userPrincipalName={principal})))";
        LdapConfig {
            servers: vec![self.url("ldaps")],
            tls: Some(Arc::clone(&self.tls)),
            bind: BindBy::Search,
            users: Some(Users {
                base: self.base.clone(),
                filter: Template::user_filter(filter).unwrap(),
                name: "sAMAccountName".to_owned(),
            }),
            account: Some(ServiceAccount {
                name: "http-proxy@corp.example".to_owned(),
                password: Secret(self.password.clone()),
            }),
            groups: GroupSearch {
                by: GroupsBy::Ad,
                base: self.base.clone(),
                name: "cn".to_owned(),
                depth: 10,
                most: 1000,
            },
            ..config()
        }
    }

    /// An attribute of a user, as the administrator sees it.
    async fn attribute(&self, user: &str, attribute: &str) -> Vec<u8> {
        let limits = LdapLimits::default();
        let mut connection = Connection::open(&self.url("ldaps"), Some(&self.tls), &limits)
            .await
            .unwrap();
        let bound = connection
            .bind("Administrator@corp.example", &self.password, limits.bind)
            .await;
        assert_eq!(bound.unwrap().rc, 0);
        let filter = format!("(sAMAccountName={user})");
        let at = (self.base.as_str(), Scope::Subtree, filter.as_str());
        let found = connection
            .search(at, &[attribute], 0, limits.search)
            .await
            .unwrap();
        let [entry] = &found.entries[..] else {
            panic!("{found:?}")
        };
        match (entry.attrs.get(attribute), entry.bin_attrs.get(attribute)) {
            (Some(values), _) => values[0].clone().into_bytes(),
            (None, Some(values)) => values[0].clone(),
            (None, None) => panic!("{entry:?}"),
        }
    }

    async fn wrong_passwords(&self, user: &str) -> u32 {
        String::from_utf8(self.attribute(user, "badPwdCount").await)
            .unwrap()
            .parse()
            .unwrap()
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // It ends with its standard input, and its namespaces with it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn has(groups: &[String], wanted: &[&str]) -> bool {
    wanted.iter().all(|name| groups.iter().any(|group| group == name))
}

/// One domain for all of it: it takes seconds to make.
#[tokio::test]
async fn a_real_domain_is_understood() {
    let domain = Domain::start();
    let password = domain.password.as_bytes();
    let (ldap, told) = told(domain.config());

    // By each name of a user; nested groups and the primary one.
    for name in ["ada", "ADA", r"CORP\ada", "ada@corp.example"] {
        let (name, groups) = sorted(ldap.verify(&with_domain(name), password).await.unwrap());
        assert_eq!(name, "ada");
        assert!(
            has(&groups, &["staff", "web-users", "web-full", "Domain Users"]),
            "{groups:?}"
        );
        assert!(!has(&groups, &["kiosk"]), "{groups:?}");
    }
    let (name, _) = sorted(
        ldap.verify(&with_domain("m.weber@corp.example"), password)
            .await
            .unwrap(),
    );
    assert_eq!(name, "weber", "its principal is another name");
    let (name, groups) = sorted(ldap.verify(&with_domain("jürgen"), password).await.unwrap());
    assert!(name == "jürgen" && has(&groups, &["kiosk"]), "{name}: {groups:?}");
    let (_, groups) = sorted(ldap.verify(&with_domain("many"), password).await.unwrap());
    assert!(
        groups.iter().filter(|group| group.starts_with("role-")).count() == 20,
        "{groups:?}"
    );

    // What AD says of those that it does not let in.
    for (name, word) in [
        ("locked", "the account is disabled"),
        ("expired", "the account has expired"),
        ("renew", "the password must be changed first"),
        ("nobody", "no entry below"),
        ("*", "no entry below"),
        ("ad*", "no entry below"),
    ] {
        let refused = no(ldap.verify(&login(name), password).await);
        assert!(refused.starts_with(word), "{name}: {refused}");
    }
    let refused = no(ldap.verify(&login("ada"), b"wrong").await);
    assert_eq!(refused, "the password is wrong (invalidCredentials)");
    for attempt in 0..5 {
        no(ldap
            .verify(&login("max"), format!("wrong {attempt}").as_bytes())
            .await);
    }
    let refused = no(ldap.verify(&login("max"), password).await);
    assert!(refused.starts_with("the account is locked"), "{refused}");

    // By what a ticket says.
    for principal in ["ada@CORP.EXAMPLE", "m.weber@CORP.EXAMPLE", "jürgen"] {
        let user = Ticketed::User(principal.to_owned());
        let groups = ldap.groups_of(&user).await.unwrap();
        assert!(has(&groups, &["Domain Users"]), "{principal}: {groups:?}");
    }
    let sids = ["S-1-5-32-544", "S-1-5-21-1-2-3-4", "nonsense"].map(str::to_owned);
    let named = ldap.groups_of(&Ticketed::Groups(sids.into())).await.unwrap();
    assert_eq!(named, ["Administrators"]);
    assert_eq!(told.take(), [""; 0], "no server has failed");

    other_ways(&domain).await;
    a_refusal_that_is_remembered_counts_once(&domain).await;
}

/// StartTLS, binds by template, memberOf, and what AD refuses.
async fn other_ways(domain: &Domain) {
    let password = domain.password.as_bytes();
    let (ldap, _) = told(LdapConfig {
        servers: vec![domain.url("ldap")],
        bind: BindBy::Template(Template::bind_name("{name}@corp.example").unwrap()),
        account: None,
        ..domain.config()
    });
    let (name, groups) = sorted(ldap.verify(&with_domain(r"CORP\ada"), password).await.unwrap());
    assert!(
        name == "ada" && has(&groups, &["web-full", "Domain Users"]),
        "{name}: {groups:?}"
    );
    let mut by_member_of = domain.config();
    by_member_of.groups.by = GroupsBy::MemberOf;
    let (_, groups) = sorted(
        told(by_member_of)
            .0
            .verify(&login("ada"), password)
            .await
            .unwrap(),
    );
    assert_eq!(groups, ["staff", "web-full", "web-users"]);

    let (ldap, _) = told(LdapConfig {
        servers: vec![domain.url("ldap")],
        tls: None,
        ..domain.config()
    });
    let unavailable = ldap.verify(&login("ada"), password).await.unwrap_err();
    assert!(
        unavailable.text.contains("strongerAuthRequired"),
        "{}",
        unavailable.text
    );
}

async fn a_refusal_that_is_remembered_counts_once(domain: &Domain) {
    let admission = Arc::new(Admission::new(
        AdmitConfig {
            basic: Some(BasicConfig {
                directory: DirectoryConfig::Ldap(Arc::new(domain.config())),
                limits: PasswordLimits {
                    // What stops guesses is tested elsewhere; here the memory alone does.
                    lockout_attempts: 0,
                    throttle_attempts: 0,
                    ..PasswordLimits::DEFAULT
                },
            }),
            ..AdmitConfig::default()
        },
        Arc::new(Told::default()),
    ));
    let shown = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
    let before = domain.wrong_passwords("weber").await;
    let asked: Vec<_> = (0..30)
        .map(|_| {
            let (admission, stale) = (Arc::clone(&admission), shown("weber:an old one"));
            tokio::spawn(async move { admission.judge(Some(&stale), CLIENT, None).await })
        })
        .collect();
    for asked in asked {
        let admitted = asked.await.unwrap();
        let Admitted::Challenge(challenge) = admitted else {
            panic!("{admitted:?}")
        };
        assert_eq!(challenge.why, Unproven::WrongPassword);
    }
    assert_eq!(domain.wrong_passwords("weber").await, before + 1);
    let right = shown(&format!("weber:{}", domain.password));
    let admitted = admission.judge(Some(&right), CLIENT, None).await;
    let Admitted::Known(identity) = admitted else {
        panic!("{admitted:?}")
    };
    assert!(
        identity.groups.iter().any(|group| &**group == "web-full"),
        "{identity:?}"
    );
}
