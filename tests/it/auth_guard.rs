//! Wrong passwords, and password files that change, through the running proxy.

use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// `ada` and `max`, whose password is "secret"; by openssl passwd.
const ADA: &str = "ada:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n";
const MAX: &str = "max:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n";
/// `ada`, whose password is "a".
const ADA_ANEW: &str = "ada:$apr1$x$16j9.5e7KiXmuYFAYpPJM/\n";

struct Bench {
    proxy: Proxy,
    port: u16,
}

impl Bench {
    fn start(auth: &str, rules: &str) -> Self {
        let proxy = Setup::new()
            .file("users", &format!("{ADA}{MAX}"))
            .file("groups", "staff: max\n")
            .config(&format!(
                "[auth]\ndomains = ['corp.example']\nnetbios = ['CORP']\n{auth}\n\
                 [auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n{rules}\
                 [[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n"
            ))
            .start();
        Self {
            proxy,
            port: origins::plain_aiohttp().port,
        }
    }

    /// The status of a request that the origin answers with 204.
    fn get(&self, name: &str, password: &str) -> u16 {
        let shown = BASE64_STANDARD.encode(format!("{name}:{password}"));
        let origin = format!("origin.test:{}", self.port);
        let mut wire = Wire::new(dial(&self.proxy.address));
        wire.send(format!(
            "GET http://{origin}/status/204 HTTP/1.1\r\nHost: {origin}\r\nProxy-Authorization: Basic {shown}\r\n\r\n"
        ));
        wire.answer().status
    }
}

#[test]
fn guesses_are_held_back_and_the_log_says_so_without_passwords() {
    let bench = Bench::start("throttle_attempts = 0", "");
    assert_eq!(bench.get("ada", "secret"), 204);
    for guess in 0..6 {
        assert_eq!(bench.get(r"CORP\ADA", &format!("guess-{guess}")), 407);
    }
    // Her own password is no guess, and others are not concerned.
    assert_eq!(bench.get("ada", "secret"), 204);
    assert_eq!(bench.get("max", "secret"), 204);
    // A phone with an old password costs the directory nothing more.
    for _ in 0..20 {
        assert_eq!(bench.get("max", "old"), 407);
    }
    let lockout = bench.proxy.log("locked_out", |_| true);
    assert_eq!(lockout["claimed"], "ada", "{lockout}");
    assert_eq!(lockout["attempts"], 4, "{lockout}");
    bench.proxy.log("login_failed", |line| line["claimed"] == "max");
    let failed = bench.proxy.log_so_far("login_failed");
    let errors: Vec<_> = failed
        .iter()
        .filter(|line| line["claimed"] == "ada")
        .map(|line| line["error"].as_str().unwrap())
        .collect();
    let wrong = ["wrong_password"; 4];
    assert_eq!(errors, [&wrong[..], &["locked_out"; 2]].concat());
    assert!(failed.iter().all(|line| line.get("user").is_none()), "{failed:?}");
    let max = failed.iter().filter(|line| line["claimed"] == "max");
    assert_eq!(max.count(), 1, "what is remembered has no line of its own");
    for (family, labels, value) in [
        ("wsbump_auth_lockouts_total", &[][..], 1.0),
        (
            "wsbump_auth_total",
            &[("scheme", "basic"), ("outcome", "locked_out")],
            2.0,
        ),
        (
            "wsbump_auth_total",
            &[("scheme", "basic"), ("outcome", "wrong_password")],
            24.0,
        ),
        (
            "wsbump_auth_total",
            &[("scheme", "basic"), ("outcome", "accepted")],
            3.0,
        ),
        (
            "wsbump_auth_directory_seconds_count",
            &[("answer", "refused")],
            5.0,
        ),
        (
            "wsbump_auth_directory_seconds_count",
            &[("answer", "accepted")],
            2.0,
        ),
        ("wsbump_auth_directory_up", &[("directory", "htpasswd")], 1.0),
    ] {
        bench.proxy.metric(family, labels, value);
    }
    let ended = bench.proxy.terminate();
    for line in ended.out.iter().chain(&ended.err) {
        for secret in ["guess-", "\"old\"", "secret", "$apr1$"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn who_guesses_has_to_wait_and_the_other_users_at_that_address_need_not() {
    let bench = Bench::start("throttle_pause = '5m'\nlockout_attempts = 0", "");
    for guess in ["a", "b", "c"] {
        assert_eq!(bench.get("ada", guess), 407);
    }
    assert_eq!(bench.get("ada", "secret"), 407, "she has to wait as well");
    assert_eq!(bench.get("max", "secret"), 204);
    let line = bench
        .proxy
        .log("login_failed", |line| line["error"] == "throttled");
    assert_eq!(line["claimed"], "ada");
}

#[test]
fn a_file_that_changes_counts_at_once_and_a_wrong_one_changes_nothing() {
    let bench = Bench::start(
        "",
        "[[policy.rule]]\nname = 'staff'\ngroups = ['Staff']\naction = 'deny'\n",
    );
    let reloads = |result, count| {
        bench
            .proxy
            .metric("wsbump_config_reloads_total", &[("result", result)], count);
    };
    assert_eq!(bench.get("ada", "secret"), 204);
    assert_eq!(bench.get("max", "secret"), 403, "staff may not");
    let line = bench.proxy.log("connection", |line| line["user"] == "max");
    assert_eq!(line["groups"], serde_json::json!(["staff"]), "{line}");
    bench.proxy.replace("users", &format!("{ADA_ANEW}{MAX}"));
    reloads("success", 1.0);
    assert_eq!(bench.get("ada", "secret"), 407, "it is remembered no more");
    assert_eq!(bench.get("ada", "a"), 204);
    bench.proxy.replace("groups", "staff: ada\n");
    reloads("success", 2.0);
    assert_eq!(bench.get("ada", "a"), 403);
    assert_eq!(bench.get("max", "secret"), 204);
    bench.proxy.replace("users", "ada:plain\n");
    reloads("failure", 1.0);
    assert_eq!(bench.get("max", "secret"), 204);
    assert_eq!(bench.get("ada", "plain"), 407);
    bench.proxy.replace("users", ADA_ANEW);
    reloads("success", 3.0);
    assert_eq!(bench.get("max", "secret"), 407, "who is gone is gone");
    // Whom a reload does not concern is not asked about again.
    let asked = |answer| {
        let metrics = bench.proxy.metrics();
        metrics.sum("wsbump_auth_directory_seconds_count", &[("answer", answer)])
    };
    let before = asked("accepted");
    assert_eq!(bench.get("ada", "a"), 403);
    assert!((asked("accepted") - before).abs() < 1e-9);
}

#[test]
fn check_tells_of_a_file_that_everybody_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = crate::cli::home();
    let path = home.path().join("users");
    std::fs::write(&path, ADA).unwrap();
    let config = "[auth.basic]\nhtpasswd = 'users'\n";
    std::fs::write(home.path().join("w.toml"), config).unwrap();
    let warned = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = crate::cli::output(home.path(), &["check", "-c", "w.toml"]);
        assert!(output.status.success());
        crate::cli::text(&output.stderr).contains("may be read by everybody (mode 644)")
    };
    assert!(warned(0o644));
    assert!(!warned(0o640));
}
