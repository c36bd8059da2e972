//! Users of a directory that is asked by LDAP: a real Active Directory domain, through the proxy.

use crate::harness::clients::{Client, curl, curl_in};
use crate::harness::domain::{Domain, domain};
use crate::harness::logins::basic;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial};
use std::net::TcpListener;

/// Who is in `web-full`, by whatever steps, may go anywhere, and others nowhere; `open.test` is for all.
const RULES: &str = "[[list]]\nname = 'open'\nfile = 'open'\nformat = 'domains'\n\
     [policy]\ndefault = 'deny'\n\
     [[policy.rule]]\nname = 'open'\nhosts = ['open']\naction = 'allow'\n\
     [[policy.rule]]\nname = 'full'\ngroups = ['Web-Full']\naction = 'allow'\n";

/// A proxy that asks the directory at `url`, and takes tickets too.
fn start(domain: &Domain, url: &str) -> Proxy {
    Setup::new()
        .file("open", "localhost\n")
        .file("password", &format!("{}\n", domain.password()))
        .config(&format!(
            "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth]\nnetbios = ['CORP']\n[auth.negotiate]\nkeytab = '{}'\n[auth.ldap]\nurls = ['{url}']\n\
             ca = '{}'\nbase = '{}'\nbind_dn = 'http-proxy@corp.example'\nbind_password_file = 'password'\ngroups = 'ad'\n{RULES}",
            domain.keytab().display(),
            domain.ca().display(),
            domain.base(),
        ))
        .start()
}

/// The status of a CONNECT, and of a request in absolute form; over HTTP/1.1 and HTTP/2.
fn asked(proxy: &Proxy, credentials: &str) -> [u16; 4] {
    let port = origins::plain_aiohttp().port;
    let (target, url) = (
        format!("origin.test:{port}"),
        format!("http://origin.test:{port}/status/200"),
    );
    let over_http1 = |line: &str| {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(format!(
            "{line} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {credentials}\r\n\r\n"
        ));
        wire.answer().status
    };
    let over_http2 = |method: &str, target: &str| {
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", target)
            .with("credentials", credentials)
            .run();
        found["status"].as_str().unwrap().parse().unwrap()
    };
    [
        over_http1(&format!("CONNECT {target}")),
        over_http1(&format!("GET {url}")),
        over_http2("CONNECT", &target),
        over_http2("GET", &url),
    ]
}

#[test]
fn passwords_and_nested_groups_are_those_of_the_directory() {
    let domain = domain();
    let proxy = start(domain, &domain.ldaps());
    for (user, status) in [
        ("ada", 200),
        (r"CORP\ADA", 200),
        ("m.weber@corp.example", 200),
        ("max", 403),
    ] {
        assert_eq!(
            asked(&proxy, &basic(user, domain.password())),
            [status; 4],
            "{user}"
        );
    }
    for user in ["ada", "nobody", "*"] {
        assert_eq!(asked(&proxy, &basic(user, "wrong")), [407; 4], "{user}");
    }
    let user = format!("jürgen:{}", domain.password());
    let url = origins::aiohttp().url("https", "/status/200");
    let curled = curl(Some(&proxy.url()), &proxy.ca, &["--proxy-user", &user, &url]);
    assert!(curled.verbose.contains("HTTP/1.1 403"), "{}", curled.verbose);
    for (user, status) in [("ada", 200), ("weber", 200), ("max", 403), ("jürgen", 403)] {
        proxy.log("request", |line| line["status"] == status && line["user"] == user);
    }
    let line = proxy.log("login_failed", |line| line["claimed"] == "nobody");
    assert!(
        line["detail"].as_str().unwrap().contains("no entry below"),
        "{line}"
    );
    proxy.metric("wsbump_auth_directory_up", &[("directory", "ldap")], 1.0);
}

#[test]
fn groups_of_a_ticket_have_the_names_of_the_directory() {
    let domain = domain();
    let proxy = start(domain, &domain.ldaps());
    let address = proxy.url().replace("127.0.0.1", "localhost");
    let url = origins::aiohttp().url("https", "/status/200");
    let arguments = ["--proxy-negotiate", "--proxy-user", ":", &url];
    for (user, granted) in [("ada", true), ("max", false)] {
        let curled = curl_in(&domain.login(user), Some(&address), &proxy.ca, &arguments);
        let said = if granted { "HTTP/1.1 200" } else { "HTTP/1.1 403" };
        assert!(curled.verbose.contains(said), "{user}: {}", curled.verbose);
    }
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(
        (&line["user"], &line["rule"]),
        (&"ada".into(), &"full".into()),
        "{line}"
    );
}

#[test]
fn who_cannot_be_found_out_is_a_503_and_hosts_for_all_go_on() {
    let domain = domain();
    // Nobody is there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldaps://{}", listener.local_addr().unwrap());
    drop(listener);
    let proxy = start(domain, &url);
    assert_eq!(asked(&proxy, &basic("ada", domain.password())), [503; 4]);
    let line = proxy.log("request", |line| line["status"] == 503);
    assert_eq!(line["error"], "proxy_authentication_unavailable", "{line}");
    assert!(line["user"].is_null(), "{line}");
    proxy.metric("wsbump_auth_directory_up", &[("directory", "ldap")], 0.0);

    // A ticket is good by itself, and the groups that a rule wants to know are not in it.
    let address = proxy.url().replace("127.0.0.1", "localhost");
    let secure = origins::aiohttp().url("https", "/status/200");
    let arguments = ["--proxy-negotiate", "--proxy-user", ":", &secure];
    let curled = curl_in(&domain.login("ada"), Some(&address), &proxy.ca, &arguments);
    assert!(curled.verbose.contains("HTTP/1.1 503"), "{}", curled.verbose);

    let open = secure.replace("origin.test", "localhost");
    let user = format!("ada:{}", domain.password());
    let curled = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--proxy-basic", "--proxy-user", &user, &open],
    );
    assert_eq!(curled.status, 200, "{}", curled.verbose);
}
