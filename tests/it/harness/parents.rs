//! Proxies that others wrote, to stand between the proxy under test and the origins.

use super::certs::{NAMES, open_up};
use super::process::Process;
use super::raw::{Wire, dial, prepare};
use super::{DEADLINE, free_port, scratch, until};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

/// A running tinyproxy.
pub(crate) struct Tinyproxy {
    _process: Process,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Tinyproxy {
    pub(crate) fn start() -> Self {
        let folder = scratch();
        let port = free_port();
        let config = folder.path().join("tinyproxy.conf");
        std::fs::write(
            &config,
            format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Warning\n"),
        )
        .unwrap();
        let mut command = knowing_names(folder.path(), "tinyproxy");
        command.arg("-d").arg("-c").arg(config);
        let process = Process::start("tinyproxy", command);
        until("tinyproxy listens", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self {
            _process: process,
            _folder: folder,
            port,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A program that resolves names as its machine does, and knows those of the tests: /etc/hosts is another one for it.
fn knowing_names(folder: &Path, program: &str) -> Command {
    let hosts: String = NAMES.iter().map(|name| format!("127.0.0.1 {name}\n")).collect();
    let file = folder.join("hosts");
    std::fs::write(&file, hosts).unwrap();
    let script = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(file)
        .arg(program);
    command
}

/// A running Dante, which speaks SOCKS.
pub(crate) struct Dante {
    _process: Process,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Dante {
    pub(crate) fn start() -> Self {
        let folder = scratch();
        open_up(folder.path());
        let port = free_port();
        let config = folder.path().join("danted.conf");
        std::fs::write(
            &config,
            format!(
                "logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: lo\nsocksmethod: none\nclientmethod: none\n\
                 user.privileged: root\nuser.unprivileged: nobody\n\
                 client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
                 socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 protocol: tcp }}\n"
            ),
        )
        .unwrap();
        let mut command = knowing_names(folder.path(), "/usr/sbin/danted");
        command
            .arg("-f")
            .arg(&config)
            .arg("-p")
            .arg(folder.path().join("pid"));
        let process = Process::start_watched("danted", command);
        until("danted listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self {
            _process: process,
            _folder: folder,
            port,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A parent of the tests' own: it says what a test wants, leads to this machine, and tells what it was asked.
pub(crate) struct OwnParent {
    pub(crate) port: u16,
    heads: Receiver<String>,
    peers: Receiver<String>,
}

impl OwnParent {
    /// One that answers each CONNECT with these bytes, and then relays.
    pub(crate) fn saying(answer: &'static str) -> Self {
        Self::start(move |mut client, head| {
            client.send(answer);
            if let Some(target) = head.strip_prefix("CONNECT ") {
                let (_, port) = target.split(' ').next().unwrap().rsplit_once(':').unwrap();
                relay(client, dial(&format!("127.0.0.1:{port}")));
            }
        })
    }

    /// One that answers with these bytes, and ends.
    pub(crate) fn refusing(answer: &'static str) -> Self {
        Self::start(move |mut client, _| {
            let _ = client.try_send(answer);
        })
    }

    fn start(serve: impl Fn(Wire<TcpStream>, &str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, heads) = channel();
        let (tell, peers) = channel();
        let serve = std::sync::Arc::new(serve);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (send, serve) = (send.clone(), std::sync::Arc::clone(&serve));
                let _ = tell.send(socket.peer_addr().unwrap().ip().to_string());
                std::thread::spawn(move || {
                    prepare(&socket);
                    let mut client = Wire::new(socket);
                    // Who only looks whether it is there sends nothing.
                    let Some(head) = client.head() else { return };
                    let _ = send.send(head.clone());
                    serve(client, &head);
                });
            }
        });
        Self { port, heads, peers }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The head of the next request.
    pub(crate) fn head(&self) -> String {
        self.heads
            .recv_timeout(DEADLINE)
            .expect("a request to the parent")
    }

    /// The address that the next connection came from.
    pub(crate) fn peer(&self) -> String {
        self.peers
            .recv_timeout(DEADLINE)
            .expect("a connection to the parent")
    }

    /// Whether it was asked nothing that was not taken yet.
    pub(crate) fn was_asked_nothing(&self) -> bool {
        self.heads.try_recv().is_err()
    }
}

/// Moves bytes both ways; the end of one way is passed on, and the other goes on.
fn relay(client: Wire<TcpStream>, origin: TcpStream) {
    let client = client.stream;
    let (from_client, from_origin) = (client.try_clone().unwrap(), origin.try_clone().unwrap());
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(read) = from.read(&mut buffer) {
                if read == 0 || to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    let _ = (copy(from_client, origin), copy(from_origin, client));
}
