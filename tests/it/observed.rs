//! The numbers of a real run, in a real Prometheus, on every panel of the dashboard.

use crate::grafana::{Prometheus, panels_without_data, query, until};
use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tls;
use crate::harness::recorder::Recorder;
use std::time::{Duration, Instant};

/// Prometheus scrapes once a second, and a rate needs two scrapes around the traffic.
const PATIENCE: Duration = Duration::from_secs(90);

/// A rule that the conversations below match and that changes them, and a scanner that none of them is given to.
const INSPECTION: &str = "
[[inspect.scanner]]
name = 'clamav'
url = 'clamd://127.0.0.1:1'
[[inspect.rule]]
name = 'words'
mode = 'enforce'
action = 'redact'
with = 'hullo'
direction = 'to_client'
keywords = ['hello']
[[inspect.rule]]
name = 'viruses'
action = 'log'
min_size = '1GiB'
scan = 'clamav'
";

#[test]
fn every_panel_shows_data_of_a_real_run() {
    let spliced = origins::nginx();
    let proxy = Setup::new()
        .file("spliced", &format!("^origin\\.test:{}$\n", spliced.port))
        .config(INSPECTION)
        .config("[[list]]\nname = 'spliced'\nfile = 'spliced'\n[policy]\nsplice = ['spliced']\n")
        .start();
    let prometheus = Prometheus::scraping(proxy.admin.parse().unwrap());
    // A leaf is minted once: Prometheus must have seen the proxy before the traffic, to see it grow.
    until("the first scrape", || {
        match query(prometheus.address, "wsbump_connections_open")[..] {
            [_] => Ok(()),
            ref other => Err(other.to_vec()),
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Text, binary, fragments, pings and a Close; a bumped exchange; a spliced connection.
        Client::new("client_websockets.py")
            .with("ca", &proxy.ca)
            .with("proxy", proxy.url())
            .with("url", origins::websockets().url("wss", "/echo"))
            .run();
        Client::new("client_websockets.py")
            .with("mode", "open")
            .with("ca", &proxy.ca)
            .with("proxy", proxy.url())
            .with("url", origins::websockets().url("wss", "/echo"))
            .run();
        let bumped = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[&origins::aiohttp().url("https", "/status/200")],
        );
        assert_eq!(bumped.status, 200, "{}", bumped.verbose);
        let blind = curl(Some(&proxy.url()), &certs().root, &[&spliced.url("https", "/1m")]);
        assert_eq!(blind.status, 200, "{}", blind.verbose);

        let without = panels_without_data(prometheus.address, "5m");
        if without.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "panels without data: {without:#?}");
    }
}

/// Whoever sends what can be read in two ways is named, in the log and in the metrics.
#[test]
fn what_is_malformed_is_logged_and_counted_by_its_sender() {
    let (proxy, recorder) = (Proxy::start(), Recorder::start());
    let target = recorder.target();
    let counted = |side, kind, wanted| {
        proxy.metric(
            "wsbump_http_malformed_total",
            &[("side", side), ("kind", kind)],
            wanted,
        );
    };
    counted("client", "repeated_host", 0.0);

    let mut client = tls(&proxy, &target);
    client.send(format!(
        "GET /asked HTTP/1.1\r\nHost: {target}\r\nHost: {target}\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 400);
    let line = proxy.log("request", |line| line["malformed"] == "repeated_host");
    assert_eq!(line["malformed_by"], "client", "{line}");
    assert_eq!(line["error"], "http_request_error", "{line}");
    assert_eq!(line["status"], 400, "{line}");
    counted("client", "repeated_host", 1.0);
    // That connection reached its origin, which was asked nothing.
    drop(recorder.accept());

    let mut client = tls(&proxy, &target);
    client.send(format!("GET /answered HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!");
    assert_eq!(client.answer().status, 502);
    let line = proxy.log("request", |line| line["malformed"] == "different_lengths");
    assert_eq!(line["malformed_by"], "origin", "{line}");
    assert_eq!(line["error"], "http_protocol_error", "{line}");
    assert_eq!(line["url"], format!("https://{target}/answered"), "{line}");
    counted("origin", "different_lengths", 1.0);
    counted("client", "different_lengths", 0.0);
}
