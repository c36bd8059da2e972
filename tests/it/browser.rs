//! What a person in front of Chromium sees when something is wrong; that all is well is in `peers`.

use crate::harness::clients::{Client, chromium};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::{root, scratch};
use std::process::Command;

#[test]
fn an_unverifiable_origin_is_a_page_that_says_what_failed() {
    let proxy = Proxy::start();
    let home = scratch();
    let found = chromium(home.path(), &proxy.ca)
        .with("proxy", proxy.url())
        .with("mode", "page")
        .with("url", origins::untrusted_node_ws().url("https", "/"))
        .with("screenshot", root().join("target/error-page.png"))
        .run();
    assert_eq!(found["status"], 502, "{found}");
    let text = found["text"].as_str().unwrap();
    assert!(
        text.contains("origin.test") && text.to_ascii_lowercase().contains("certificate"),
        "{text}"
    );
    assert!(
        found["headers"]["proxy-status"]
            .as_str()
            .unwrap()
            .contains("tls_certificate_error"),
        "{found}"
    );
}

#[test]
fn an_origin_that_is_not_there_is_an_error_of_the_proxy() {
    let proxy = Proxy::start();
    let home = scratch();
    // Nothing listens on the port: the CONNECT fails, and Chromium shows no page of the proxy's.
    let found = chromium(home.path(), &proxy.ca)
        .with("proxy", proxy.url())
        .with("mode", "page")
        .with(
            "url",
            format!("https://origin.test:{}/", crate::harness::free_port()),
        )
        .fail();
    assert!(
        found.text.contains("ERR_TUNNEL_CONNECTION_FAILED"),
        "{}",
        found.text
    );
}

/// The lines that the proxy prints at its start, run as they are.
#[test]
fn the_printed_lines_make_curl_and_chromium_use_it() {
    let proxy = Proxy::start();
    let home = scratch();
    let printed = |start: &str| {
        let find = |line: &str| {
            line.trim_start()
                .starts_with(start)
                .then(|| line.trim().to_owned())
        };
        proxy.process().err(start, find)
    };
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", line]).env("HOME", home.path());
        let done = Process::start("sh", command).finish();
        assert!(done.status.success(), "{line}: {:?}", done.err);
        done.out.join("\n")
    };
    let url = origins::aiohttp().url("https", "/status/200");
    let line = printed("curl ").replace("https://example.com/", &url);
    assert!(shell(&line).contains("status 200"));

    shell(&printed("mkdir -p ~/.pki/nssdb && certutil "));
    let server = printed("chromium --proxy-server=");
    let found = Client::new("client_chromium.mjs")
        .with("browser", "/usr/bin/chromium")
        .with("home", home.path())
        .with("proxy", server.split_once('=').unwrap().1)
        .with("mode", "page")
        .with("url", &url)
        .run();
    assert_eq!(found["status"], 200, "{found}");

    let ca = printed("Certificates > ");
    assert!(ca.ends_with(proxy.ca.to_str().unwrap()), "{ca}");
    let (host, port) = proxy.address.split_once(':').unwrap();
    let firefox = printed("Network Settings > ");
    assert!(
        firefox.contains(&format!("HTTP Proxy {host}, Port {port}")),
        "{firefox}"
    );
}
