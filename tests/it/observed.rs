//! The numbers of a real run, in a real Prometheus, on every panel of the dashboard.

use crate::client_limits::from;
use crate::grafana::{Prometheus, panels_without_a_value, panels_without_data, query, until};
use crate::harness::certs::{Incomplete, certs, incomplete};
use crate::harness::clients::{Client, curl};
use crate::harness::dns::{DnsServer, Says};
use crate::harness::origins::{self, Origin};
use crate::harness::parents::OwnParent;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{connect, frame, tls, tunnel};
use crate::harness::recorder::{Recorder, tcp};
use crate::harness::revocation::Pki;
use crate::harness::road::{Road, Talk, Version, over_both};
use crate::harness::scanners::Clamd;
use crate::intermediates::{Shelf, URL};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Prometheus scrapes once a second, and a rate needs two scrapes around the traffic.
const PATIENCE: Duration = Duration::from_secs(90);

/// Rules that change, log and scan what the conversations below say, and what does not fit into a budget.
fn inspection(clamd: &Clamd) -> String {
    format!(
        "
[inspect]
message_bytes = '64KiB'
on_budget = 'pass'
[[inspect.scanner]]
name = 'clamav'
url = 'clamd://127.0.0.1:{}'
[[inspect.rule]]
name = 'words'
mode = 'enforce'
action = 'redact'
with = 'hullo'
direction = 'to_client'
keywords = ['hello']
[[inspect.rule]]
name = 'left-out'
mode = 'enforce'
action = 'drop'
direction = 'to_origin'
in = ['message']
keywords = ['leave this out']
[[inspect.rule]]
name = 'viruses'
action = 'log'
scan = 'clamav'
",
        clamd.port
    )
}

/// What most runs never see: an origin with an incomplete chain, names that DNS is asked for, a client at its limits, a flood,
/// and an origin that breaks HTTP/2.
struct Rare {
    chain: Incomplete,
    shelf: Shelf,
    dns: DnsServer,
    odd: Origin,
    nginx: Origin,
}

impl Rare {
    fn start() -> Self {
        let chain = incomplete(URL);
        let dns = DnsServer::start();
        dns.say("asked.test", Says::Addresses(vec![Ipv4Addr::LOCALHOST.into()], 1));
        Self {
            shelf: Shelf::with(&chain.intermediate),
            nginx: origins::own_nginx(Version::Http1, &chain.origin),
            odd: origins::own_odd_h2(),
            chain,
            dns,
        }
    }

    fn setup(&self) -> Setup {
        let roots = [&certs().root, &self.chain.root].map(|root| format!("'{}'", root.display()));
        Setup::new()
            .host("ca.test", &self.shelf.address())
            .config(&self.dns.config())
            .config(&format!("origin.extra_roots = [{}]", roots.join(", ")))
            .config("limits = { client = { except = ['127.0.0.1/32'], connections = 1 } }")
    }

    /// What would be remembered is met once, the rest each time.
    fn happen(&self, proxy: &Proxy, is_first: bool) {
        let get = |url: &str| curl(Some(&proxy.url()), &proxy.ca, &["--http2", url]).status;
        if is_first {
            assert_eq!(get(&self.nginx.url("https", "/")), 200, "its chain is completed");
            assert_eq!(get(&self.odd.url("https", "/cookie")), 200, "over HTTP/1.1");
            let flood = Client::new("client_unread_h2.py")
                .with("ca", &proxy.ca)
                .with("proxy", proxy.url());
            flood.with("url", origins::node_h2().url("https", "/")).run();
        }
        let (listener, port) = tcp();
        drop(tunnel(proxy, &format!("asked.test:{port}")));
        drop(listener);
        let other = Ipv4Addr::new(127, 0, 0, 2);
        let held = from(other, &proxy.address);
        let mut refused = from(other, &proxy.address);
        refused.send("CONNECT asked.test:1 HTTP/1.1\r\nHost: asked.test:1\r\n\r\n");
        assert!(refused.head().unwrap().contains(" 503 "));
        drop(held);
    }
}

#[test]
fn every_panel_shows_data_of_a_real_run() {
    let (spliced, clamd) = (origins::nginx(), Clamd::start());
    let (chat, plain) = (Version::Http1.websockets(), Road::start(Version::Http1));
    let parent = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let pki = Pki::new();
    pki.list("good", "list.crl");
    let rare = Rare::start();
    let proxy = rare
        .setup()
        .config(&format!("origin.crls = ['{}']", pki.path("list.crl").display()))
        .file("spliced", &format!("^origin\\.test:{}$\n", spliced.port))
        .file("led", "localhost\n")
        .config(&format!(
            "[[parent]]\nname = 'upstream'\nurl = 'http://{}'\n[[policy.setting]]\nhosts = ['led']\nparents = ['upstream']\n",
            parent.address()
        ))
        .file("denied", "^denied\\.test:443$\n")
        .file("named", "^named\\.test:443$\n")
        // The password is "correct horse battery staple".
        .file("users", "ada:$6$benchmark$OnG4MA5OKaEVfTpJVyuyzYfjHDn8YjuSC.c3UvT4AwVIRNL0uSVTVrElOadRXVgMyNN7hoPoAqUBy4oOdXhAj1\n")
        .file("chat", &format!("^origin\\.test:{}$\n", chat.port))
        .folder("recorded")
        .config(&inspection(&clamd))
        .config(
            "listen = { tls = ['127.0.0.1:0'] }
[[list]]
name = 'spliced'
file = 'spliced'
[[list]]
name = 'led'
file = 'led'
format = 'domains'
[[list]]
name = 'denied'
file = 'denied'
[[list]]
name = 'chat'
file = 'chat'
[[list]]
name = 'named'
file = 'named'
[auth]
throttle_attempts = 0
lockout_attempts = 0
[auth.basic]
htpasswd = 'users'
[policy]
splice = ['spliced']
deny = ['denied']
[[policy.rule]]
name = 'known'
hosts = ['named']
action = 'authenticate'
[[policy.rule]]
name = 'watched'
mode = 'observe'
action = 'deny'
[metrics]
services = ['chat']
[log]
audit = 'audit.log'
[record]
directory = 'recorded'
",
        )
        .start();
    let prometheus = Prometheus::scraping(proxy.admin.parse().unwrap());
    // A leaf is minted once: Prometheus must have seen the proxy before the traffic, to see it grow.
    until("the first scrape", || {
        match query(prometheus.address, "wsbump_connections_open")[..] {
            [_] => Ok(()),
            ref other => Err(other.to_vec()),
        }
    });
    // Two that stay open.
    let _open =
        [chat, Version::Http1.node_ws()].map(|origin| Talk::open(Version::Http1, &proxy, origin, &[]));
    let deadline = Instant::now() + PATIENCE;
    let mut is_first = true;
    loop {
        rare.happen(&proxy, std::mem::take(&mut is_first));
        // Text, binary, fragments, pings and a Close; over both versions.
        for version in [Version::Http1, Version::Http2] {
            version.client(&proxy, version.websockets(), "/echo").run();
        }
        let open = Client::new("client_websockets.py").with("mode", "open");
        open.with("ca", &proxy.ca)
            .with("proxy", proxy.url())
            .with("url", chat.url("wss", "/echo"))
            .run();
        // A bumped exchange, by either listener; a spliced connection; one that is denied; a client without the CA.
        let ca = proxy.ca.to_str().unwrap();
        for listener in [proxy.url(), proxy.secure_url()] {
            let url = origins::aiohttp().url("https", "/status/200");
            let bumped = curl(Some(&listener), &proxy.ca, &["--proxy-cacert", ca, &url]);
            assert_eq!(bumped.status, 200, "{}", bumped.verbose);
        }
        // One that a parent leads to.
        let url = format!("https://localhost:{}/status/200", origins::aiohttp().port);
        let led = curl(Some(&proxy.url()), &proxy.ca, &[&url]);
        assert_eq!(led.status, 200, "{}", led.verbose);
        // Content that waits for no rule is scanned behind its back.
        let url = origins::aiohttp().url("https", "/echo");
        let scanned = curl(Some(&proxy.url()), &proxy.ca, &["--data", "scan this", &url]);
        assert_eq!(scanned.status, 200, "{}", scanned.verbose);
        let blind = curl(Some(&proxy.url()), &certs().root, &[&spliced.url("https", "/1m")]);
        assert_eq!(blind.status, 200, "{}", blind.verbose);
        assert_eq!(connect(&proxy, "denied.test:443").1.status, 403);
        // Logins that hold and that do not, each time with another wrong password.
        for password in ["correct horse battery staple", &format!("{:?}", Instant::now())] {
            let user = format!("ada:{password}");
            let known = curl(
                Some(&proxy.url()),
                &proxy.ca,
                &["--proxy-user", &user, "https://named.test/"],
            );
            assert_ne!(known.code, 0, "{known:?}");
        }
        let refused = curl(Some(&proxy.url()), &certs().root, &[&chat.url("https", "/")]);
        assert_eq!(refused.code, 60, "{refused:?}");
        // A request that can be read in two ways.
        let target = plain.target();
        let mut client = plain.client(&proxy);
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: {target}\r\nHost: {target}\r\n\r\n"
        ));
        assert_eq!(client.answer().status, 400);
        drop(plain.accept());
        // Frames that are too large to be looked into, that are no UTF-8, and that nobody masked.
        let large = frame(0x82, Some([1, 2, 3, 4]), &[7; 100_000]);
        for broken in [
            frame(0x81, Some([1, 2, 3, 4]), b"\xff\xfe"),
            frame(0x81, None, b"bare"),
        ] {
            let (mut client, mut origin) = plain.websocket(&proxy);
            client.send(frame(0x81, Some([1, 2, 3, 4]), b"leave this out"));
            client.send(&large);
            assert_eq!(origin.exactly(large.len()), large);
            client.send(&broken);
            client.stream.cut();
            origin.stream.cut();
        }

        let mut without = panels_without_data(prometheus.address, "5m");
        without.extend(panels_without_a_value(prometheus.address, "5m"));
        if without.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "panels without data: {without:#?}");
    }
    // Bars have names of what happened, and of nothing else.
    let codes = query(
        prometheus.address,
        "count(topk(12, sum by (code, side) (increase(wsbump_websocket_closes_total[5m])) > 0))",
    );
    assert!(matches!(codes[..], [count] if count < 6.0), "{codes:?}");
    // Conversations of some milliseconds are not said to have taken half a second.
    let short = query(
        prometheus.address,
        "histogram_quantile(0.1, sum by (le) (rate(wsbump_websocket_open_seconds_bucket[5m])))",
    );
    assert!(matches!(short[..], [seconds] if seconds < 0.25), "{short:?}");
}

over_both!(services_are_told_from_each_other_and_from_the_rest);

fn services_are_told_from_each_other_and_from_the_rest(version: Version) {
    let (chat, elsewhere) = (version.websockets(), Road::start(version));
    let mut proxy = Setup::new()
        .file("chat", &format!("^origin\\.test:{}$\n", chat.port))
        .config("[[list]]\nname = 'chat'\nfile = 'chat'\n[metrics]\nservices = ['chat']\n")
        .start();
    let count = |family: &str, labels: &[(&str, &str)], wanted: f64| {
        proxy.metric(&format!("wsbump_service_websocket{family}"), labels, wanted);
    };
    let mut talk = Talk::open(version, &proxy, chat, &[("compression", "none")]);
    let (mut client, mut origin) = elsewhere.websocket(&proxy);
    for service in ["chat", "other"] {
        count("s_open", &[("service", service)], 1.0);
        count("_opens_total", &[("service", service)], 1.0);
    }
    talk.say("hello");
    talk.heard("hello");
    let text = frame(0x81, Some([1, 2, 3, 4]), b"elsewhere");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    for (service, direction, bytes, messages) in [
        ("chat", "to_origin", 5.0, 1.0),
        ("chat", "to_client", 5.0, 1.0),
        ("other", "to_origin", 9.0, 1.0),
        ("other", "to_client", 0.0, 0.0),
    ] {
        let labels = [("service", service), ("direction", direction)];
        count("_payload_bytes_total", &labels, bytes);
        count("_messages_total", &labels, messages);
    }
    client.stream.cut();
    origin.stream.cut();
    drop((client, origin));
    count("_closes_total", &[("service", "other"), ("code", "cut")], 1.0);
    count("s_open", &[("service", "other")], 0.0);
    count("_closes_total", &[("service", "chat")], 0.0);

    // What is named no longer has no series, and what is open goes on.
    proxy.rewrite_config("metrics = { services = [] }");
    proxy.process().signal("HUP");
    let gone = || {
        !crate::harness::metrics::get(&proxy.admin, "/metrics")
            .2
            .contains("service=")
    };
    crate::harness::until("the end of the services", || gone().then_some(()));
    talk.say("still here");
    talk.heard("still here");
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
