//! The proxy's own resolver, against DNS servers that answer, lie, and are silent.

use crate::harness::certs::{Identity, certs};
use crate::harness::clients::{Client, curl};
use crate::harness::dns::{A, AAAA, DnsServer, Says};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Wire, connect, dial, tunnel};
use crate::harness::recorder::{accept, tcp};
use crate::harness::scanners::{Clamd, eicar};
use crate::harness::{free_port, scratch, until};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

const HERE: &str = "127.0.0.1";

fn here() -> std::net::IpAddr {
    HERE.parse().unwrap()
}

/// A proxy that asks `server` and nobody else.
fn asking(server: &DnsServer, more: &str) -> Proxy {
    Setup::new().config(&server.config()).config(more).start()
}

/// CONNECT to `name`, which must lead to `origin`.
fn reaches(proxy: &Proxy, name: &str, origin: &TcpListener) {
    let port = origin.local_addr().unwrap().port();
    let _client = tunnel(proxy, &format!("{name}:{port}"));
    accept(origin);
}

/// How many look-ups ended so.
fn look_ups(proxy: &Proxy, source: &str, outcome: &str) -> f64 {
    proxy.metrics().sum(
        "wsbump_dns_lookups_total",
        &[("source", source), ("outcome", outcome)],
    )
}

#[test]
fn a_name_is_asked_for_once_while_its_answer_holds() {
    let server = DnsServer::start();
    server.has("site.test", HERE);
    let proxy = asking(&server, "");
    let (origin, _) = tcp();
    for _ in 0..3 {
        reaches(&proxy, "site.test", &origin);
    }
    // One for each family: that there is no AAAA is known too.
    assert_eq!(
        (server.count("site.test", A), server.count("site.test", AAAA)),
        (1, 1)
    );
    assert_eq!(look_ups(&proxy, "network", "ok"), 1.0);
    assert_eq!(look_ups(&proxy, "cache", "ok"), 2.0);
    let metrics = proxy.metrics();
    let queries = |outcome| metrics.sum("wsbump_dns_query_seconds_count", &[("outcome", outcome)]);
    assert_eq!((queries("ok"), queries("no_address")), (1.0, 1.0));
    assert_eq!(metrics.sum("wsbump_dns_cache_entries", &[]), 2.0);
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["origin"], origin.local_addr().unwrap().to_string(), "{line}");
}

#[test]
fn addresses_and_names_with_fixed_ones_are_asked_of_nobody() {
    let server = DnsServer::start();
    let proxy = asking(&server, "[network.hosts]\n'fixed.test' = '127.0.0.1'");
    let (origin, _) = tcp();
    for name in [HERE, "fixed.test", "localhost", "a.localhost"] {
        reaches(&proxy, name, &origin);
    }
    let (_, answer) = connect(&proxy, "nothing.invalid:1");
    assert_eq!(answer.status, 502, "{}", answer.head);
    assert_eq!(server.asked(), []);
    assert_eq!(look_ups(&proxy, "hosts", "ok"), 3.0);
    assert_eq!(look_ups(&proxy, "hosts", "nxdomain"), 1.0);
}

#[test]
fn an_answer_whose_time_is_over_is_asked_for_again() {
    let server = DnsServer::start();
    let ips = vec!["127.0.0.2".parse().unwrap(), here()];
    server.say("flips.test", Says::Flipping(ips, 1));
    let proxy = asking(&server, "network.dns.families = 'ipv4'");
    let (origin, port) = tcp();
    // Nobody listens on the first address.
    let target = format!("flips.test:{port}");
    let (_, answer) = connect(&proxy, &target);
    assert_eq!(answer.status, 502, "{}", answer.head);
    until("the second answer", || {
        (connect(&proxy, &target).1.status == 200).then_some(())
    });
    accept(&origin);
    assert_eq!(server.count("flips.test", AAAA), 0);
}

#[test]
fn how_long_answers_are_kept_has_bounds() {
    let server = DnsServer::start();
    server.say("short.test", Says::Addresses(vec![here()], 0));
    server.say("long.test", Says::Addresses(vec![here()], 3600));
    let proxy = asking(
        &server,
        "network.dns = { families = 'ipv4', min_ttl = '1ms', max_ttl = '1ms' }",
    );
    let (origin, _) = tcp();
    for name in ["short.test", "long.test"] {
        until("a second query", || {
            reaches(&proxy, name, &origin);
            (server.count(name, A) > 1).then_some(())
        });
    }
    let kept = asking(&server, "network.dns = { families = 'ipv4', min_ttl = '1h' }");
    let before = server.count("short.test", A);
    for _ in 0..3 {
        reaches(&kept, "short.test", &origin);
    }
    assert_eq!(server.count("short.test", A), before + 1);
}

/// What a client is told over HTTP/1.1, and what the log says.
fn fails(proxy: &Proxy, name: &str, status: u16, error: &str, outcome: &str) {
    let told = |answered: u16, proxy_status: &str| {
        assert_eq!(answered, status, "{name}: {proxy_status}");
        assert!(proxy_status.contains(error), "{name}: {proxy_status}");
        assert!(proxy_status.contains(name), "{name}: {proxy_status}");
    };
    let of = |answer: &Answer| answer.header("proxy-status").unwrap().to_owned();
    let target = format!("{name}:443");
    let (_, answer) = connect(proxy, &target);
    told(answer.status, &of(&answer));
    let mut plain = Wire::new(dial(&proxy.address));
    plain.send(format!("GET http://{name}/ HTTP/1.1\r\nHost: {name}\r\n\r\n"));
    let answer = plain.answer();
    told(answer.status, &of(&answer));
    drop(plain);
    for (method, target) in [("CONNECT", target), ("GET", format!("http://{name}/"))] {
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", &target)
            .run();
        let status = found["status"].as_str().unwrap().parse().unwrap();
        told(status, found["proxy-status"].as_str().unwrap());
    }
    for protocol in ["HTTP/1.1", "HTTP/2"] {
        for method in ["CONNECT", "GET"] {
            let line = proxy.log("request", |line| {
                line["method"] == method
                    && line["protocol"] == protocol
                    && line["url"].as_str().is_some_and(|url| url.contains(name))
            });
            assert_eq!(line["status"], status, "{line}");
        }
    }
    let line = proxy.log("connection", |line| {
        line["outcome"] == outcome
            && line["target"]
                .as_str()
                .is_some_and(|target| target.starts_with(name))
    });
    assert!(
        line["detail"].as_str().unwrap().contains("does not resolve"),
        "{line}"
    );
}

#[test]
fn failures_are_told_by_their_names_in_every_protocol() {
    let server = DnsServer::start();
    server.say("broken.test", Says::Code(2));
    server.say("refused.test", Says::Code(5));
    server.say("empty.test", Says::Addresses(vec![], 1));
    let proxy = asking(&server, "listen = { tls = ['127.0.0.1:0'] }");
    for (name, rcode) in [
        ("gone.test", "NXDOMAIN"),
        ("broken.test", "SERVFAIL"),
        ("refused.test", "REFUSED"),
        ("empty.test", "NOERROR"),
    ] {
        let error = format!("error=dns_error; rcode=\"{rcode}\"");
        fails(&proxy, name, 502, &error, "dns_error");
    }
    // All four asks of each, and the servers only once where that may be remembered.
    assert_eq!(
        (server.count("gone.test", A), server.count("gone.test", AAAA)),
        (1, 1)
    );
    assert_eq!(server.count("empty.test", A), 1);
    assert_eq!(look_ups(&proxy, "network", "nxdomain"), 1.0);
    assert_eq!(look_ups(&proxy, "cache", "nxdomain"), 3.0);
    for outcome in ["servfail", "refused", "no_address"] {
        let all: f64 = ["network", "cache", "joined"]
            .iter()
            .map(|source| look_ups(&proxy, source, outcome))
            .sum();
        assert_eq!(all, 4.0, "{outcome}");
    }
}

#[test]
fn silence_is_a_timeout_in_every_protocol() {
    let server = DnsServer::start();
    server.say("silent.test", Says::Silence);
    let proxy = asking(
        &server,
        "listen = { tls = ['127.0.0.1:0'] }\ntimeouts = { dns = '300ms' }\nnetwork.dns.timeout = '2s'",
    );
    fails(&proxy, "silent.test", 504, "error=dns_timeout", "dns_timeout");
    let all: f64 = ["network", "cache", "joined"]
        .iter()
        .map(|source| look_ups(&proxy, source, "timeout"))
        .sum();
    assert_eq!(all, 4.0);
}

#[test]
fn many_who_want_one_name_cause_one_query() {
    let server = DnsServer::start();
    server.say("held.test", Says::Held(here()));
    let proxy = asking(
        &server,
        "network.dns = { families = 'ipv4', timeout = '5m' }\ntimeouts.dns = '5m'",
    );
    let (origin, port) = tcp();
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let mut wire = Wire::new(dial(&proxy.address));
            let target = format!("held.test:{port}");
            wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
            wire
        })
        .collect();
    server.is_asked("held.test");
    proxy.metric("wsbump_connections_open", &[], 50.0);
    server.release();
    for mut wire in clients {
        let head = wire.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        accept(&origin);
    }
    // The library may have sent it again where that took long; all of it is one query.
    let queries = proxy.metrics().sum("wsbump_dns_query_seconds_count", &[]);
    assert_eq!(queries, 1.0);
    assert_eq!(look_ups(&proxy, "network", "ok"), 1.0);
    let others = look_ups(&proxy, "joined", "ok") + look_ups(&proxy, "cache", "ok");
    assert_eq!(others, 49.0);
}

#[test]
fn six_hundred_silent_names_keep_nobody_waiting() {
    let server = DnsServer::start();
    server.has("live.test", HERE);
    let proxy = asking(
        &server,
        // Longer than the test: whoever waited for the silent ones would fail it.
        "network.dns = { timeout = '5m' }\ntimeouts = { dns = '5m' }",
    );
    let silent = |number| format!("silent{number}.test");
    for number in 0..600 {
        server.say(&silent(number), Says::Silence);
    }
    let mut waiting = Vec::new();
    for number in 0..600 {
        let mut wire = Wire::new(dial(&proxy.address));
        let target = format!("{}:443", silent(number));
        wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        waiting.push(wire);
        // The socket of the test's server holds a few hundred queries. One that it drops is asked again only after
        // the time-out, which is longer than this test.
        if waiting.len() % 50 == 0 {
            until("these are being asked for", || {
                let asked = (number - 49..=number).all(|number| {
                    server.count(&silent(number), A) > 0 && server.count(&silent(number), AAAA) > 0
                });
                asked.then_some(())
            });
        }
    }
    let (origin, _) = tcp();
    reaches(&proxy, "live.test", &origin);
    reaches(&proxy, "live.test", &origin);
    proxy.metric("wsbump_connections_open", &[], 600.0);
    assert_eq!(look_ups(&proxy, "network", "timeout"), 0.0);
    drop(waiting);
}

#[test]
fn search_domains_are_tried_by_the_number_of_dots() {
    let server = DnsServer::start();
    server.has("www.corp.test", HERE);
    server.has("a.b.lab.test", HERE);
    let proxy = asking(&server, "network.dns.search = ['corp.test', 'lab.test']");
    let (origin, _) = tcp();
    reaches(&proxy, "www", &origin);
    assert_eq!(server.count("www", A), 0);
    // With a dot it is asked for as it is first.
    reaches(&proxy, "a.b", &origin);
    let mut names: Vec<_> = server.asked().into_iter().map(|query| query.name).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["a.b", "a.b.corp.test", "a.b.lab.test", "www.corp.test"]);

    let proxy = asking(&server, "network.dns = { search = ['lab.test'], ndots = 2 }");
    let before = server.count("a.b", A);
    reaches(&proxy, "a.b", &origin);
    assert_eq!(server.count("a.b", A), before);
}

#[test]
fn odd_servers_are_understood() {
    let server = DnsServer::start();
    server.say("alias.test", Says::Alias("real.test", here()));
    server.say("tcp.test", Says::OnlyByTcp(here()));
    server.say("forged.test", Says::AfterForgeries(here()));
    server.say("old.test", Says::NoEdns(here()));
    server.has("-a_b-.test", HERE);
    let proxy = asking(&server, "network.dns.families = 'ipv4'");
    let (origin, _) = tcp();
    for name in ["alias.test", "tcp.test", "forged.test", "old.test", "-a_b-.test"] {
        reaches(&proxy, name, &origin);
    }
    let carried: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|query| query.name == "tcp.test")
        .map(|query| query.by_tcp)
        .collect();
    assert_eq!(carried, [false, true]);
}

#[test]
fn a_server_that_drops_aaaa_delays_nobody() {
    let server = DnsServer::start();
    server.say("half.test", Says::NoAaaa(here()));
    let proxy = asking(&server, "network.dns.timeout = '5m'\ntimeouts.dns = '5m'");
    let (origin, _) = tcp();
    reaches(&proxy, "half.test", &origin);
    assert_eq!(server.count("half.test", A), 1);
    assert!(server.count("half.test", AAAA) > 0);
}

#[test]
fn both_families_are_used_and_ipv6_first() {
    let server = DnsServer::start();
    server.say(
        "both.test",
        Says::Addresses(vec![here(), "::1".parse().unwrap()], 3600),
    );
    let six = TcpListener::bind("[::1]:0").unwrap();
    let port = six.local_addr().unwrap().port();
    let four = TcpListener::bind((HERE, port));
    let proxy = asking(&server, "");
    let _client = tunnel(&proxy, &format!("both.test:{port}"));
    accept(&six);
    drop(six);
    // The other one, where the first has nobody.
    if let Ok(four) = four {
        reaches(&proxy, "both.test", &four);
    }
}

#[test]
fn the_next_server_is_asked_where_one_fails() {
    let (bad, good) = (DnsServer::start(), DnsServer::start());
    // A port on which nobody listens.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (origin, _) = tcp();
    for (name, says) in [("broken.test", Says::Code(2)), ("silent.test", Says::Silence)] {
        bad.say(name, says);
        good.has(name, HERE);
        for first in [bad.address, nobody] {
            for order in ["in_order", "all_at_once"] {
                let proxy = Setup::new()
                    .config(&good.config())
                    .config(&format!(
                        "network.dns = {{ servers = ['{first}', '{}'], order = '{order}', timeout = '5m' }}\n\
                         timeouts.dns = '5m'",
                        good.address
                    ))
                    .start();
                reaches(&proxy, name, &origin);
            }
        }
    }
    assert!(bad.count("silent.test", A) > 0 && bad.count("broken.test", A) > 0);
}

#[test]
fn a_hosts_file_is_believed_and_its_changes_noticed() {
    let server = DnsServer::start();
    server.has("moved.test", "127.0.0.2");
    let mut proxy = Setup::new()
        .config(&server.config())
        .file("hosts", "127.0.0.1 site.test alias.test # ours\n")
        .config("network.dns.hosts_file = 'hosts'")
        .start();
    let (origin, port) = tcp();
    reaches(&proxy, "site.test", &origin);
    reaches(&proxy, "alias.test", &origin);
    assert_eq!(server.asked(), []);
    let target = format!("moved.test:{port}");
    assert_eq!(connect(&proxy, &target).1.status, 502);
    proxy.replace("hosts", "127.0.0.1 moved.test\n");
    until("the new file", || {
        (connect(&proxy, &target).1.status == 200).then_some(())
    });
    accept(&origin);
    // And none at all.
    proxy.rewrite_config("network.dns.hosts_file = 'none'");
    until("the configuration without it", || {
        (connect(&proxy, &target).1.status == 502).then_some(())
    });
}

#[test]
fn a_change_of_resolv_conf_is_noticed() {
    let server = DnsServer::start();
    server.has("www.new.test", HERE);
    let proxy = Setup::new()
        .config(&server.config())
        .file("resolv.conf", "search old.test\n")
        .config("network.dns.resolv_conf = 'resolv.conf'")
        .start();
    let (origin, port) = tcp();
    let target = format!("www:{port}");
    assert_eq!(connect(&proxy, &target).1.status, 502);
    assert_eq!(server.count("www.old.test", A), 1);
    proxy.replace("resolv.conf", "search new.test\n");
    until("the new search domain", || {
        (connect(&proxy, &target).1.status == 200).then_some(())
    });
    accept(&origin);
}

#[test]
fn a_reload_keeps_the_cache_unless_dns_changes() {
    let (one, two) = (DnsServer::start(), DnsServer::start());
    one.has("site.test", HERE);
    two.has("site.test", HERE);
    let mut proxy = asking(&one, "");
    let (origin, _) = tcp();
    reaches(&proxy, "site.test", &origin);
    let reloads = |proxy: &Proxy| {
        proxy
            .metrics()
            .sum("wsbump_config_reloads_total", &[("result", "success")])
    };
    proxy.rewrite_config("timeouts = { dial = '9s' }");
    until("a reload", || (reloads(&proxy) > 0.0).then_some(()));
    reaches(&proxy, "site.test", &origin);
    assert_eq!(one.count("site.test", A), 1);
    proxy.rewrite_config(&format!("network.dns.servers = ['{}']", two.address));
    until("the other server is asked", || {
        reaches(&proxy, "site.test", &origin);
        (two.count("site.test", A) == 1).then_some(())
    });
    assert_eq!(one.count("site.test", A), 1);
}

#[test]
fn the_systems_resolver_can_be_chosen() {
    let server = DnsServer::start();
    let proxy = asking(&server, "network.dns.resolver = 'system'");
    let (_, answer) = connect(&proxy, "nothing.invalid:1");
    assert_eq!(answer.status, 502, "{}", answer.head);
    let status = answer.header("proxy-status").unwrap();
    assert!(status.contains("error=dns_error; details="), "{status}");
    assert_eq!(look_ups(&proxy, "system", "failed"), 1.0);
    assert_eq!(server.asked(), []);
}

#[test]
fn dnsmasq_is_understood() {
    let port = free_port();
    // 128 addresses do not fit into a datagram.
    let mut many = String::from("many.peer.test,127.0.0.1");
    (2..=128).for_each(|last| write!(many, ",127.0.1.{last}").unwrap());
    let mut command = Command::new("dnsmasq");
    command.args([
        "--keep-in-foreground",
        "--log-facility=-",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
    ]);
    command.args(["--listen-address=127.0.0.1", "--bind-interfaces", "--log-queries"]);
    command.args([
        "--local-ttl=300",
        "--local=/peer.test/",
        "--cname=alias.peer.test,site.peer.test",
    ]);
    command.args([
        "--host-record=site.peer.test,127.0.0.1",
        &format!("--port={port}"),
    ]);
    let mut names = many.split(',');
    let name = names.next().unwrap();
    command.args(names.map(|ip| format!("--host-record={name},{ip}")));
    let dnsmasq = Process::start("dnsmasq", command);
    dnsmasq.err("its start", |line| {
        line.contains("started, version").then_some(())
    });
    let proxy = Setup::new()
        .config(&format!(
            "[network.dns]\nservers = ['127.0.0.1:{port}']\nhosts_file = 'none'\nresolv_conf = 'none'\nsearch = ['peer.test']"
        ))
        .start();
    let (origin, port) = tcp();
    for name in ["site.peer.test", "alias.peer.test", "site", "many.peer.test"] {
        // Of many addresses one has somebody; which is tried when is dnsmasq's to say.
        reaches(&proxy, name, &origin);
    }
    let (_, answer) = connect(&proxy, &format!("gone.peer.test:{port}"));
    let status = answer.header("proxy-status").unwrap();
    assert!(status.contains("rcode=\"NXDOMAIN\""), "{status}");
    let asked = dnsmasq.err.all();
    let asked = asked
        .iter()
        .filter(|line| line.contains("query[A] site.peer.test from"))
        .count();
    assert_eq!(asked, 1);
}

#[test]
fn a_scanner_is_found_by_the_own_resolver_and_by_that_of_a_reload() {
    let (first, second) = (DnsServer::start(), DnsServer::start());
    let clamd = Clamd::start();
    first.has("scanner.test", HERE);
    second.has("scanner.test", HERE);
    let rules = format!(
        "[[inspect.scanner]]\nname = 'clamav'\nurl = 'clamd://scanner.test:{}'\ndeadline = '20s'\non_failure = 'close'\n\
         [[inspect.rule]]\nname = 'viruses'\nmode = 'enforce'\naction = 'drop'\nscan = 'clamav'\nin = ['body']\n\
         direction = 'to_origin'\n",
        clamd.port
    );
    let mut proxy = asking(&first, &rules);
    let upload = |proxy: &Proxy, data: &str| {
        let url = origins::aiohttp().url("https", "/echo");
        curl(Some(&proxy.url()), &proxy.ca, &["--data-binary", data, &url]).status
    };
    for _ in 0..3 {
        assert_eq!((upload(&proxy, "hello"), upload(&proxy, &eicar())), (200, 403));
    }
    assert_eq!(first.count("scanner.test", A), 1, "the others are of the cache");
    assert!(look_ups(&proxy, "cache", "ok") >= 5.0);
    // The scanner's own table is as it was: it is kept, and follows the new resolver.
    proxy.rewrite_config(&second.config());
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 1.0);
    assert_eq!(upload(&proxy, &eicar()), 403);
    assert_eq!(
        (first.count("scanner.test", A), second.count("scanner.test", A)),
        (1, 1)
    );
    // Fixed addresses count here too, and whoever is not there is a failed scan that says why.
    proxy.rewrite_config("[network.hosts]\n'scanner.test' = '127.0.0.1'");
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 2.0);
    assert_eq!(
        (upload(&proxy, &eicar()), second.count("scanner.test", A)),
        (403, 1)
    );
}

#[test]
fn a_scanner_whose_name_does_not_exist_is_a_failure_that_says_so() {
    let server = DnsServer::start();
    let rules = "[[inspect.scanner]]\nname = 'clamav'\nurl = 'clamd://gone.test'\non_failure = 'close'\n\
        [[inspect.rule]]\nname = 'viruses'\nmode = 'enforce'\naction = 'drop'\nscan = 'clamav'\nin = ['body']\n";
    let proxy = asking(&server, rules);
    let url = origins::aiohttp().url("https", "/echo");
    let done = curl(Some(&proxy.url()), &proxy.ca, &["--data-binary", "hello", &url]);
    assert_eq!(done.status, 502, "{done:?}");
    let line = proxy.process().err("why", |line| {
        line.contains("content could not be scanned")
            .then(|| line.to_owned())
    });
    assert!(line.contains("cannot connect to gone.test:3310"), "{line}");
    assert!(line.contains("there is no such name"), "{line}");
}

/// unbound, which is asked by TLS alone and knows one name.
struct Unbound {
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Unbound {
    fn start(identity: &Identity) -> Self {
        let (folder, port) = (scratch(), free_port());
        let (key, cert) = (identity.key.display(), identity.cert.display());
        let config = format!(
            "server:\n  username: \"\"\n  chroot: \"\"\n  directory: \"{folder}\"\n  pidfile: \"\"\n  use-syslog: no\n  \
             do-daemonize: no\n  interface: 127.0.0.1@{port}\n  tls-port: {port}\n  tls-service-key: \"{key}\"\n  \
             tls-service-pem: \"{cert}\"\n  log-queries: yes\n  verbosity: 1\n  local-zone: \"test.\" static\n  \
             local-data: \"by-tls.test. 300 IN A 127.0.0.1\"\n  local-data: \"again.test. 300 IN A 127.0.0.1\"\n\
             remote-control:\n  control-enable: no\n",
            folder = folder.path().display()
        );
        fs::write(folder.path().join("unbound.conf"), config).unwrap();
        let mut unbound = Self {
            process: None,
            folder,
            port,
        };
        unbound.start_again();
        unbound
    }

    fn start_again(&mut self) {
        let mut command = Command::new("/usr/sbin/unbound");
        command
            .args(["-d", "-c"])
            .arg(self.folder.path().join("unbound.conf"));
        let process = Process::start("unbound", command);
        process.err("its start", |line| {
            line.contains("start of service").then_some(())
        });
        self.process = Some(process);
    }

    fn config(&self, name: &str) -> String {
        format!(
            "[network.dns]\nservers = ['tls://127.0.0.1:{}{name}']\nca = '{}'\nhosts_file = 'none'\nresolv_conf = 'none'\n\
             timeout = '2s'\nfamilies = 'ipv4'\n",
            self.port,
            certs().root.display()
        )
    }
}

#[test]
fn servers_are_asked_by_tls_and_again_when_their_connection_has_ended() {
    let mut unbound = Unbound::start(&certs().origin);
    let proxy = Setup::new().config(&unbound.config("#origin.test")).start();
    let (origin, _) = tcp();
    for _ in 0..2 {
        reaches(&proxy, "by-tls.test", &origin);
    }
    let (_, answer) = connect(&proxy, "gone.test:1");
    assert_eq!(answer.status, 502);
    assert!(
        answer.header("proxy-status").unwrap().contains("NXDOMAIN"),
        "{}",
        answer.head
    );
    assert_eq!(
        (look_ups(&proxy, "network", "ok"), look_ups(&proxy, "cache", "ok")),
        (1.0, 1.0)
    );
    // Its server begins anew, and so does the connection to it.
    drop(unbound.process.take());
    let (_, answer) = connect(&proxy, "again.test:1");
    assert_eq!(answer.status, 502, "{}", answer.head);
    unbound.start_again();
    until("it is asked again", || {
        let port = origin.local_addr().unwrap().port();
        let (_client, answer) = connect(&proxy, &format!("again.test:{port}"));
        (answer.status == 200).then_some(())
    });
}

#[test]
fn a_server_that_does_not_verify_is_never_asked() {
    // A name that its certificate is not for, its address, which is not in it either, and a CA that nobody trusts.
    let good = Unbound::start(&certs().origin);
    let untrusted = Unbound::start(&certs().untrusted);
    for (unbound, name) in [
        (&good, "#nobody.example"),
        (&good, "#127.0.0.9"),
        (&untrusted, "#origin.test"),
    ] {
        let proxy = Setup::new().config(&unbound.config(name)).start();
        let (_, answer) = connect(&proxy, "by-tls.test:1");
        assert_eq!(answer.status, 502, "{name}: {}", answer.head);
        assert!(
            answer.header("proxy-status").unwrap().contains("error=dns_error"),
            "{}",
            answer.head
        );
        assert_eq!(look_ups(&proxy, "network", "failed"), 1.0, "{name}");
    }
    for unbound in [good, untrusted] {
        let said = unbound.process.as_ref().unwrap().err.all();
        assert!(!said.iter().any(|line| line.contains("by-tls.test")), "{said:?}");
    }
}
