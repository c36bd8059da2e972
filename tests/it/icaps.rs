//! A scanner inside TLS (`icaps://`) as an operator meets it: a real c-icap behind its `TlsPort`.

use crate::cli::{bad, good, home, output, text};
use crate::harness::certs::certs;
use crate::harness::clients::{Curled, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::frame;
use crate::harness::recorder::Recorder;
use crate::harness::scanners::{CIcap, Clamd, eicar};
use crate::harness::until;
use std::fs;
use std::process::Command;

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

/// A scanner at this port with these lines, which no failure makes rest, and a rule that drops what it finds.
fn config(port: u16, lines: &str) -> String {
    format!(
        "[[inspect.scanner]]\nname = \"icap\"\nurl = \"icaps://127.0.0.1:{port}/scan\"\ndeadline = \"20s\"\n\
         breaker_failures = 1000000\n{lines}\n\
         [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"icap\"\n\
         in = [\"message\", \"body\"]\ndirection = \"to_origin\"\n"
    )
}

fn ca() -> String {
    format!("ca = \"{}\"\n", certs().root.display())
}

fn upload(proxy: &Proxy, data: &str) -> Curled {
    let url = origins::aiohttp().url("https", "/echo");
    curl(Some(&proxy.url()), &proxy.ca, &["--data-binary", data, &url])
}

fn scans(proxy: &Proxy, outcome: &str, count: f64) {
    let labels = [("scanner", "icap"), ("outcome", outcome)];
    proxy.metric("wsbump_inspect_scan_seconds_count", &labels, count);
}

/// The line of the log that says why.
fn reason(proxy: &Proxy) -> String {
    let said = "content could not be scanned";
    proxy
        .process()
        .err(said, |line| line.contains(said).then(|| line.to_owned()))
}

fn finds_eicar(proxy: &Proxy) {
    let recorder = Recorder::start();
    let (mut client, mut origin) = recorder.websocket(proxy);
    for text in ["before", &eicar(), "after"] {
        client.send(frame(0x81, MASK, text.as_bytes()));
    }
    for wanted in ["before", "after"] {
        assert_eq!(origin.frame().unwrap().payload, wanted.as_bytes());
    }
    assert_eq!(upload(proxy, "hello").status, 200);
    let refused = upload(proxy, &eicar());
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert!(refused.text.contains("\"viruses\""), "{}", refused.text);
    scans(proxy, "found", 2.0);
    scans(proxy, "clean", 3.0);
    scans(proxy, "failed", 0.0);
}

#[test]
fn eicar_is_found_in_messages_and_bodies() {
    let clamd = Clamd::start();
    for options in ["", "tls-options=SSL_OP_NO_TLSv1_3"] {
        let server = CIcap::start_as(&clamd, &certs().origin, options);
        finds_eicar(&Setup::new().config(&config(server.tls_port, &ca())).start());
    }
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let clamd = Clamd::start();
    let root = certs().root.display();
    let wants = format!("client_ca={root} cafile={root}");
    let server = CIcap::start_as(&clamd, &certs().origin, &wants);
    let client = &certs().client;
    let shown = format!(
        "{}cert = \"{}\"\nkey = \"{}\"\n",
        ca(),
        client.cert.display(),
        client.key.display()
    );
    finds_eicar(&Setup::new().config(&config(server.tls_port, &shown)).start());

    let proxy = Setup::new().config(&config(server.tls_port, &ca())).start();
    assert_eq!(upload(&proxy, "hello").status, 200, "on_failure is to pass");
    scans(&proxy, "failed", 1.0);
    scans(&proxy, "clean", 0.0);
    let said = reason(&proxy);
    assert!(said.contains("it wants a client certificate"), "{said}");
}

#[test]
fn a_server_that_does_not_verify_is_a_failure_and_on_failure_decides() {
    let clamd = Clamd::start();
    let stranger = CIcap::start_as(&clamd, &certs().untrusted, "");
    let old = CIcap::start_as(&clamd, &certs().expired, "");
    let known = CIcap::start(&clamd);
    for (server, ca, why) in [
        (&stranger, ca(), "neither a trusted root nor an intermediate"),
        (&old, ca(), "127.0.0.1: the certificate expired on 2021-01-01"),
        (
            &known,
            String::new(),
            "neither a trusted root nor an intermediate",
        ),
    ] {
        let proxy = Setup::new().config(&config(server.tls_port, &ca)).start();
        let recorder = Recorder::start();
        let (mut client, mut origin) = recorder.websocket(&proxy);
        client.send(frame(0x81, MASK, eicar().as_bytes()));
        assert_eq!(origin.frame().unwrap().payload, eicar().as_bytes());
        assert_eq!(upload(&proxy, &eicar()).status, 200);
        scans(&proxy, "failed", 2.0);
        let said = reason(&proxy);
        let place = format!("cannot connect to 127.0.0.1:{}: 127.0.0.1: ", server.tls_port);
        assert!(said.contains(&place) && said.contains(why), "{said}");
        assert!(said.contains("WARN") && said.contains("icap"), "{said}");

        let closes = config(server.tls_port, &format!("{ca}on_failure = \"close\"\n"));
        let proxy = Setup::new().config(&closes).start();
        let (mut client, mut origin) = recorder.websocket(&proxy);
        client.send(frame(0x81, MASK, b"hello"));
        assert_eq!(client.frame().unwrap().close_code(), Some(1008));
        assert_eq!(origin.frame().unwrap().close_code(), Some(1008));
        assert_eq!(upload(&proxy, "hello").status, 502);
        scans(&proxy, "failed", 2.0);
    }
}

#[test]
fn a_renewed_ca_takes_effect_by_itself() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    let (wrong, right) = (&certs().untrusted.cert, &certs().root);
    let pem = |path| fs::read_to_string(path).unwrap();
    let proxy = Setup::new()
        .file("scanners.pem", &pem(wrong))
        .config(&config(server.tls_port, "ca = \"scanners.pem\"\n"))
        .start();
    assert_eq!(upload(&proxy, &eicar()).status, 200);
    scans(&proxy, "failed", 1.0);
    proxy.replace("scanners.pem", &pem(right));
    until("the new CA is trusted", || {
        (upload(&proxy, &eicar()).status == 403).then_some(())
    });
    // Its connections are used again, and not those of the scanner that trusted them.
    proxy.replace("scanners.pem", &pem(wrong));
    until("the new CA is not trusted any more", || {
        (upload(&proxy, &eicar()).status == 200).then_some(())
    });
    // What cannot be read changes nothing.
    proxy.replace("scanners.pem", &pem(right));
    until("the new CA is trusted", || {
        (upload(&proxy, &eicar()).status == 403).then_some(())
    });
    let failures = || {
        proxy
            .metrics()
            .sum("wsbump_config_reloads_total", &[("result", "failure")])
    };
    let before = failures();
    proxy.replace("scanners.pem", "nothing");
    until("it is refused", || (failures() > before).then_some(()));
    assert_eq!(upload(&proxy, &eicar()).status, 403);
}

#[test]
fn check_names_what_is_wrong_with_the_files_and_test_rules_what_is_wrong_with_the_server() {
    let home = home();
    let home = home.path();
    let clamd = Clamd::start();
    let (stranger, known) = (
        CIcap::start_as(&clamd, &certs().untrusted, ""),
        CIcap::start(&clamd),
    );
    let file = home.join("w.toml");
    fs::write(home.join("junk.pem"), "junk").unwrap();
    let (cert, key) = (certs().client.cert.display(), certs().client.key.display());
    for (lines, place, words) in [
        ("ca = \"gone.pem\"", "6:6", "inspect.scanner.ca: "),
        ("ca = \"junk.pem\"", "6:6", "holds no certificate"),
        (
            &format!("key = \"{key}\""),
            "6:7",
            "inspect.scanner.key: has no certificate",
        ),
        (&format!("cert = \"{cert}\""), "6:8", "inspect.scanner.cert: "),
    ] {
        fs::write(&file, config(1, lines)).unwrap();
        for command in ["check", "run"] {
            let error = bad(home, &[command, "--config", "w.toml"], 2);
            assert!(
                error.starts_with(&format!("w.toml:{place}: ")),
                "{command}: {error}"
            );
            assert!(error.contains(words), "{command}: {error}");
        }
    }
    let plain = config(1, &ca()).replace("icaps://", "icap://");
    fs::write(&file, plain).unwrap();
    let error = bad(home, &["check", "--config", "w.toml"], 2);
    assert!(
        error.starts_with("w.toml:6:6: inspect.scanner.ca: is for icaps://"),
        "{error}"
    );

    // A machine without roots.
    fs::write(&file, config(1, "")).unwrap();
    good(home, &["check", "--config", "w.toml"]);
    let rootless = Command::new(env!("CARGO_BIN_EXE_wsbump"))
        .args(["check", "--config", "w.toml"])
        .current_dir(home)
        .env("SSL_CERT_FILE", home.join("junk.pem"))
        .env("SSL_CERT_DIR", home.join("none"))
        .output()
        .unwrap();
    let error = text(&rootless.stderr);
    assert_eq!(rootless.status.code(), Some(2), "{error}");
    assert!(
        error.starts_with("w.toml:3:7: inspect.scanner.url: there are no root certificates")
            && error.contains("ca = \"...\""),
        "{error}"
    );

    for (server, message, code, words) in [
        (&known, eicar(), 1, ""),
        (&known, "hello".to_owned(), 0, ""),
        (&stranger, eicar(), 0, "neither a trusted root"),
    ] {
        fs::write(&file, config(server.tls_port, &ca())).unwrap();
        good(home, &["check", "--config", "w.toml"]);
        let ran = output(
            home,
            &["test-rules", "--config", "w.toml", "--scan", "-m", &message],
        );
        let (out, err) = (text(&ran.stdout), text(&ran.stderr));
        assert_eq!(ran.status.code(), Some(code), "{out}{err}");
        assert!(err.contains(words), "{err}");
        assert_eq!(
            err.contains("warning: scanner \"icap\": cannot connect to"),
            !words.is_empty()
        );
    }
}
