//! The operator's listener answers those who know its name and its token, and no web page.

use crate::grafana::{Prometheus, query, until};
use crate::harness::clients::curl;
use crate::harness::metrics::get;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Wire, dial};
use crate::harness::scratch;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A request for `path` with these lines.
fn ask(proxy: &Proxy, path: &str, lines: &str) -> Answer {
    let mut wire = Wire::new(dial(&proxy.admin));
    wire.send(format!("GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"));
    wire.answer()
}

fn refused(proxy: &Proxy, reason: &str) -> f64 {
    proxy
        .metrics()
        .sum("wsbump_admin_refused_total", &[("reason", reason)])
}

#[test]
fn a_name_that_an_attacker_owns_leads_nowhere() {
    let proxy = Setup::new()
        .config("admin = { names = ['wsbump.example'] }")
        .start();
    let port = proxy.admin.rsplit(':').next().unwrap();
    let by_name = |name: &str, extra: &[&str]| {
        let resolved = format!("{name}:{port}:127.0.0.1");
        let url = format!("http://{name}:{port}/metrics");
        curl(
            None,
            &proxy.ca,
            &[&["--resolve", &resolved], extra, &[&url]].concat(),
        )
        .status
    };
    assert_eq!(by_name("attacker.example", &[]), 421);
    assert_eq!(by_name("wsbump.example", &[]), 200);
    assert_eq!(by_name("localhost", &[]), 200);
    assert_eq!(
        by_name("wsbump.example", &["-H", "Sec-Fetch-Site: cross-site"]),
        403
    );
    assert_eq!(
        by_name("wsbump.example", &["-H", "Sec-Fetch-Site: same-origin"]),
        200
    );
    assert_eq!(ask(&proxy, "/metrics", "").status, 400, "no Host at all");
    let answer = ask(&proxy, "/healthz", "Host: attacker.example\r\n");
    assert_eq!(answer.status, 421, "not even this");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let counts = ["unknown_name", "cross_site", "bad_host", "token"].map(|reason| refused(&proxy, reason));
    assert_eq!(counts, [2.0, 1.0, 1.0, 0.0]);
}

/// The lines of refusals that a log has by now, without what differs from run to run.
fn told(lines: &[Value]) -> Vec<Value> {
    let refused = lines.iter().filter(|line| line["type"] == "admin_refused");
    refused
        .map(|line| {
            let mut line = line.clone();
            for field in ["time", "instance"] {
                assert!(line[field].is_string(), "{line}");
                line[field].take();
            }
            line.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            line
        })
        .collect()
}

#[test]
fn whoever_is_refused_is_in_the_access_log_and_in_the_audit_log() {
    let folder = scratch();
    let socket = folder.path().join("admin.sock");
    let proxy = Setup::new()
        .file("token", TOKEN)
        .config(&format!(
            "listen = {{ admin = ['127.0.0.1:0', 'unix:{}'] }}\nadmin = {{ token = 'token' }}\n[log]\naudit = 'audit.log'",
            socket.display()
        ))
        .start();
    let asked = ask(&proxy, "/metrics?secret=1", "Host: attacker.example:81\r\n");
    assert_eq!(asked.status, 421);
    assert_eq!(ask(&proxy, "/metrics", "Host: localhost\r\n").status, 401);
    assert_eq!(ask(&proxy, "/metrics", "").status, 400);
    let by_socket = [
        "--unix-socket",
        socket.to_str().unwrap(),
        "http://whatever/metrics",
    ];
    assert_eq!(curl(None, &proxy.ca, &by_socket).status, 401);
    let line = |reason: &str, status: u16| {
        json!({"type": "admin_refused", "client": "127.0.0.1", "pages": "admin", "reason": reason, "status": status,
            "method": "GET", "path": "/metrics"})
    };
    let with = |mut line: Value, fields: Value| {
        line.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        line
    };
    let mut of_socket = with(
        line("token", 401),
        json!({"host": "whatever", "by": format!("uid {}", rustix::process::getuid().as_raw())}),
    );
    of_socket.as_object_mut().unwrap().remove("client");
    let wanted = [
        with(line("unknown_name", 421), json!({"host": "attacker.example:81"})),
        with(line("token", 401), json!({"host": "localhost"})),
        line("bad_host", 400),
        of_socket,
    ];
    let access = crate::harness::until("the lines", || {
        let lines = told(&proxy.log_so_far("admin_refused"));
        (lines.len() == wanted.len()).then_some(lines)
    });
    assert_eq!(access, wanted);
    let audit = crate::harness::until("the audit log", || {
        let text = fs::read_to_string(proxy.folder().join("audit.log")).ok()?;
        (text.lines().count() == wanted.len()).then_some(text)
    });
    assert!(!audit.contains("secret") && !audit.contains(TOKEN));
    let audit: Vec<Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told(&audit), wanted);
}

#[test]
fn a_token_is_asked_for_where_one_is_configured_and_a_new_one_is_taken_up() {
    let proxy = Setup::new()
        .file("token", &format!("{TOKEN}\n"))
        .config("admin = { token = 'token' }")
        .start();
    let status = |token: &str| ask(&proxy, "/metrics", &format!("Host: localhost\r\n{token}")).status;
    let answer = ask(&proxy, "/metrics", "Host: localhost\r\n");
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, Some("Bearer realm=\"wsbump\""))
    );
    assert_eq!(status(&format!("Authorization: Bearer {TOKEN}\r\n")), 200);
    assert_eq!(status("Authorization: Bearer 0123\r\n"), 401);
    assert_eq!(status("Authorization: Basic d3NidW1wOndzYnVtcA==\r\n"), 401);
    for open in ["/healthz", "/readyz", "/ca.pem", "/"] {
        assert_eq!(get(&proxy.admin, open).0, 200, "{open}");
    }
    assert!(proxy.process().err("told", |line| {
        line.contains("may be read by others").then_some(true)
    }));

    let other = "fedcba9876543210fedcba9876543210";
    proxy.replace("token", other);
    crate::harness::until("the new token", || {
        (status(&format!("Authorization: Bearer {other}\r\n")) == 200).then_some(())
    });
    assert_eq!(status(&format!("Authorization: Bearer {TOKEN}\r\n")), 401);
}

#[test]
fn prometheus_scrapes_with_the_token_and_not_without() {
    let proxy = Setup::new()
        .file("token", TOKEN)
        .config("admin = { token = 'token' }")
        .start();
    let file = proxy.folder().join("token");
    let admin = proxy.admin.parse().unwrap();
    let with = format!("    authorization:\n      credentials_file: {}\n", file.display());
    let (with, without) = (
        Prometheus::scraping_with(admin, &with),
        Prometheus::scraping(admin),
    );
    until("a scrape with the token", || {
        match query(with.address, "up == 1 and on () wsbump_build_info")[..] {
            [_] => Ok(()),
            ref other => Err(other.to_vec()),
        }
    });
    until("a scrape without it", || match query(without.address, "up")[..] {
        [0.0] => Ok(()),
        ref other => Err(other.to_vec()),
    });
}

#[test]
fn a_socket_in_the_file_system_is_of_its_user_alone() {
    let folder = scratch();
    let path = folder.path().join("admin.sock");
    let proxy = Setup::new()
        .config(&format!(
            "listen = {{ admin = ['127.0.0.1:0', 'unix:{}'] }}",
            path.display()
        ))
        .start();
    proxy.process().err("the socket", |line| {
        line.contains(&format!("admin listening on unix:{}", path.display()))
            .then_some(())
    });
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let socket = ["--unix-socket", path.to_str().unwrap(), "http://whatever/metrics"];
    let done = curl(None, &proxy.ca, &socket);
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert!(proxy.terminate().err.iter().any(|line| line.contains("drained")));
    assert!(!path.exists(), "it goes with the process");
}

fn check(folder: &Path, config: &str) -> (bool, String) {
    fs::write(folder.join("w.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    let command = command.args(["check", "--config", "w.toml", "--data-dir", "data"]);
    let done = command.current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    (done.status.success(), said.into_owned())
}

#[test]
fn the_listener_is_not_opened_to_others_by_mistake() {
    let folder = scratch();
    let open = "[listen]\nadmin = ['0.0.0.0:9128']\n";
    let (good, said) = check(folder.path(), open);
    assert!(
        !good && said.contains("w.toml:2:10: listen.admin: other machines can reach 0.0.0.0:9128"),
        "{said}"
    );
    assert!(said.contains("insecure = true under [admin]"), "{said}");
    let (good, said) = check(folder.path(), &format!("{open}[admin]\ninsecure = true\n"));
    assert!(good, "{said}");
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let (good, said) = check(folder.path(), &format!("{open}[admin]\ntoken = 'token'\n"));
    assert!(good && said.contains("admin  0.0.0.0:9128"), "{said}");
}

#[test]
fn without_its_token_an_open_listener_reads_nothing_out_after_a_reload() {
    let proxy = Setup::new()
        .file("token", TOKEN)
        .config("listen = { admin = ['0.0.0.0:0'] }\nadmin = { token = 'token' }")
        .start();
    let status =
        |proxy: &Proxy, token: &str| ask(proxy, "/metrics", &format!("Host: localhost\r\n{token}")).status;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!((status(&proxy, ""), status(&proxy, &bearer)), (401, 200));
    // That the addresses have changed too is in vain without a restart.
    proxy.replace(
        "wsbump.toml",
        "listen = { proxy = ['127.0.0.1:0'], admin = ['127.0.0.1:0'] }",
    );
    crate::harness::until("the reload", || (status(&proxy, &bearer) == 403).then_some(()));
}
