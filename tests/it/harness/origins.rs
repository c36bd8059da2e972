//! Servers that others wrote.

use super::certs::{Identity, certs, open_up};
use super::process::Process;
use super::road::Version;
use super::{free_port, root, scratch, tool, until};
use serde_json::Value;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A running origin.
pub(crate) struct Origin {
    pub(crate) process: Process,
    pub(crate) port: u16,
    _folder: Option<tempfile::TempDir>,
}

impl Origin {
    /// `https://origin.test:PORT`, or with another scheme.
    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://origin.test:{}{path}", self.port)
    }

    /// The origin's facts: the first line of JSON that `find` likes.
    pub(crate) fn fact(&self, what: &str, mut find: impl FnMut(&Value) -> bool) -> Value {
        self.process.out(what, |line| {
            serde_json::from_str(line).ok().filter(|fact| find(fact))
        })
    }
}

/// A script in `tests/peers/` under its interpreter.
pub(crate) fn script(name: &str) -> Command {
    let interpreter = if name.ends_with(".py") { "python" } else { "node" };
    let mut command = Command::new(tool("venv/bin").join(interpreter));
    command.arg(root().join("tests/peers").join(name));
    command
}

fn start(name: &str, identity: Option<&Identity>, arguments: &[&str]) -> Origin {
    let mut command = script(name);
    if let Some(identity) = identity {
        command
            .arg("--cert")
            .arg(&identity.cert)
            .arg("--key")
            .arg(&identity.key);
    }
    command.args(arguments);
    let process = Process::start(name, command);
    let port = process.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());
    Origin {
        process,
        port,
        _folder: None,
    }
}

/// Origins without state are started once and serve every test.
macro_rules! shared {
    ($(#[$doc:meta] $name:ident: $start:expr;)*) => { $(
        #[$doc]
        pub(crate) fn $name() -> &'static Origin {
            static ORIGIN: OnceLock<Origin> = OnceLock::new();
            ORIGIN.get_or_init(|| $start)
        }
    )* };
}

shared! {
    /// GraphQL over WebSocket, MQTT and STOMP, on Node's `ws`.
    framings: start("origin_framings.mjs", Some(&certs().origin), &[]);
    /// python-socketio on aiohttp.
    socketio: start("origin_socketio.py", Some(&certs().origin), &[]);
    /// Python's `websockets`, with TLS.
    websockets: start("origin_websockets.py", Some(&certs().origin), &[]);
    /// The same without TLS.
    plain_websockets: start("origin_websockets.py", None, &[]);
    /// Python's `websockets` with a certificate that nobody trusts.
    untrusted_websockets: start("origin_websockets.py", Some(&certs().untrusted), &[]);
    /// Node's `ws` with permessage-deflate on, and the page that talks to it.
    node_ws: start("origin_ws.mjs", Some(&certs().origin), &[]);
    /// The same with a certificate that nobody trusts.
    untrusted_node_ws: start("origin_ws.mjs", Some(&certs().untrusted), &[]);
    /// aiohttp with TLS.
    aiohttp: start("origin_aiohttp.py", Some(&certs().origin), &[]);
    /// aiohttp without TLS.
    plain_aiohttp: start("origin_aiohttp.py", None, &[]);
    /// Node's own content codings, with TLS.
    node_coded: start("origin_coded.mjs", Some(&certs().origin), &[]);
    /// nginx with TLS.
    nginx: start_nginx("", &certs().origin);
    /// nginx with TLS and HTTP/2.
    nginx_h2: start_nginx("http2", &certs().origin);
    /// Python's `websockets` on streams of HTTP/2.
    websockets_h2: bridge(&certs().origin, plain_websockets().port, &[]);
    /// Node's `http2`, with WebSockets on its streams.
    node_h2: own_node_h2(&[]);
}

/// aiohttp with TLS for one test alone.
pub(crate) fn own_aiohttp() -> Origin {
    start("origin_aiohttp.py", Some(&certs().origin), &[])
}

/// Node's `http2` for one test alone.
pub(crate) fn own_node_h2(arguments: &[&str]) -> Origin {
    start("origin_h2.mjs", Some(&certs().origin), arguments)
}

/// Says over HTTP/2 what few libraries take; for one test alone.
pub(crate) fn own_odd_h2() -> Origin {
    start("origin_odd_h2.py", Some(&certs().origin), &[])
}

/// Applications' framings for one test alone: who subscribes to its broker hears nobody else.
pub(crate) fn own_framings() -> Origin {
    start("origin_framings.mjs", Some(&certs().origin), &[])
}

/// grpcio for one test alone.
pub(crate) fn own_grpc() -> Origin {
    start("origin_grpc.py", Some(&certs().origin), &[])
}

/// `tests/peers/h2_bridge.py` in front of whoever has HTTP/1.1 on the port `to`.
pub(crate) fn bridge(identity: &Identity, to: u16, arguments: &[&str]) -> Origin {
    let to = to.to_string();
    start(
        "h2_bridge.py",
        Some(identity),
        &[&["--to", &to], arguments].concat(),
    )
}

/// Hypercorn for one test alone.
pub(crate) fn own_hypercorn() -> Origin {
    start("origin_hypercorn.py", Some(&certs().origin), &[])
}

/// grpcio with a certificate that nobody trusts.
pub(crate) fn untrusted_grpc() -> Origin {
    start("origin_grpc.py", Some(&certs().untrusted), &[])
}

/// The stand-in for Slack, and the port of its plain API. It tells clients to open a WebSocket on `port` (0:
/// its own) of `host`.
pub(crate) fn slack(host: &str, port: u16) -> (Origin, u16) {
    let origin = start(
        "origin_slack.py",
        Some(&certs().origin),
        &["--host", host, "--port", &port.to_string()],
    );
    let plain = origin.fact("the plain port", |fact| fact["plain"].is_u64())["plain"]
        .as_u64()
        .unwrap();
    (origin, u16::try_from(plain).unwrap())
}

/// The stand-in for Discord, which tells of messages with these words.
pub(crate) fn discord(words: &[&str]) -> Origin {
    start(
        "origin_discord.py",
        Some(&certs().origin),
        &["--say", &words.join("|")],
    )
}

/// nginx for one test alone, with a certificate of its own.
pub(crate) fn own_nginx(version: Version, identity: &Identity) -> Origin {
    let protocol = match version {
        Version::Http1 => "",
        Version::Http2 | Version::Front => "http2",
    };
    start_nginx(protocol, identity)
}

/// nginx for one test alone, which ends a WebSocket that was quiet for so long.
pub(crate) fn nginx_with_idle_time(time: &str) -> Origin {
    start_patient_nginx("", &certs().origin, time)
}

/// nginx: `/1m` is a file of 1 MiB (and compressible `/text`), `/echo` is a WebSocket passed on to Python.
fn start_nginx(protocol: &str, identity: &Identity) -> Origin {
    start_patient_nginx(protocol, identity, "60s")
}

fn start_patient_nginx(protocol: &str, identity: &Identity, patience: &str) -> Origin {
    let folder = scratch();
    open_up(folder.path());
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::create_dir(path("www")).unwrap();
    std::fs::write(path("www/1m"), megabyte()).unwrap();
    std::fs::write(path("www/index.html"), "<!doctype html><title>nginx</title>\n").unwrap();
    let port = free_port();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {};\n", path(name).display()))
        .collect();
    let config = format!(
        "daemon off; master_process off; pid {pid}; error_log stderr warn;
        events {{ worker_connections 512; }}
        http {{
            access_log off; keepalive_timeout 60; {temporary}
            map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
            server {{
                listen 127.0.0.1:{port} ssl {protocol}; server_name origin.test;
                ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
                root {www};
                location /echo {{
                    proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_buffering off;
                    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
                    proxy_set_header Host $http_host; proxy_read_timeout {patience};
                }}
            }}
        }}\n",
        pid = path("pid").display(),
        cert = identity.cert.display(),
        key = identity.key.display(),
        www = path("www").display(),
        upstream = plain_websockets().port,
    );
    std::fs::write(path("nginx.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(path("nginx.conf"))
        .args(["-e", "stderr"]);
    let process = Process::start("nginx", command);
    until("nginx listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    Origin {
        process,
        port,
        _folder: Some(folder),
    }
}

/// The file that nginx serves as `/1m`.
pub(crate) fn megabyte() -> Vec<u8> {
    (0..1_u32 << 20)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}
