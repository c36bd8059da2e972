//! The proxy's own host for the people behind it.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, Curled, chromium, curl, firefox};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::header;
use crate::harness::scratch;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const PORTAL: &str = "http://wsbump.internal";

/// One that lets nobody go anywhere, and wants to know who asks.
fn closed() -> Proxy {
    Setup::new()
        .config(
            "listen = { tls = ['127.0.0.1:0'] }\nlistener = [{ name = 'socks', kind = 'socks', address = ['127.0.0.1:0'] }]\n[policy]\ndefault = 'deny'\n\
             [portal.purpose]\nen = 'We look for <malware>.'\nja = 'マルウェアを検査しています。'\n\
             [pages]\norganisation = 'Example & Co'\ncontact = 'help desk'",
        )
        .start()
}

fn get(proxy: &Proxy, arguments: &[&str]) -> Curled {
    let done = curl(Some(&proxy.url()), &proxy.ca, arguments);
    assert_eq!(done.code, 0, "{done:?}");
    done
}

#[test]
fn it_is_there_by_every_entrance_whatever_the_policy_says() {
    let proxy = closed();
    let portal = |path: &str| format!("{PORTAL}{path}");
    let secure = "https://wsbump.internal/".to_owned();
    for arguments in [
        vec![portal("/")],
        vec!["--proxytunnel".to_owned(), portal("/")],
        vec![secure.clone()],
        vec!["--http2".to_owned(), secure.clone()],
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = get(&proxy, &arguments);
        assert_eq!(done.status, 200, "{done:?}");
        assert!(
            done.text.contains("This network inspects its traffic"),
            "{}",
            done.text
        );
        assert!(
            done.text.contains("We look for &lt;malware&gt;."),
            "{}",
            done.text
        );
        assert!(done.text.contains("Example &amp; Co") && done.text.contains("help desk"));
        let security = header(&done.text, "content-security-policy").unwrap();
        assert!(
            security.starts_with("default-src 'none'; style-src 'self';"),
            "{security}"
        );
        assert!(
            !security.contains("unsafe") && !security.contains("script-src"),
            "{security}"
        );
        assert!(header(&done.text, "via").is_none(), "{}", done.text);
    }
    // By TLS with the proxy: as a request of HTTP/1.1, in a tunnel, and on a stream of HTTP/2.
    let ca = proxy.ca.to_str().unwrap();
    for url in [&portal("/"), &secure] {
        let done = curl(Some(&proxy.secure_url()), &proxy.ca, &["--proxy-cacert", ca, url]);
        assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    }
    // By SOCKS, by its name.
    let socks = proxy.listener("socks");
    let done = curl(None, &proxy.ca, &["--socks5-hostname", &socks, &secure]);
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    let answer = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "GET")
        .with("target", portal("/ca.pem"))
        .run();
    assert_eq!(answer["status"], "200", "{answer}");
    // Others are denied, and nothing was ever looked up or dialled.
    assert_eq!(get(&proxy, &["http://other.test/"]).status, 403);
    assert_eq!(get(&proxy, &["http://wsbump.internal:8080/"]).status, 403);
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("wsbump_dns_lookups_total", &[]), 0.0);
    assert_eq!(metrics.sum("wsbump_dial_seconds_count", &[]), 0.0);
    let line = proxy.log("request", |line| line["url"] == "https://wsbump.internal/");
    assert_eq!(line["status"], 200, "{line}");
    let line = proxy.log("connection", |line| line["target"] == "wsbump.internal:443");
    assert_eq!(
        (&line["action"], &line["outcome"]),
        (&"bump".into(), &"ok".into()),
        "{line}"
    );
    assert_eq!(line["origin"], Value::Null, "{line}");
}

#[test]
fn nobody_has_to_log_in_for_it() {
    let proxy = Setup::new()
        .file("users", "")
        .config(
            "[auth.basic]\nhtpasswd = 'users'\n[[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'",
        )
        .start();
    assert_eq!(get(&proxy, &["http://other.test/"]).status, 407);
    for url in [&format!("{PORTAL}/ca.pem"), "https://wsbump.internal/ca.pem"] {
        assert_eq!(get(&proxy, &[url]).status, 200, "{url}");
    }
}

#[test]
fn it_can_be_called_otherwise_or_switched_off() {
    let proxy = Setup::new()
        .config("portal = { host = 'proxy.corp.test' }")
        .start();
    let done = get(&proxy, &["http://proxy.corp.test/"]);
    assert!(
        done.text.contains("https://trust.proxy.corp.test/trusted.svg"),
        "{}",
        done.text
    );
    let proxy = Setup::new()
        .host("wsbump.internal", "127.0.0.1")
        .config("portal = { enabled = false }\nnetwork = { deny = ['127.0.0.1'] }")
        .start();
    let done = get(&proxy, &[PORTAL]);
    assert_eq!(done.status, 403, "{done:?}");
    assert!(
        header(&done.text, "proxy-status")
            .unwrap()
            .contains("destination_ip_prohibited")
    );
}

/// What openssl or Python says.
fn said(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let done = Process::start(program, command).finish();
    assert!(done.status.success(), "{arguments:?}: {:?}", done.err);
    done.out.join("\n")
}

/// Downloads a file of the portal; what curl names it is what the portal does.
fn download(proxy: &Proxy, folder: &Path, path: &str) {
    let mut command = Command::new("curl");
    command
        .args(["-fsSOJ", "--proxy", &proxy.url(), &format!("{PORTAL}{path}")])
        .current_dir(folder);
    let done = Process::start("curl", command).finish();
    assert!(done.status.success(), "{path}: {:?}", done.err);
}

#[test]
fn what_is_downloaded_is_the_ca_in_every_form() {
    let proxy = closed();
    let folder = scratch();
    for path in [
        "/ca.pem",
        "/ca.crt",
        "/ca.mobileconfig",
        "/bundle.pem",
        "/policies.json",
    ] {
        download(&proxy, folder.path(), path);
    }
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let print = |name: &str, form: &str| {
        let arguments = [
            "x509",
            "-in",
            &file(name),
            "-inform",
            form,
            "-noout",
            "-fingerprint",
            "-sha256",
        ];
        said("openssl", &arguments)
    };
    let wanted = said(
        "openssl",
        &[
            "x509",
            "-in",
            proxy.ca.to_str().unwrap(),
            "-noout",
            "-fingerprint",
            "-sha256",
        ],
    );
    assert_eq!(print("wsbump-ca.pem", "PEM"), wanted);
    assert_eq!(print("wsbump-ca.crt", "DER"), wanted);
    // The CA stands first, and the roots that the proxy verifies servers by after it.
    assert_eq!(print("wsbump-bundle.pem", "PEM"), wanted);
    let bundle = std::fs::read_to_string(file("wsbump-bundle.pem")).unwrap();
    assert!(
        bundle.starts_with("# The CA of this proxy, and the 1 public roots"),
        "{bundle}"
    );
    assert!(
        bundle.contains(std::fs::read_to_string(&certs().root).unwrap().trim()),
        "{bundle}"
    );
    let reads = "import plistlib, sys, hashlib\n\
        profile = plistlib.load(open(sys.argv[1], 'rb'))\n\
        [payload] = profile['PayloadContent']\n\
        print(profile['PayloadType'], payload['PayloadType'], hashlib.sha256(payload['PayloadContent']).hexdigest().upper())";
    let profile = said("python3", &["-c", reads, &file("wsbump-ca.mobileconfig")]);
    let print = wanted.split('=').nth(1).unwrap().replace(':', "");
    assert_eq!(profile, format!("Configuration com.apple.security.root {print}"));
    // The page says the same fingerprint, which people are to compare.
    let page = get(&proxy, &[PORTAL]);
    assert!(
        page.text.contains(wanted.split('=').nth(1).unwrap()),
        "{}",
        page.text
    );
}

#[test]
fn with_the_systems_roots_the_bundle_has_them_and_says_how_old_they_are() {
    let proxy = Setup::new().config("origin = { system_roots = true }").start();
    let done = get(&proxy, &[&format!("{PORTAL}/bundle.pem")]);
    let count = done.text.matches("BEGIN CERTIFICATE").count();
    let system = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
    let known = system.matches("BEGIN CERTIFICATE").count();
    // The system has a few beside that file, and the tests have one.
    assert!(known > 50 && count >= known + 2, "{count} {known}");
    assert!(
        done.text.contains(&format!("the {} public roots", count - 1)),
        "{}",
        &done.text[..800]
    );
    assert!(done.text.contains(", last changed 20"), "{}", &done.text[..800]);
}

#[test]
fn only_its_own_page_may_find_out_by_the_picture() {
    let proxy = closed();
    let url = "https://trust.wsbump.internal/trusted.svg";
    assert_eq!(get(&proxy, &[url]).status, 403);
    for (referer, status) in [
        ("http://wsbump.internal/", 200),
        ("https://wsbump.internal/?lang=ja", 200),
        ("https://evil.test/wsbump.internal/", 403),
        ("https://wsbump.internal.evil.test/", 403),
    ] {
        let done = get(&proxy, &["--referer", referer, url]);
        assert_eq!(done.status, status, "{referer}");
    }
    let style = get(&proxy, &[&format!("{PORTAL}/style.css")]);
    assert_eq!(
        header(&style.text, "cross-origin-resource-policy"),
        Some("same-origin")
    );
}

#[test]
fn a_phones_camera_reads_the_address_of_the_portal() {
    let proxy = closed();
    let folder = scratch();
    download(&proxy, folder.path(), "/qr.svg");
    let [drawn, picture] =
        ["qr.svg", "qr.png"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    said("rsvg-convert", &["--width", "300", "--output", &picture, &drawn]);
    assert_eq!(
        said("zbarimg", &["--quiet", "--raw", &picture]),
        format!("{PORTAL}/")
    );
}

#[test]
fn browsers_find_out_whether_websockets_get_to_the_proxy() {
    let proxy = closed();
    for is_firefox in [false, true] {
        let home = scratch();
        let browser = match is_firefox {
            true => firefox(home.path(), &proxy.ca),
            false => chromium(home.path(), &proxy.ca),
        };
        let found = browser
            .with("proxy", proxy.url())
            .with("url", format!("{PORTAL}/websocket?lang=en"))
            .run();
        assert_eq!(found["well"], serde_json::json!([true, true]), "{found}");
        assert!(
            found["texts"][1]
                .as_str()
                .unwrap()
                .starts_with("Yes: 200 B and 200 KiB"),
            "{found}"
        );
    }
    // One that does not trust the CA gets as far as it can.
    let home = scratch();
    let found = chromium(home.path(), &certs().root)
        .with("proxy", proxy.url())
        .with("url", format!("{PORTAL}/websocket?lang=ja"))
        .run();
    assert_eq!(found["well"], serde_json::json!([true, false]), "{found}");
    assert!(found["texts"][1].as_str().unwrap().contains("いいえ"), "{found}");
}

#[test]
fn its_websocket_says_back_what_clients_say_and_to_no_other_site() {
    let proxy = closed();
    for scheme in ["ws", "wss"] {
        Client::new("client_websockets.py")
            .with("mode", "suite")
            .with("compression", "none")
            .with("proxy", proxy.url())
            .with("ca", &proxy.ca)
            .with("url", format!("{scheme}://wsbump.internal/echo"))
            .run();
        proxy.log("websocket", |line| {
            line["url"] == format!("{scheme}://wsbump.internal/echo")
        });
    }
    // The doctor needs no other target to judge the way to the proxy.
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command
        .args([
            "doctor",
            "wss://wsbump.internal/echo",
            "--echo",
            "--proxy",
            &proxy.url(),
            "--ca",
        ])
        .arg(&proxy.ca);
    let done = Process::start("wsbump doctor", command).finish();
    assert!(
        done.out.last().unwrap().starts_with("All is well"),
        "{:?}",
        done.out
    );
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    for (origin, status) in [
        ("http://evil.test", 403),
        ("https://wsbump.internal.evil.test", 403),
        ("null", 403),
    ] {
        let origin = format!("Origin: {origin}");
        let mut arguments = vec!["--http1.1", "-H", &origin];
        for line in &upgrade {
            arguments.extend(["-H", line]);
        }
        let url = format!("{PORTAL}/echo");
        arguments.push(&url);
        assert_eq!(get(&proxy, &arguments).status, status, "{origin}");
    }
    assert_eq!(get(&proxy, &[&format!("{PORTAL}/echo")]).status, 426);
}

#[test]
fn nothing_else_is_there_and_nothing_can_be_changed() {
    let proxy = closed();
    for path in [
        "/metrics",
        "/readyz",
        "/ca.key",
        "/api/v1/connections",
        "/../ca.pem",
    ] {
        let done = get(&proxy, &["--path-as-is", &format!("{PORTAL}{path}")]);
        assert_eq!(done.status, 404, "{path}");
        assert!(done.text.contains("/ has links to all"), "{path}: {}", done.text);
    }
    let done = get(&proxy, &["-X", "POST", "-d", "a=b", PORTAL]);
    assert_eq!(
        (done.status, header(&done.text, "allow")),
        (405, Some("GET, HEAD")),
        "{done:?}"
    );
}

/// Whether a browser says that it trusts the CA, what the page says in Japanese, and where a picture of it goes.
fn trusts(browser: Client, proxy: &Proxy, picture: &str, url: &str) -> Value {
    let client = browser
        .with("proxy", proxy.url())
        .with("mode", "page")
        .with("url", url);
    let client = match std::env::var_os("WSBUMP_SCREENSHOTS") {
        Some(folder) => client.with("screenshot", Path::new(&folder).join(picture)),
        None => client,
    };
    let found = client.run();
    assert_eq!(found["status"], 200, "{found}");
    let images = found["images"].as_object().unwrap();
    assert!(
        images
            .iter()
            .any(|(url, is_there)| url.contains("/qr.svg") && is_there == true),
        "{found}"
    );
    let trusted = images.iter().find(|(url, _)| url.contains("trusted.svg"));
    trusted.unwrap().1.clone()
}

#[test]
fn chromium_and_firefox_say_whether_they_trust_the_ca() {
    let proxy = closed();
    let home = scratch();
    let knowing = chromium(home.path(), &proxy.ca);
    assert_eq!(trusts(knowing, &proxy, "portal-trusted.png", PORTAL), true);
    let home = scratch();
    let knowing = chromium(home.path(), &proxy.ca);
    let url = "https://wsbump.internal/?lang=ja";
    assert_eq!(trusts(knowing, &proxy, "portal-ja.png", url), true);
    let home = scratch();
    let other = chromium(home.path(), &certs().root);
    assert_eq!(trusts(other, &proxy, "portal-untrusted.png", PORTAL), false);
    for (ca, expected) in [(&proxy.ca, true), (&certs().root, false)] {
        let home = scratch();
        let browser = firefox(home.path(), ca);
        assert_eq!(trusts(browser, &proxy, "portal-firefox.png", PORTAL), expected);
    }
}
