use crate::admit::{BindBy, DirectoryConfig, GroupsBy, LdapConfig};
use crate::settings::{Settings, load};
use crate::tls::testing::Identity;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const RULE: &str = "[[policy.rule]]\nname = 'known'\naction = 'authenticate'\n";
const AD: &str = "[auth.ldap]\nurls = ['ldaps://dc1.corp.example', 'ldap://dc2.corp.example']\nca = 'ca.pem'\n\
                  base = 'dc=corp,dc=example'\nbind_dn = 'cn=wsbump'\nbind_password_file = 'password'\ngroups = 'ad'\n";

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        let identity = Identity::new(&["dc1.corp.example"]);
        let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &identity.root);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
        fs::write(dir.path("ca.pem"), pem).unwrap();
        fs::write(dir.path("empty"), "\n").unwrap();
        fs::write(dir.path("password"), "secret word\r\n").unwrap();
        for file in ["password", "empty"] {
            fs::set_permissions(dir.path(file), Permissions::from_mode(0o600)).unwrap();
        }
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, text: &str) -> Result<Settings, Vec<String>> {
        fs::write(self.path("w.toml"), format!("{text}{RULE}")).unwrap();
        load(Some(&self.path("w.toml")), Some(&self.path("data"))).map_err(|problems| {
            let dir = format!("{}/", self.0.path().display());
            let list = problems.list.iter();
            list.map(|problem| problem.to_string().replace(&dir, ""))
                .collect()
        })
    }
}

fn directory(settings: &Settings) -> Arc<LdapConfig> {
    let basic = settings.auth.as_ref().unwrap().basic.as_ref().unwrap();
    match &basic.directory {
        DirectoryConfig::Ldap(config) => Arc::clone(config),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_is_used_as_written_and_its_files_are_watched() {
    let dir = Dir::new();
    let settings = dir.load(&format!(
        "[auth]\ntimeout = '20s'\n{AD}search_timeout = '4s'\nretry_after = '30s'\n"
    ));
    let settings = settings.unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    for file in ["ca.pem", "password"] {
        assert!(settings.files.contains(&dir.path(file)), "{file} is watched");
    }
    let config = directory(&settings);
    let servers: Vec<_> = config.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        servers,
        ["ldaps://dc1.corp.example:636", "ldap://dc2.corp.example:389"]
    );
    assert!(config.tls.is_some(), "both are verified");
    assert_eq!(config.account.as_ref().unwrap().password.0, "secret word");
    assert_eq!(
        (&config.bind, &config.groups.by),
        (&BindBy::Search, &GroupsBy::Ad)
    );
    let users = config.users.as_ref().unwrap();
    assert_eq!(
        (users.base.as_str(), users.name.as_str()),
        ("dc=corp,dc=example", "sAMAccountName")
    );
    assert_eq!(config.groups.base, "dc=corp,dc=example");
    assert_eq!(config.limits.search, Duration::from_secs(4));
    assert_eq!(config.limits.whole, Duration::from_secs(19));
    assert_eq!(config.rest, Duration::from_secs(30));
    assert!(!format!("{config:?}").contains("secret word"));

    // The same files make the same directory: a reload keeps it.
    assert_eq!(
        directory(
            &dir.load(&format!(
                "[auth]\ntimeout = '20s'\n{AD}search_timeout = '4s'\nretry_after = '30s'\n"
            ))
            .unwrap()
        ),
        config
    );
}

#[test]
fn a_template_is_enough_for_openldap() {
    let dir = Dir::new();
    let settings = dir.load(
        "[auth.ldap]\nurls = ['ldap://127.0.0.1']\nca = 'ca.pem'\nuser_dn = 'uid={name},ou=people,dc=example'\n\
         groups = 'search'\ngroup_base = 'ou=groups,dc=example'\n",
    );
    let settings = settings.unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    let config = directory(&settings);
    assert!(matches!(config.bind, BindBy::Template(_)) && config.users.is_none() && config.account.is_none());
    assert!(matches!(config.groups.by, GroupsBy::Search(_)));
}

#[test]
fn an_unencrypted_directory_and_an_anonymous_search_are_warned_of() {
    let dir = Dir::new();
    let settings = dir.load("[auth.ldap]\nurls = ['ldap://127.0.0.1']\nplain = true\nbase = 'dc=example'\n");
    let settings = settings.unwrap();
    assert!(directory(&settings).tls.is_none());
    for word in [
        "auth.ldap.plain: passwords go to the directory unencrypted",
        "auth.ldap.bind_dn: is missing",
    ] {
        assert!(
            settings.warnings.iter().any(|warning| warning.contains(word)),
            "{:?}",
            settings.warnings
        );
    }
    assert_eq!(settings.warnings.len(), 2);
}

#[test]
fn a_password_comes_from_the_environment_too() {
    let dir = Dir::new();
    let with = |variable: &str| {
        dir.load(&format!(
            "[auth.ldap]\nurls = ['ldaps://dc1']\nca = 'ca.pem'\nbase = 'dc=example'\nbind_dn = 'cn=a'\nbind_password_env = '{variable}'\n"
        ))
    };
    // Whatever is set on every machine.
    let config = directory(&with("PATH").unwrap());
    assert_eq!(
        config.account.as_ref().unwrap().password.0,
        std::env::var("PATH").unwrap()
    );
    let problems = with("WSBUMP_NOT_SET_ANYWHERE").unwrap_err();
    assert!(
        problems[0].contains("auth.ldap.bind_password_env: the environment variable"),
        "{problems:?}"
    );
}

#[test]
fn what_cannot_work_is_told_with_advice() {
    let dir = Dir::new();
    let usual = "urls = ['ldaps://dc1']\nca = 'ca.pem'\nbase = 'dc=example'\nbind_dn = 'cn=a'\nbind_password_file = 'password'\n";
    for (change, expected) in [
        ("", "auth.ldap.urls: names no server"),
        (
            "urls = []\nbase = 'dc=example'",
            "auth.ldap.urls: names no server",
        ),
        (
            "urls = ['dc1']\nbase = 'dc=example'",
            "write ldaps://HOST or ldap://HOST",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'",
            "auth.ldap.base: is missing: nothing says how to find users",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'\nuser_dn = '{name}@corp.example'\nfilter = '(cn={name})'",
            "auth.ldap.filter: has no entry",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'\nuser_dn = '{name}@corp.example'\ngroups = 'member_of'",
            "auth.ldap.groups: needs an entry",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'\nuser_dn = 'uid={name}'\ngroups = 'search'",
            "auth.ldap.groups: needs an entry",
        ),
        (
            "+filter = '(uid={user})'",
            "auth.ldap.filter: \"(uid={user})\" has a place that is not known",
        ),
        ("+filter = '(uid={name}'", "is no search filter"),
        (
            "+group_filter = '(cn=x)'",
            "auth.ldap.group_filter: \"(cn=x)\" finds the same for everybody",
        ),
        ("+name_attribute = 'a b'", "is no name of an attribute"),
        (
            "+bind_timeout = '11s'",
            "auth.ldap.bind_timeout: is more than auth.timeout",
        ),
        ("+bind_timeout = '1ms'", "auth.ldap.bind_timeout: is out of range"),
        (
            "+bind_password_env = 'PATH'",
            "auth.ldap.bind_password_env: is there beside",
        ),
        (
            "+plain = true",
            "auth.ldap.plain: is for ldap:// servers, and ldaps://dc1:636 is none",
        ),
        (
            "urls = ['ldap://dc1']\nplain = true\nca = 'ca.pem'\nbase = 'dc=example'",
            "auth.ldap.ca: verifies nobody",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'password'\nbase = 'dc=example'",
            "holds no certificate",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'\nbase = 'dc=example'\nbind_dn = 'cn=a'",
            "auth.ldap.bind_dn: has no password",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'\nbase = 'dc=example'\nbind_password_file = 'password'",
            "is of nobody",
        ),
        (
            "urls = ['ldaps://dc1']\nca = 'ca.pem'\nbase = 'dc=example'\nbind_dn = 'cn=a'\nbind_password_file = 'empty'",
            "is empty: that is no password",
        ),
        ("+password = 'x'", "auth.ldap.password: unknown key"),
    ] {
        let text = match change.strip_prefix('+') {
            Some(more) => format!("[auth.ldap]\n{usual}{more}\n"),
            None => format!("[auth.ldap]\n{change}\n"),
        };
        let problems = dir.load(&text).unwrap_err();
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{text}: {problems:#?}"
        );
        assert!(!problems.concat().contains("secret word"));
    }
}

#[test]
fn a_directory_and_a_file_are_one_too_many() {
    let dir = Dir::new();
    fs::write(dir.path("users"), "").unwrap();
    let problems = dir
        .load(&format!("[auth.basic]\nhtpasswd = 'users'\n{AD}"))
        .unwrap_err();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("beside [auth.ldap]")),
        "{problems:#?}"
    );
}
