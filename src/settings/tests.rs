mod pages;
mod wrong;

use super::file::{File, known_keys, notes_on};
use super::lists::ListTable;
use super::problem::Diagnostics;
use super::reader::Section;
use super::reload::ConfigSource;
use super::*;
use crate::decide::{AtAsk, Facts, OtherUpgrade};
use crate::handshake::ListenerTls;
use crate::handshake::ca::Ca;
use crate::report::admin::{AdminAddress, ConsoleRole};
use crate::report::{AccessLog, AuditConfig, RecordConfig};
use crate::settings::testing::deaf;
use crate::wire::names::Authority;
use http::HeaderName;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A directory with a good CA (`ca.pem`, `ca.key`), another one (`other.*`) and whatever a test writes.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["ca", "other"] {
            let (ca, key) = Ca::generate(name).unwrap();
            fs::write(dir.path().join(format!("{name}.pem")), ca.pem()).unwrap();
            let path = dir.path().join(format!("{name}.key"));
            fs::write(&path, &key).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn load(&self, text: &str) -> Result<Settings, Problems> {
        self.write("w.toml", text);
        load(Some(&self.path("w.toml")), Some(&self.path("data")))
    }

    /// The problems, a line each, without the directory.
    fn problems(&self, text: &str) -> Vec<String> {
        let text = self.load(text).expect_err(text).to_string();
        let dir = format!("{}/", self.0.path().display());
        let mut problems: Vec<String> = Vec::new();
        for line in text.lines().map(|line| line.replace(&dir, "")) {
            match problems.last_mut() {
                // What belongs to a problem is set in.
                Some(last) if line.starts_with("    ") => last.push_str(&format!("\n{line}")),
                _ => problems.push(line),
            }
        }
        problems
    }

    /// The only problem: it stands at `place`, and says `what`.
    #[track_caller]
    fn refuses(&self, text: &str, place: &str, what: &str) {
        let problems = self.problems(text);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(
            problems[0].starts_with(&format!("{place}: ")),
            "wanted {place}: {}",
            problems[0]
        );
        assert!(problems[0].contains(what), "wanted {what:?}: {}", problems[0]);
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let dir = Dir::new();
    let settings = dir.load("").unwrap();
    assert_eq!(settings.listen.proxy, ["127.0.0.1:3128".parse().unwrap()]);
    assert_eq!(
        settings.listen.admin,
        [AdminAddress::Tcp("127.0.0.1:9128".parse().unwrap())]
    );
    assert_eq!(settings.report.access, AccessLog::Stdout);
    assert_eq!(settings.report.audit, AuditConfig::default());
    assert_eq!(settings.level, "info");
    assert_eq!(settings.warnings, [""; 0]);
    assert!(settings.ca.ca().is_none());
    assert!(!dir.path("data").exists(), "loading makes nothing");
}

#[test]
fn a_full_configuration_is_used_as_written() {
    let dir = Dir::new();
    dir.write(
        "wslist",
        "# Slack\n^wss-(backup|primary|mobile)\\.slack\\.com:443$\n",
    );
    let settings = dir
        .load(
            r#"
            listen = { proxy = ["127.0.0.2:0", "[::1]:0"], admin = [] }
            ca = { cert = "ca.pem", key = "ca.key" }
            origin = { system_roots = false, extra_roots = ["other.pem"], via = false }
            network = { allow = ["127.0.0.0/8", "::1"], deny = ["127.0.0.9"] }
            log = { access = "access.log", level = "warn,wsbump=debug" }
            [[list]]
            name = "wslist"
            file = "wslist"
            [policy]
            splice = ["wslist"]
            without_via = ["wslist"]
            other_upgrades = "tunnel"
            [timeouts]
            drain = "1m30s"
            [limits]
            connections = 0x10
            "#,
        )
        .unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert_eq!(settings.listen.proxy.len(), 2);
    assert_eq!(settings.listen.admin, []);
    assert_eq!(settings.report.access, AccessLog::File(dir.path("access.log")));
    assert_eq!(settings.ca.cert_path(), dir.path("ca.pem"));
    assert_eq!(settings.timeouts.drain, Duration::from_secs(90));
    assert!(settings.reach.check("127.0.0.1".parse().unwrap()).is_ok());
    assert!(settings.reach.check("127.0.0.9".parse().unwrap()).is_err());
    let slack = Authority::parse("wss-primary.slack.com:443", None).unwrap();
    let slack = Facts::tunnel([127, 0, 0, 1].into(), &slack);
    assert!(settings.policy.explain(&slack).to_string().contains("wslist"));
    let files: Vec<_> = ["w.toml", "wslist", "other.pem", "ca.pem", "ca.key"]
        .map(|f| dir.path(f))
        .into();
    for file in &files {
        assert!(settings.files.contains(file), "{file:?} is watched");
    }
    let (live, _) = settings.live(None, &deaf()).unwrap();
    assert_eq!(live.limits.connections, 16);
    assert!(!live.policy.usual_treatment().via);
}

#[test]
fn a_deny_list_is_one_of_the_configuration() {
    let dir = Dir::new();
    dir.write("bad", ".bad.example\n");
    let config = "[[list]]\nname = 'bad'\nfile = 'bad'\nformat = 'domains'\n[policy]\ndeny = ['bad']\n";
    let settings = dir.load(config).unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    // Its matches are counted from zero on, and a change of its file is noticed.
    assert_eq!(settings.report.lists, ["bad"]);
    assert!(settings.files.contains(&dir.path("bad")));
    let (live, _) = settings.live(None, &deaf()).unwrap();
    let denies = |target: &str| {
        let target = Authority::parse(target, None).unwrap();
        let facts = Facts::tunnel([127, 0, 0, 1].into(), &target);
        matches!(live.policy.at_ask(&facts), AtAsk::Denied(_))
    };
    assert!(denies("a.bad.example:80"));
    assert!(!denies("good.example:80"));
    for key in ["deny", "without_via"] {
        dir.refuses(
            &config.replace("deny = ['bad']", &format!("{key} = ['bda']")),
            &format!("w.toml:6:{}: policy.{key}", key.len() + 5),
            "there is no list named \"bda\"; did you mean \"bad\"?",
        );
    }
}

#[test]
fn one_file_may_hold_certificate_and_key() {
    let dir = Dir::new();
    let both = [
        fs::read(dir.path("ca.key")).unwrap(),
        fs::read(dir.path("ca.pem")).unwrap(),
    ]
    .concat();
    dir.write("both.pem", both);
    fs::set_permissions(dir.path("both.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let settings = dir.load("ca.cert = 'both.pem'").unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert!(settings.ca.ca().is_some());
}

#[test]
fn every_problem_of_the_file_is_said_at_once() {
    let dir = Dir::new();
    dir.write("bad", "good\\.example\n(unclosed\n\n[z-a]\n");
    let problems = dir.problems(
        "[listen]\nprxy = ['127.0.0.1:1']\nproxy = ['nowhere']\n[timeouts]\npeek = 5\ndial = 'soon'\n\
         [[list]]\nname = 'bad'\nfile = 'bad'\n[policy]\nsplice = ['bda']\n[ca]\ncert = 'none.pem'\n",
    );
    let places: Vec<_> = problems
        .iter()
        .map(|p| p.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": "))
        .collect();
    assert_eq!(
        places,
        [
            "w.toml:2:1: listen.prxy",
            "w.toml:3:10: listen.proxy",
            "w.toml:5:8: timeouts.peek",
            "w.toml:6:8: timeouts.dial",
            "w.toml:11:11: policy.splice",
            "w.toml:13:8: ca.cert",
            "bad:2:1: list bad",
            "bad:4:1: list bad",
        ],
        "{problems:#?}"
    );
    assert!(
        problems[0].ends_with("unknown key; did you mean \"proxy\"?"),
        "{}",
        problems[0]
    );
    assert!(problems[2].contains("\"5s\""), "{}", problems[2]);
    assert!(problems[4].contains("did you mean \"bad\"?"), "{}", problems[4]);
    assert!(problems[6].contains("(unclosed"), "{}", problems[6]);
}

#[test]
fn syntax_errors_have_their_line() {
    let dir = Dir::new();
    let problems = dir.problems("[listen]\nproxy = [\"127.0.0.1:1\"\n[log]\n");
    assert!(problems[0].starts_with("w.toml:3:1: not TOML"), "{problems:#?}");
    let problems = dir.problems("[log]\nlevel = info\n");
    assert!(
        problems[0].starts_with("w.toml:2:9: log.level: not TOML"),
        "{problems:#?}"
    );
    let problems = dir.problems("[log]\nlevel = 'info'\nlevel = 'warn'\n");
    assert_eq!(
        problems,
        ["w.toml:3:1: log.level: is written at line 2 already; leave one of them out"]
    );
}

#[test]
fn unknown_keys_and_tables_are_refused() {
    let dir = Dir::new();
    dir.refuses("[lisen]\n", "w.toml:1:2: lisen", "did you mean \"listen\"?");
    dir.refuses("proxy = []\n", "w.toml:1:1: proxy", "belongs under [listen]");
    dir.refuses(
        "[policy]\n\npeek = '5s'\n",
        "w.toml:3:1: policy.peek",
        "belongs under [timeouts]",
    );
    dir.refuses(
        "[origin]\nxyzzy = 1\n",
        "w.toml:2:1: origin.xyzzy",
        "known here: system_roots, extra_roots",
    );
    dir.refuses(
        "[timeouts]\nhandshak = '5s'",
        "w.toml:2:1: timeouts.handshak",
        "\"handshake\"",
    );
}

#[test]
fn wrong_types_are_refused() {
    let dir = Dir::new();
    dir.refuses("listen = 3\n", "w.toml:1:10: listen", "write a table: [listen]");
    dir.refuses(
        "[listen]\nproxy = '127.0.0.1:1'",
        "w.toml:2:9: listen.proxy",
        "[\"127.0.0.1:1\"]",
    );
    dir.refuses(
        "[listen]\nproxy = [3128]",
        "w.toml:2:10: listen.proxy",
        "write the address too: 127.0.0.1:3128",
    );
    dir.refuses(
        "[listen]\nadmin = 9128",
        "w.toml:2:9: listen.admin",
        "write a list",
    );
    dir.refuses(
        "[origin]\nvia = 'yes'",
        "w.toml:2:7: origin.via",
        "true or false, without quotes",
    );
    dir.refuses(
        "[limits]\nconnections = '10'",
        "w.toml:2:15: limits.connections",
        "without quotes",
    );
    dir.refuses(
        "[limits]\nconnections = 0",
        "w.toml:2:15: limits.connections",
        "from 1 to",
    );
    dir.refuses(
        "[limits]\nconnections = -1",
        "w.toml:2:15: limits.connections",
        "out of range",
    );
    dir.refuses(
        "[limits]\nheader_bytes = 99999999999",
        "w.toml:2:16: limits.header_bytes",
        "out of range",
    );
    dir.refuses("[log]\nlevel = 'inof'", "w.toml:2:9: log.level", "\"info\"");
    dir.refuses("[log]\nlevel = 5", "w.toml:2:9: log.level", "\"info\"");
    dir.refuses("[log]\naccess = ''", "w.toml:2:10: log.access", "is empty");
    dir.refuses(
        "[log]\naccess = 'nodir/x.log'",
        "w.toml:2:10: log.access",
        "nodir",
    );
    dir.refuses(
        "[policy]\nother_upgrades = 'drop'",
        "w.toml:2:18: policy.other_upgrades",
        "\"strip\" or",
    );
    dir.refuses(
        "[timeouts]\npeek = '5 s'",
        "w.toml:2:8: timeouts.peek",
        "unknown unit",
    );
    dir.refuses(
        "[timeouts]\ndrain = '0s'",
        "w.toml:2:9: timeouts.drain",
        "no time at all",
    );
}

#[test]
fn wrong_addresses_are_refused_with_the_right_ones() {
    let dir = Dir::new();
    for (written, right) in [
        ("3128", "127.0.0.1:3128"),
        (":3128", "0.0.0.0:3128"),
        ("*:3128", "127.0.0.1:3128 for this machine only"),
        ("localhost:3128", "write 127.0.0.1:3128"),
        ("127.0.0.1", "127.0.0.1:3128"),
        ("::1", "[::1]:3128"),
        ("127.0.0.1:99999", "the last port is 65535"),
    ] {
        let text = format!("[listen]\nproxy = ['{written}']");
        dir.refuses(&text, "w.toml:2:10: listen.proxy", right);
    }
    dir.refuses(
        "[listen]\nproxy = []",
        "w.toml:2:9: listen.proxy",
        "nothing to listen on",
    );
    dir.refuses(
        "[listen]\nproxy = ['127.0.0.1:1']\nadmin = ['127.0.0.1:1']",
        "w.toml:3:10: listen.admin",
        "twice",
    );
    dir.refuses(
        "[network]\nallow = ['10.0.0.0/33']",
        "w.toml:2:10: network.allow",
        "is not a network",
    );
    dir.refuses(
        "[network]\ndeny = ['fd00::/8', 'intranet']",
        "w.toml:2:21: network.deny",
        "is not a network",
    );
    dir.refuses(
        "[network]\ndeny = ['10.1.2.3/8']",
        "w.toml:2:9: network.deny",
        "write 10.0.0.0/8",
    );
}

#[test]
fn wrong_lists_are_refused() {
    let dir = Dir::new();
    dir.write("l", "^x:\n").write("latin1", [b'a', 0xE9, b'\n']);
    let list = |name: &str, file: &str| format!("[[list]]\nname = '{name}'\nfile = '{file}'\n");
    dir.refuses(
        &list("l", "gone"),
        "w.toml:3:8: list.file",
        "gone: there is no such file",
    );
    dir.refuses(&list("l", "."), "w.toml:3:8: list.file", "is a directory");
    dir.refuses(&list("l", "latin1"), "latin1:1:2: list l", "UTF-8");
    dir.refuses(&list("a b", "l"), "w.toml:2:8: list.name", "letters");
    dir.refuses(
        &(list("l", "l") + &list("l", "l")),
        "w.toml:5:8: list.name",
        "line 2 too",
    );
    dir.refuses("[list]\nname = 'l'\n", "w.toml:1:1: list", "[[list]]");
    dir.refuses("[[list]]\nname = 'l'\n", "w.toml:1:1: list.file", "is missing");
    dir.refuses("[[list]]\nfile = 'l'\n", "w.toml:1:1: list.name", "is missing");
    dir.refuses(
        &(list("l", "l") + "format = 'regex'\n"),
        "w.toml:4:10: list.format",
        "\"url_regex\"",
    );
    dir.refuses(
        &(list("l", "l") + "fromat = 'domains'\n"),
        "w.toml:4:1: list.fromat",
        "\"format\"",
    );
    dir.refuses(
        "[policy]\nsplice = ['l']\n",
        "w.toml:2:11: policy.splice",
        "name = \"l\"",
    );
    dir.refuses(
        "[policy]\nallow_invalid_certificate = ['', ]\n",
        "w.toml:2:30: policy.allow_invalid_certificate",
        "empty",
    );
    // The list is wrong, and that is all: its name is known.
    dir.refuses(
        &(list("l", "gone") + "[policy]\nsplice = ['l']\n"),
        "w.toml:3:8: list.file",
        "gone",
    );
}

#[test]
fn wrong_certificates_are_refused() {
    let dir = Dir::new();
    dir.write("junk.pem", "junk\n");
    dir.refuses(
        "[ca]\ncert = 'gone.pem'",
        "w.toml:2:8: ca.cert",
        "gone.pem: there is no such file",
    );
    dir.refuses(
        "[ca]\ncert = 'ca.pem'\nkey = 'gone.key'",
        "w.toml:3:7: ca.key",
        "gone.key",
    );
    dir.refuses("[ca]\nkey = 'ca.key'", "w.toml:2:7: ca.key", "ca.cert");
    dir.refuses(
        "[ca]\ncert = 'junk.pem'\nkey = 'ca.key'",
        "w.toml:2:8: ca.cert",
        "junk.pem",
    );
    dir.refuses(
        "[ca]\ncert = 'ca.pem'\nkey = 'junk.pem'",
        "w.toml:3:7: ca.key",
        "junk.pem",
    );
    dir.refuses(
        "[ca]\ncert = 'ca.pem'\nkey = 'other.key'",
        "w.toml:3:7: ca.key",
        "does not belong to",
    );
    dir.refuses("[ca]\ncert = 'ca.pem'", "w.toml:2:8: ca.cert", "ca.key");
    dir.refuses(
        "[origin]\nextra_roots = ['gone']",
        "w.toml:2:16: origin.extra_roots",
        "gone: there is no",
    );
    dir.refuses(
        "[origin]\nextra_roots = ['junk.pem']",
        "w.toml:2:16: origin.extra_roots",
        "no certificate",
    );
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    dir.write("bad.pem", bad);
    dir.refuses(
        "[origin]\nextra_roots = ['bad.pem']",
        "w.toml:2:16: origin.extra_roots",
        "bad.pem",
    );
}

#[test]
fn files_that_may_not_be_read_are_named() {
    if rustix::process::geteuid().is_root() {
        // Root reads everything; a directory in a file's place fails for everyone.
        let dir = Dir::new();
        fs::create_dir(dir.path("d")).unwrap();
        dir.refuses(
            "[ca]\ncert = 'ca.pem'\nkey = 'd'",
            "w.toml:3:7: ca.key",
            "is a directory",
        );
        return;
    }
    let dir = Dir::new();
    fs::set_permissions(dir.path("ca.key"), fs::Permissions::from_mode(0o000)).unwrap();
    dir.refuses(
        "[ca]\ncert = 'ca.pem'\nkey = 'ca.key'",
        "w.toml:3:7: ca.key",
        "may not be read",
    );
}

#[test]
fn a_broken_data_directory_is_named_and_left_alone() {
    let dir = Dir::new();
    fs::create_dir(dir.path("data")).unwrap();
    fs::copy(dir.path("ca.pem"), dir.path("data/ca.pem")).unwrap();
    fs::copy(dir.path("other.key"), dir.path("data/ca.key")).unwrap();
    dir.refuses("", "data/ca.pem: ca", "does not belong to");
    fs::remove_file(dir.path("data/ca.key")).unwrap();
    dir.refuses("", "data/ca.pem: ca", "ca.key");
    // A first start that was cut short left a key alone; the next start completes it.
    fs::rename(dir.path("data/ca.pem"), dir.path("data/ca.key")).unwrap();
    assert!(dir.load("").unwrap().ca.ca().is_none());
    let error = load(None, None).unwrap_err().to_string();
    assert!(error.contains("--data-dir"), "{error}");
}

#[test]
fn missing_and_binary_files_are_named() {
    let dir = Dir::new();
    let gone = load(Some(&dir.path("gone.toml")), None).unwrap_err();
    assert!(gone.to_string().ends_with("gone.toml: there is no such file"));
    assert_eq!(gone.files, [dir.path("gone.toml")]);
    dir.write("w.toml", b"[log]\n\xFF");
    let binary = load(Some(&dir.path("w.toml")), None).unwrap_err().to_string();
    assert!(binary.contains("w.toml:2:1: is not UTF-8"), "{binary}");
}

#[test]
fn what_may_be_a_mistake_is_warned_of() {
    let dir = Dir::new();
    let warns = |text: &str, what: &str| {
        let warnings = dir.load(text).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(what), "{warnings:?}");
    };
    warns(
        "[listen]\nproxy = ['0.0.0.0:3128']",
        "0.0.0.0:3128 is an open proxy",
    );
    warns("[listen]\nproxy = ['[::]:3128']", "[::]:3128 is an open proxy");
    warns(
        "[origin]\nsystem_roots = false",
        "no origin's certificate can verify",
    );
    let rule = "[[policy.rule]]\nname = 'r'\nports = [25]\naction = 'deny'\npage = ";
    warns(&format!("{rule}'nowhere'"), "there is no page \"nowhere\"");
    assert_eq!(dir.load(&format!("{rule}'blocked'")).unwrap().warnings, [""; 0]);
    dir.write("l", "^x:\n");
    warns("[[list]]\nname = 'l'\nfile = 'l'\n", "list \"l\" is not used");
    fs::set_permissions(dir.path("ca.key"), fs::Permissions::from_mode(0o644)).unwrap();
    warns("[ca]\ncert = 'ca.pem'\nkey = 'ca.key'", "may be read by others");
}

#[test]
fn other_machines_read_the_metrics_only_where_somebody_has_said_how() {
    let dir = Dir::new();
    let listen = "[listen]\nadmin = ['192.0.2.1:1', '127.0.0.1:0', 'unix:/run/x.sock']\n";
    dir.refuses(
        listen,
        "w.toml:2:10: listen.admin",
        "in admin.token, listen on 127.0.0.1 or at unix:/PATH",
    );
    let open = dir.load(&format!("{listen}[admin]\ninsecure = true\n")).unwrap();
    assert_eq!((open.warnings.len(), open.admin.is_insecure), (0, true));
    dir.write("token", "0123456789abcdef0123456789abcdef\n");
    fs::set_permissions(dir.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "{listen}[admin]\ntoken = 'token'\nnames = ['Proxy.example', '::1', '[::2]']\nsocket_mode = '0660'\n"
    );
    let settings = dir.load(&text).unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert!(settings.admin.token.is_some() && settings.files.contains(&dir.path("token")));
    let names: Vec<_> = settings.admin.names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["proxy.example", "[::1]", "[::2]"]);
    assert_eq!(settings.admin_mode, 0o660);
    assert_eq!(settings.listen.admin[2].to_string(), "unix:/run/x.sock");

    fs::set_permissions(dir.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = dir.load("[admin]\ntoken = 'token'\n").unwrap().warnings;
    assert!(
        warnings[0].contains("may be read by others (mode 644): chmod 600"),
        "{warnings:?}"
    );
    for (token, word) in [
        ("", "is empty"),
        ("short", "can be guessed"),
        ("two words, and long enough", "more than a token"),
    ] {
        dir.write("token", token);
        dir.refuses("[admin]\ntoken = 'token'\n", "w.toml:2:9: admin.token", word);
    }
    dir.refuses(
        "[admin]\ntoken = 'none'\n",
        "w.toml:2:9: admin.token",
        "there is no such file",
    );
    dir.refuses(
        "[admin]\nnames = ['a', 'b:9128']\n",
        "w.toml:2:15: admin.names",
        "without a port",
    );
    for mode in ["'0888'", "'rw'", "'0060'", "'01777'", "600"] {
        let text = format!("[admin]\nsocket_mode = {mode}\n");
        dir.refuses(&text, "w.toml:2:15: admin.socket_mode", "octal digits in quotes");
    }
    let relative = "[listen]\nadmin = ['unix:admin.sock']\n";
    dir.refuses(
        relative,
        "w.toml:2:10: listen.admin",
        "unix:/run/wsbump/admin.sock",
    );
    let twice = "[listen]\nadmin = ['unix:/run/x', 'unix:/run/x']\n";
    dir.refuses(twice, "w.toml:2:25: listen.admin", "twice");
}

#[test]
fn a_listener_may_speak_tls_alone_and_have_a_certificate() {
    let dir = Dir::new();
    let text = "[listen]\nproxy = []\ntls = ['127.0.0.1:3129', '[::1]:0']\n";
    let settings = dir.load(text).unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert_eq!(settings.listen.proxy, []);
    assert_eq!(settings.listen.tls.len(), 2);
    assert!(settings.certificate.is_none());
    let forged = |settings: Settings, kept: Option<&Kept>| {
        let (live, kept) = settings.live(kept, &deaf()).unwrap();
        let config = match live.listeners.of("tls").tls.clone() {
            ListenerTls::Forged(_) => None,
            ListenerTls::Certificate(config) => Some(config),
        };
        (config, kept)
    };
    assert!(forged(settings, None).0.is_none());

    let with = format!("{text}cert = 'other.pem'\nkey = 'other.key'\n");
    let settings = dir.load(&with).unwrap();
    for file in ["other.pem", "other.key"] {
        assert!(settings.files.contains(&dir.path(file)), "{file} is watched");
    }
    let (first, kept) = forged(settings, None);
    let (again, _) = forged(dir.load(&with).unwrap(), Some(&kept));
    assert!(
        Arc::ptr_eq(first.as_ref().unwrap(), again.as_ref().unwrap()),
        "tickets stay good"
    );
    for name in ["pem", "key"] {
        fs::copy(
            dir.path(&format!("ca.{name}")),
            dir.path(&format!("other.{name}")),
        )
        .unwrap();
    }
    let (renewed, _) = forged(dir.load(&with).unwrap(), Some(&kept));
    assert!(!Arc::ptr_eq(&first.unwrap(), &renewed.unwrap()));
}

#[test]
fn what_is_wrong_with_a_listeners_certificate_is_said_where_it_stands() {
    let dir = Dir::new();
    let refuses = |text: &str, place: &str, what: &str| {
        dir.refuses(&format!("[listen]\ntls = ['127.0.0.1:1']\n{text}"), place, what);
    };
    refuses("cert = 'gone.pem'", "w.toml:3:8: listen.cert", "no such file");
    refuses(
        "key = 'other.key'",
        "w.toml:3:7: listen.key",
        "write listen.cert too",
    );
    refuses(
        "cert = 'other.pem'\nkey = 'ca.key'",
        "w.toml:4:7: listen.key",
        "does not belong",
    );
    refuses(
        "cert = 'other.pem'",
        "w.toml:3:8: listen.cert",
        "name its file in listen.key",
    );
    refuses(
        "cert = 'other.key'\nkey = 'other.key'",
        "w.toml:3:8: listen.cert",
        "holds no certificate",
    );
    dir.write("both.pem", "-----BEGIN CERTIFICATE-----\n?\n");
    refuses("cert = 'both.pem'", "w.toml:3:8: listen.cert", "PEM");
    dir.refuses("[listen]\ntls = ['here']", "w.toml:2:8: listen.tls", "address");
    dir.refuses(
        "[listen]\nproxy = []",
        "w.toml:2:9: listen.proxy",
        "nothing to listen on",
    );
    dir.refuses(
        "[listen]\nproxy = ['127.0.0.1:1']\ntls = ['127.0.0.1:1']",
        "w.toml:3:8: listen.tls",
        "listened on twice",
    );
    let warnings = |text: &str| dir.load(text).unwrap().warnings;
    let unused = warnings("[listen]\ncert = 'other.pem'\nkey = 'other.key'");
    assert!(unused[0].contains("listen.cert is not used"), "{unused:?}");
    let open = warnings("[listen]\ntls = ['0.0.0.0:1']");
    assert!(
        open[0].contains("listen.tls: 0.0.0.0:1 is an open proxy"),
        "{open:?}"
    );
}

#[test]
fn listeners_have_names_that_the_policy_may_ask_for() {
    let dir = Dir::new();
    let lan = "[[listener]]\nname = 'lan'\nkind = 'http'\naddress = ['127.0.0.1:1']\n";
    let settings = dir.load(lan).unwrap();
    let names: Vec<_> = settings.listen.names();
    assert_eq!(names, ["proxy".into(), "tls".into(), Arc::<str>::from("lan")]);
    assert_eq!(
        settings.listen.proxy,
        [],
        "nobody listens where nobody has said so"
    );
    assert_eq!(&*settings.listen.usual(), "lan");
    let rule = "[[policy.rule]]\nname = 'r'\naction = 'deny'\nlisteners = ['lan', 'proxy']\n";
    dir.load(&format!("{lan}{rule}")).unwrap();
    let both = format!("[listen]\nproxy = ['127.0.0.1:2']\n{lan}");
    let settings = dir.load(&both).unwrap();
    assert_eq!(
        (settings.listen.proxy.len(), &*settings.listen.usual()),
        (1, "proxy")
    );
    for (text, place, what) in [
        (
            rule,
            "w.toml:4:14: policy.rule.listeners",
            "there is no listener \"lan\"",
        ),
        (
            "[[policy.setting]]\nlisteners = ['wan']\nvia = true",
            "w.toml:2:14: policy.setting.listeners",
            "write a [[listener]] of this name, or one of \"proxy\", \"tls\"",
        ),
        (
            "[[listener]]\nname = 'tls'\nkind = 'http'\naddress = ['127.0.0.1:1']",
            "w.toml:2:8: listener.name",
            "choose another",
        ),
        (
            "[[listener]]\nname = 'a b'\nkind = 'http'\naddress = ['127.0.0.1:1']",
            "w.toml:2:8: listener.name",
            "cannot name a listener",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'htp'\naddress = ['127.0.0.1:1']",
            "w.toml:3:8: listener.kind",
            "\"http\"",
        ),
        (
            "[[listener]]\nname = 'a'\naddress = ['127.0.0.1:1']",
            "w.toml:1:1: listener.kind",
            "is missing",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'http'",
            "w.toml:1:1: listener.address",
            "write at least one address",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'http'\naddress = ['127.0.0.1:1']\ncert = 'ca.pem'",
            "w.toml:5:8: listener.cert",
            "only for kind = \"https\"",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'https'\naddress = ['127.0.0.1:1']\ncert = 'ca.pem'\nkey = 'other.key'",
            "w.toml:6:7: listener.key",
            "does not belong",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'reverse'\naddress = ['127.0.0.1:1']",
            "w.toml:1:1: listener.site",
            "write a [[listener.site]]",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'http'\naddress = ['127.0.0.1:1']\nsite = []",
            "w.toml:1:1: listener.site",
            "says nothing to a listener of kind \"http\"",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'reverse'\naddress = ['127.0.0.1:1']\n[[listener.site]]\nhosts = ['a.example']\ncert = 'ca.pem'\norigin = 'b.example'",
            "w.toml:8:10: listener.site.origin",
            "is no origin",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'reverse'\naddress = ['127.0.0.1:1']\n[[listener.site]]\nhosts = ['192.0.2.1']\ncert = 'other.pem'\nkey = 'other.key'\norigin = 'http://b'",
            "w.toml:6:10: listener.site.hosts",
            "is no name that clients ask for",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'socks'\naddress = ['127.0.0.1:1']\nforwarded_for = { from = ['10.0.0.1'] }",
            "w.toml:1:1: listener.forwarded_for",
            "says nothing to a listener of kind \"socks\"",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'http'\naddress = ['127.0.0.1:1']\nonly_http1 = true",
            "w.toml:1:1: listener.only_http1",
            "says nothing to a listener of kind \"http\"",
        ),
        (
            "[[listener]]\nname = 'a'\nkind = 'http'\naddress = ['127.0.0.1:1']\nforwarded_for = { from = [] }",
            "w.toml:5:17: listener.forwarded_for.from",
            "names nobody",
        ),
    ] {
        dir.refuses(text, place, what);
    }
    let admin = dir.problems(&lan.replace(":1", ":9128"));
    assert!(
        admin[0].contains("127.0.0.1:9128 is listened on twice"),
        "{admin:?}"
    );
    let twice = format!("{lan}{}", lan.replace(":1", ":2"));
    dir.refuses(&twice, "w.toml:6:8: listener.name", "the listener at line 2 too");
    let open = dir.load(&lan.replace("127.0.0.1", "0.0.0.0")).unwrap().warnings;
    assert!(
        open[0].contains("listener.address: 0.0.0.0:1 is an open proxy"),
        "{open:?}"
    );
}

#[test]
fn who_may_log_in_at_the_console_is_said_before_others_can_reach_it() {
    let dir = Dir::new();
    assert_eq!(dir.load("").unwrap().listen.console, []);
    let alone = dir.load("[listen]\nconsole = ['127.0.0.1:0']").unwrap();
    assert!(alone.console.tokens.is_empty() && !alone.console_is_secure() && alone.warnings.is_empty());
    dir.refuses(
        "[listen]\nconsole = ['0.0.0.0:9130']",
        "w.toml:2:12: listen.console",
        "nobody has a token",
    );
    dir.refuses(
        "[listen]\nadmin = ['127.0.0.1:1']\nconsole = ['127.0.0.1:1']",
        "w.toml:3:12: listen.console",
        "listened on twice",
    );

    let token = "0123456789abcdef0123456789abcdef";
    dir.write("a.token", token);
    dir.write("b.token", "b123456789abcdef0123456789abcdef");
    for file in ["a.token", "b.token"] {
        fs::set_permissions(dir.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let table = |name: &str, file: &str| {
        format!("[[console.token]]\nname = '{name}'\nfile = '{file}'\nroles = ['raw', 'operator']\n")
    };
    let listen =
        "[listen]\nconsole = ['0.0.0.0:9130']\n[console]\nsession = '1h'\nnames = ['Proxy.example']\n";
    let two = format!("{listen}{}{}", table("ada", "a.token"), table("ben", "b.token"));
    let settings = dir.load(&two).unwrap();
    let access = &settings.console;
    assert_eq!((access.tokens.len(), access.session.as_secs()), (2, 3600));
    assert_eq!(&*access.shows(token.as_bytes()).unwrap().name, "ada");
    assert_eq!(access.tokens[1].roles, [ConsoleRole::Raw, ConsoleRole::Operator]);
    assert!(settings.files.contains(&dir.path("a.token")));

    let same = format!("{listen}{}{}", table("ada", "a.token"), table("ada", "b.token"));
    dir.refuses(&same, "w.toml:11:8: console.token.name", "two tokens named");
    let twice = format!("{listen}{}{}", table("ada", "a.token"), table("ben", "a.token"));
    dir.refuses(&twice, "w.toml:12:8: console.token.file", "the token of \"ada\"");
    let short = format!("{listen}{}", table("ada", "w.toml"));
    dir.refuses(&short, "w.toml:8:8: console.token.file", "more than a token");
    dir.refuses(
        "[[console.token]]\nname = 'x'\nfile = 'a.token'",
        "w.toml:1:1: console.token.roles",
        "is missing",
    );
    dir.refuses(
        "[console]\nsession = '8d'",
        "w.toml:2:11: console.session",
        "between 1m and 7d",
    );
    let listener = "[[listener]]\nname = 'console'\nkind = 'http'\naddress = ['127.0.0.1:1']";
    dir.refuses(listener, "w.toml:2:8: listener.name", "the console's listener");
    let unused = dir.load(&table("ada", "a.token")).unwrap().warnings;
    assert_eq!(unused, ["[console] is not used: listen.console names no address"]);
}

#[test]
fn options_take_the_place_of_the_files_words() {
    let dir = Dir::new();
    dir.write("w.toml", "[listen]\nproxy = []\nadmin = ['127.0.0.1:2']");
    let at = |text: &str| text.parse().unwrap();
    let mut source = ConfigSource {
        config: Some(dir.path("w.toml")),
        data_dir: Some(dir.path("data")),
        overrides: Overrides {
            listen: vec![at("127.0.0.1:1")],
            tls: vec![],
            admin: vec![],
            takes_stdout: false,
            console: ConsoleWanted::AsConfigured,
        },
    };
    let settings = source.load().unwrap();
    assert_eq!(
        (&*settings.listen.proxy, &*settings.listen.admin),
        (
            &[at("127.0.0.1:1")][..],
            &[AdminAddress::Tcp(at("127.0.0.1:2"))][..]
        )
    );
    source.overrides.tls = vec![at("127.0.0.1:3")];
    assert_eq!(source.load().unwrap().listen.tls, [at("127.0.0.1:3")]);
    source.overrides.admin = vec![AdminAddress::Tcp(at("127.0.0.1:1"))];
    let error = source.load().unwrap_err().to_string();
    assert!(
        error.contains("--admin: 127.0.0.1:1 is listened on twice"),
        "{error}"
    );
}

#[test]
fn caches_survive_a_reload_that_does_not_touch_them() {
    let dir = Dir::new();
    let ca = "[ca]\ncert = 'ca.pem'\nkey = 'ca.key'\n";
    let (first, kept) = dir.load(ca).unwrap().live(None, &deaf()).unwrap();
    let again = |text: &str| {
        let (live, _) = dir.load(text).unwrap().live(Some(&kept), &deaf()).unwrap();
        (
            Arc::ptr_eq(&live.forge, &first.forge),
            Arc::ptr_eq(&live.upstream, &first.upstream),
        )
    };
    assert_eq!(again(&format!("{ca}[timeouts]\npeek = '1s'\n")), (true, true));
    assert_eq!(
        again(&format!("{ca}[limits]\nleaf_cache_entries = 7\n")),
        (false, true)
    );
    assert_eq!(
        again(&format!("{ca}[origin]\nextra_roots = ['other.pem']\n")),
        (true, false)
    );
    assert_eq!(
        again("[ca]\ncert = 'other.pem'\nkey = 'other.key'\n"),
        (false, true)
    );
}

#[test]
fn the_data_directorys_ca_is_made_once() {
    let dir = Dir::new();
    let (first, _) = dir.load("").unwrap().live(None, &deaf()).unwrap();
    let mode = fs::metadata(dir.path("data/ca.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let settings = dir.load("").unwrap();
    assert_eq!(settings.ca.ca().unwrap().pem(), first.ca.pem());
    let (second, _) = settings.live(None, &deaf()).unwrap();
    assert_eq!(second.ca.pem(), first.ca.pem());
}

const EXAMPLE: &str = include_str!("../../config/wsbump.toml");

/// The example with the settings that it only shows.
fn example_uncommented() -> String {
    let shown = |line: &str| {
        line.strip_prefix('#')
            .filter(|rest| !rest.starts_with(' '))
            .map(str::to_owned)
    };
    EXAMPLE
        .lines()
        .map(|line| shown(line).unwrap_or(line.into()) + "\n")
        .collect()
}

/// That of a real domain.
fn keytab() -> Vec<u8> {
    use base64::Engine as _;
    let captured: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/tickets/corp.json")).unwrap();
    let keytab = captured["keytab"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD.decode(keytab).unwrap()
}

/// Of what the example shows side by side, what can be used together.
fn example_without_alternatives() -> String {
    let other = [
        "htpasswd = ",
        "groups = \"groups\"",
        "bind_password_env = ",
        "jwks = ",
        "password_env = ",
        "keytab = \"parent",
        "principal = ",
        "kdc = ",
        "service = ",
    ];
    let text = example_uncommented();
    let lines = text
        .lines()
        .filter(|line| !other.iter().any(|key| line.starts_with(key)));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_holds_every_key_at_its_default() {
    let dir = Dir::new();
    dir.write("w.toml", EXAMPLE);
    let mut notes = notes_on(Path::new("w.toml"), EXAMPLE);
    let written = File::parse(EXAMPLE, &mut notes);
    assert_eq!(
        format!("{written:#?}"),
        format!("{:#?}", File::absent(&mut Diagnostics::default()))
    );
    assert_eq!(notes.problems, []);

    dir.write("wslist", "^x:\n");
    fs::create_dir(dir.path("recordings")).unwrap();
    fs::create_dir(dir.path("pages")).unwrap();
    dir.write("admin.token", [b'x'; 32]);
    dir.write("soc.token", [b'y'; 32]);
    dir.write("ldap-password", "a secret\n");
    dir.write("parent-password", "a secret\n");
    dir.write("http.keytab", keytab());
    for file in [
        "admin.token",
        "soc.token",
        "ldap-password",
        "parent-password",
        "http.keytab",
    ] {
        fs::set_permissions(dir.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    for file in [
        "directory-ca.pem",
        "login-ca.pem",
        "clients-ca.pem",
        "parent-ca.pem",
        "proxy.pem",
        "proxy.key",
        "console.pem",
        "console.key",
        "www.pem",
        "www.key",
        "untrusted.pem",
        "untrusted.key",
        "scanners.pem",
        "client.pem",
        "client.key",
    ] {
        let (_, kind) = file.split_once('.').unwrap();
        fs::copy(dir.path(&format!("other.{kind}")), dir.path(file)).unwrap();
    }
    let settings = dir.load(&example_without_alternatives()).unwrap();
    assert!(
        settings
            .warnings
            .iter()
            .all(|warning| warning.contains("not used")
                || warning.starts_with("record.")
                || warning.contains("write check_interval")
                || warning.contains("nothing goes by")
                || warning.contains("there is no [auth]")),
        "{:?}",
        settings.warnings
    );
    let document: toml::Value = toml::Value::Table(example_uncommented().parse().unwrap());
    for key in known_keys() {
        assert!(
            !values(&document, &key).is_empty(),
            "config/wsbump.toml does not show {key}"
        );
    }
}

#[test]
fn parents_are_called_by_name_and_what_is_wrong_with_one_is_said() {
    let dir = Dir::new();
    dir.write("password", "opensesame\n");
    let settings = dir
        .load(
            "[[parent]]\nname = 'up'\nurl = 'http://proxy.example:3128'\nuser = 'wsbump'\npassword_file = 'password'\n\
             [[parent]]\nname = 'spare'\nurl = 'socks5://proxy.example'\ncheck_target = 'a.example:443'\n\
             [[policy.setting]]\nparents = ['up']\nsource = ['192.0.2.1', '2001:db8::1']\ndscp = 46\ndeny_networks = ['192.0.2.0/24', '::1']\n",
        )
        .unwrap();
    let [up, spare] = &settings.parents[..] else {
        panic!("{:?}", settings.parents);
    };
    assert_eq!((&*up.name, up.login.as_ref().unwrap().user()), ("up", "wsbump"));
    assert_eq!(spare.address.to_string(), "proxy.example:1080");
    assert!(!format!("{settings:?}").contains("opensesame"));
    for warning in [
        "user and password go to the parent unencrypted",
        "nothing goes by \"spare\"",
        "write check_interval",
    ] {
        assert!(
            settings.warnings.iter().any(|known| known.contains(warning)),
            "{warning}: {:?}",
            settings.warnings
        );
    }
    let way = &settings.policy.usual_treatment().way;
    assert!(way.parents.is_empty(), "it holds where its setting does");

    let parent = "[[parent]]\nname = 'up'\n";
    for (text, key, hint) in [
        ("[[parent]]\nname = 'up'\n", "parent.url", "needs url"),
        ("[[parent]]\nurl = 'http://p:1'\n", "parent.name", "needs name"),
        (
            &format!("{parent}url = 'http://p:1'\nuser = 'a'"),
            "parent.user",
            "password_file",
        ),
        (
            &format!("{parent}url = 'http://p:1'\npassword_file = 'password'"),
            "parent.password_file",
            "of nobody",
        ),
        (
            &format!("{parent}url = 'http://p:1'\nuser = 'a:b'\npassword_file = 'password'"),
            "parent.user",
            "colon",
        ),
        (
            &format!("{parent}url = 'http://p:1'\nca = 'x'"),
            "parent.ca",
            "https://",
        ),
        (
            &format!("{parent}url = 'socks5://p'\nplain_http = 'absolute'"),
            "parent.plain_http",
            "speaks SOCKS",
        ),
        (
            &format!("{parent}url = 'http://p:1'\n{parent}url = 'http://q:1'"),
            "parent.name",
            "two parents",
        ),
        (
            &format!("{parent}url = 'http://p:1'\n[[policy.setting]]\nparents = ['upp']"),
            "policy.setting.parents",
            "did you mean \"up\"",
        ),
        (
            "[[policy.setting]]\nsource = ['192.0.2.1', '192.0.2.2']",
            "policy.setting.source",
            "second of its family",
        ),
        (
            "[[policy.setting]]\nsource = []",
            "policy.setting.source",
            "names no address",
        ),
        (
            "[[policy.setting]]\ninterface = 'a/b'",
            "policy.setting.interface",
            "no interface",
        ),
        (
            "[[policy.setting]]\ndeny_networks = ['all']",
            "policy.setting.deny_networks",
            "",
        ),
        (
            "[[policy.setting]]\ndscp = 64",
            "policy.setting.dscp",
            "out of range",
        ),
    ] {
        let problems = dir.load(text).unwrap_err();
        let said = problems
            .list
            .iter()
            .any(|problem| problem.key == key && problem.message.contains(hint));
        assert!(said, "{text}: {:?}", problems.list);
    }
}

#[test]
fn recordings_are_asked_for_and_warned_of() {
    let dir = Dir::new();
    dir.write("l", "x\n");
    let bare = dir.load("record = { mask = false, keep = 1 }").unwrap();
    assert_eq!(
        (&bare.report.record, &bare.warnings[..]),
        (&None, &[][..]),
        "a directory is what asks for it"
    );
    assert!(bare.inspection.recording.is_none());

    fs::create_dir(dir.path("r")).unwrap();
    let text = "[record]\ndirectory = 'r'\nper = 'window'\nwindow = '1m'\nmask = false\nbody_bytes = '1KiB'\n\
                websocket_bytes = '2KiB'\nwebsocket_messages = 3\nmemory_bytes = '4MiB'\nkeep = 5\ntls_key_log = 'keys'\n";
    let settings = dir.load(text).unwrap();
    let record = settings.report.record.as_ref().unwrap();
    assert_eq!(
        *record,
        RecordConfig {
            directory: dir.path("r"),
            per: crate::report::Per::Window(Duration::from_secs(60)),
            mask: false,
            body_bytes: 1 << 10,
            websocket_bytes: 2 << 10,
            websocket_messages: 3,
            memory_bytes: 3 << 20,
            keep: 5,
        }
    );
    assert_eq!(settings.tls_key_log, Some(dir.path("keys")));
    let warned: Vec<&str> = settings
        .warnings
        .iter()
        .map(|w| &w[..w.find(|c: char| c.is_whitespace() || c == ':').unwrap()])
        .collect();
    assert_eq!(
        warned,
        ["record.directory", "record.mask", "record.tls_key_log"],
        "{:?}",
        settings.warnings
    );
    assert!(
        settings.warnings[0].contains("of every host"),
        "{:?}",
        settings.warnings
    );
    assert!(!dir.path("keys").exists(), "loading makes nothing");

    let made = std::process::Command::new("mkfifo")
        .arg(dir.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let problems = dir.problems("record = { tls_key_log = 'pipe' }\n");
    assert!(
        problems[0].ends_with("pipe is a pipe or a socket; name a file"),
        "{problems:?}"
    );

    let hosts =
        "record = { directory = 'r', hosts = ['l'] }\n[[list]]\nname = 'l'\nfile = 'l'\nformat = 'domains'\n";
    let settings = dir.load(hosts).unwrap();
    assert!(
        !settings.warnings[0].contains("of every host"),
        "{:?}",
        settings.warnings
    );
    let recording = settings.inspection.recording.as_ref().unwrap();
    let concerns = |target: &str| {
        recording
            .scope
            .guards(std::iter::once(&Authority::parse(target, None).unwrap()))
    };
    assert!(concerns("x:443") && !concerns("y:443"));

    let problems = dir.problems(
        "[record]\ndirectory = 'none'\nhosts = ['k']\nper = 'day'\nmemory_bytes = 1\ntls_key_log = 'none/keys'\n",
    );
    let places: Vec<_> = problems
        .iter()
        .map(|p| p.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": "))
        .collect();
    assert_eq!(
        places,
        [
            "w.toml:2:13: record.directory",
            "w.toml:3:10: record.hosts",
            "w.toml:4:7: record.per",
            "w.toml:5:16: record.memory_bytes",
            "w.toml:6:15: record.tls_key_log",
        ],
        "{problems:#?}"
    );
}

/// Everything that stands at a dotted key, in any table of an array of them.
fn values<'v>(value: &'v toml::Value, key: &str) -> Vec<&'v toml::Value> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let tables = match value {
        toml::Value::Array(tables) => &tables[..],
        table => std::slice::from_ref(table),
    };
    let found = tables.iter().filter_map(|table| table.get(first));
    match rest {
        Some(rest) => found.flat_map(|value| values(value, rest)).collect(),
        None => found.collect(),
    }
}

#[test]
fn every_default_of_a_list_is_shown() {
    let words = |text: &str| {
        let mut notes = Diagnostics::default();
        let document = toml::de::DeTable::parse(text).unwrap();
        let mut root = Section::root(Some(document.get_ref()), &mut notes);
        let table = ListTable::read_all(&mut root, false).pop().unwrap();
        assert_eq!(notes.problems, []);
        (table.format, table.ignore_case)
    };
    assert_eq!(
        words("[[list]]\nname = 'l'\nfile = 'l'\n"),
        words(&example_uncommented())
    );
}

/// `docs/configuration.md` has a table for each section: | `key` | default | meaning |
#[test]
fn the_documentation_has_every_key_and_no_other_with_the_right_default() {
    let docs = include_str!("../../docs/configuration.md");
    let document: toml::Value = toml::Value::Table(example_uncommented().parse().unwrap());
    let mut section = String::new();
    let mut found = Vec::new();
    for line in docs.lines() {
        if let Some(title) = line.strip_prefix("## `[") {
            section = title
                .trim_end_matches(['`', ']'])
                .trim_start_matches('[')
                .to_owned();
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, key, default, _, _] = cells[..] else {
            continue;
        };
        let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`')) else {
            continue;
        };
        found.push(format!("{section}.{key}"));
        if let Some(default) = default.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
            let value: toml::Table = format!("v = {default}").parse().unwrap();
            let shown = values(&document, &format!("{section}.{key}"));
            assert_eq!(&value["v"], shown[0], "{section}.{key}");
        }
    }
    found.sort();
    let mut known = known_keys();
    known.sort();
    assert_eq!(found, known);
}

/// Reads what may not be TOML, or mean nothing; each problem has a place in it.
fn read_anything(text: &str) {
    let mut notes = notes_on(Path::new("w.toml"), text);
    File::parse(text, &mut notes);
    for problem in &notes.problems {
        let place = problem.place.unwrap_or_else(|| panic!("{problem}"));
        assert!(place.line <= text.lines().count() + 1, "{problem}");
    }
}

#[test]
fn no_mutation_of_the_example_panics() {
    let whole = example_uncommented();
    // Keys are read table by table, so that each table is changed by itself: the whole for each byte of it would take minutes.
    let mut tables = vec![String::new()];
    for line in whole.lines() {
        if line.starts_with('[') {
            tables.push(String::new());
        }
        let table = tables.last_mut().unwrap();
        table.push_str(line);
        table.push('\n');
    }
    assert!(tables.len() > 20 && tables.iter().all(|table| table.len() < 6000));
    for text in &tables {
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            read_anything(&text[..end]);
        }
        for at in 0..text.len() {
            for byte in [b'\n', b'"', b'[', b'=', b'.', 0x7F] {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                if let Ok(text) = String::from_utf8(bytes) {
                    read_anything(&text);
                }
            }
        }
    }
    // What stands before and behind a table is none of its matter, but for where the text is cut, and for a quote that is open.
    for (end, _) in whole.match_indices('\n') {
        read_anything(&whole[..end]);
        let mut opened = whole.clone();
        opened.insert(end, '"');
        read_anything(&opened);
    }
}

#[test]
fn choices_mean_what_they_say() {
    let dir = Dir::new();
    let upgrade = |word: &str| {
        let text = format!("[policy]\nother_upgrades = '{word}'\n");
        let mut notes = notes_on(&dir.path("w.toml"), &text);
        let policy = File::parse(&text, &mut notes).policy;
        policy.resolve(None, false, &mut notes).0.other_upgrades
    };
    assert_eq!(upgrade("strip"), OtherUpgrade::Strip);
    assert_eq!(upgrade("tunnel"), OtherUpgrade::Tunnel);
    assert_eq!(upgrade("refuse"), OtherUpgrade::Refuse);
}

/// Over HTTP/2 each message with one of these would fail.
#[test]
fn no_header_is_set_that_http_2_does_not_have() {
    let dir = Dir::new();
    for name in ["Keep-Alive", "proxy-connection"] {
        for key in [
            "set_headers",
            "add_headers",
            "set_response_headers",
            "add_response_headers",
        ] {
            dir.refuses(
                &format!("[[policy.setting]]\n{key} = {{ {name} = 'timeout=5' }}\n"),
                &format!("w.toml:2:{}", key.len() + name.len() + 9),
                "HTTP/2 has none",
            );
        }
        dir.load(&format!(
            "[[policy.setting]]\nremove_headers = ['{name}']\nremove_response_headers = ['{name}']\n"
        ))
        .unwrap();
    }
}

#[test]
fn conditions_are_nested_one_deep() {
    let dir = Dir::new();
    std::fs::write(dir.path("l"), "a.example\n").unwrap();
    let rule = |nested: &str| {
        format!(
            "list = [{{ name = 'l', file = 'l', format = 'domains' }}]\n[[policy.rule]]\nname = 'r'\naction = 'deny'\n{nested}\n"
        )
    };
    let loads = |nested: &str| dir.load(&rule(nested)).unwrap();
    loads(
        "also = [{ hosts = ['l'], methods = ['GET'] }]\nexcept = [{ clients = ['10.0.0.0/8'], url = 'x' }, { users = ['a'] }]",
    );
    loads("[[policy.setting]]\nvia = false\nexcept = [{ hosts = ['l'] }]");
    for (nested, place, what) in [
        ("except = [{}]", "w.toml:5:11", "excepts everything"),
        (
            "except = [{ hosts = ['m'] }]",
            "w.toml:5:22",
            "there is no list named \"m\"",
        ),
        ("also = [{ action = 'deny' }]", "w.toml:5:11", "action"),
        ("also = [{ also = [] }]", "w.toml:5:11", "also"),
        (
            "except = { hosts = ['l'] }",
            "w.toml:5:10",
            "is one table, and there may be several",
        ),
        (
            "[[policy.setting]]\nexcept = [{ methods = ['GET'] }]",
            "w.toml:6:13",
            "methods",
        ),
        (
            "[[policy.rule]]\nname = 's'\naction = 'splice'\nalso = [{ url = 'x' }]",
            "w.toml:6:8",
            "can never hold",
        ),
    ] {
        dir.refuses(&rule(nested), place, what);
    }
}

#[test]
fn the_log_has_the_fields_that_are_asked_for_and_no_secrets() {
    let dir = Dir::new();
    let headers = |names: &str| format!("[log]\nrequest_headers = {names}\n");
    let logged = dir.load(&headers("['User-Agent', 'x-team']")).unwrap().logged;
    assert_eq!(
        *logged.headers,
        ["user-agent", "x-team"].map(HeaderName::from_static)
    );
    for secret in ["Authorization", "cookie", "Proxy-Authorization", "SET-COOKIE"] {
        dir.refuses(
            &headers(&format!("['{secret}']")),
            "w.toml:2:20",
            "holds secrets, which are never logged",
        );
    }
    dir.refuses(&headers("['User Agent']"), "w.toml:2:20", "is no name of a field");
    dir.refuses(&headers("['Via', 'via']"), "w.toml:2:27", "has via twice");
    let many: Vec<_> = (0..17).map(|n| format!("'x-{n}'")).collect();
    dir.refuses(
        &headers(&format!("[{}]", many.join(","))),
        "w.toml:2:19",
        "has 17 names; a line has room for 16",
    );
}

#[test]
fn open_websockets_are_told_of_as_often_as_is_asked_for() {
    let dir = Dir::new();
    let interval = |written: &str| {
        let settings = dir.load(&format!("[log]\nwebsocket_interval = {written}\n"));
        settings.unwrap().logged.websocket_interval
    };
    assert_eq!(interval("'90s'"), Some(Duration::from_secs(90)));
    assert_eq!(interval("0"), None);
    let absent = dir.load("").unwrap().logged.websocket_interval;
    assert_eq!(absent, Some(Duration::from_secs(900)));
    for (written, what) in [
        ("'900ms'", "write \"1s\" or more"),
        ("15", "is no duration"),
        ("'often'", "does not start with a number"),
    ] {
        let text = format!("[log]\nwebsocket_interval = {written}\n");
        dir.refuses(&text, "w.toml:2:22", what);
    }
}

#[test]
fn services_are_lists_and_few_enough_to_be_told_apart() {
    let dir = Dir::new();
    dir.write("l", "^x:\n");
    let lists = |names: &[&str]| -> String {
        names
            .iter()
            .map(|name| format!("[[list]]\nname = '{name}'\nfile = 'l'\n"))
            .collect()
    };
    let text = format!(
        "{}[metrics]\nservices = ['slack', 'teams']\n",
        lists(&["slack", "teams"])
    );
    let settings = dir.load(&text).unwrap();
    let names: Vec<_> = settings.report.services.iter().map(|list| list.name()).collect();
    assert_eq!(names, ["slack", "teams"]);
    assert_eq!(settings.warnings, [""; 0], "they are used");

    let refused = |names: &[&str], services: &str, what: &str| {
        let text = format!("[metrics]\nservices = {services}\n{}", lists(names));
        let problems = dir.problems(&text);
        assert!(problems.len() == 1 && problems[0].contains(what), "{problems:#?}");
    };
    refused(
        &["slack"],
        "['slak']",
        "there is no list named \"slak\"; did you mean \"slack\"?",
    );
    refused(
        &["other"],
        "['other']",
        "names the list \"other\", as all that no list matches is called",
    );
    refused(&["slack"], "['slack', 'slack']", "has \"slack\" twice");
    let many: Vec<_> = (0..33).map(|n| format!("l{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(
        &many,
        &format!("{many:?}"),
        "has 33 lists; at most 32 can be told apart",
    );
}

#[test]
fn what_surely_is_a_mistake_in_a_list_is_told_by_file_and_line() {
    let dir = Dir::new();
    let many: String = (0..1000).map(|at| format!("host{at}.example\n")).collect();
    dir.write("many", format!("^good\\.example:443$\n{many}^never$\n"));
    dir.write("names", ".example.com\nwww.example.com\n");
    let text = "[[list]]\nname = 'many'\nfile = 'many'\n[[list]]\nname = 'names'\nfile = 'names'\nformat = 'domains'\n\
                [policy]\ndeny = ['many', 'names']\n[network]\nallow = ['10.0.0.0/8', '::/0']\n";
    let warnings = dir.load(text).unwrap().warnings;
    let wanted = [
        "w.toml:11: network.allow: ::/0 lets clients reach everything",
        "many:1002: list many: \"^never$\": it can never match",
        "many:2: list many: \"host0.example\": it matches every name that contains it",
        "many:3: list many: ",
        "many:4: list many: ",
        "many: list many: and 997 more like these",
        "names:2: list names: \"www.example.com\": line 1, \".example.com\", covers it already",
    ];
    assert_eq!(warnings.len(), wanted.len(), "{warnings:#?}");
    for (warning, wanted) in warnings.iter().zip(wanted) {
        assert!(warning.contains(wanted), "{warning}: {wanted}");
    }
}

#[test]
fn the_shipped_lists_are_above_doubt() {
    let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let lists = std::fs::read_dir(config.join("lists")).unwrap();
    let files = lists.map(|entry| entry.unwrap().path());
    for file in files.chain([config.join("wslist"), config.join("whitelist")]) {
        let text = std::fs::read_to_string(&file).unwrap();
        let list =
            crate::decide::List::parse("shipped", &text, crate::decide::Format::UrlRegex, true).unwrap();
        assert_eq!(list.warnings(), [], "{}", file.display());
    }
}

#[test]
fn a_page_that_cannot_be_read_is_told_by_file_and_line() {
    let dir = Dir::new();
    fs::create_dir(dir.path("pages")).unwrap();
    dir.write("pages/blocked.fr.html", "<html lang=\"fr\">\n{{text}}\n");
    let text = "[pages]\ndirectory = 'pages'\nlanguage = 'fr'\n";
    let settings = dir.load(text).unwrap();
    assert!(settings.pages.speaks("fr") && settings.pages.speaks("ja"));
    assert!(settings.files.contains(&dir.path("pages/blocked.fr.html")));
    dir.refuses(
        "[pages]\nlanguage = 'fr'\n",
        "w.toml:2:12: pages.language",
        "no page in \"fr\"",
    );
    dir.refuses(
        "[pages]\ndirectory = 'none'\n",
        "w.toml:2:13: pages.directory",
        "no such file",
    );
    dir.write("pages/blocked.fr.html", "\n\n{{script}}\n");
    dir.refuses(
        "[pages]\ndirectory = 'pages'\n",
        "pages/blocked.fr.html:3:1: pages.directory",
        "\"script\" is nothing",
    );
    fs::rename(dir.path("pages/blocked.fr.html"), dir.path("pages/blocked.html")).unwrap();
    dir.refuses(
        "[pages]\ndirectory = 'pages'\n",
        "pages/blocked.html: pages.directory",
        "says no language",
    );
}

#[test]
fn what_may_be_watched_is_read_and_its_socket_found() {
    let dir = Dir::new();
    dir.write("l", "x\n");
    let bare = dir.load("").unwrap();
    let socket = bare.live_socket.as_ref().unwrap();
    assert!(socket.path.ends_with("live.sock") && !socket.is_asked_for);
    assert_eq!(bare.view, crate::live::ViewConfig::default());
    assert!(bare.inspection.view.is_some());

    let text = "live = { socket = 'here.sock' }\nlog = { audit = 'audit.log' }\n[view]\nraw = true\nhosts = ['l']\n\
                people = 'pseudonym'\ncontent_bytes = '1KiB'\n[[list]]\nname = 'l'\nfile = 'l'\nformat = 'domains'\n";
    let settings = dir.load(text).unwrap();
    let socket = settings.live_socket.as_ref().unwrap();
    assert_eq!(
        (&socket.path, socket.is_asked_for),
        (&dir.path("here.sock"), true)
    );
    assert_eq!(
        settings.view,
        crate::live::ViewConfig {
            content: true,
            raw: true,
            people: crate::live::People::Pseudonym,
            content_bytes: 1024,
            ..crate::live::ViewConfig::default()
        }
    );
    assert!(
        settings
            .warnings
            .iter()
            .any(|warning| warning.starts_with("view.raw"))
    );
    let view = settings.inspection.view.as_ref().unwrap();
    let shows = |target: &str| {
        let target = Authority::parse(target, None).unwrap();
        view.scope.guards(std::iter::once(&target))
    };
    assert!(shows("x:443") && !shows("y:443"));

    let none = dir
        .load("live = { socket = 'off' }\nview = { content = false }")
        .unwrap();
    assert!(none.live_socket.is_none() && none.inspection.view.is_none());
    let locked = dir
        .load("log = { audit = 'audit.log' }\n[view]\nraw = true\npeople = 'hide'\ntwo_persons = ['raw', 'people']\nunlock = '5m'\n")
        .unwrap();
    assert!(locked.view.two_persons.raw && locked.view.two_persons.people);
    assert_eq!(locked.view.unlock.as_secs(), 300);
    let unused = dir.load("view = { two_persons = ['raw', 'people'] }").unwrap();
    for word in ["log.audit", "view.people", "view.raw"] {
        let about = |warning: &String| warning.starts_with("view.two_persons") && warning.contains(word);
        assert!(unused.warnings.iter().any(about), "{word}: {:?}", unused.warnings);
    }
    for wrong in ["two_persons = ['all']", "unlock = '2d'"] {
        let problems = dir.problems(&format!("[view]\n{wrong}\n"));
        assert!(problems[0].contains("w.toml:2:"), "{problems:?}");
    }
    let problems = dir.problems("[view]\nraw = true\n");
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("w.toml:2:7: view.raw") && problem.contains("log.audit")),
        "{problems:?}"
    );
}
