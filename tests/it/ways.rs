//! Each way in with each way out: WebSockets, decrypted and not, between a client, the proxy and origins in network namespaces of
//! the test's own, with proxies and load balancers that others wrote before and behind.

use crate::harness::certs::{ROOT_NAME, certs, open_up};
use crate::harness::netns::{Net, ORIGIN, OTHER, Place, usual};
use crate::harness::process::Process;
use crate::harness::proxy::Setup;
use crate::harness::{scratch, until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A way out: the port of the origins that goes by it, its parent, and the address that origins see.
struct Out {
    port: u16,
    parent: Option<&'static str>,
    seen: &'static str,
}

const OUTS: [Out; 5] = [
    Out {
        port: 8441,
        parent: None,
        seen: "10.9.2.1",
    },
    Out {
        port: 8442,
        parent: Some("http"),
        seen: "10.9.2",
    },
    Out {
        port: 8443,
        parent: Some("https"),
        seen: "10.9.2",
    },
    Out {
        port: 8444,
        parent: Some("socks"),
        seen: "10.9.2",
    },
    Out {
        port: 8445,
        parent: None,
        seen: "10.9.2.77",
    },
];

/// The proxy's machine, as its clients know it.
const PROXY: &str = "10.9.1.1";

/// A way in: how a client goes by it, its listener, and whether it names the client by the PROXY protocol.
struct In {
    name: &'static str,
    listener: &'static str,
    proxy: Option<&'static str>,
    is_behind: bool,
}

const fn by(name: &'static str, listener: &'static str, proxy: &'static str, is_behind: bool) -> In {
    In {
        name,
        listener,
        proxy: Some(proxy),
        is_behind,
    }
}

const fn caught(name: &'static str) -> In {
    In {
        name,
        listener: name,
        proxy: None,
        is_behind: false,
    }
}

const INS: [In; 12] = [
    by("CONNECT", "http", "http://10.9.1.1:3128", false),
    by("https proxy", "https", "https://10.9.1.1:3129", false),
    by("CONNECT over HTTP/2", "https", "STREAMS", false),
    by("SOCKS5", "socks", "socks5h://10.9.1.1:1080", false),
    by("SOCKS4a", "socks", "socks4a://10.9.1.1:1080", false),
    caught("redirect"),
    caught("tproxy"),
    by("PROXY, CONNECT", "behind-http", "http://127.0.0.1:4128", true),
    by(
        "PROXY, https proxy",
        "behind-https",
        "https://localhost:4129",
        true,
    ),
    by("PROXY, SOCKS5", "behind-socks", "socks5h://127.0.0.1:4080", true),
    In {
        name: "reverse",
        listener: "reverse",
        proxy: None,
        is_behind: false,
    },
    In {
        name: "PROXY, reverse",
        listener: "behind-reverse",
        proxy: None,
        is_behind: true,
    },
];

/// Where a listener for origins of one's own is for this way out.
fn reverse_port(is_behind: bool, out: &Out) -> u16 {
    if is_behind { out.port + 1000 } else { out.port }
}

fn config(ca: &Path) -> String {
    let believes = "proxy_protocol = { from = ['10.9.1.2'] }";
    let mut text = format!(
        "list = [{{ name = 'spliced', file = 'spliced', format = 'domains' }}]\n\
         network = {{ allow = ['10.9.0.0/16'] }}\n[policy]\nsplice = ['spliced']\n\
         [[parent]]\nname = 'http'\nurl = 'http://10.9.2.2:3128'\n\
         [[parent]]\nname = 'https'\nurl = 'https://localhost:3129'\nca = '{}'\n\
         [[parent]]\nname = 'socks'\nurl = 'socks5://10.9.2.2:1080'\n",
        ca.display()
    );
    for (name, kind, port) in [
        ("http", "http", 3128),
        ("https", "https", 3129),
        ("socks", "socks", 1080),
    ] {
        for (name, port, more) in [
            (name.to_owned(), port, ""),
            (format!("behind-{name}"), port + 10_000, believes),
        ] {
            text += &format!(
                "[[listener]]\nname = '{name}'\nkind = '{kind}'\naddress = ['{PROXY}:{port}']\n{more}\n"
            );
        }
    }
    for kind in ["redirect", "tproxy"] {
        let port = if kind == "redirect" { 3140 } else { 3141 };
        text += &format!("[[listener]]\nname = '{kind}'\nkind = '{kind}'\naddress = ['0.0.0.0:{port}']\n");
    }
    let own = &certs().origin;
    for out in &OUTS {
        for (name, is_behind, more) in [("reverse", false, ""), ("behind-reverse", true, believes)] {
            text += &format!(
                "[[listener]]\nname = '{name}-{}'\nkind = 'reverse'\naddress = ['{PROXY}:{}']\n{more}\n\
                 [[listener.site]]\nhosts = ['origin.test', 'other.test']\ncert = '{}'\nkey = '{}'\norigin = 'https://10.9.2.2:{}'\n",
                out.port,
                reverse_port(is_behind, out),
                own.cert.display(),
                own.key.display(),
                out.port
            );
        }
        let ports = format!("ports = [{}, {}]", out.port, out.port + 1000);
        text += &match (out.parent, out.seen) {
            (Some(parent), _) => format!("[[policy.setting]]\n{ports}\nparents = ['{parent}']\n"),
            (None, "10.9.2.1") => String::new(),
            (None, source) => format!("[[policy.setting]]\n{ports}\nsource = ['{source}']\n"),
        };
    }
    text
}

/// A load balancer on a machine: a line of its configuration for each place where it listens and each to which that leads.
fn haproxy(net: &Net, place: Place, folder: &Path, pairs: &[(String, String)]) -> Process {
    let mut config = "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n".to_owned();
    for (at, (bind, server)) in pairs.iter().enumerate() {
        config += &format!("listen l{at}\n bind {bind}\n server s {server}\n");
    }
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = net.command(place, "/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(file);
    Process::start("haproxy", command)
}

fn listens(net: &Net, place: Place, address: &str) {
    let (host, port) = address.rsplit_once(':').unwrap();
    until(&format!("{address} listens"), || {
        let mut probe = net.command(place, "/bin/bash");
        probe.args(["-c", &format!("exec 3<>/dev/tcp/{host}/{port}")]);
        let done = probe.stderr(std::process::Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then_some(())
    });
}

/// The parents, on the origins' machine: each knows the tests' names there.
fn parents(net: &Net, folder: &Path) -> Vec<Process> {
    let start = |name: &str, program: &str, config: &str, words: &[&str]| {
        let file = folder.join(format!("{name}.conf"));
        std::fs::write(&file, config).unwrap();
        let mut command = net.command(Place::Origins, program);
        command.args(words).arg(file);
        command
    };
    let tinyproxy = start(
        "tinyproxy",
        "tinyproxy",
        "Port 3128\nTimeout 60\nLogLevel Warning\n",
        &["-d", "-c"],
    );
    let mut dante = start(
        "danted",
        "/usr/sbin/danted",
        "logoutput: stderr\ninternal: 10.9.2.2 port = 1080\nexternal: 10.9.2.2\nsocksmethod: none\nclientmethod: none\n\
         user.privileged: root\nuser.unprivileged: nobody\nclient pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n\
         socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 protocol: tcp }\n",
        &["-f"],
    );
    dante.arg("-p").arg(folder.join("danted.pid"));
    let own = &certs().origin;
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let pem = folder.join("parent.pem");
    std::fs::write(&pem, read(&own.cert) + &read(&own.key)).unwrap();
    let pair = (
        format!("10.9.2.2:3129 ssl crt {}", pem.display()),
        "127.0.0.1:3128".to_owned(),
    );
    let all = vec![
        Process::start("tinyproxy", tinyproxy),
        Process::start_watched("danted", dante),
        haproxy(net, Place::Origins, folder, &[pair]),
    ];
    for port in [3128, 3129, 1080] {
        listens(net, Place::Origins, &format!("10.9.2.2:{port}"));
    }
    all
}

/// Has the kernel catch what goes to the origins: by redirecting it to the one address, and by TPROXY to the other.
fn catch(net: &Net) {
    net.nft(&format!(
        "table ip caught {{\nchain r {{ type nat hook prerouting priority dstnat;\n\
         ip daddr {} tcp dport 8441-8445 redirect to :3140\n }}\n\
         chain t {{ type filter hook prerouting priority mangle;\n\
         meta l4proto tcp socket transparent 1 meta mark set 1 accept\n\
         ip daddr {} tcp dport 8441-8445 tproxy to :3141 meta mark set 1 accept\n }}\n }}\n",
        ORIGIN[0], OTHER[0]
    ));
    net.inside(
        Place::Proxy,
        &["ip", "rule", "add", "fwmark", "1", "lookup", "100"],
    );
    net.inside(
        Place::Proxy,
        &[
            "ip", "route", "add", "local", "default", "dev", "lo", "table", "100",
        ],
    );
}

/// What a client takes of a way in to a way out.
fn way(a: &In, out: &Out, is_spliced: bool, streams: u16) -> Value {
    let (is_reverse, host) = (
        a.name.contains("reverse"),
        if is_spliced { "other.test" } else { "origin.test" },
    );
    let port = if is_reverse {
        reverse_port(a.is_behind, out)
    } else {
        out.port
    };
    let mut way = json!({ "name": name(a, out, is_spliced), "url": format!("wss://{host}:{port}/ws") });
    match a.proxy {
        Some("STREAMS") => way["proxy"] = format!("http://127.0.0.1:{streams}").into(),
        Some(proxy) => way["proxy"] = proxy.into(),
        None => {
            way["port"] = port.into();
            way["host"] = match a.name {
                "redirect" => ORIGIN[0],
                "tproxy" => OTHER[0],
                _ if a.is_behind => "127.0.0.1",
                _ => PROXY,
            }
            .into();
        }
    }
    way
}

fn name(a: &In, out: &Out, is_spliced: bool) -> String {
    let what = if is_spliced { "spliced" } else { "bumped" };
    format!("{} by {}, {what}", a.name, out.port)
}

#[test]
fn websockets_go_by_each_way_in_and_each_way_out() {
    let net = Net::new();
    let folder = scratch();
    open_up(folder.path());
    net.inside(
        Place::Proxy,
        &["ip", "address", "add", "10.9.2.77/24", "dev", "eo"],
    );
    net.hosts(
        Place::Origins,
        &[("origin.test", ORIGIN[0]), ("other.test", OTHER[0])],
    );
    let ports: Vec<u16> = OUTS.iter().map(|out| out.port).collect();
    let origins = net.origins_at(usual(), &ports);
    let _parents = parents(&net, folder.path());
    catch(&net);
    let proxy = Setup::new()
        .inside(&net.name(Place::Proxy))
        .file("spliced", "other.test\n")
        .host("origin.test", ORIGIN[0])
        .host("other.test", OTHER[0])
        .host("localhost", ORIGIN[0])
        .config(&config(&certs().root))
        .start();
    let mut pairs = vec![];
    for (own, to) in [(4128, 13128), (4129, 13129), (4080, 11080)] {
        pairs.push((format!("127.0.0.1:{own}"), format!("{PROXY}:{to} send-proxy-v2")));
    }
    for out in &OUTS {
        let port = reverse_port(true, out);
        pairs.push((format!("127.0.0.1:{port}"), format!("{PROXY}:{port} send-proxy")));
    }
    let balancers = scratch();
    let _balancer = haproxy(&net, Place::Client, balancers.path(), &pairs);
    listens(&net, Place::Client, "127.0.0.1:4128");
    let bundle = folder.path().join("trusted.pem");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    std::fs::write(&bundle, read(&proxy.ca) + &read(&certs().root)).unwrap();
    let mut streams = net.script(Place::Client, "forward_streams.mjs");
    streams
        .arg("--proxy")
        .arg(format!("https://{PROXY}:3129"))
        .arg("--ca")
        .arg(&bundle);
    let streams = Process::start("forward_streams.mjs", streams);
    let port = streams.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());

    let table = || {
        INS.iter().flat_map(|a| {
            OUTS.iter()
                .flat_map(move |out| [false, true].map(|is_spliced| (a, out, is_spliced)))
        })
    };
    let ways: Vec<Value> = table()
        .map(|(a, out, is_spliced)| way(a, out, is_spliced, port))
        .collect();
    assert_eq!(ways.len(), 120);
    let mut client: Command = net.script(Place::Client, "client_ways.py");
    client
        .arg("--ca")
        .arg(&bundle)
        .arg("--ways")
        .arg(Value::from(ways).to_string());
    let done = Process::start("client_ways.py", client).finish();
    assert!(done.status.success(), "{:?} {:?}", done.out.last(), done.err);

    let said: Vec<Value> = done
        .out
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let lines = until("a line for each", || {
        let lines = proxy.log_so_far("connection");
        (lines.iter().filter(|line| !line["action"].is_null()).count() >= 120).then_some(lines)
    });
    for (a, out, is_spliced) in table() {
        let name = name(a, out, is_spliced);
        let issuer = said.iter().find(|said| said["name"] == *name).unwrap()["issuer"].clone();
        let is_own = is_spliced || a.name.contains("reverse");
        assert_eq!(issuer == ROOT_NAME, is_own, "{name}: {issuer}");
        let is_reverse = a.name.contains("reverse");
        let listener = if is_reverse {
            format!("{}-{}", a.listener, out.port)
        } else {
            a.listener.to_owned()
        };
        let port = if is_reverse {
            reverse_port(a.is_behind, out)
        } else {
            out.port
        };
        let action = if is_spliced { "splice" } else { "bump" };
        let found = lines.iter().find(|line| {
            line["listener"] == *listener
                && line["target"]
                    .as_str()
                    .is_some_and(|target| target.ends_with(&format!(":{port}")))
                && line["action"] == action
                && line["inside"].is_number() == a.name.contains("HTTP/2")
        });
        let line = found.unwrap_or_else(|| panic!("{name}: no line"));
        assert_eq!(line["parent"].as_str(), out.parent, "{name}: {line}");
        let client = if a.is_behind { "127.0.0.1" } else { "10.9.1.2" };
        assert_eq!(line["client"], client, "{name}: {line}");
    }
    // Whom the origins have seen.
    for out in &OUTS {
        let seen = |line: &&Value| line["port"] == out.port;
        let facts: Vec<Value> = origins
            .out
            .all()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let peers: Vec<&str> = facts
            .iter()
            .filter(seen)
            .filter_map(|line| line["peer"].as_str())
            .collect();
        assert_eq!(peers.len(), 24, "{}: {peers:?}", out.port);
        assert!(
            peers
                .iter()
                .all(|peer| peer.trim_start_matches("::ffff:").starts_with(out.seen)),
            "{}: {peers:?}",
            out.port
        );
    }
    let relayed = proxy.log_so_far("websocket");
    assert_eq!(relayed.len(), 60);
}
