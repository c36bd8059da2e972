//! Mutations of the corpus of ambiguous messages, through the codec of HTTP/1.1 alone: what it takes and writes anew is
//! the same message to `httparse`, h11 and llhttp. Always the same mutations: a failure can be looked at again.

use crate::harness::corpus::{Message, corpus};
use crate::harness::plain::{plain_requests, plain_responses};
use crate::harness::readers::{Bytes, Reading, Side, read_by_scripts};
use std::collections::HashSet;
use wsbump::wire::http1::{
    Decoder, Fields, Framing, RequestHead, ResponseHead, chunk_head, head_end, parse_request, parse_response,
    request_framing, response_framing, skip_blank_lines,
};

/// How many mutations are tried.
const TRIES: usize = 20_000;

/// What mutations put in: what readers treat in their own ways.
const SPICE: [&[u8]; 40] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\0",
    b" ",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b":",
    b";",
    b",",
    b"\"",
    b"\\",
    b"0",
    b"1",
    b"5",
    b"+",
    b"-",
    b"0x",
    b"_",
    b"a",
    b"chunked",
    b"identity",
    b"gzip",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length",
    b"Host: a\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
];

/// Numbers that look like chance (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((number ^ (number >> 31)) % limit.max(1) as u64) as usize
    }

    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(8)).min(bytes.len());
            match self.below(6) {
                0 => bytes[at] = self.below(256) as u8,
                1 => drop(bytes.drain(at..end)),
                2 => drop(bytes.splice(at..at, SPICE[self.below(SPICE.len())].iter().copied())),
                3 => drop(bytes.splice(at..end, SPICE[self.below(SPICE.len())].iter().copied())),
                4 => {
                    let copy = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    bytes.truncate(at);
                    bytes.extend(&other[from..]);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'\n');
            }
        }
        bytes
    }
}

/// What the codec made of some bytes.
#[derive(Default)]
struct Passed {
    /// What it wrote for the messages that were whole.
    out: Vec<u8>,
    messages: Vec<Message>,
}

impl Passed {
    /// Takes the content and writes it anew; `None` if it is broken or not all there.
    fn content(
        &mut self,
        framing: Framing,
        rest: &mut &[u8],
        chance: &mut Chance,
        head: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Vec<u8>> {
        let mut decoder = Decoder::new(framing, 1000);
        let mut content = Vec::new();
        let mut pieces = Vec::new();
        while !decoder.is_done() && !rest.is_empty() {
            // It comes in pieces of any size.
            let piece = &rest[..=chance.below(rest.len().min(40))];
            let taken = decoder.take(piece).ok()?;
            *rest = &rest[taken.used..];
            content.extend(taken.data);
            pieces.extend((!taken.data.is_empty()).then(|| taken.data.to_vec()));
        }
        if !decoder.ends_with_connection() {
            return None;
        }
        head(&mut self.out);
        match framing {
            Framing::Chunked => {
                for piece in &pieces {
                    chunk_head(piece.len(), &mut self.out);
                    self.out.extend(piece);
                    self.out.extend(b"\r\n");
                }
                self.out.extend(b"0\r\n");
                decoder.take_trailers().unwrap_or_default().write(&mut self.out);
                self.out.extend(b"\r\n");
            }
            _ => self.out.extend(&content),
        }
        Some(content)
    }
}

fn requests(mut rest: &[u8], chance: &mut Chance) -> Passed {
    let mut passed = Passed::default();
    loop {
        rest = &rest[skip_blank_lines(rest)..];
        let Some(end) = head_end(rest, 0) else {
            return passed;
        };
        let Ok(mut head) = parse_request(&rest[..end]) else {
            return passed;
        };
        let Ok(framing) = request_framing(&mut head) else {
            return passed;
        };
        // What CONNECT asks for is no message any more.
        if head.method == "CONNECT" {
            return passed;
        }
        rest = &rest[end..];
        let start = passed.out.len();
        let write = |out: &mut Vec<u8>| {
            head.write(head.target(), out);
            as_httparse_sees_it(&head, &out[start..]);
        };
        let Some(content) = passed.content(framing, &mut rest, chance, write) else {
            return passed;
        };
        let line = [head.method.as_str().as_bytes(), head.target()].join(&b' ');
        passed.messages.push(Message::new(line, content));
    }
}

fn responses(mut rest: &[u8], chance: &mut Chance) -> Passed {
    let mut passed = Passed::default();
    loop {
        rest = &rest[skip_blank_lines(rest)..];
        let Some(end) = head_end(rest, 0) else {
            return passed;
        };
        let Ok(mut head) = parse_response(&rest[..end]) else {
            return passed;
        };
        let Ok(framing) = response_framing(&mut head, &http::Method::GET) else {
            return passed;
        };
        if head.status == 101 {
            return passed;
        }
        rest = &rest[end..];
        let start = passed.out.len();
        let write = |out: &mut Vec<u8>| {
            head.write(head.version, out);
            a_response_as_httparse_sees_it(&head, &out[start..]);
        };
        let Some(content) = passed.content(framing, &mut rest, chance, write) else {
            return passed;
        };
        if !head.status.is_informational() {
            passed.messages.push(Message::new(head.status.as_str(), content));
        }
    }
}

/// `httparse` takes less; what it takes, it takes for the same.
fn as_httparse_sees_it(head: &RequestHead, written: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 300];
    let mut seen = httparse::Request::new(&mut fields);
    if let Ok(end) = seen.parse(written) {
        let shown = written.escape_ascii();
        assert_eq!(end, httparse::Status::Complete(written.len()), "{shown}");
        assert_eq!(seen.method, Some(head.method.as_str()), "{shown}");
        assert_eq!(seen.path.map(str::as_bytes), Some(head.target()), "{shown}");
        the_same_fields(seen.headers, &head.fields, written);
    }
}

fn a_response_as_httparse_sees_it(head: &ResponseHead, written: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 300];
    let mut seen = httparse::Response::new(&mut fields);
    if let Ok(end) = seen.parse(written) {
        let shown = written.escape_ascii();
        assert_eq!(end, httparse::Status::Complete(written.len()), "{shown}");
        assert_eq!(seen.code, Some(head.status.as_u16()), "{shown}");
        the_same_fields(seen.headers, &head.fields, written);
    }
}

fn the_same_fields(seen: &[httparse::Header<'_>], fields: &Fields, written: &[u8]) {
    let seen = seen.iter().map(|field| (field.name.as_bytes(), field.value));
    assert!(seen.eq(fields.iter()), "{}", written.escape_ascii());
}

/// Mutates entries of these files and has what passes read by others.
fn hold(files: &[&str], seed: u64, pass: fn(&[u8], &mut Chance) -> Passed) {
    let seeds: Vec<Vec<u8>> = corpus(files).iter().map(|entry| entry.bytes("a")).collect();
    let seeds: Vec<Vec<u8>> = seeds
        .into_iter()
        .filter(|bytes| (1..2000).contains(&bytes.len()))
        .collect();
    let mut chance = Chance(seed);
    let mut known = HashSet::new();
    let mut all = Vec::new();
    for _ in 0..TRIES {
        let bytes = chance.mutated(&seeds);
        let passed = pass(&bytes, &mut chance);
        if !passed.messages.is_empty() && known.insert(passed.out.clone()) {
            all.push((bytes, passed));
        }
    }
    let is_request = files[0].starts_with("requests");
    let side = |passed: &Passed| match is_request {
        true => Side::Requests,
        false => Side::Responses(vec!["GET".to_owned(); passed.messages.len()]),
    };
    let outs: Vec<Bytes> = all
        .iter()
        .map(|(_, passed)| Bytes {
            side: side(passed),
            bytes: passed.out.clone(),
        })
        .collect();
    let plain = outs.iter().map(|out| match &out.side {
        Side::Requests => plain_requests(&out.bytes),
        Side::Responses(asks) => plain_responses(&out.bytes, asks),
    });
    let mut by_reader = read_by_scripts(&outs);
    by_reader.push(("plain", plain.collect()));
    for (name, readings) in by_reader {
        let mut whole = 0;
        let mut faults = Vec::new();
        for ((bytes, passed), Reading { messages, trouble }) in all.iter().zip(&readings) {
            let agrees = match trouble {
                None => messages == &passed.messages,
                Some(_) => passed.messages.starts_with(messages),
            };
            whole += usize::from(trouble.is_none());
            if !agrees {
                faults.push(format!(
                    "in: \"{}\"\n  out: \"{}\"\n  codec: {:?}\n  {name}: {messages:?} {trouble:?}",
                    bytes.escape_ascii(),
                    passed.out.escape_ascii(),
                    passed.messages,
                ));
            }
        }
        faults.sort_by_key(String::len);
        println!("{name}: {} of {}, {whole} whole", faults.len(), all.len());
        let shown = &faults[..faults.len().min(10)];
        assert!(
            faults.is_empty(),
            "{} of {}:\n{}",
            faults.len(),
            all.len(),
            shown.join("\n")
        );
        // Or nothing has been held against anything.
        assert!(whole > TRIES / 20, "{name} takes only {whole} of {}", all.len());
    }
}

#[test]
fn mutated_requests_mean_the_same_to_all() {
    hold(
        &[
            "requests-lengths.txt",
            "requests-codings.txt",
            "requests-chunks.txt",
            "requests-heads.txt",
        ],
        1,
        requests,
    );
}

#[test]
fn mutated_responses_mean_the_same_to_all() {
    hold(
        &[
            "responses-framing.txt",
            "responses-chunks.txt",
            "responses-heads.txt",
        ],
        2,
        responses,
    );
}
