//! Each message of the corpus of ambiguous ones goes through the proxy, byte for byte, and what comes out is read by
//! parsers that others wrote: they must all see the same messages with the same content.

use crate::harness::clients::Client;
use crate::harness::corpus::{Entry, Message, Next, Wanted, corpus};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{dial, tls};
use crate::harness::readers::{
    Bytes, Reading, Side, plain_requests, plain_responses, read_all, read_by_scripts, values,
};
use crate::harness::recorder::{Recorder, tcp};
use crate::harness::scratch;
use crate::harness::until;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long either end may be silent: the proxy answers at once, or is stuck.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn the_readers_read_what_is_plain_alike() {
    let requests = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel\r\n\
        GET /{}| HTTP/1.1\r\nHost: x\r\nX-One: 1\r\n\r\n\
        POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\0b\r\n2\r\n\"\\\r\n0\r\nX: y\r\n\r\n";
    let responses = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\0b\r\n0\r\n\r\n\
        HTTP/1.1 204 No\r\n\r\nHTTP/1.0 404 No\r\n\r\nrest";
    let asks = || Side::Responses(["GET"; 3].map(str::to_owned).to_vec());
    let all = [
        (Side::Requests, &requests[..]),
        (asks(), responses),
        (Side::Requests, &requests[..requests.len() - 1]),
        (asks(), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"),
    ];
    let all = all.map(|(side, bytes)| Bytes {
        side,
        bytes: bytes.to_vec(),
    });
    let asked = [
        Message::new("POST /a?b", "hel\r\n"),
        Message::new("GET /{}|", ""),
        Message::new("POST /c", "a\0b\"\\"),
    ];
    let answered = [
        Message::new("200", "a\0b"),
        Message::new("204", ""),
        Message::new("404", "rest"),
    ];
    for (name, readings) in read_all(&all) {
        assert_eq!(readings[0].messages, asked, "{name}: {readings:?}");
        assert_eq!(readings[0].trouble, None, "{name}: {readings:?}");
        // Servers are asked for one response each, and nginx takes an interim one for it.
        let is_server = matches!(name, "nginx" | "haproxy");
        let answered = if is_server { &answered[..1] } else { &answered };
        if name != "nginx" {
            assert_eq!(readings[1].messages, answered, "{name}: {readings:?}");
        }
        assert_eq!(readings[2].messages, asked[..2], "{name}: {readings:?}");
        assert!(readings[2].trouble.is_some(), "{name}: {readings:?}");
        assert_eq!(readings[3].messages, [], "{name}: {readings:?}");
        assert!(readings[3].trouble.is_some(), "{name}: {readings:?}");
    }
}

/// What both ends saw of an entry.
struct Seen<'e> {
    entry: &'e Entry,
    host: String,
    /// The client's port.
    port: u16,
    /// What the sender sent.
    sent: Vec<u8>,
    /// What came out, by connection.
    out: Vec<Vec<u8>>,
    /// What the client was told.
    answers: Vec<u8>,
    /// How the client's connection ended, if it did not just end.
    end: Option<String>,
}

impl Seen<'_> {
    /// The statuses that the client got, interim ones aside.
    fn statuses(&self) -> Vec<u16> {
        let asks = vec![String::new(); 100];
        let answers = plain_responses(&self.answers, &asks).messages;
        let status = |answer: &Message| String::from_utf8_lossy(&answer.line).parse().unwrap();
        answers.iter().map(status).collect()
    }

    fn fault(&self, what: impl std::fmt::Display) -> String {
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

fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    match text.char_indices().nth(1500) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// Reads until the end; how that came, if not by itself.
fn rest(stream: &mut impl Read) -> (Vec<u8>, Option<String>) {
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
fn record(mut stream: impl Read + Write) -> Vec<u8> {
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
fn next_request(entry: &Entry, host: &str) -> Vec<u8> {
    let target = if entry.is_front {
        format!("http://{host}/next")
    } else {
        "/next".to_owned()
    };
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Sends an entry inside TLS.
fn send_bumped<'e>(proxy: &Proxy, recorder: &Recorder, entry: &'e Entry) -> Seen<'e> {
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
fn send_in_front<'e>(proxy: &Proxy, entry: &'e Entry) -> Seen<'e> {
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
struct Kept {
    serving: std::thread::JoinHandle<Vec<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
}

/// Serves until it is told that it is over. A connection that says nothing at all is one like others: what was asked
/// may have been taken back while the proxy was still connecting.
fn keep(listener: TcpListener) -> Kept {
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
    fn all(self, port: u16) -> Vec<Vec<u8>> {
        self.is_over.store(true, Ordering::Release);
        drop(dial(&format!("127.0.0.1:{port}")));
        self.serving.join().unwrap()
    }
}

/// What is the same in a head however often it is forwarded: the request line and the fields, in their order, but for
/// those of the connection.
fn lasting(message: &[u8], is_front: bool) -> Vec<Vec<u8>> {
    let head = message.windows(4).position(|four| four == b"\r\n\r\n");
    let head = &message[..head.unwrap_or(message.len())];
    let mut own = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "via",
    ]
    .map(str::to_owned)
    .to_vec();
    for named in values(head, "connection") {
        own.extend(named.split(',').map(|name| name.trim().to_ascii_lowercase()));
    }
    // Not even Connection takes these away.
    own.retain(|name| !["content-length", "transfer-encoding", "host"].contains(&&name[..]));
    if is_front {
        own.push("host".to_owned());
    }
    let mut lines = Vec::new();
    let mut rest = head;
    while !rest.is_empty() {
        let end = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .unwrap_or(rest.len());
        lines.push(rest[..end].to_vec());
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    lines.drain(..usize::from(is_front));
    lines.retain(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        !own.contains(&String::from_utf8_lossy(name).to_ascii_lowercase())
    });
    lines
}

/// What is wrong with what came out for an entry.
fn judge_request(seen: &Seen<'_>, readings: &[(&'static str, Reading)], logged: &[u16]) -> Option<String> {
    let entry = seen.entry;
    let statuses = seen.statuses();
    let sees = entry.sees(&seen.host, 2);
    let next = Message::new("GET /next", "");
    let is_through = !statuses.is_empty() && statuses.iter().all(|&status| status == 200);
    let mut wanted = match &entry.proxy {
        Wanted::Pass | Wanted::Mended if !is_through => {
            return Some(format!("not let through: {statuses:?}"));
        }
        Wanted::Refused(_) | Wanted::Cut if is_through => return Some("let through".to_owned()),
        Wanted::Refused(allowed) => match statuses.split_last() {
            Some((last, _)) if allowed.contains(last) => sees,
            _ => return Some(format!("refused otherwise: {statuses:?}")),
        },
        _ if is_through => sees,
        _ => Vec::new(),
    };
    if is_through && entry.next != Next::None {
        wanted.push(next);
    }
    let answered = statuses.iter().filter(|&&status| status == 200).count();
    if answered != wanted.len() {
        return Some(format!("{answered} answers for {wanted:?}"));
    }
    // Who goes away in the middle may find the connection cut.
    let is_left = entry.next == Next::None && statuses.is_empty();
    if let Some(end) = &seen.end
        && !is_left
    {
        return Some(format!("the client's connection ends by: {end}"));
    }
    let has_head = seen.sent.windows(4).any(|four| four == b"\r\n\r\n");
    if (is_left && has_head && logged.is_empty()) || (!is_left && logged != statuses) {
        return Some(format!("logged as {logged:?}, answered {statuses:?}"));
    }
    let out = seen.out.concat();
    if is_through {
        if let Some(missed) = entry.missed(&out) {
            return Some(missed);
        }
        if entry.proxy == Wanted::Pass {
            let (sent, came) = (lasting(&seen.sent, entry.is_front), lasting(&out, entry.is_front));
            if sent != came {
                return Some("not as it came".to_owned());
            }
        }
    }
    disagreement(entry, &wanted, readings, is_through)
}

/// The first reader that sees something else.
fn disagreement(
    entry: &Entry,
    wanted: &[Message],
    readings: &[(&'static str, Reading)],
    is_whole: bool,
) -> Option<String> {
    let differs = |(name, reading): &&(&'static str, Reading)| {
        let may_refuse = entry.is_refused_by(name) && reading.trouble.is_some();
        if reading.messages == wanted {
            return is_whole && reading.trouble.is_some() && !may_refuse;
        }
        !(may_refuse && wanted.starts_with(&reading.messages))
    };
    let Some((name, reading)) = readings.iter().find(differs) else {
        let takes = |(name, reading): &&(&'static str, Reading)| {
            entry.is_refused_by(name) && !name.ends_with("-lenient") && reading.trouble.is_none()
        };
        let (name, _) = readings.iter().find(takes).filter(|_| is_whole)?;
        return Some(format!("{name} refuses nothing"));
    };
    Some(format!(
        "{name} sees {:?}{}, and not {wanted:?}",
        reading.messages,
        reading
            .trouble
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default(),
    ))
}

/// What all readers make of what came out for each entry, the tests' own among them.
fn readings(all: &[Seen<'_>], side: impl Fn(&Entry) -> Side) -> Vec<Vec<(&'static str, Reading)>> {
    let outs = all.iter().enumerate();
    let outs = outs.flat_map(|(number, seen)| seen.out.iter().map(move |out| (number, seen, out)));
    let (owners, bytes): (Vec<usize>, Vec<Bytes>) = outs
        .map(|(number, seen, out)| {
            let side = side(seen.entry);
            (
                number,
                Bytes {
                    side,
                    bytes: out.clone(),
                },
            )
        })
        .unzip();
    let own = bytes.iter().map(|bytes| match &bytes.side {
        Side::Requests => plain_requests(&bytes.bytes),
        Side::Responses(asks) => plain_responses(&bytes.bytes, asks),
    });
    let mut by_reader = read_all(&bytes);
    by_reader.push(("plain", own.collect()));
    let mut found: Vec<Vec<(&'static str, Reading)>> = all.iter().map(|_| Vec::new()).collect();
    for (name, all) in by_reader {
        for (&owner, reading) in owners.iter().zip(all) {
            match found[owner].iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => {
                    known.messages.extend(reading.messages);
                    known.trouble = known.trouble.take().or(reading.trouble);
                }
                None => found[owner].push((name, reading)),
            }
        }
    }
    found
}

/// The statuses that were logged for each entry, in their order.
fn logged(proxy: &Proxy, all: &[Seen<'_>]) -> Vec<Vec<u16>> {
    let ids = until("a line for each connection", || {
        let lines = proxy.log_so_far("connection");
        let id = |seen: &Seen<'_>| {
            let client = format!(":{}", seen.port);
            let line = lines.iter().find(|line| {
                line["inside"].is_null()
                    && line["client"]
                        .as_str()
                        .is_some_and(|text| text.ends_with(&client))
            })?;
            let id = &line["connection"];
            let inside = lines.iter().filter(|line| line["inside"] == *id);
            let ids = std::iter::once(line)
                .chain(inside)
                .map(|line| line["connection"].clone());
            Some(ids.collect::<Vec<_>>())
        };
        all.iter().map(id).collect::<Option<Vec<_>>>()
    });
    let mut by_id = HashMap::<String, Vec<u16>>::new();
    for line in proxy.log_so_far("request") {
        let status = line["status"].as_u64().unwrap_or_default() as u16;
        by_id
            .entry(line["connection"].to_string())
            .or_default()
            .push(status);
    }
    let statuses = |ids: &Vec<Value>| {
        let lines = ids
            .iter()
            .map(|id| by_id.remove(&id.to_string()).unwrap_or_default());
        lines.flatten().collect()
    };
    ids.iter().map(statuses).collect()
}

fn requests(files: &[&str]) {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let entries = corpus(files);
    let mut all = Vec::new();
    for entry in &entries {
        all.push(if entry.is_front {
            send_in_front(&proxy, entry)
        } else {
            send_bumped(&proxy, &recorder, entry)
        });
    }
    let logged = logged(&proxy, &all);
    let readings = readings(&all, |_| Side::Requests);
    let judged = all.iter().zip(&readings).zip(&logged);
    let faults: Vec<String> = judged
        .filter_map(|((seen, readings), logged)| Some(seen.fault(judge_request(seen, readings, logged)?)))
        .collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        all.len(),
        faults.join("\n")
    );
}

#[test]
fn lengths_of_requests() {
    requests(&["requests-lengths.txt"]);
}

#[test]
fn codings_of_requests() {
    requests(&["requests-codings.txt"]);
}

#[test]
fn chunks_of_requests() {
    requests(&["requests-chunks.txt"]);
}

#[test]
fn heads_of_requests() {
    requests(&["requests-heads.txt"]);
}

#[test]
fn requests_to_the_proxy_itself() {
    requests(&["requests-front.txt"]);
}

/// Has an origin answer with an entry, and asks again behind it.
fn answer_by<'e>(proxy: &Proxy, recorder: &Recorder, entry: &'e Entry) -> Seen<'e> {
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

/// What the client asked for.
fn asks(entry: &Entry) -> Vec<String> {
    vec![entry.asks.clone(), "GET".to_owned()]
}

/// What is wrong with what a client got for an entry.
fn judge_response(seen: &Seen<'_>, readings: &[(&'static str, Reading)], logged: &[u16]) -> Option<String> {
    let entry = seen.entry;
    let got = plain_responses(&seen.answers, &asks(entry));
    let next = Message::new("200", "next");
    let mut wanted = entry.sees(&seen.host, 1);
    let is_refused = got
        .messages
        .first()
        .is_some_and(|first| first.line.starts_with(b"50"));
    if is_refused && values(&seen.answers, "proxy-status").is_empty() {
        return Some("refused without a word".to_owned());
    }
    let is_cut = got.messages.is_empty();
    match &entry.proxy {
        Wanted::Pass | Wanted::Mended if is_refused || is_cut => return Some("not let through".to_owned()),
        Wanted::Refused(allowed) if !is_refused => return Some(format!("not refused with {allowed:?}")),
        Wanted::Cut if !is_refused && !is_cut => return Some("neither cut nor refused".to_owned()),
        _ => {}
    }
    if is_refused {
        wanted = got.messages[..1].to_vec();
    } else if is_cut {
        wanted.clear();
    } else if got.messages.len() > wanted.len() || (entry.next == Next::Answered && !entry.ends) {
        wanted.push(next);
    }
    let status = |answer: &Message| String::from_utf8_lossy(&answer.line).parse::<u16>().ok();
    let first = got.messages.first().and_then(status);
    if logged.first().copied() != first && !is_cut {
        return Some(format!("logged as {logged:?}, answered {first:?}"));
    }
    if is_cut && logged.is_empty() {
        return Some("not logged".to_owned());
    }
    if !is_refused && !is_cut {
        if let Some(missed) = entry.missed(&seen.answers) {
            return Some(missed);
        }
        let is_late =
            entry.proxy == Wanted::Pass && lasting(&seen.sent, false) != lasting(&seen.answers, false);
        if is_late {
            return Some("not as it came".to_owned());
        }
    }
    // A server is asked for the first response alone.
    let servers = ["nginx", "haproxy"];
    let (servers, others): (Vec<_>, Vec<_>) = readings
        .iter()
        .cloned()
        .partition(|(name, _)| servers.contains(name));
    let first = &wanted[..wanted.len().min(1)];
    disagreement(entry, &wanted, &others, !is_cut).or_else(|| disagreement(entry, first, &servers, !is_cut))
}

fn responses(files: &[&str]) {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let entries = corpus(files);
    let all: Vec<_> = entries
        .iter()
        .map(|entry| answer_by(&proxy, &recorder, entry))
        .collect();
    let logged = logged(&proxy, &all);
    let readings = readings(&all, |entry| Side::Responses(asks(entry)));
    let judged = all.iter().zip(&readings).zip(&logged);
    let faults: Vec<String> = judged
        .filter_map(|((seen, readings), logged)| Some(seen.fault(judge_response(seen, readings, logged)?)))
        .collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        all.len(),
        faults.join("\n")
    );
}

#[test]
fn framing_of_responses() {
    responses(&["responses-framing.txt"]);
}

#[test]
fn chunks_of_responses() {
    responses(&["responses-chunks.txt"]);
}

#[test]
fn heads_of_responses() {
    responses(&["responses-heads.txt"]);
}

#[test]
fn requests_over_http_2() {
    let proxy = Setup::new().config("listen = { tls = ['127.0.0.1:0'] }").start();
    let entries = corpus(&["requests-h2.txt"]);
    let origins: Vec<_> = entries
        .iter()
        .map(|_| {
            let (listener, port) = tcp();
            (format!("origin.test:{port}"), port, keep(listener))
        })
        .collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |(entry, (host, ..)): (&Entry, &(String, u16, Kept))| {
        let fields = entry.fields(host);
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| [hex(name), hex(value)])
            .collect();
        format!(
            "{}\n",
            json!({ "host": host, "fields": fields, "body": hex(entry.body()) })
        )
    };
    let folder = scratch();
    let file = folder.path().join("requests");
    let lines: Vec<String> = entries.iter().zip(&origins).map(line).collect();
    std::fs::write(&file, lines.concat()).unwrap();
    let done = Client::new("client_h2_fields.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("file", &file)
        .start()
        .finish();
    let said: Vec<Value> = done
        .out
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(
        done.status.success() && said.len() == entries.len(),
        "{:?} {:?}",
        done.out,
        done.err
    );
    let ended =
        |(((entry, said), line), (host, port, kept)): (((_, &Value), &String), (String, u16, Kept))| Seen {
            entry,
            out: kept.all(port),
            host,
            port: u16::try_from(said["port"].as_u64().unwrap()).unwrap(),
            sent: line.clone().into_bytes(),
            answers: said.to_string().into_bytes(),
            end: None,
        };
    let all: Vec<_> = entries
        .iter()
        .zip(&said)
        .zip(&lines)
        .zip(origins)
        .map(ended)
        .collect();
    let readings = readings(&all, |_| Side::Requests);
    let logged = logged(&proxy, &all);
    let judged = all.iter().zip(&said).zip(&readings).zip(&logged);
    let faults: Vec<String> = judged
        .filter_map(|(((seen, said), readings), logged)| {
            Some(seen.fault(judge_stream(seen, said, readings, logged)?))
        })
        .collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        all.len(),
        faults.join("\n")
    );
}

/// What is wrong with what came out for a request over HTTP/2.
fn judge_stream(
    seen: &Seen<'_>,
    said: &Value,
    readings: &[(&'static str, Reading)],
    logged: &[u16],
) -> Option<String> {
    let entry = seen.entry;
    let [first, next] = ["first", "next"].map(|key| said[key].as_str().unwrap_or_default());
    let is_through = first == "status 200";
    match &entry.proxy {
        Wanted::Pass | Wanted::Mended if !is_through => return Some("not let through".to_owned()),
        Wanted::Refused(_) if is_through => return Some("let through".to_owned()),
        _ => {}
    }
    // A malformed request may end its connection, and with it the one behind.
    let is_alive = !first.starts_with("goaway") && first != "closed";
    if is_alive && next != "status 200" {
        return Some("the next request is not answered".to_owned());
    }
    let mut wanted = if is_through {
        entry.sees(&seen.host, 2)
    } else {
        Vec::new()
    };
    wanted.extend(is_alive.then(|| Message::new("GET /next", "")));
    // However it ended, and whoever ended it: the connection's library included.
    let asked = 1 + usize::from(is_alive);
    if logged.len() != asked {
        return Some(format!("logged as {logged:?}"));
    }
    if is_through && let Some(missed) = entry.missed(&seen.out.concat()) {
        return Some(missed);
    }
    disagreement(entry, &wanted, readings, true)
}

/// Without the proxy the readers take some of these for different things: that is what makes the other tests ones.
#[test]
fn the_corpus_sets_readers_at_odds() {
    let host = "origin.test:443";
    let entries = corpus(&[
        "requests-lengths.txt",
        "requests-codings.txt",
        "requests-chunks.txt",
        "requests-heads.txt",
    ]);
    let bytes = |entry: &Entry| Bytes {
        side: Side::Requests,
        bytes: [entry.bytes(host), next_request(entry, host)].concat(),
    };
    let readings = read_by_scripts(&entries.iter().map(bytes).collect::<Vec<_>>());
    let seen = |number: usize| readings.iter().map(move |(_, all)| &all[number].messages);
    let differs = |&number: &usize| seen(number).any(|messages| Some(messages) != seen(number).next());
    let at_odds: Vec<_> = (0..entries.len())
        .filter(differs)
        .map(|number| &entries[number].name)
        .collect();
    assert!(at_odds.len() >= 50, "{at_odds:?}");
    // To one the next request is content.
    assert!(
        at_odds.contains(&&"coding-before-a-tab".to_owned()),
        "{at_odds:?}"
    );
}
