//! Sending a message through the proxy, and keeping what both ends see of it.

use crate::harness::corpus::{Entry, Message, Next};
use crate::harness::plain::{plain_requests, plain_responses, values};
use crate::harness::proxy::Proxy;
use crate::harness::raw::{dial, tls};
use crate::harness::recorder::{Recorder, tcp};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long either end may be silent: the proxy answers at once, or is stuck.
const PATIENCE: Duration = Duration::from_secs(15);

/// What both ends saw of an entry.
pub(super) struct Seen<'e> {
    pub(super) entry: &'e Entry,
    pub(super) host: String,
    /// The client's port.
    pub(super) port: u16,
    /// What the sender sent.
    pub(super) sent: Vec<u8>,
    /// What came out, by connection.
    pub(super) out: Vec<Vec<u8>>,
    /// What the client was told.
    pub(super) answers: Vec<u8>,
    /// How the client's connection ended, if it did not just end.
    pub(super) end: Option<String>,
}

impl Seen<'_> {
    /// The statuses that the client got, interim ones aside.
    pub(super) fn statuses(&self) -> Vec<u16> {
        let asks = vec![String::new(); 100];
        let answers = plain_responses(&self.answers, &asks).messages;
        let status = |answer: &Message| String::from_utf8_lossy(&answer.line).parse().unwrap();
        answers.iter().map(status).collect()
    }

    pub(super) fn fault(&self, what: impl std::fmt::Display) -> String {
        let mut text = format!(
            "{}: {what}\n  wanted: {:?}\n  sent: \"{}\"\n  answers: \"{}\"\n",
            self.entry.name,
            self.entry.proxy,
            shown(&self.sent),
            shown(&self.answers),
        );
        for out in &self.out {
            let _ = writeln!(text, "  out: \"{}\"", shown(out));
        }
        text
    }
}

pub(super) fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    match text.char_indices().nth(1500) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// Reads until the end; how that came, if not by itself.
pub(super) fn rest(stream: &mut impl Read) -> (Vec<u8>, Option<String>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (bytes, None),
            Ok(read) => bytes.extend(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (bytes, Some(format!("silent for {PATIENCE:?}")));
            }
            Err(error) => return (bytes, Some(error.to_string())),
        }
    }
}

/// An origin that answers each request that it can make out, and keeps every byte.
pub(super) fn record(mut stream: impl Read + Write) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let mut answered = 0;
    let mut is_continued = false;
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        bytes.extend(&buffer[..read]);
        let reading = plain_requests(&bytes);
        let expects = values(&bytes, "expect")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("100-continue"));
        if expects
            && reading.trouble.is_some()
            && !is_continued
            && bytes.windows(4).any(|four| four == b"\r\n\r\n")
        {
            is_continued = true;
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        while answered < reading.messages.len() {
            answered += 1;
            let answer = format!("HTTP/1.1 200 OK\r\nX-Saw: {answered}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
        let _ = stream.flush();
    }
    bytes
}

/// The request behind the one in question.
pub(super) fn next_request(entry: &Entry, host: &str) -> Vec<u8> {
    let target = if entry.is_front {
        format!("http://{host}/next")
    } else {
        "/next".to_owned()
    };
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Sends an entry inside TLS.
pub(super) fn send_bumped<'e>(proxy: &Proxy, recorder: &Recorder, entry: &'e Entry) -> Seen<'e> {
    let host = recorder.target();
    let mut sent = entry.bytes(&host);
    if entry.next != Next::None {
        sent.extend(next_request(entry, &host));
    }
    let mut client = tls(proxy, &host);
    client.stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = client.stream.sock.local_addr().unwrap().port();
    let origin = recorder.accept().stream;
    let kept = std::thread::spawn(move || record(origin));
    let _ = client.try_send(&sent);
    if entry.next == Next::None {
        client.half_close();
    }
    let (answers, end) = rest(&mut client.stream);
    drop(client);
    let out = kept.join().unwrap();
    let out = if out.is_empty() { Vec::new() } else { vec![out] };
    Seen {
        entry,
        host,
        port,
        sent,
        out,
        answers,
        end,
    }
}

/// Sends an entry to the proxy itself.
pub(super) fn send_in_front<'e>(proxy: &Proxy, entry: &'e Entry) -> Seen<'e> {
    let (listener, origin) = tcp();
    let host = format!("origin.test:{origin}");
    let kept = keep(listener);
    let mut sent = entry.bytes(&host);
    if entry.next != Next::None {
        sent.extend(next_request(entry, &host));
    }
    let mut client = dial(&proxy.address);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = client.local_addr().unwrap().port();
    let _ = client.write_all(&sent);
    let (answers, end) = rest(&mut client);
    drop(client);
    Seen {
        entry,
        out: kept.all(origin),
        host,
        port,
        sent,
        answers,
        end,
    }
}

/// What an origin kept, connection by connection.
pub(super) struct Kept {
    serving: std::thread::JoinHandle<Vec<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
}

/// Serves until it is told that it is over. A connection that says nothing at all is one like others: what was asked
/// may have been taken back while the proxy was still connecting.
pub(super) fn keep(listener: TcpListener) -> Kept {
    let is_over = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&is_over);
    let serving = std::thread::spawn(move || {
        let mut connections = Vec::new();
        for stream in listener.incoming().flatten() {
            if ending.load(Ordering::Acquire) {
                break;
            }
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            connections.push(std::thread::spawn(move || record(stream)));
        }
        let kept = connections.into_iter().map(|kept| kept.join().unwrap());
        kept.filter(|bytes| !bytes.is_empty()).collect()
    });
    Kept { serving, is_over }
}

impl Kept {
    pub(super) fn all(self, port: u16) -> Vec<Vec<u8>> {
        self.is_over.store(true, Ordering::Release);
        drop(dial(&format!("127.0.0.1:{port}")));
        self.serving.join().unwrap()
    }
}

/// Has an origin answer with an entry, and asks again behind it.
pub(super) fn answer_by<'e>(proxy: &Proxy, recorder: &Recorder, entry: &'e Entry) -> Seen<'e> {
    let host = recorder.target();
    let sent = entry.bytes(&host);
    let mut client = tls(proxy, &host);
    client.stream.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    let port = client.stream.sock.local_addr().unwrap().port();
    let mut origin = recorder.accept().stream;
    let response = sent.clone();
    let ends = entry.ends;
    let served = std::thread::spawn(move || {
        let mut asked = Vec::new();
        let mut buffer = [0; 16 << 10];
        let mut answered = 0;
        while let Ok(read @ 1..) = origin.read(&mut buffer) {
            asked.extend(&buffer[..read]);
            while answered < plain_requests(&asked).messages.len() {
                answered += 1;
                let _ = if answered == 1 {
                    origin.write_all(&response)
                } else {
                    origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
                };
                if ends {
                    origin.conn.send_close_notify();
                }
            }
            let _ = origin.flush();
        }
    });
    let request = format!("{} /answer HTTP/1.1\r\nHost: {host}\r\n\r\n", entry.asks);
    let _ = client.try_send([request.into_bytes(), next_request(entry, &host)].concat());
    let (answers, end) = rest(&mut client.stream);
    drop(client);
    served.join().unwrap();
    Seen {
        entry,
        host,
        port,
        sent,
        out: Some(answers.clone())
            .filter(|out| !out.is_empty())
            .into_iter()
            .collect(),
        answers,
        end,
    }
}
