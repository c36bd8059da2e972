//! HTTP/2 by more clients and servers that others wrote, and what rules do to it.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::origins::{self, Origin};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{free_port, rules, scratch, until};
use serde_json::Value;
use std::net::TcpStream;
use std::process::Command;

#[test]
fn httpx_and_its_h2() {
    let proxy = Proxy::start();
    let found = Client::new("client_httpx.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origins::node_h2().url("https", ""))
        .run();
    assert_eq!(found["cookie"], "a=1; b=2", "{found}");
    assert_eq!(
        (&found["empty"], &found["last"]),
        (&204.into(), &"after all".into()),
        "{found}"
    );
    let lost = found["lost"].as_array().unwrap();
    for (lost, code) in lost.iter().zip(["error_code:8", "error_code:2"]) {
        assert!(lost.as_str().unwrap().contains(code), "{found}");
    }
    assert_eq!(lost.len(), 2, "{found}");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["alpn"], "h2", "{line}");
    assert!(line["requests"].as_u64().unwrap() > 200, "{line}");
}

#[test]
fn h2load_is_served_in_full() {
    let proxy = Proxy::start();
    for (origin, path) in [
        (origins::nginx_h2(), "/index.html"),
        (origins::node_h2(), "/status/204"),
    ] {
        let url = origin.url("https", path);
        // It knows no proxies.
        let way = Client::new("forward_tunnel.py")
            .with("proxy", proxy.url())
            .with("url", &url)
            .start();
        let port: u16 = way.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());
        let mut command = Command::new("/usr/bin/h2load");
        command
            .args(["-n", "3000", "-c", "4", "-m", "50"])
            .arg(format!("--connect-to=127.0.0.1:{port}"))
            .arg(url);
        let done = Process::start("h2load", command).finish();
        let all = done.out.join("\n");
        assert!(
            all.contains("3000 done, 3000 succeeded, 0 failed, 0 errored") && all.contains("3000 2xx"),
            "{all}"
        );
    }
}

/// HAProxy makes RFC 8441 of a client's Upgrade, and an Upgrade of that for an origin.
#[test]
fn haproxy_on_both_sides_of_a_websocket() {
    let proxy = Proxy::start();
    let (near, far) = (free_port(), free_port());
    let target = format!("https://origin.test:{far}");
    let way = Client::new("forward_tunnel.py")
        .with("proxy", proxy.url())
        .with("url", &target)
        .start();
    let port: u16 = way.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());
    let folder = scratch();
    let identity = folder.path().join("identity.pem");
    let pem = [&certs().origin.cert, &certs().origin.key].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&identity, pem.concat()).unwrap();
    let config = format!(
        "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n\
         frontend near\n bind 127.0.0.1:{near}\n default_backend proxy\n\
         backend proxy\n http-request set-header Host origin.test:{far}\n\
         server one 127.0.0.1:{port} ssl verify required ca-file {ca} sni str(origin.test) alpn h2 ws h2\n\
         frontend far\n bind 127.0.0.1:{far} ssl crt {identity} alpn h2\n default_backend origin\n\
         backend origin\n server two 127.0.0.1:{origin}\n",
        ca = proxy.ca.display(),
        identity = identity.display(),
        origin = origins::plain_websockets().port,
    );
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(file);
    let _haproxy = Process::start("haproxy", command);
    until("haproxy listens", || TcpStream::connect(("127.0.0.1", near)).ok());
    for options in [&[("compression", "none")][..], &[], &[("takeover", "none")]] {
        let client = Client::new("client_websockets.py").with("url", format!("ws://127.0.0.1:{near}/echo"));
        let found = options
            .iter()
            .fold(client, |client, (name, value)| client.with(name, value))
            .run();
        assert_eq!(found["code"], 4321, "{found}");
        assert_eq!(
            found["extensions"].is_string(),
            options != [("compression", "none")],
            "{found}"
        );
    }
    let lines = until("three in the log", || {
        let lines = proxy.log_so_far("websocket");
        (lines.len() == 3).then_some(lines)
    });
    for line in lines {
        assert_eq!(
            (&line["protocol"], &line["outcome"], &line["close_code"]),
            (&"HTTP/2".into(), &"closed".into(), &4321.into()),
            "{line}"
        );
    }
}

/// nghttp sends what libraries seldom do: priorities, padding, heads in many frames, trailers of requests.
#[test]
fn nghttp_and_the_odder_frames() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let url = origin.url("https", "/whole");
    let way = Client::new("forward_tunnel.py")
        .with("proxy", proxy.url())
        .with("url", &url)
        .start();
    let port: u16 = way.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());
    let folder = scratch();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 100_000]).unwrap();
    let mut command = Command::new("/usr/bin/nghttp");
    command
        .args(["--no-verify-peer", "--verbose", "--null-out", "--timeout=30"])
        .args([
            "--multiply=120",
            "--padding=200",
            "--continuation",
            "--weight=200",
        ])
        .args(["--trailer=x-sum: abc", "--no-content-length"])
        // This origin's limit, which the proxy passes on. nghttp does not wait for it, nor does it ask again where a
        // stream is refused because there was one too many of them.
        .arg("--peer-max-concurrent-streams=50")
        .arg(format!("--header=:authority: origin.test:{}", origin.port))
        .arg(format!("--header=x-long: {}", "y".repeat(3000)))
        .arg(format!("--data={}", body.display()))
        .arg(format!("https://127.0.0.1:{port}/whole"));
    let done = Process::start("nghttp", command).finish();
    let all = done.out.join("\n");
    let count = |what: &str| all.matches(what).count();
    assert!(done.status.success(), "{all}");
    assert_eq!(count(":status: 200"), 120, "{all}");
    // What it was asked to send, it sent.
    let lengths = all.lines().filter_map(|line| {
        let (_, length) = line.split_once("send HEADERS frame <length=")?;
        length.split(',').next()?.parse::<usize>().ok()
    });
    assert_eq!(lengths.filter(|length| *length > 16_384).count(), 120, "{all}");
    assert!(
        count("(padlen=200)") >= 240 && count("send PRIORITY frame") > 0,
        "{all}"
    );
    let told = origin.process.out.all();
    let whole = told
        .iter()
        .filter(|line| line.contains(r#"{"whole":100000,"trailers":{"x-sum":"abc"},"long":3000}"#));
    assert_eq!(whole.count(), 120, "{told:?}");
    let line = proxy.log("connection", |line| line["alpn"] == "h2");
    assert_eq!(
        (&line["requests"], &line["outcome"]),
        (&120.into(), &"ok".into()),
        "{line}"
    );
}

/// A WebSocket of Node's on a stream, to say things through.
struct Talk(Process);

impl Talk {
    fn open(proxy: &Proxy, origin: &Origin) -> Self {
        let process = Client::new("client_h2.mjs")
            .with("ca", &proxy.ca)
            .with("proxy", proxy.url())
            .with("mode", "websocket")
            .with("url", origin.url("https", "/ws/talk"))
            .start();
        let talk = Self(process);
        // It says so by itself.
        talk.heard("hello");
        talk
    }

    fn heard(&self, last: &str) -> Vec<String> {
        let message = |line: &str| -> Option<String> {
            let fact: Value = serde_json::from_str(line).ok()?;
            Some(fact["message"].as_str()?.to_owned())
        };
        self.0.out(last, |line| (message(line)? == last).then_some(()));
        self.0.out.all().iter().filter_map(|line| message(line)).collect()
    }

    /// The code that it was closed with.
    fn closed(&self) -> u64 {
        let code = |line: &str| serde_json::from_str::<Value>(line).ok()?["code"].as_u64();
        self.0.out("its Close", code)
    }
}

#[test]
fn rules_judge_messages_on_streams() {
    let proxy = Setup::new().config(rules::MESSAGES).start();
    for (name, origin) in [
        ("ws", origins::own_node_h2(&[])),
        ("hypercorn", origins::own_hypercorn()),
    ] {
        let mut talk = Talk::open(&proxy, &origin);
        for (said, answer) in [
            (
                "words that later messages repeat",
                "words that later messages repeat",
            ),
            (
                "pay 4111 1111 1111 1111, words that later messages repeat",
                "pay [card], words that later messages repeat",
            ),
            ("leave this out, words that later messages repeat", ""),
            (
                "from internal-77, words that later messages repeat",
                "from #, words that later messages repeat",
            ),
        ] {
            talk.0.say(said);
            if !answer.is_empty() {
                talk.heard(answer);
            }
        }
        talk.0.say("end");
        let heard = talk.heard("end");
        assert!(
            !heard
                .iter()
                .any(|line| line.contains("leave this out") || line.contains("4111")),
            "{name}: {heard:?}"
        );
        assert_eq!(heard.len(), 5, "{name}: {heard:?}");
        talk.0.say("unspeakable");
        assert_eq!(talk.closed(), 1008, "{name}");
        // Hypercorn tells its application nothing of a Close on a stream.
        if name == "ws" {
            let closed = origin.fact("its Close", |fact| fact["code"].is_u64());
            assert_eq!(closed["code"], 1008, "{closed}");
        }
        let target = format!("origin.test:{}", origin.port);
        let line = proxy.log("websocket", |line| line["target"] == target);
        assert_eq!(
            (&line["protocol"], &line["outcome"]),
            (&"HTTP/2".into(), &"closed_by_rule".into()),
            "{name}: {line}"
        );
    }
}

const EXCHANGES: &str = r##"
[[inspect.rule]]
name = "paths"
mode = "enforce"
action = "drop"
in = ["head", "upgrade"]
regex = ["^GET /forbidden", "(?i)x-leak: yes"]

[[inspect.rule]]
name = "cards"
mode = "enforce"
action = "drop"
in = ["body"]
direction = "to_origin"
secrets = ["card_number"]

[[inspect.rule]]
name = "codenames"
mode = "enforce"
action = "redact"
with = "*"
in = ["body"]
direction = "to_client"
keywords = ["kestrel"]
"##;

#[test]
fn rules_judge_requests_and_responses_on_streams() {
    let proxy = Setup::new().config(EXCHANGES).start();
    for origin in [origins::own_node_h2(&[]), origins::own_hypercorn()] {
        let ask = |path: &str, more: &[&str]| {
            let url = origin.url("https", path);
            let arguments: Vec<&str> = ["--http2", &url]
                .into_iter()
                .chain(more.iter().copied())
                .collect();
            let done = curl(Some(&proxy.url()), &proxy.ca, &arguments);
            assert!(done.text.starts_with("HTTP/2 "), "{done:?}");
            done
        };
        for (path, more) in [
            ("/forbidden", &[][..]),
            ("/echo", &["--header", "X-Leak: yes"]),
            ("/echo", &["--data", "pay 4111 1111 1111 1111 now"]),
        ] {
            let done = ask(path, more);
            assert_eq!((done.code, done.status), (0, 403), "{path} {more:?}: {done:?}");
            assert!(done.text.contains("error=content_refused"), "{done:?}");
        }
        let done = ask("/echo", &["--data", "the kestrel flies"]);
        assert_eq!((done.code, done.status), (0, 200), "{done:?}");
        assert!(done.text.ends_with("the * flies"), "{done:?}");
        let told = origin.process.out.all();
        assert!(!told.iter().any(|line| line.contains("forbidden")), "{told:?}");
    }
}
