//! Each message of the corpus of ambiguous ones goes through the proxy, byte for byte, and what comes out is read by
//! parsers that others wrote: they must all see the same messages with the same content.

mod judge;
mod seen;

use crate::harness::clients::Client;
use crate::harness::corpus::{Entry, Message, corpus};
use crate::harness::plain::{plain_requests, plain_responses};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::readers::{Bytes, Reading, Side, read_all, read_by_scripts};
use crate::harness::recorder::{Recorder, tcp};
use crate::harness::{scratch, until};
use judge::{asks, judge_request, judge_response, judge_stream};
use seen::{Kept, Seen, answer_by, keep, next_request, send_bumped, send_in_front};
use serde_json::{Value, json};
use std::collections::HashMap;

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
            let line = lines
                .iter()
                .find(|line| line["inside"].is_null() && line["client_port"] == seen.port)?;
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

/// Judges each entry, by its number, with what the readers made of it and what was logged of it.
fn hold(
    proxy: &Proxy,
    all: &[Seen<'_>],
    side: impl Fn(&Entry) -> Side,
    judge: impl Fn(usize, &Seen<'_>, &[(&'static str, Reading)], &[u16]) -> Option<String>,
) {
    let logged = logged(proxy, all);
    let readings = readings(all, side);
    let judged = all.iter().zip(&readings).zip(&logged).enumerate();
    let faults: Vec<String> = judged
        .filter_map(|(number, ((seen, readings), logged))| {
            Some(seen.fault(judge(number, seen, readings, logged)?))
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
    hold(
        &proxy,
        &all,
        |_| Side::Requests,
        |_, seen, readings, logged| judge_request(seen, readings, logged),
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

fn responses(files: &[&str]) {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let entries = corpus(files);
    let all: Vec<_> = entries
        .iter()
        .map(|entry| answer_by(&proxy, &recorder, entry))
        .collect();
    hold(
        &proxy,
        &all,
        |entry| Side::Responses(asks(entry)),
        |_, seen, readings, logged| judge_response(seen, readings, logged),
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
    hold(
        &proxy,
        &all,
        |_| Side::Requests,
        |number, seen, readings, logged| judge_stream(seen, &said[number], readings, logged),
    );
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
