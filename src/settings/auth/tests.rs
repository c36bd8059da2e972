use crate::settings::{Settings, load};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const SECRET: &str = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";

struct Dir(tempfile::TempDir);

impl Dir {
    fn with(users: &str, groups: &str) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        fs::write(dir.path("users"), users).unwrap();
        fs::set_permissions(dir.path("users"), Permissions::from_mode(0o640)).unwrap();
        fs::write(dir.path("groups"), groups).unwrap();
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, text: &str) -> Result<Settings, Vec<String>> {
        fs::write(self.path("w.toml"), text).unwrap();
        load(Some(&self.path("w.toml")), Some(&self.path("data"))).map_err(|problems| {
            let dir = format!("{}/", self.0.path().display());
            let list = problems.list.iter();
            list.map(|problem| problem.to_string().replace(&dir, ""))
                .collect()
        })
    }
}

const RULE: &str = "[[policy.rule]]\nname = 'known'\naction = 'authenticate'\n";

#[test]
fn without_the_table_nobody_is_asked() {
    let settings = Dir::with("", "").load("").unwrap();
    assert!(settings.auth.is_none());
    assert!(!settings.asks_names());
}

#[test]
fn a_table_is_used_as_written_and_its_files_are_watched() {
    let dir = Dir::with(&format!("Ada@corp.example:{SECRET}\n"), "web-full: ada\n");
    let settings = dir.load(&format!(
        "[auth]\nrealm = 'Example'\ndomains = ['corp.example']\nnetbios = ['CORP']\non_failure = 'cached'\nfailure_cache = '2h'\ncache = '1m'\nlockout_attempts = 0\n[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n{RULE}"
    ));
    let settings = settings.unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert!(settings.asks_names());
    for file in ["users", "groups"] {
        assert!(settings.files.contains(&dir.path(file)), "{file} is watched");
    }
    let auth = settings.auth.unwrap();
    let limits = auth.basic.unwrap().limits;
    assert_eq!(limits.stale.unwrap().as_secs(), 7200);
    assert_eq!(limits.accepted.as_secs(), 60);
    assert_eq!(limits.lockout_attempts, 0);
    assert_eq!(auth.realm.to_string(), "Example");
}

#[test]
fn a_proxy_that_asks_is_no_open_one() {
    let dir = Dir::with(&format!("ada:{SECRET}\n"), "");
    let listen = "[listen]\nproxy = ['0.0.0.0:3128']\n";
    let open = dir.load(listen).unwrap().warnings;
    assert!(open[0].contains("is an open proxy"), "{open:?}");
    let asking = dir.load(&format!("{listen}[auth.basic]\nhtpasswd = 'users'\n{RULE}"));
    assert_eq!(asking.unwrap().warnings, [""; 0]);
    // Where no rule asks, that is what is told.
    let nobody = dir.load(&format!("{listen}[auth.basic]\nhtpasswd = 'users'\n"));
    let warnings = nobody.unwrap().warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("nobody is asked")),
        "{warnings:?}"
    );
}

#[test]
fn verdicts_live_longer_only_where_that_is_asked_for() {
    let dir = Dir::with(&format!("ada:{SECRET}\n"), "");
    let settings = dir.load(&format!(
        "[auth]\nfailure_cache = '2h'\n[auth.basic]\nhtpasswd = 'users'\n{RULE}"
    ));
    assert_eq!(settings.unwrap().auth.unwrap().basic.unwrap().limits.stale, None);
}

#[test]
fn every_wrong_line_of_the_files_is_told() {
    let dir = Dir::with(
        &format!("ada:{SECRET}\nbob:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n\ncarol:plain-secret\n"),
        "nobody\n",
    );
    let auth = "[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n";
    let problems = dir.load(auth).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems[0].starts_with("users:2:1: auth.basic.htpasswd: the password of \"bob\" is an unsalted")
    );
    assert!(problems[1].starts_with("users:4:1: "));
    assert!(problems.iter().all(|problem| problem.contains("htpasswd -B")));
    assert!(!problems.concat().contains("plain-secret"));
    fs::write(dir.path("users"), format!("ada:{SECRET}\n")).unwrap();
    let problems = dir.load(auth).unwrap_err();
    assert!(
        problems[0].starts_with("groups:1:1: auth.basic.groups: is no group"),
        "{problems:?}"
    );
}

#[test]
fn what_may_be_a_mistake_is_told() {
    let dir = Dir::with("", "staff: ada bob\n");
    let auth = "[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n";
    fs::set_permissions(dir.path("users"), Permissions::from_mode(0o644)).unwrap();
    let warnings = dir.load(auth).unwrap().warnings.join("\n");
    for text in [
        "may be read by everybody (mode 644): chmod 640",
        "has no users",
        "not in the password file: ada, bob",
        "nobody is asked who they are",
    ] {
        assert!(warnings.contains(text), "{text}: {warnings}");
    }
}

/// One person has one name in rules too, however it is written there.
#[test]
fn users_of_rules_are_called_what_they_are_called() {
    use crate::decide::AtAsk;
    use crate::decide::{Facts, User};
    use crate::identity::Identity;
    use crate::wire::names::Authority;
    let dir = Dir::with(&format!("ada:{SECRET}\n"), "");
    let settings = dir.load(
        "[auth]\ndomains = ['corp.example']\nnetbios = ['CORP']\n[auth.basic]\nhtpasswd = 'users'\n\
         [[policy.rule]]\nname = 'a'\nusers = ['CORP\\Ada']\naction = 'deny'\n\
         [[policy.rule]]\nname = 'b'\nalso = [{ users = ['Max@CORP.example'] }]\naction = 'deny'\n\
         [[policy.rule]]\nname = 'c'\nusers = ['x\\y\\z']\naction = 'deny'\n\
         [[policy.rule]]\nname = 'd'\ngroups = ['Web  FULL']\naction = 'deny'\n\
         [[policy.setting]]\nusers = ['CORP\\Ada']\nvia = false\n\
         [[inspect.rule]]\nname = 'i'\nusers = ['CORP\\Ada']\nkeywords = ['x']\naction = 'log'\n",
    );
    let settings = settings.unwrap();
    let warnings = settings.warnings.join("\n");
    assert!(
        warnings.contains("policy.rule \"c\": users: \"x\\\\y\\\\z\" can be nobody's name"),
        "{warnings}"
    );
    let target = Authority::parse("a.example:443", None).unwrap();
    for (name, group, rule) in [
        ("ada", "", Some("a")),
        ("max", "", Some("b")),
        ("eve", "web full", Some("d")),
        ("ada@other.example", "", None),
    ] {
        let identity = Identity {
            groups: [group.into()].into(),
            ..Identity::from(name)
        };
        let facts = Facts {
            user: User::Known(&identity),
            ..Facts::tunnel([127, 0, 0, 1].into(), &target)
        };
        let by = match settings.policy.at_ask(&facts) {
            AtAsk::Denied(verdict) => verdict.rule,
            AtAsk::Name(_) | AtAsk::Open(_) => None,
        };
        assert_eq!(by.as_deref(), rule, "{name}");
        let has_via = settings.policy.treatment(&facts).via;
        assert_eq!(has_via, name != "ada", "{name}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let dir = Dir::with("", "");
    for (text, problem) in [
        ("auth = {}", "w.toml:1:8: auth: offers no way to log in"),
        ("[auth.basic]", "w.toml:1:1: auth.basic: asks nobody"),
        (
            "[auth.basic]\nhtpasswd = 'none'",
            "w.toml:2:12: auth.basic.htpasswd: none: there is no such file",
        ),
        (
            "[auth]\nrealm = 'a\"b'\n[auth.basic]\nhtpasswd = 'users'",
            "w.toml:2:9: auth.realm: \"a\\\"b\" cannot be shown",
        ),
        (
            "[auth]\ndomains = ['a b']\n[auth.basic]\nhtpasswd = 'users'",
            "w.toml:2:12: auth.domains: \"a b\" is no domain",
        ),
        (
            "[auth]\ntimeout = '1h'\n[auth.basic]\nhtpasswd = 'users'",
            "w.toml:2:11: auth.timeout: is out of range",
        ),
        (
            "[auth]\nrelam = 'x'\n[auth.basic]\nhtpasswd = 'users'",
            "w.toml:2:1: auth.relam: unknown key; did you mean \"realm\"?",
        ),
        (
            "[auth]\non_failure = 'pass'\n[auth.basic]\nhtpasswd = 'users'",
            "w.toml:2:14: auth.on_failure: \"pass\" is not known",
        ),
    ] {
        let problems = dir.load(text).unwrap_err();
        assert!(problems[0].starts_with(problem), "{text}: {problems:#?}");
    }
}

mod negotiate {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, Engine as _};

    const NEGOTIATE: &str = "[auth.negotiate]\nkeytab = 'http.keytab'\n";

    /// The keytab of the domain in tests/tickets/.
    fn keytab() -> Vec<u8> {
        let text = include_str!("../../../tests/tickets/corp.json");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        BASE64_STANDARD.decode(json["keytab"].as_str().unwrap()).unwrap()
    }

    fn dir(keytab: &[u8], mode: u32) -> Dir {
        let dir = Dir::with(&format!("Ada@corp.example:{SECRET}\n"), "");
        fs::write(dir.path("http.keytab"), keytab).unwrap();
        fs::set_permissions(dir.path("http.keytab"), Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn a_keytab_is_enough_and_is_watched() {
        let dir = dir(&keytab(), 0o640);
        let settings = dir.load(&format!("{NEGOTIATE}{RULE}")).unwrap();
        assert_eq!(settings.warnings, [""; 0]);
        assert!(settings.files.contains(&dir.path("http.keytab")));
        let auth = settings.auth.unwrap();
        assert!(auth.basic.is_none());
        let names: Vec<_> = auth.negotiate.as_ref().unwrap().keytab.principals().collect();
        assert_eq!(
            names,
            [
                "HTTP/localhost@CORP.EXAMPLE",
                "HTTP/proxy.corp.example@CORP.EXAMPLE"
            ]
        );
    }

    #[test]
    fn the_realm_of_the_keytab_is_ours_for_passwords_too() {
        let dir = dir(&keytab(), 0o600);
        let both = format!("{NEGOTIATE}[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n{RULE}");
        fs::write(dir.path("groups"), "staff: ada\n").unwrap();
        // The group would warn of a stranger if `Ada@corp.example` were not `ada`.
        assert_eq!(dir.load(&both).unwrap().warnings, [""; 0]);
        let alone = format!("[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n{RULE}");
        assert_eq!(dir.load(&alone).unwrap().warnings.len(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_keytab_is_told() {
        let told = |keytab: &[u8]| {
            dir(keytab, 0o600)
                .load(&format!("{NEGOTIATE}{RULE}"))
                .unwrap_err()
                .join("\n")
        };
        assert!(
            told(b"no keytab")
                .contains("auth.negotiate.keytab: http.keytab: is no keytab: it does not begin with 0x0502")
        );
        // One RC4 key of HTTP/p@R.
        let rc4 = [
            &[5, 2, 0, 0, 0, 43, 0, 2, 0, 1, b'R', 0, 4][..],
            b"HTTP",
            &[0, 1, b'p', 0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 23, 0, 16],
            &[7; 16],
        ];
        assert!(told(&rc4.concat()).contains("has no AES key, only RC4; set msDS-SupportedEncryptionTypes"));
        let none = dir(&keytab(), 0o600);
        let told = |text: &str| none.load(&format!("{text}{RULE}")).unwrap_err().join("\n");
        assert!(told("[auth.negotiate]\nkeytab = 'none'\n").contains("there is no such file"));
        assert!(told("[auth.negotiate]\n").contains("auth.negotiate: has no keys"));
        assert!(told("[auth]\nrealm = 'x'\n").contains("[auth.negotiate] with keytab"));
    }

    #[test]
    fn a_keytab_for_all_to_read_and_one_without_the_name_of_a_proxy_are_warned_of() {
        let dir = dir(&keytab(), 0o644);
        let warnings = dir.load(&format!("{NEGOTIATE}{RULE}")).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("auth.negotiate.keytab"), "{warnings:?}");
        let mut other = keytab();
        while let Some(at) = other.windows(4).position(|bytes| bytes == b"HTTP") {
            other[at..at + 4].copy_from_slice(b"host");
        }
        fs::set_permissions(dir.path("http.keytab"), Permissions::from_mode(0o600)).unwrap();
        fs::write(dir.path("http.keytab"), other).unwrap();
        let warnings = dir.load(&format!("{NEGOTIATE}{RULE}")).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("has keys of host/localhost@CORP.EXAMPLE, host/proxy"),
            "{warnings:?}"
        );
    }
}

mod bearer {
    use super::*;
    use crate::admit::KeysFrom;

    const KEYS: &str = r#"{"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "oct", "kid": "b", "k": "c2VjcmV0"}
    ]}"#;
    const BEARER: &str = "[auth.bearer]\nissuer = 'https://i'\naudience = ['w']\n";

    fn dir() -> Dir {
        let dir = Dir::with("", "");
        fs::write(dir.path("keys"), KEYS).unwrap();
        fs::set_permissions(dir.path("keys"), Permissions::from_mode(0o644)).unwrap();
        dir
    }

    #[test]
    fn an_issuer_with_its_keys_is_enough() {
        let dir = dir();
        let settings = dir.load(&format!("{BEARER}jwks = 'keys'\n{RULE}")).unwrap();
        assert!(settings.files.contains(&dir.path("keys")), "it is watched");
        assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
        assert!(settings.warnings[0].ends_with("key 2: is a secret, and no public key: it is not used"));
        let bearer = settings.auth.unwrap().bearer.unwrap();
        assert_eq!(bearer.algorithms.len(), 10);
        assert_eq!((&*bearer.name_claim, bearer.groups_claim), ("sub", None));
        assert_eq!(bearer.leeway.as_secs(), 60);
    }

    #[test]
    fn keys_at_an_address_are_fetched_as_is_written() {
        let settings = dir().load(&format!(
            "{BEARER}jwks_url = 'https://i/keys'\nalgorithms = ['ES256', 'EdDSA']\nleeway = '10s'\nname_claim = 'upn'\n\
             groups_claim = 'realm_access.roles'\ntimeout = '2s'\nrefresh = '10m'\nmax_age = '3h'\nretry_after = '1m'\n{RULE}"
        ));
        let bearer = settings.unwrap().auth.unwrap().bearer.unwrap();
        let KeysFrom::Url(from) = &bearer.keys else {
            panic!("{bearer:?}");
        };
        assert_eq!(from.url.to_string(), "https://i/keys");
        let seconds = [from.timeout, from.refresh, from.max_age, from.retry_after].map(|time| time.as_secs());
        assert_eq!(seconds, [2, 600, 10800, 60]);
        assert_eq!(bearer.algorithms.len(), 2);
        assert_eq!(bearer.name_claim, "upn");
        assert_eq!(bearer.groups_claim.as_deref(), Some("realm_access.roles"));
        // Or where the issuer says that they are.
        let settings = dir().load(&format!("{BEARER}{RULE}")).unwrap();
        let bearer = settings.auth.unwrap().bearer.unwrap();
        let KeysFrom::Url(from) = &bearer.keys else {
            panic!("{bearer:?}");
        };
        assert_eq!(from.url.to_string(), "https://i/.well-known/openid-configuration");
        assert_eq!(from.described.as_deref(), Some("https://i"));
    }

    #[test]
    fn a_file_that_others_may_write_is_warned_of() {
        let dir = dir();
        fs::set_permissions(dir.path("keys"), Permissions::from_mode(0o664)).unwrap();
        let warnings = dir
            .load(&format!("{BEARER}jwks = 'keys'\n{RULE}"))
            .unwrap()
            .warnings;
        assert!(
            warnings[0].contains("may be written by its group (mode 664)"),
            "{warnings:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let dir = dir();
        fs::write(dir.path("none"), r#"{"keys": []}"#).unwrap();
        for (text, problem) in [
            (
                "[auth.bearer]",
                "w.toml:1:1: auth.bearer: names nobody who issues",
            ),
            (
                "[auth.bearer]\nissuer = 'i'",
                "w.toml:1:1: auth.bearer.audience: nothing says for whom",
            ),
            (
                "[auth.bearer]\nissuer = 'i'\naudience = []",
                "w.toml:3:12: auth.bearer.audience: nothing says for whom",
            ),
            (
                "[auth.bearer]\nissuer = 'i'\naudience = ['wsbump']",
                "w.toml:1:1: auth.bearer: has no keys to verify tokens by, and the issuer is no https:// address",
            ),
            (
                &format!("{BEARER}jwks_url = 'http://i/keys'"),
                "w.toml:4:12: auth.bearer.jwks_url: \"http://i/keys\" is not encrypted",
            ),
            (
                &format!("{BEARER}jwks = 'keys'\njwks_url = 'https://i/keys'"),
                "w.toml:4:8: auth.bearer.jwks: is there beside jwks_url",
            ),
            (
                &format!("{BEARER}jwks = 'keys'\nca = 'keys'"),
                "w.toml:5:6: auth.bearer.ca: verifies nobody",
            ),
            (
                &format!("{BEARER}jwks = 'none'"),
                "w.toml:4:8: auth.bearer.jwks: none: has no key",
            ),
            (
                &format!("{BEARER}jwks = 'keys'\nalgorithms = ['HS256']"),
                "w.toml:5:15: auth.bearer.algorithms: \"HS256\" lets whoever can read the keys write tokens; known here: RS256",
            ),
            (
                &format!("{BEARER}jwks = 'keys'\nalgorithms = []"),
                "w.toml:5:14: auth.bearer.algorithms: lets no token be signed",
            ),
            (
                &format!("{BEARER}jwks_url = 'https://i/keys'\nmax_age = '1m'"),
                "w.toml:5:11: auth.bearer.max_age: is not longer than refresh",
            ),
            (
                &format!("{BEARER}jwks = 'keys'\nleeway = '1h'"),
                "w.toml:5:10: auth.bearer.leeway: is out of range",
            ),
        ] {
            let problems = dir.load(text).unwrap_err();
            assert!(problems[0].starts_with(problem), "{text}: {problems:#?}");
            assert_eq!(problems.len(), 1, "{problems:#?}");
        }
    }
}

mod certificate {
    use super::*;
    use crate::handshake::NamedBy;
    use crate::tls::testing::Identity;

    const CERTIFICATE: &str = "[listen]\ntls = ['127.0.0.1:0']\n[auth.certificate]\nca = 'ca.pem'\n";

    fn dir() -> Dir {
        let dir = Dir::with("", "");
        let root = Identity::new(&[]).root;
        let pem = rustls_pki_types::CertificateDer::from(root.to_vec());
        let text = {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.encode(&pem)
        };
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        fs::write(dir.path("ca.pem"), pem).unwrap();
        dir
    }

    #[test]
    fn an_authority_is_enough_and_is_watched() {
        let dir = dir();
        let settings = dir.load(&format!("{CERTIFICATE}{RULE}")).unwrap();
        assert_eq!(settings.warnings, [""; 0]);
        assert!(settings.files.contains(&dir.path("ca.pem")));
        let certificate = settings.auth.unwrap().certificate.unwrap();
        assert_eq!(certificate.name, NamedBy::SubjectCn);
        assert_eq!(
            (certificate.tls.roots.len(), certificate.tls.required),
            (1, false)
        );
        assert!(certificate.asks_at("tls") && certificate.asks_at("lan"));
        let settings = dir.load(&format!(
            "{CERTIFICATE}name = 'san_email'\nrequired = true\nlisteners = ['tls']\n{RULE}"
        ));
        let certificate = settings.unwrap().auth.unwrap().certificate.unwrap();
        assert_eq!(certificate.name, NamedBy::SanEmail);
        assert!(certificate.tls.required && certificate.asks_at("tls") && !certificate.asks_at("lan"));
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_is_left_out() {
        let dir = dir();
        fs::write(dir.path("bad.pem"), "nothing").unwrap();
        for (text, problem) in [
            (
                "[auth.certificate]",
                "w.toml:1:1: auth.certificate: verifies nobody",
            ),
            (
                "[auth.certificate]\nca = 'none'",
                "w.toml:2:6: auth.certificate.ca: none: there is no such file",
            ),
            (
                "[auth.certificate]\nca = 'bad.pem'",
                "w.toml:2:6: auth.certificate.ca: bad.pem holds no certificate",
            ),
            (
                &format!("{CERTIFICATE}crls = ['bad.pem']"),
                "w.toml:5:9: auth.certificate.crls: bad.pem: holds no CRL",
            ),
            (
                &format!("{CERTIFICATE}name = 'cn'"),
                "w.toml:5:8: auth.certificate.name: \"cn\" is not known",
            ),
            (
                &format!("{CERTIFICATE}listeners = ['proxy']"),
                "w.toml:5:14: auth.certificate.listeners: \"proxy\" is no listener that speaks TLS; those are: \"tls\"",
            ),
        ] {
            let problems = dir.load(text).unwrap_err();
            assert!(problems[0].starts_with(problem), "{text}: {problems:#?}");
            assert_eq!(problems.len(), 1, "{problems:#?}");
        }
        let nobody = dir.load(&format!("[auth.certificate]\nca = 'ca.pem'\n{RULE}"));
        let warnings = nobody.unwrap().warnings;
        assert!(warnings[0].contains("no listener speaks TLS"), "{warnings:?}");
    }
}

mod address {
    use super::*;

    #[test]
    fn an_address_may_be_its_users_for_a_time() {
        let dir = Dir::with(&format!("ada:{SECRET}\n"), "");
        let basic = "[auth.basic]\nhtpasswd = 'users'\n";
        let settings = dir.load(&format!("{basic}{RULE}")).unwrap();
        assert_eq!(settings.auth.unwrap().address, None, "off by default");
        let settings = dir.load(&format!(
            "{basic}[auth.address]\nfor = '8h'\nexcept = ['10.9.0.0/16', '10.0.0.1']\nentries = 5\n{RULE}"
        ));
        let address = settings.unwrap().auth.unwrap().address.unwrap();
        assert_eq!((address.time.as_secs(), address.entries), (8 * 3600, 5));
        assert_eq!(address.except.len(), 2);
        for (text, problem) in [
            (
                &*format!("{basic}[auth.address]"),
                "w.toml:3:1: auth.address: does not say for how long",
            ),
            (
                &format!("{basic}[auth.address]\nfor = '30d'"),
                "w.toml:4:7: auth.address.for: is out of range",
            ),
            (
                &format!("{basic}[auth.address]\nfor = '8h'\nexcept = ['10.9.0.1/16']"),
                "w.toml:5:11: auth.address.except: \"10.9.0.1/16\" has bits set",
            ),
        ] {
            let problems = dir.load(text).unwrap_err();
            assert!(problems[0].starts_with(problem), "{text}: {problems:#?}");
        }
        let alone = dir.load("[auth.address]\nfor = '8h'").unwrap_err();
        assert!(
            alone[0].contains("offers no way to log in") || alone[0].contains("there are none"),
            "{alone:?}"
        );
    }
}
