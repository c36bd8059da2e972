//! Load balancers in front that say whose connections are, and peers that only pretend to.

use crate::harness::clients::{Client, Curled, curl};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Plain, Wire, dial};
use crate::harness::{certs, free_port, origins, scratch, until};
use std::net::TcpStream;
use std::process::Command;

/// A proxy whose listeners believe this machine, but for its other addresses.
fn setup(kind: &str) -> Setup {
    Setup::new().config(&format!(
        "listener = [{{ name = 'behind', kind = '{kind}', address = ['127.0.0.1:0'],\n\
         proxy_protocol = {{ from = ['127.0.0.1'], timeout = '1s' }} }}]\n\
         [[policy.rule]]\nname = 'not-for-nine'\nclients = ['127.0.0.9', '203.0.113.9', '2001:db8::9']\naction = 'deny'\n"
    ))
}

/// A load balancer, and where it listens.
struct Balancer {
    _process: Process,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Balancer {
    /// `bind` is what else is to be said of where it listens.
    fn haproxy(bind: &str, server: &str) -> Self {
        let (folder, port) = (scratch(), free_port());
        let config = format!(
            "global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
             frontend front\n bind 127.0.0.1:{port} {bind}\n unique-id-format %rt-x\n default_backend back\n\
             backend back\n server back {server}\n",
        );
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/haproxy");
        command.args(["-db", "-f"]).arg(&file);
        Self::listening(Process::start("haproxy", command), folder, port)
    }

    fn nginx(to: &str) -> Self {
        let (folder, port) = (scratch(), free_port());
        certs::open_up(folder.path());
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\npid {pid};\nworker_processes 1;\nevents {{}}\n\
             stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass {to}; proxy_protocol on; }} }}\n",
            pid = folder.path().join("pid").display(),
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"]);
        Self::listening(Process::start("nginx", command), folder, port)
    }

    fn listening(process: Process, folder: tempfile::TempDir, port: u16) -> Self {
        until("the load balancer listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            _process: process,
            _folder: folder,
            port,
        }
    }
}

/// curl by way of a load balancer, from another address of this machine.
fn from(address: &str, scheme: &str, port: u16, proxy: &Proxy) -> Curled {
    let url = origins::aiohttp().url("https", "/status/202");
    let via = format!("{scheme}://127.0.0.1:{port}");
    curl(
        Some(&via),
        &proxy.ca,
        &["--interface", address, "--proxy-insecure", &url],
    )
}

#[test]
fn a_client_behind_haproxy_or_nginx_is_the_client_everywhere() {
    for kind in ["http", "https", "socks"] {
        let proxy = setup(kind).start();
        let to = proxy.listener("behind");
        let balancers = [
            ("v1", Balancer::haproxy("", &format!("{to} send-proxy"))),
            (
                "v2",
                Balancer::haproxy(
                    "",
                    &format!("{to} send-proxy-v2 proxy-v2-options unique-id,crc32c"),
                ),
            ),
            ("nginx", Balancer::nginx(&to)),
        ];
        let scheme = if kind == "socks" { "socks5h" } else { kind };
        for (at, (name, balancer)) in balancers.iter().enumerate() {
            let address = format!("127.0.0.{}", at + 2);
            let done = from(&address, scheme, balancer.port, &proxy);
            assert_eq!(done.status, 202, "{kind} {name}: {done:?}");
            let line = proxy.log("connection", |line| line["client"] == address);
            assert_eq!(
                (&line["listener"], &line["action"]),
                (&"behind".into(), &"bump".into()),
                "{line}"
            );
            assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
            assert_eq!(line["told"]["unique_id"].is_string(), *name == "v2", "{line}");
            proxy.log("request", |line| line["client"] == address);
            // The rules see it, too.
            let done = from("127.0.0.9", scheme, balancer.port, &proxy);
            assert_eq!(done.status, 0, "{kind} {name}: {done:?}");
            let line = proxy.log("connection", |line| line["client"] == "127.0.0.9");
            assert_eq!(line["rule"], "not-for-nine", "{line}");
        }
    }
}

#[test]
fn what_haproxy_tells_of_its_tls_is_in_the_log_and_websockets_pass() {
    let proxy = setup("http").start();
    let (folder, own) = (scratch(), &certs::certs().origin);
    let read = |path| std::fs::read_to_string(path).unwrap();
    let pem = folder.path().join("own.pem");
    std::fs::write(&pem, read(&own.cert) + &read(&own.key)).unwrap();
    let to = proxy.listener("behind");
    let balancer = Balancer::haproxy(
        &format!("ssl crt {}", pem.display()),
        &format!("{to} send-proxy-v2 proxy-v2-options ssl,ssl-cipher,authority"),
    );
    let done = from("127.0.0.2", "https", balancer.port, &proxy);
    assert_eq!(done.status, 202, "{done:?}");
    let line = proxy.log("connection", |line| line["client"] == "127.0.0.2");
    let told = &line["told"];
    assert_eq!(
        (
            told["tls_version"].as_str(),
            told["tls_client_verified"].as_bool()
        ),
        (Some("TLSv1.3"), Some(false)),
        "{line}"
    );
    assert!(told["tls_cipher"].is_string(), "{line}");
    let plain = Balancer::haproxy("", &format!("{to} send-proxy-v2"));
    Client::new("client_websockets.py")
        .with("ca", &proxy.ca)
        .with("proxy", format!("http://127.0.0.1:{}", plain.port))
        .with("url", origins::websockets().url("wss", "/"))
        .with("mode", "suite")
        .run();
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["client"], "127.0.0.1", "{line}");
}

fn behind(proxy: &Proxy) -> Plain {
    Wire::new(dial(&proxy.listener("behind")))
}

/// A CONNECT behind these bytes; the status of its answer, and the connection's line.
fn claim(proxy: &Proxy, header: &[u8]) -> (Option<u16>, serde_json::Value) {
    let before = proxy.log_so_far("connection").len();
    let target = format!("origin.test:{}", origins::aiohttp().port);
    let mut wire = behind(proxy);
    // In one piece: what follows the header is not lost.
    let _ = wire.try_send(
        [
            header,
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes(),
        ]
        .concat(),
    );
    let status = wire
        .head()
        .map(|head| head.split(' ').nth(1).unwrap().parse().unwrap());
    drop(wire);
    let mut seen = 0;
    let line = proxy.log("connection", |_| {
        seen += 1;
        seen > before
    });
    (status, line)
}

#[test]
fn claims_that_are_broken_are_never_a_client_and_who_speaks_for_itself_is_one() {
    let proxy = setup("http").start();
    let v2 = |command: u8, family: u8, block: &[u8]| {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
        bytes.extend(block);
        bytes
    };
    let v4 = [203, 0, 113, 7, 198, 51, 100, 1, 1, 1, 2, 2];
    for (header, client) in [
        (
            b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n".to_vec(),
            "203.0.113.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n".to_vec(),
            "2001:db8::7",
        ),
        (v2(0x21, 0x11, &v4), "203.0.113.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x20, 0x11, &[9; 30]), "127.0.0.1"),
        (v2(0x21, 0x00, &[]), "127.0.0.1"),
        (v2(0x21, 0x31, &[0; 216]), "127.0.0.1"),
    ] {
        let (status, line) = claim(&proxy, &header);
        assert_eq!(
            (status, line["client"].as_str()),
            (Some(200), Some(client)),
            "{line}"
        );
    }
    let (status, line) = claim(&proxy, b"PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\r\n");
    assert_eq!(
        (status, line["rule"].as_str()),
        (Some(403), Some("not-for-nine")),
        "{line}"
    );
    for header in [
        b"PROXY TCP4 203.0.113.7 198.51.100.1 05555 443\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443 more\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7\r\n".to_vec(),
        v2(0x21, 0x11, &v4[..11]),
        v2(0x21, 0x11, &[&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
        v2(0x21, 0x11, &[&v4[..], &[2, 0, 99]].concat()),
        Vec::new(),
    ] {
        let (status, line) = claim(&proxy, &header);
        assert_eq!(status, None, "{header:?}");
        assert_eq!(
            (line["client"].as_str(), line["outcome"].as_str()),
            (Some("127.0.0.1"), Some("proxy_protocol_error")),
            "{line}"
        );
        assert!(line["peer"].is_null(), "{line}");
    }
    let log = proxy.process().out.all().join("\n");
    assert!(!log.contains("05555"), "{log}");
    proxy.metric(
        "wsbump_connections_ended_total",
        &[("outcome", "proxy_protocol_error")],
        7.0,
    );
}

#[test]
fn who_is_not_named_is_not_listened_to() {
    let proxy = Setup::new()
        .config(
            "listener = [{ name = 'behind', kind = 'http', address = ['127.0.0.1:0'],\n\
             proxy_protocol = { from = ['127.0.0.8'] } }]",
        )
        .start();
    let (status, line) = claim(&proxy, b"");
    assert_eq!(status, Some(200), "{line}");
    // It is no request, and nobody believes it.
    let (status, line) = claim(&proxy, b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n");
    assert_ne!(status, Some(200), "{line}");
    assert_eq!(line["client"], "127.0.0.1", "{line}");
}

#[test]
fn a_header_may_come_byte_by_byte_but_not_for_ever() {
    let proxy = setup("http").start();
    let mut slow = behind(&proxy);
    for byte in b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n" {
        slow.send([*byte]);
    }
    let target = format!("origin.test:{}", origins::aiohttp().port);
    slow.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    assert!(slow.head().unwrap().starts_with("HTTP/1.1 200"));
    // Half a header holds up nobody else.
    let mut half = behind(&proxy);
    half.send("PROXY TCP4 203.0.113.7");
    let (status, _) = claim(&proxy, b"PROXY UNKNOWN\r\n");
    assert_eq!(status, Some(200));
    assert_eq!(half.rest(), b"");
    let line = proxy.log("connection", |line| line["outcome"] == "proxy_protocol_error");
    assert!(line["detail"].as_str().unwrap().contains("within 1s"), "{line}");
    // Who looks whether somebody listens is no mistake.
    drop(behind(&proxy));
    proxy.log("connection", |line| line["outcome"] == "closed");
}

#[test]
fn limits_are_those_of_whoever_has_connected() {
    let proxy = setup("http")
        .config("limits = { client = { except = [], connections = 1 } }")
        .start();
    let target = format!("origin.test:{}", origins::aiohttp().port);
    let ask = |client: &str| {
        let mut wire = behind(&proxy);
        wire.send(format!(
            "PROXY TCP4 {client} 198.51.100.1 40000 443\r\nCONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
        ));
        (wire.head(), wire)
    };
    let (head, held) = ask("203.0.113.7");
    assert!(head.unwrap().starts_with("HTTP/1.1 200"));
    // Another client's, and the same peer's.
    let (head, _) = ask("203.0.113.8");
    assert!(!head.unwrap_or_default().starts_with("HTTP/1.1 200"));
    drop(held);
}
