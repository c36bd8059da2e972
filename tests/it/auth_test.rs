//! `wsbump auth-test`, as an operator meets it.

use crate::cli::{bad, good, home, output, text};
use crate::harness::certs::certs;
use crate::harness::issuer::Issuer;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Of "secret", by Apache's htpasswd.
const USERS: &str = "Ada:$2y$05$t.zcRpoi9B9PAL8YgUWalOtCptFGla/FxicQz0zNQ.jI12TYtBH/.\n";

const CONFIG: &str = "\
[auth]
domains = ['corp.example']
netbios = ['CORP']
[auth.basic]
htpasswd = 'users'
groups = 'groups'
[[policy.rule]]
name = 'web'
groups = ['web-full']
action = 'allow'
[[policy.rule]]
name = 'guests'
users = ['guest']
action = 'deny'
[[policy.rule]]
name = 'everybody'
action = 'authenticate'
";

/// A directory with a configuration, and files with a right and a wrong password.
fn prepared() -> TempDir {
    let home = home();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("w.toml", CONFIG);
    write("users", USERS);
    write("groups", "Web-Full: ada\nstaff: ADA\n");
    write("right", "secret\n");
    write("wrong", "Secret\n");
    home
}

/// Standard output of a run that must end with `code`.
#[track_caller]
fn said(home: &Path, arguments: &[&str], code: i32) -> String {
    let arguments = [&["auth-test", "-c", "w.toml"], arguments].concat();
    let output = output(home, &arguments);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    text(&output.stdout)
}

#[test]
fn each_step_of_a_login_is_told() {
    let home = prepared();
    for name in [r"CORP\ADA", "ada", "Ada@corp.example"] {
        let told = said(home.path(), &[name, "--password-file", "right"], 0);
        for line in [
            &format!("name: {name:?} is ada\n"),
            "htpasswd: accepted after ",
            "verdict: accepted (by directory)\n",
            "user: ada\ngroups: web-full, staff\n",
            "  web (allow): may hold for this user\n",
            "  guests (deny): does not hold: users\n",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let home = prepared();
    let told = said(home.path(), &["ada", "--password-file", "wrong"], 1);
    assert!(told.contains("htpasswd: refused after "), "{told}");
    assert!(
        told.contains("verdict: wrong_password (by directory)\n"),
        "{told}"
    );
    assert!(told.contains("answer: 407"), "{told}");
    let told = said(home.path(), &["ada@other.example", "--password-file", "right"], 1);
    assert!(told.contains("is ada@other.example\n"), "{told}");
    fs::write(home.path().join("empty"), "\n").unwrap();
    let told = said(home.path(), &["ada", "--password-file", "empty"], 1);
    assert!(
        told.contains("verdict: empty_password (by credentials)"),
        "{told}"
    );
    assert!(!told.contains("htpasswd:"), "nobody is asked: {told}");
    // What no client can send is told as what is wrong with it.
    fs::write(home.path().join("two"), "secret\nsecret\n").unwrap();
    let told = said(home.path(), &["ada", "--password-file", "two"], 1);
    let line = "verdict: malformed (by credentials): the password has a control character\n";
    assert!(told.contains(line) && !told.contains("secret"), "{told}");
    let told = said(home.path(), &["a@b@c", "--password-file", "right"], 1);
    assert!(
        told.contains("verdict: malformed (by credentials): the name is none"),
        "{told}"
    );
}

#[test]
fn json_is_for_programs_and_a_dash_is_standard_input() {
    let home = prepared();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsbump"))
        .args([
            "auth-test",
            "-c",
            "w.toml",
            "ada",
            "--password-file",
            "-",
            "--json",
        ])
        .current_dir(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"secret").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["status"], 200);
    assert_eq!(told["user"], "ada");
    assert_eq!(told["groups"], serde_json::json!(["web-full", "staff"]));
    assert_eq!(told["steps"][0]["answer"], "accepted");
    assert_eq!(told["steps"][1]["claimed"], "ada");
    assert_eq!(told["rules"][0]["holds"], true);
    assert_eq!(told["rules"][1]["condition"], "users");
    let refused = said(home.path(), &["ada", "--password-file", "wrong", "--json"], 1);
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["status"], 407);
    assert_eq!(refused["user"], Value::Null);
}

#[test]
fn what_cannot_be_tried_is_told() {
    let home = prepared();
    let refused = |arguments: &[&str], code, part: &str| {
        let error = bad(home.path(), &[&["auth-test"], arguments].concat(), code);
        assert!(error.contains(part), "{part}: {error}");
    };
    refused(&["ada", "--password-file", "right"], 2, "no [auth.basic]");
    refused(
        &["-c", "w.toml", "--token-file", "right"],
        2,
        "--token-file: no token is asked for",
    );
    let file = ["-c", "w.toml", "--password-file"];
    refused(&[&file[..], &["right", "a:b"]].concat(), 2, "colon");
    refused(
        &[&file[..], &["none", "ada"]].concat(),
        2,
        "--password-file: none",
    );
    fs::write(home.path().join("users"), "ada:plain\n").unwrap();
    refused(
        &[&file[..], &["right", "ada"]].concat(),
        2,
        "users:1:1: auth.basic.htpasswd",
    );
}

#[test]
fn a_token_is_tried_as_the_proxy_would_take_it() {
    let issuer = Issuer::start();
    let home = prepared();
    let config = format!(
        "[auth]\ndomains = ['corp.example']\n[auth.bearer]\nissuer = 'https://login.example'\naudience = ['wsbump']\n\
         groups_claim = 'groups'\njwks_url = '{}'\nca = '{}'\n[[policy.rule]]\nname = 'staff'\ngroups = ['staff']\naction = 'allow'\n",
        issuer.url(),
        certs().root.display()
    );
    fs::write(home.path().join("w.toml"), config).unwrap();
    let token = issuer.of("Ada@corp.example");
    let token = token.strip_prefix("Bearer ").unwrap();
    fs::write(home.path().join("token"), format!("{token}\n")).unwrap();
    let told = said(home.path(), &["--token-file", "token"], 0);
    for line in [
        "jwks: accepted after ",
        "verdict: accepted (by credentials)\n",
        "user: ada\ngroups: staff\n",
        "  staff (allow): may hold for this user\n",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(!told.contains("name:") && !told.contains(token), "{told}");
    fs::write(home.path().join("token"), &token[..token.len() - 2]).unwrap();
    let told = said(home.path(), &["--token-file", "token"], 1);
    assert!(
        told.contains("verdict: bad_token (by credentials): its signature is wrong"),
        "{told}"
    );
    // Nobody is asked for what is not configured.
    let error = bad(
        home.path(),
        &["auth-test", "-c", "w.toml", "ada", "--password-file", "right"],
        2,
    );
    assert!(error.contains("no [auth.basic]"), "{error}");
}

#[test]
fn a_check_says_how_clients_can_show_who_they_are() {
    let home = prepared();
    let checked = |text: &str| {
        fs::write(home.path().join("w.toml"), text).unwrap();
        good(home.path(), &["check", "-c", "w.toml"])
    };
    assert!(checked("").contains("  auth   nobody is asked\n"));
    let told = checked(&format!("{CONFIG}[auth.address]\nfor = '8h'\n"));
    assert!(
        told.contains("  auth   basic (htpasswd), address (for 28800s)\n"),
        "{told}"
    );
}
