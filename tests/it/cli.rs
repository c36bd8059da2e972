//! The command line, as an operator meets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, in a home of its own.
fn wsbump(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

pub(crate) fn output(home: &Path, arguments: &[&str]) -> Output {
    wsbump(home, arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a command that must succeed.
#[track_caller]
pub(crate) fn good(home: &Path, arguments: &[&str]) -> String {
    let output = output(home, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Standard error of a command that must fail with `code`.
#[track_caller]
pub(crate) fn bad(home: &Path, arguments: &[&str], code: i32) -> String {
    let output = output(home, arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    text(&output.stderr)
}

pub(crate) fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn data(home: &Path) -> PathBuf {
    home.join(".local/share/wsbump")
}

/// A running proxy; killed when dropped.
struct Run {
    child: Child,
    lines: Receiver<String>,
}

impl Run {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut child = wsbump(home, arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// What follows `part` in the next line that holds it.
    #[track_caller]
    fn after(&self, part: &str) -> String {
        let mut seen = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if let Some((_, rest)) = line.split_once(part) {
                return rest.to_owned();
            }
            seen.push(line);
        }
        panic!("no line with {part:?} in {seen:#?}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        // The lines end when the process does.
        let deadline = Instant::now() + PATIENCE;
        while self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
        assert!(Instant::now() < deadline, "still running");
        self.child.wait().unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ANYWHERE: [&str; 5] = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

#[test]
fn help_teaches_and_version_tells() {
    let home = home();
    let help = good(home.path(), &["--help"]);
    for word in [
        "run",
        "check",
        "explain",
        "auth-test",
        "doctor",
        "health",
        "test-rules",
        "ca",
        "completions",
        "Examples:",
        "curl --proxy",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for command in [
        "run",
        "check",
        "explain",
        "auth-test",
        "doctor",
        "test-rules",
        "ca",
        "completions",
    ] {
        assert!(
            good(home.path(), &[command, "--help"]).contains("Examples:"),
            "{command}"
        );
    }
    let version = format!("wsbump {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(good(home.path(), &["-V"]), version);
    let told = good(home.path(), &["--version"]);
    assert!(told.starts_with(&version) && told.contains("HTTP/2"), "{told}");
    assert!(bad(home.path(), &[], 2).contains("Usage: wsbump <COMMAND>"));
    assert!(bad(home.path(), &["chek"], 2).contains("'check'"));
    assert!(bad(home.path(), &["run", "--listen", "3128"], 2).contains("127.0.0.1:3128"));
}

#[test]
fn completions_name_the_commands() {
    let home = home();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = good(home.path(), &["completions", shell]);
        assert!(
            script.contains("explain") && script.contains("data-dir"),
            "{shell}"
        );
    }
}

#[test]
fn every_shipped_configuration_is_good() {
    let home = home();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    let files = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    let lists = files(&config.join("lists"));
    for path in files(&config)
        .into_iter()
        .chain(lists)
        .filter(|path| path.is_file())
    {
        if path.extension().is_some_and(|e| e == "toml") {
            let said = good(home.path(), &["check", "--config", path.to_str().unwrap()]);
            assert!(said.contains(": good\n"), "{said}");
            checked += 1;
        } else if path.extension().is_none() {
            // A list: used as its head says, by a configuration that names it.
            let text = format!("[[list]]\nname = 'l'\nfile = {path:?}\n[policy]\nsplice = ['l']\n");
            fs::write(home.path().join("list.toml"), text).unwrap();
            good(home.path(), &["check", "--config", "list.toml"]);
            checked += 1;
        }
    }
    assert!(checked > 0);
    assert!(!data(home.path()).exists(), "checking makes nothing");
}

#[test]
fn wrong_configurations_name_file_line_and_key_before_anything_binds() {
    let home = home();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let file = path("w.toml");
    fs::write(path("l"), "ok\n(\n").unwrap();
    for (written, said) in [
        (
            "[lisen]\n",
            "w.toml:1:2: lisen: unknown key; did you mean \"listen\"?",
        ),
        ("[listen]\nproxy = 'x'\n", "w.toml:2:9: listen.proxy: "),
        (
            "[listen]\nproxy = []\n",
            "w.toml:2:9: listen.proxy: nothing to listen on",
        ),
        ("[ca]\ncert = 'gone'\n", "w.toml:2:8: ca.cert: "),
        ("[timeouts]\ndial = '1'\n", "w.toml:2:8: timeouts.dial: "),
        ("[[list]]\nname = 'l'\nfile = 'l'\n", "l:2:1: list l: "),
        ("[policy]\nsplice = ['m']\n", "w.toml:2:11: policy.splice: "),
        ("[listen\n", "w.toml:1:8: listen: not TOML: "),
    ] {
        fs::write(&file, written).unwrap();
        for command in ["check", "run"] {
            let error = bad(home.path(), &[command, "--config", &file], 2);
            assert!(error.starts_with(&path(said)), "{command}: {error}");
            assert!(!data(home.path()).exists());
        }
        bad(home.path(), &["explain", "--config", &file, "example.com:443"], 2);
    }
    // A CA whose parts do not fit is found before anything binds, too.
    for name in ["one", "two"] {
        good(home.path(), &["ca", "init", "--data-dir", name]);
    }
    fs::write(path("not-a-key"), "hello").unwrap();
    for (cert, key, said) in [
        ("one/ca.pem", "two/ca.key", "ca.key: "),
        ("one/ca.pem", "not-a-key", "ca.key: "),
        ("one/ca.pem", "gone", "ca.key: "),
        ("not-a-key", "one/ca.key", "ca.cert: "),
    ] {
        fs::write(&file, format!("[ca]\ncert = '{cert}'\nkey = '{key}'\n")).unwrap();
        for command in ["check", "run"] {
            let error = bad(home.path(), &[command, "--config", &file], 2);
            let line = if said.starts_with("ca.key") { 3 } else { 2 };
            assert!(
                error.starts_with(&path(&format!("w.toml:{line}:"))),
                "{command}: {error}"
            );
            assert!(error.contains(said), "{command}: {error}");
        }
    }
    let error = bad(home.path(), &["check", "--config", "gone.toml"], 2);
    assert!(error.starts_with("gone.toml: there is no such file"), "{error}");
    let error = wsbump(home.path(), &ANYWHERE)
        .env("WSBUMP_LOG", "lots")
        .output()
        .unwrap();
    assert_eq!(error.status.code(), Some(2));
    assert!(text(&error.stderr).starts_with("WSBUMP_LOG: \"lots\" is not a level"));
}

#[test]
fn explain_names_list_line_and_pattern() {
    let home = home();
    fs::write(
        home.path().join("wslist"),
        "# Slack\n^wss-(backup|primary|mobile)\\.slack\\.com:443$\n",
    )
    .unwrap();
    let config = "[[list]]\nname = 'slack'\nfile = 'wslist'\n[policy]\nsplice = ['slack']\n\
                  [network]\ndeny = ['192.0.2.0/24']\n";
    fs::write(home.path().join("w.toml"), config).unwrap();
    let explain = |target: &str| good(home.path(), &["explain", "-c", "w.toml", target]);
    let said = explain("WSS-primary.slack.com");
    for part in [
        "wss-primary.slack.com:443",
        "splice",
        "slack",
        "2",
        "^wss-(backup|primary|mobile)\\.slack\\.com:443$",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(explain("slack.com:443").contains("bump"));
    assert!(explain("192.0.2.7:443").contains("address: refused: "));
    assert!(explain("1.1.1.1:443").contains("address: 1.1.1.1 may be dialled"));
    assert!(explain("[::1]:443").contains("address: refused: "));
    let forbidden = config.replace("splice = ", "deny = ");
    fs::write(home.path().join("w.toml"), forbidden).unwrap();
    assert_eq!(
        explain("WSS-primary.slack.com"),
        "wss-primary.slack.com:443 is denied: nothing is resolved or dialled.\n  by list \"slack\", line 2: \
         ^wss-(backup|primary|mobile)\\.slack\\.com:443$\n"
    );
    assert!(good(home.path(), &["check", "-c", "w.toml"]).contains("good"));
    // Rules and settings of the tables are counted, and keys with names of lists are not.
    let count = |table: &str| {
        fs::write(home.path().join("w.toml"), format!("{config}\n{table}")).unwrap();
        let said = good(home.path(), &["check", "-c", "w.toml"]);
        let line = said.lines().find_map(|line| line.trim().strip_prefix("policy "));
        let (numbers, _) = line
            .and_then(|line| line.split_once(": rules say "))
            .unwrap_or_else(|| panic!("{said}"));
        numbers.to_owned()
    };
    assert_eq!(count(""), "0 rules, 0 settings");
    let rule = |name: &str, more: &str| {
        format!("[[policy.rule]]\nname = '{name}'\nports = [25]\naction = 'deny'\n{more}")
    };
    let setting = "[[policy.setting]]\nhosts = ['slack']\nvia = false\n";
    assert_eq!(count(&[&rule("a", ""), setting].concat()), "1 rule, 1 setting");
    let three = [rule("a", ""), rule("b", "mode = 'observe'\n"), rule("c", "")].concat();
    assert_eq!(
        count(&[&three, setting, setting].concat()),
        "3 rules (1 observed), 2 settings"
    );
    fs::write(home.path().join("w.toml"), config).unwrap();
    // The file by itself, as with its option.
    assert!(good(home.path(), &["check", "w.toml"]).starts_with("w.toml: good\n"));
    bad(home.path(), &["check", "w.toml", "-c", "w.toml"], 2);
    // A host in its own script is looked up as it goes over the wire, and the portal is the proxy itself.
    let german = explain("https://B\u{fc}cher.example:8443/a");
    assert!(
        german.starts_with("xn--bcher-kva.example:8443 is bumped"),
        "{german}"
    );
    assert!(explain("http://wsbump.internal/").contains("is the portal"));
    let error = bad(home.path(), &["explain", "a b"], 2);
    assert!(
        error.starts_with("HOST:PORT: \"a b\" is not a destination"),
        "{error}"
    );
}

#[test]
fn the_ca_is_made_shown_and_exported() {
    let home = home();
    let error = bad(home.path(), &["ca", "show"], 2);
    assert!(error.contains("wsbump ca init"), "{error}");
    let made = good(home.path(), &["ca", "init"]);
    assert!(made.starts_with("made a CA:\n"), "{made}");
    let key = data(home.path()).join("ca.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&key).unwrap();
    let again = good(home.path(), &["ca", "init"]);
    assert!(again.starts_with("there is a CA already"), "{again}");
    assert_eq!(fs::read(&key).unwrap(), before);

    let shown = good(home.path(), &["ca", "show"]);
    let path = data(home.path()).join("ca.pem");
    for part in [path.to_str().unwrap(), "subject", "valid until", "SHA-256"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let pem = good(home.path(), &["ca", "export"]);
    assert!(
        pem.starts_with("-----BEGIN CERTIFICATE-----") && !pem.contains("PRIVATE"),
        "{pem}"
    );
    assert_eq!(
        good(
            home.path(),
            &["ca", "export", "--format", "der", "--out", "ca.der"]
        ),
        ""
    );
    let der = fs::read(home.path().join("ca.der")).unwrap();
    let (rest, _) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(rest.is_empty());
    let parsed = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1;
    assert_eq!(parsed.contents, der);
    let error = bad(home.path(), &["ca", "export", "--out", "no/such/dir"], 1);
    assert!(error.contains("cannot write no/such/dir"), "{error}");
}

#[test]
fn the_first_start_makes_a_ca_and_says_how_to_use_it() {
    let home = home();
    let mut run = Run::start(home.path(), &ANYWHERE);
    let proxy = run.after("wsbump: proxy listening on ");
    let admin = run.after("wsbump: admin listening on http://");
    let ca = run.after("wsbump: CA certificate in ");
    assert_eq!(ca, data(home.path()).join("ca.pem").to_str().unwrap());
    assert_eq!(
        run.after("  curl --proxy http://"),
        format!("{proxy} --cacert {ca} https://example.com/")
    );
    assert_eq!(run.after("  chromium --proxy-server=http://"), proxy);
    let mode = fs::metadata(data(home.path()).join("ca.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let limits = fs::read_to_string(format!("/proc/{}/limits", run.child.id())).unwrap();
    let files: Vec<_> = limits
        .lines()
        .find(|l| l.starts_with("Max open files"))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        files[3], files[4],
        "the soft limit is raised to the hard one: {files:?}"
    );
    std::net::TcpStream::connect(&proxy).unwrap();
    std::net::TcpStream::connect(&admin).unwrap();
    let pem = fs::read(&ca).unwrap();
    run.signal(Signal::TERM);
    run.after("draining");
    assert_eq!(run.end().code(), Some(0));
    std::net::TcpStream::connect(&proxy).unwrap_err();

    let mut again = Run::start(home.path(), &ANYWHERE);
    again.after("wsbump: CA certificate in ");
    assert_eq!(fs::read(&ca).unwrap(), pem, "the CA stays");
    again.signal(Signal::INT);
    assert_eq!(again.end().code(), Some(0));
}

#[test]
fn the_data_directory_is_a_choice() {
    let home = home();
    good(home.path(), &["ca", "init", "--data-dir", "here"]);
    assert!(home.path().join("here/ca.key").exists());
    let made = wsbump(home.path(), &["ca", "init"])
        .env("WSBUMP_DATA_DIR", "there")
        .output()
        .unwrap();
    assert!(made.status.success());
    assert!(home.path().join("there/ca.key").exists());
    let lost = wsbump(home.path(), &["check"])
        .env_remove("HOME")
        .output()
        .unwrap();
    assert_eq!(lost.status.code(), Some(2));
    assert!(
        text(&lost.stderr).contains("--data-dir"),
        "{}",
        text(&lost.stderr)
    );
    fs::write(home.path().join("file"), "").unwrap();
    let error = bad(
        home.path(),
        &[
            "run",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "-d",
            "file/x",
        ],
        2,
    );
    assert!(
        error.contains("file/x") && error.contains("--data-dir"),
        "{error}"
    );
}

#[test]
fn an_address_in_use_is_named_with_what_to_change() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = bad(
        home.path(),
        &["run", "--listen", &address, "--admin", "127.0.0.1:0"],
        1,
    );
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
    assert!(
        error.contains("listen.proxy") && error.contains("--listen"),
        "{error}"
    );
    let error = bad(
        home.path(),
        &["run", "--listen", "127.0.0.1:0", "--admin", &address],
        1,
    );
    assert!(
        error.contains("listen.admin") && error.contains("--admin"),
        "{error}"
    );
}

#[test]
fn an_open_proxy_is_warned_of() {
    let home = home();
    fs::write(
        home.path().join("w.toml"),
        "[listen]\nproxy = ['0.0.0.0:0']\nadmin = []\n",
    )
    .unwrap();
    let run = Run::start(home.path(), &["run", "--config", "w.toml"]);
    run.after("0.0.0.0:0 is an open proxy");
    run.after("wsbump: proxy listening on 0.0.0.0:");
}

#[test]
fn hangups_and_changed_files_reload_and_broken_ones_do_not() {
    let home = home();
    let config = "[listen]\nproxy = ['127.0.0.1:0']\nadmin = ['127.0.0.1:0']\n\
                  [[list]]\nname = 'l'\nfile = 'l'\n[policy]\nsplice = ['l']\n";
    fs::write(home.path().join("w.toml"), config).unwrap();
    fs::write(home.path().join("l"), "a\n").unwrap();
    let mut run = Run::start(home.path(), &["run", "--config", "w.toml"]);
    run.after("wsbump: CA certificate in ");
    run.signal(Signal::HUP);
    run.after("configuration reloaded");
    fs::write(home.path().join("l"), "a\n(b\n[c\n").unwrap();
    run.after("l:3:1: list l: ");
    assert!(
        run.after("configuration not reloaded")
            .contains("l:2:1: list l: ")
    );
    fs::write(home.path().join("new"), "a\nb\n").unwrap();
    fs::rename(home.path().join("new"), home.path().join("l")).unwrap();
    run.after("configuration reloaded");
    fs::write(
        home.path().join("w.toml"),
        config.replace("admin = ['127.0.0.1:0']", "admin = []"),
    )
    .unwrap();
    run.after("listen.admin has changed: this needs a restart");
    run.after("configuration reloaded");
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(0));
}
