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
