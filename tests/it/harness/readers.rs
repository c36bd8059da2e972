//! Readers of HTTP/1.1 that others wrote, each of which says what messages it sees in given bytes.

use super::corpus::Message;
use super::plain::{plain_requests, plain_responses, values};
use super::process::Process;
use super::raw::dial;
use super::{free_port, origins, scratch, until};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

/// How long a server may take that answers at once or never.
const PATIENCE: Duration = Duration::from_secs(10);

/// What follows messages that are whole.
const END: &[u8] = b"GET /end HTTP/1.1\r\nHost: end\r\n\r\n";

/// What a reader made of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The messages that are whole, in their order.
    pub(crate) messages: Vec<Message>,
    /// Why it stopped before the end of the bytes, or wanted more of them.
    pub(crate) trouble: Option<String>,
}

/// What the client asked for, or that it is a client's bytes that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    /// The methods of the requests that the responses answer.
    Responses(Vec<String>),
}

/// Bytes of one connection.
pub(crate) struct Bytes {
    pub(crate) side: Side,
    pub(crate) bytes: Vec<u8>,
}

/// What each reader makes of each of them, by the reader's name.
pub(crate) fn read_all(all: &[Bytes]) -> Vec<(&'static str, Vec<Reading>)> {
    let mut found = read_by_scripts(all);
    let servers: [(&'static str, Server); 2] = [("nginx", nginx()), ("haproxy", haproxy())];
    found.extend(servers.map(|(name, server)| (name, server.read(all))));
    found
}

/// The same of those that are no servers, and need no time to find out that nothing more comes.
pub(crate) fn read_by_scripts(all: &[Bytes]) -> Vec<(&'static str, Vec<Reading>)> {
    vec![
        ("h11", by_script("read_http1.py", all, &[])),
        ("llhttp", by_script("read_http1.mjs", all, &[])),
        ("llhttp-lenient", by_script("read_http1.mjs", all, &["--lenient"])),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// A reader in a script, which is given all of them in a file and says a line of JSON for each.
fn by_script(name: &str, all: &[Bytes], arguments: &[&str]) -> Vec<Reading> {
    let folder = scratch();
    let file = folder.path().join("bytes");
    let line = |bytes: &Bytes| {
        let asks = match &bytes.side {
            Side::Requests => Value::Null,
            Side::Responses(asks) => json!(asks),
        };
        format!("{}\n", json!({ "bytes": hex(&bytes.bytes), "asks": asks }))
    };
    std::fs::write(&file, all.iter().map(line).collect::<String>()).unwrap();
    let mut command = origins::script(name);
    command.arg("--file").arg(&file).args(arguments);
    let done = Process::start(name, command).finish();
    let read = |line: &String| {
        let said: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{name} says {line}"));
        let message = |message: &Value| {
            let part = |at: usize| unhex(message[at].as_str().unwrap());
            Message::new(part(0), part(1))
        };
        Reading {
            messages: said["messages"].as_array().unwrap().iter().map(message).collect(),
            trouble: said["trouble"].as_str().map(str::to_owned),
        }
    };
    let readings: Vec<_> = done.out.iter().map(read).collect();
    assert!(
        done.status.success() && readings.len() == all.len(),
        "{name}: {:?} {:?}",
        done.status,
        done.err
    );
    readings
}

/// A server that writes down the requests it sees, and passes on the responses of an origin of the tests.
struct Server {
    process: Process,
    _folder: tempfile::TempDir,
    /// Where requests are read.
    requests: u16,
    /// Where responses are asked for by their number.
    responses: u16,
    log: Log,
}

enum Log {
    File(std::path::PathBuf),
    Output,
}

/// What a server's log says of a request: the client's port, the status, and the message.
type Logged = (u16, u16, Message);

/// nginx: what it makes of a request is what its log says once all of it has gone to another server.
fn nginx() -> Server {
    let folder = scratch();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [requests, responses, back] = [free_port(), free_port(), free_port()];
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {};\n", path(name)))
        .collect();
    let config = format!(
        "daemon off; master_process off; pid {pid}; error_log {errors} info;
        events {{ worker_connections 512; }}
        http {{
            {temporary}
            log_format read '$remote_port $status \"$request_method $request_uri\" \"$request_body\"';
            access_log off; lingering_close off; proxy_ignore_client_abort on; proxy_next_upstream off;
            client_max_body_size 0; client_body_buffer_size 1m; client_body_in_single_buffer on;
            client_header_buffer_size 128k; large_client_header_buffers 4 128k; merge_slashes off;
            server {{
                listen 127.0.0.1:{requests}; access_log {log} read;
                location / {{ proxy_pass http://127.0.0.1:{back}; }}
            }}
            server {{ listen 127.0.0.1:{back}; return 204; }}
            server {{
                listen 127.0.0.1:{responses};
                location / {{ proxy_pass http://127.0.0.1:$arg_port; proxy_http_version 1.1; proxy_buffer_size 128k; proxy_buffers 4 128k; proxy_busy_buffers_size 256k; }}
            }}
        }}\n",
        pid = path("pid"),
        errors = path("errors"),
        log = path("log"),
    );
    std::fs::write(path("nginx.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-p")
        .arg(folder.path())
        .args(["-c", &path("nginx.conf"), "-e", "stderr"]);
    let process = Process::start("nginx", command);
    let log = Log::File(folder.path().join("log"));
    Server::listening(process, folder, requests, responses, log)
}

/// HAProxy: the same from its log on standard output, in which text from the network is in hexadecimal digits.
fn haproxy() -> Server {
    let folder = scratch();
    let [requests, responses, back] = [free_port(), free_port(), free_port()];
    let config = format!(
        "global\n nbthread 1\n log stdout len 65535 format raw local0\n tune.bufsize 131072\n\
         defaults\n mode http\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n timeout http-request 60s\n retries 0\n\
         frontend requests\n bind 127.0.0.1:{requests}\n option http-buffer-request\n log global\n\
         http-request set-var(txn.method) method,bytes(0)\n http-request set-var(txn.url) url\n\
         http-request set-var(txn.body) req.body\n\
         log-format \"read %cp %ST %ts /%[var(txn.method),hex] /%[var(txn.url),hex] /%[var(txn.body),hex]\"\n\
         default_backend back\n\
         backend back\n server back 127.0.0.1:{back}\n\
         frontend back\n bind 127.0.0.1:{back}\n http-request return status 204\n\
         frontend responses\n bind 127.0.0.1:{responses}\n default_backend origin\n\
         backend origin\n http-request set-dst-port url_param(port)\n server origin 127.0.0.1:0\n",
    );
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(file);
    let process = Process::start("haproxy", command);
    Server::listening(process, folder, requests, responses, Log::Output)
}

impl Server {
    fn listening(
        process: Process,
        folder: tempfile::TempDir,
        requests: u16,
        responses: u16,
        log: Log,
    ) -> Self {
        for port in [requests, responses] {
            until(&format!("a reader listens: {}", process.describe()), || {
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        Self {
            process,
            _folder: folder,
            requests,
            responses,
            log,
        }
    }

    fn read(&self, all: &[Bytes]) -> Vec<Reading> {
        let replayed: Vec<&[u8]> = all.iter().map(|bytes| &bytes.bytes[..]).collect();
        let replayer = replay(&replayed);
        let mut ports = Vec::new();
        let mut readings: Vec<Reading> = (0..)
            .zip(all)
            .map(|(number, bytes)| match &bytes.side {
                Side::Requests => {
                    let (port, trouble) = self.send(&bytes.bytes);
                    ports.push((number, port));
                    Reading {
                        messages: Vec::new(),
                        trouble,
                    }
                }
                Side::Responses(asks) => self.first_response(&asks[0], number, replayer),
            })
            .collect();
        let (mark, _) = self.send(b"");
        let logged = until("the mark in a reader's log", || {
            let logged = self.logged();
            logged.iter().any(|line| line.0 == mark).then_some(logged)
        });
        let mut by_port = HashMap::<u16, Vec<Logged>>::new();
        for line in logged {
            by_port.entry(line.0).or_default().push(line);
        }
        for (number, port) in ports {
            let reading = &mut readings[number];
            let mut refused = None;
            for (_, status, message) in by_port.remove(&port).unwrap_or_default() {
                if status == 204 && refused.is_none() {
                    reading.messages.push(message);
                } else {
                    refused.get_or_insert_with(|| format!("{status} for {message:?}"));
                }
            }
            if reading
                .messages
                .last()
                .is_some_and(|message| message.line == b"GET /end")
            {
                reading.messages.pop();
            }
            reading.trouble = refused.or(reading.trouble.take());
        }
        readings
    }

    /// Sends bytes, and behind messages that are whole a request of its own, since a server may forget what it has not
    /// read yet when a client ends its half. The port that they came from, and what went wrong.
    fn send(&self, bytes: &[u8]) -> (u16, Option<String>) {
        let mut stream = dial(&format!("127.0.0.1:{}", self.requests));
        let port = stream.local_addr().unwrap().port();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let plain = plain_requests(bytes);
        let mut answers = Vec::new();
        // Whoever refuses the first bytes may not wait for the last ones.
        let _ = stream.write_all(bytes);
        let mut wanted = plain.messages.len();
        let mut read = |stream: &mut TcpStream, wanted: usize| {
            let asks = vec!["GET".to_owned(); 100];
            let mut buffer = [0; 4096];
            while plain_responses(&answers, &asks).messages.len() < wanted {
                match stream.read(&mut buffer) {
                    Ok(0) => return Some("closed".to_owned()),
                    Ok(read) => answers.extend(&buffer[..read]),
                    Err(error) => return Some(error.to_string()),
                }
            }
            None
        };
        let mut trouble = read(&mut stream, wanted);
        // Whoever says that it closes has nothing more to say.
        let closes = values(bytes, "connection").iter().any(|value| value == "close");
        if trouble.is_none() && plain.trouble.is_none() && !closes {
            let _ = stream.write_all(END);
            wanted += 1;
            trouble = read(&mut stream, wanted);
        }
        let _ = stream.shutdown(Shutdown::Write);
        let _ = read(&mut stream, usize::MAX);
        (port, trouble)
    }

    fn first_response(&self, asks: &str, number: usize, replayer: u16) -> Reading {
        let mut stream = dial(&format!("127.0.0.1:{}", self.responses));
        let request =
            format!("{asks} /{number}?port={replayer} HTTP/1.1\r\nHost: reader\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let mut reading = plain_responses(&answer, &[asks.to_owned()]);
        let is_own = |message: &Message| {
            message.body.windows(5).any(|word| word == b"nginx")
                || message
                    .body
                    .windows(28)
                    .any(|words| words == b"The server returned an inval")
        };
        if end.is_err() || reading.messages.first().is_some_and(is_own) {
            reading.messages.clear();
            reading.trouble = Some(answer.escape_ascii().to_string());
        }
        reading
    }

    fn logged(&self) -> Vec<Logged> {
        match &self.log {
            Log::File(path) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                text.lines().map(of_nginx).collect()
            }
            Log::Output => {
                let lines = self.process.out.all();
                lines
                    .iter()
                    .filter_map(|line| Some(of_haproxy(line.strip_prefix("read ")?)))
                    .collect()
            }
        }
    }
}

/// `PORT STATUS "METHOD TARGET" "BODY"`, in which whatever is not plain is `\xNN`.
fn of_nginx(line: &str) -> Logged {
    let parts: Vec<&str> = line.split('"').collect();
    let mut numbers = parts[0].split(' ').map(|number| number.parse().unwrap_or(0));
    let text = |at: usize| {
        let part = parts.get(at).copied().unwrap_or_default();
        let mut bytes = Vec::new();
        let mut rest = if part == "-" { "" } else { part };
        while let Some(at) = rest.find("\\x") {
            bytes.extend(&rest.as_bytes()[..at]);
            bytes.extend(unhex(&rest[at + 2..at + 4]));
            rest = &rest[at + 4..];
        }
        bytes.extend(rest.as_bytes());
        bytes
    };
    (
        numbers.next().unwrap_or(0),
        numbers.next().unwrap_or(0),
        Message::new(text(1), text(3)),
    )
}

/// `PORT STATUS ENDING /METHOD /TARGET /BODY`, these three in hexadecimal digits, or `-`.
fn of_haproxy(line: &str) -> Logged {
    let parts: Vec<&str> = line.split(' ').collect();
    let text = |at: usize| match parts[at].trim_start_matches('/') {
        "-" => Vec::new(),
        digits => unhex(digits),
    };
    let line = [&text(3)[..], b" ", &text(4)].concat();
    // Only what has no ending of its own ended well.
    let status = if parts[2] == "--" {
        parts[1].parse().unwrap_or(0)
    } else {
        0
    };
    (parts[0].parse().unwrap(), status, Message::new(line, text(5)))
}

/// An origin that answers a request for `/N` with the bytes of that number, and closes. Its port.
fn replay(all: &[&[u8]]) -> u16 {
    let all: Vec<Vec<u8>> = all.iter().map(|bytes| bytes.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut buffer = [0; 4096];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => head.extend(&buffer[..read]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&head);
            let number = text
                .split(['/', '?'])
                .nth(1)
                .and_then(|number| number.parse::<usize>().ok());
            if let Some(bytes) = number.and_then(|number| all.get(number)) {
                let _ = stream.write_all(bytes);
            }
            let _ = stream.shutdown(Shutdown::Write);
            // Until the other side has read it all.
            let _ = stream.read(&mut buffer);
        }
    });
    port
}
