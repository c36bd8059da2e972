//! What a change of the policy does to what is open, where it is to reach that.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::logins::basic;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{start_tls, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Bridge, Version, over_both};

const RULES: &str = "[[policy.rule]]\nname = 'no'\nhosts = ['denied']\naction = 'deny'\n\
     [[policy.rule]]\nname = 'blind'\nhosts = ['blind']\naction = 'splice'\n\
     [[policy.rule]]\nname = 'no-echo'\nhosts = ['denied-paths']\npath = '^/denied'\naction = 'deny'\n";

fn start(blind: &str) -> Proxy {
    start_with(blind, "")
}

fn start_with(blind: &str, more: &str) -> Proxy {
    let lists = ["denied", "blind", "denied-paths"]
        .map(|name| format!("[[list]]\nname = '{name}'\nfile = '{name}'\nformat = 'domains'\n"))
        .concat();
    Setup::new()
        .file("denied", "other.test\n")
        .file("blind", blind)
        .file("denied-paths", "other.test\n")
        .config("policy = { on_change_within = '1ms' }")
        .config(more)
        .config(&format!("{lists}[policy]\non_change = 'close'\n{RULES}"))
        .start()
}

/// From now on the list has the tests' origins, and nothing else.
fn list(proxy: &mut Proxy, name: &str) {
    proxy.replace(name, "origin.test\n");
    let before = reloads(proxy);
    proxy.process().signal("HUP");
    crate::harness::until("the reload", || (reloads(proxy) > before).then_some(()));
}

fn reloads(proxy: &Proxy) -> f64 {
    proxy
        .metrics()
        .sum("wsbump_config_reloads_total", &[("result", "success")])
}

fn live(version: Version, proxy: &Proxy, path: &str) -> Process {
    let client = version
        .client(proxy, version.websockets(), path)
        .with("mode", "hold")
        .start();
    client.out("open", |line| line.contains("\"open\": true").then_some(()));
    client
}

/// Its client was told this, and the log and the metric say so.
fn closed(proxy: &Proxy, client: &Process, code: u16, end: &str) {
    client.out("the Close", |line| {
        line.contains(&format!("\"code\": {code}")).then_some(())
    });
    let line = proxy.log("websocket", |line| line["event"] == "closed");
    assert_eq!(
        (&line["outcome"], &line["closed_by"]),
        (&end.into(), &"proxy".into()),
        "{line}"
    );
    proxy.metric("wsbump_websocket_ends_total", &[("end", end)], 1.0);
}

fn a_websocket_that_is_denied_now_gets_a_1008(version: Version) {
    let mut proxy = start("other.test\n");
    let client = live(version, &proxy, "/echo");
    list(&mut proxy, "denied");
    closed(&proxy, &client, 1008, "policy_denied");
}

fn a_websocket_whose_path_is_denied_now_gets_a_1008(version: Version) {
    let mut proxy = start("other.test\n");
    let mut stays = live(version, &proxy, "/echo");
    let client = live(version, &proxy, "/denied");
    list(&mut proxy, "denied-paths");
    closed(&proxy, &client, 1008, "policy_denied");
    stays.say("still-here");
    stays.out("an echo", |line| {
        line.contains("\"echo\": \"still-here\"").then_some(())
    });
}

fn a_websocket_that_must_not_be_read_now_gets_a_1012(version: Version) {
    let mut proxy = start("other.test\n");
    let client = live(version, &proxy, "/echo");
    list(&mut proxy, "blind");
    closed(&proxy, &client, 1012, "policy_changed");
}

/// A WebSocket of a user, who has shown a password for the tunnel.
fn live_as(version: Version, proxy: &Proxy, user: &str) -> Process {
    let origin = version.websockets();
    let client = Client::new("client_websockets.py");
    let client = match version {
        Version::Http1 => client
            .with("proxy", proxy.url().replace("//", &format!("//{user}:secret@")))
            .with("ca", &proxy.ca)
            .with("url", origin.url("wss", "/echo")),
        Version::Http2 | Version::Front => {
            let shown = basic(user, "secret");
            let bridge = Bridge::of_client(proxy, &origin.url("https", ""), &["authorization", &shown]);
            client
                .with("url", format!("ws://127.0.0.1:{}/echo", bridge.port))
                .beside(bridge.process)
        }
    };
    let client = client.with("mode", "hold").start();
    client.out("open", |line| line.contains("\"open\": true").then_some(()));
    client
}

/// Whoever is locked out by a rule is out at once, and nobody else.
fn a_user_who_is_locked_out_loses_the_websocket(version: Version) {
    let rules = |locked: &str| {
        format!(
            "[policy]\non_change = 'close'\n[[policy.rule]]\nname = 'locked-out'\nusers = ['{locked}']\naction = 'deny'\n\
             [[policy.rule]]\nname = 'who'\naction = 'authenticate'\n"
        )
    };
    // The password of both is "secret"; by openssl passwd.
    let hash = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";
    let mut proxy = Setup::new()
        .file("users", &format!("ada:{hash}\nmax:{hash}\n"))
        .config("[auth]\nnetbios = ['CORP']\n[auth.basic]\nhtpasswd = 'users'\n")
        .config(&rules("nobody"))
        .start();
    let ada = live_as(version, &proxy, "ada");
    let mut max = live_as(version, &proxy, "max");
    proxy.rewrite_config(&rules("CORP\\ADA"));
    proxy.process().signal("HUP");
    closed(&proxy, &ada, 1008, "policy_denied");
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["user"], "ada", "{line}");
    max.say("still-here");
    max.out("an echo", |line| {
        line.contains("\"echo\": \"still-here\"").then_some(())
    });
    assert_eq!(proxy.log_so_far("websocket").len(), 1);
}

/// Not all clients come back in the same moment.
#[test]
fn what_is_only_treated_differently_ends_one_after_another() {
    let mut proxy = start_with("other.test\n", "policy = { on_change_within = '2s' }");
    let clients: Vec<_> = (0..4).map(|_| live(Version::Http1, &proxy, "/echo")).collect();
    list(&mut proxy, "blind");
    for client in &clients {
        client.out("the Close", |line| line.contains("\"code\": 1012").then_some(()));
    }
    let closed = crate::harness::until("the lines of all", || {
        let closed = proxy.log_so_far("websocket");
        (closed.len() == clients.len()).then_some(closed)
    });
    let times = closed
        .iter()
        .map(|line| line["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
    let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
    // Half a second from each to the next; the line of the first may be late.
    let spread = last.duration_since(first).as_millis();
    assert!((1000..10_000).contains(&spread), "{spread} ms: {closed:?}");
}

over_both!(
    a_user_who_is_locked_out_loses_the_websocket,
    a_websocket_that_is_denied_now_gets_a_1008,
    a_websocket_whose_path_is_denied_now_gets_a_1008,
    a_websocket_that_must_not_be_read_now_gets_a_1012,
);

#[test]
fn a_spliced_connection_ends_that_is_denied_or_to_be_read_now() {
    for (now, end) in [("denied", "policy_denied"), ("blind", "policy_changed")] {
        let mut proxy = start("origin.test\n");
        let target = format!("origin.test:{}", origins::aiohttp().port);
        let mut client = start_tls(tunnel(&proxy, &target), &target, &certs().root);
        client.stream.conn.complete_io(&mut client.stream.sock).unwrap();
        if now == "blind" {
            proxy.replace("blind", "other.test\n");
            proxy.process().signal("HUP");
        } else {
            list(&mut proxy, now);
        }
        let line = proxy.log("connection", |line| line["action"] == "splice");
        assert_eq!(line["outcome"], end, "{line}");
        client.rest();
    }
}

#[test]
fn requests_in_an_open_tunnel_are_judged_anew() {
    let mut proxy = start("other.test\n");
    let recorder = Recorder::start();
    let mut client = tls_over(tunnel(&proxy, &recorder.target()), &recorder.target(), &proxy.ca);
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target());
    client.send(ask("/denied"));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);

    list(&mut proxy, "denied-paths");
    client.send(ask("/denied"));
    assert_eq!(client.answer().status, 403);
    client.send(ask("/open"));
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);

    list(&mut proxy, "denied");
    client.send(ask("/open"));
    assert_eq!(client.answer().status, 403);
}

#[test]
fn requests_of_http_2_in_an_open_tunnel_are_judged_anew() {
    for secure in [false, true] {
        let mut proxy = start_with("other.test\n", "listen = { tls = ['127.0.0.1:0'] }");
        let address = if secure { proxy.secure_url() } else { proxy.url() };
        let mut client = Client::new("client_h2_steps.mjs")
            .with("proxy", address)
            .with("ca", &proxy.ca)
            .with("target", format!("origin.test:{}", origins::node_h2().port))
            .start();
        client.out("ready", |line| line.contains("ready").then_some(()));
        let mut ask = |path: &str, status: u16| {
            client.say(path);
            let wanted = format!("{{\"path\":\"{path}\",\"status\":{status}}}");
            client.out(&wanted, |line| (line == wanted).then_some(()));
        };
        ask("/", 200);
        list(&mut proxy, "denied-paths");
        ask("/denied", 403);
        ask("/head", 200);
        list(&mut proxy, "denied");
        ask("/page", 403);
        let line = proxy.log("request", |line| line["status"] == 403);
        assert_eq!(line["protocol"], "HTTP/2", "{line}");
    }
}
