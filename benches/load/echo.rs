//! The closed loop of one WebSocket: as many messages under way as wanted, a new one for each that came back whole.

use crate::Fallible;
use crate::stats::Latencies;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

const MASK: [u8; 4] = [0x5a, 0xc3, 0x0f, 0x96];
const CLOSE_1000: [u8; 8] = [0x88, 0x82, 0x5a, 0xc3, 0x0f, 0x96, 0x03 ^ 0x5a, 0xe8 ^ 0xc3];

/// What messages are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Bytes without a meaning.
    Binary,
    /// JSON with English in it.
    Text,
    /// The same, compressed with context takeover (RFC 7692): each message refers to those before it.
    Deflated,
}

/// Different messages before they begin again, where they differ.
const TEXTS: usize = 64;

/// Messages as they are sent again and again: masked frames one after another, and the payloads that must come back.
#[derive(Debug)]
pub(crate) struct Script {
    frames: Vec<u8>,
    /// The length of each frame.
    lengths: Vec<usize>,
    payloads: Vec<Vec<u8>>,
    in_flight: usize,
}

impl Script {
    /// `in_flight` messages of `size` bytes under way; compressed ones have that size before they are compressed.
    pub(crate) fn new(payload: Payload, size: usize, in_flight: usize) -> Fallible<Self> {
        let in_flight = in_flight.max(1);
        let binary = || (0..size).map(|at| (at * 31 + at / 251) as u8).collect();
        let (first, payloads) = match payload {
            Payload::Binary => (0x82, vec![binary(); in_flight]),
            Payload::Text => (0x81, (0..TEXTS).map(|n| text(n, size)).collect()),
            Payload::Deflated => (0xc1, deflated((0..TEXTS).map(|n| text(n, size)))?),
        };
        let framed: Vec<Vec<u8>> = payloads.iter().map(|payload| frame(first, payload)).collect();
        Ok(Self {
            frames: framed.concat(),
            lengths: framed.iter().map(Vec::len).collect(),
            payloads,
            in_flight,
        })
    }

    /// The length of the frame of a message, counted from 0 without end.
    fn length(&self, message: usize) -> usize {
        self.lengths
            .get(message % self.lengths.len())
            .copied()
            .unwrap_or_default()
    }

    /// The payload of a message, counted from 0 without end.
    fn payload(&self, message: usize) -> &[u8] {
        self.payloads
            .get(message % self.payloads.len())
            .map_or(&[], Vec::as_slice)
    }
}

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        size @ 0..126 => frame.push(0x80 | size as u8),
        size @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((size as u16).to_be_bytes());
        }
        size => {
            frame.push(0x80 | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// What a chat's server sends: JSON of `size` bytes, different for each `n`.
fn text(n: usize, size: usize) -> Vec<u8> {
    const WORDS: [&str; 32] = [
        "the", "meeting", "was", "moved", "to", "thursday", "because", "our", "room", "is", "taken",
        "please", "send", "me", "your", "notes", "when", "you", "have", "them", "and", "we", "can", "talk",
        "about", "what", "comes", "next", "after", "lunch", "or", "later",
    ];
    let mut text = format!(r#"{{"type":"message","channel":"C{n:08}","ts":"17000{n:05}.0001","text":""#);
    let mut state = n as u32 + 1;
    while text.len() + 2 < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if let Some(word) = WORDS.get((state >> 27) as usize) {
            text.push_str(word);
            text.push(' ');
        }
    }
    text.truncate(size.saturating_sub(2));
    text.push_str("\"}");
    text.into_bytes()
}

/// Messages compressed one after another with one window. Sent in a circle, the second round's references reach
/// back to the same bytes as the first's.
fn deflated(texts: impl Iterator<Item = Vec<u8>>) -> Fallible<Vec<Vec<u8>>> {
    let mut deflate = flate2::Compress::new(flate2::Compression::default(), false);
    texts
        .map(|text| {
            let mut payload = Vec::with_capacity(text.len() + 64);
            deflate.compress_vec(&text, &mut payload, flate2::FlushCompress::Sync)?;
            // RFC 7692 section 7.2.1: the empty block at the end is left out.
            payload.truncate(payload.len().saturating_sub(4));
            Ok(payload)
        })
        .collect()
}

/// One WebSocket that runs a script.
pub(crate) struct Echo<'a, I> {
    io: &'a mut I,
    script: &'a Script,
    until: Until,
    /// Bytes that may be written now, and where in the script's frames they begin.
    owed: usize,
    at: usize,
    unflushed: bool,
    /// The message that is owed next, and the one that comes back next.
    next: usize,
    back: usize,
    sent: VecDeque<Instant>,
    reader: Reader,
    latencies: Latencies,
}

/// When no further message is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After the first round.
    Once,
    /// At this moment.
    Time(Instant),
}

impl<'a, I: AsyncBufRead + AsyncWrite + Unpin> Echo<'a, I> {
    /// Sends and receives until the end, waits for all echoes, and gives each one's latency.
    pub(crate) async fn run(io: &'a mut I, script: &'a Script, until: Until) -> Fallible<Latencies> {
        let mut echo = Self {
            io,
            script,
            until,
            owed: (0..script.in_flight).map(|message| script.length(message)).sum(),
            at: 0,
            unflushed: false,
            next: script.in_flight,
            back: 0,
            sent: VecDeque::new(),
            reader: Reader::default(),
            latencies: Latencies::default(),
        };
        echo.sent.resize(script.in_flight, Instant::now());
        poll_fn(|cx| echo.poll(cx)).await?;
        Ok(echo.latencies)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // A full socket stops nothing: its waker is set, and reading goes on.
            let _: Poll<()> = self.poll_write(cx)?;
            ready!(self.poll_read(cx))?;
            if self.sent.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Ready when all that is owed has been handed over.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.owed > 0 {
            let end = self.script.frames.len().min(self.at + self.owed);
            let chunk = self.script.frames.get(self.at..end).unwrap_or_default();
            let n = ready!(Pin::new(&mut *self.io).poll_write(cx, chunk))?;
            (self.owed, self.at, self.unflushed) =
                (self.owed - n, (self.at + n) % self.script.frames.len(), true);
        }
        if self.unflushed {
            ready!(Pin::new(&mut *self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes in what has come, once, and sends a new message for each that ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let chunk = ready!(Pin::new(&mut *self.io).poll_fill_buf(cx))?;
        let done = self.reader.read(chunk, self.script, &mut self.back)?;
        let size = chunk.len();
        if size == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed while messages were under way",
            )));
        }
        Pin::new(&mut *self.io).consume(size);
        let now = Instant::now();
        let again = matches!(self.until, Until::Time(end) if now < end);
        for _ in 0..done {
            let Some(sent) = self.sent.pop_front() else {
                return Poll::Ready(Err(bad("more echoes than messages")));
            };
            self.latencies
                .record(u64::try_from((now - sent).as_nanos()).unwrap_or(u64::MAX));
            if again {
                self.sent.push_back(now);
                self.owed += self.script.length(self.next);
                self.next += 1;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Follows server frames and compares each payload with the one that was sent.
#[derive(Debug, Default)]
struct Reader {
    head: [u8; 10],
    have: usize,
    /// Payload bytes still to come in this frame.
    left: usize,
    /// Payload bytes of this message so far; a proxy may cut a message into other frames.
    seen: usize,
    in_payload: bool,
}

impl Reader {
    /// Takes a chunk, the first message of which is number `back`, and returns how many messages it ended.
    fn read(&mut self, mut chunk: &[u8], script: &Script, back: &mut usize) -> io::Result<usize> {
        let mut done = 0;
        let mut payload = script.payload(*back);
        while !chunk.is_empty() {
            if !self.in_payload {
                let Some((first, rest)) = chunk.split_first() else {
                    break;
                };
                let Some(slot) = self.head.get_mut(self.have) else {
                    return Err(bad("frame header too long"));
                };
                (*slot, self.have, chunk) = (*first, self.have + 1, rest);
                let Some(length) = self.length()? else { continue };
                (self.left, self.in_payload) = (length, true);
            }
            let (now, rest) = chunk.split_at(chunk.len().min(self.left));
            if payload.get(self.seen..self.seen + now.len()) != Some(now) {
                return Err(bad("an echo differs from what was sent"));
            }
            (chunk, self.left, self.seen) = (rest, self.left - now.len(), self.seen + now.len());
            if self.left == 0 {
                (self.have, self.in_payload) = (0, false);
                if self.head[0] & 0x80 != 0 {
                    if self.seen != payload.len() {
                        return Err(bad("an echo is shorter than what was sent"));
                    }
                    (self.seen, done, *back) = (0, done + 1, *back + 1);
                    payload = script.payload(*back);
                }
            }
        }
        Ok(done)
    }

    /// The payload's length, once the header is whole.
    fn length(&self) -> io::Result<Option<usize>> {
        let [first, second, a, b, tail @ ..] = self.head;
        if first & 0x0f > 2 || (self.have > 1 && second & 0x80 != 0) {
            return Err(bad("neither data nor a server's frame"));
        }
        Ok(match (self.have, second) {
            (2, 0..126) => Some(usize::from(second)),
            (4, 126) => Some(usize::from(u16::from_be_bytes([a, b]))),
            (10, 127) => {
                let [c, d, e, f, g, h] = tail;
                usize::try_from(u64::from_be_bytes([a, b, c, d, e, f, g, h])).ok()
            }
            _ => None,
        })
    }
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The closing handshake of RFC 6455, then TLS's, as a well-behaved client does it.
pub(crate) async fn close(mut io: impl AsyncBufRead + AsyncWrite + Unpin) -> Fallible<()> {
    io.write_all(&CLOSE_1000).await?;
    io.flush().await?;
    // A peer may leave out TLS's own goodbye: the Close frame that comes back is all that is asked for.
    let answer = io.fill_buf().await?;
    if answer.first() != Some(&0x88) {
        return Err("no Close came back".into());
    }
    let _ = io.shutdown().await;
    Ok(())
}
