//! One open WebSocket, and what a client can learn of it without knowing its application.

use super::facts::{End, Ended, Lost, Trip};
use super::target::clean;
use crate::accept::Socket;
use crate::tls::alert;
use crate::wire::deflate::{Deflate, Deflaters, Inflater, Inflaters};
use crate::wire::frame::{DataHead, Direction, Opcode, close_frame, whole_frame, write_frame};
use aws_lc_rs::rand;
use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

/// What a WebSocket's bytes go through.
#[derive(Debug)]
pub(super) enum Pipe {
    /// A connection of its own.
    Own(Socket),
    /// A stream of HTTP/2.
    Stream(SendStream<Bytes>, RecvStream),
}

impl Pipe {
    /// Sends what is in `out`; what has gone is taken off it.
    fn poll_send(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<io::Result<()>> {
        match self {
            Self::Own(socket) => {
                while !out.is_empty() {
                    let sent = ready!(Pin::new(&mut *socket).poll_write(cx, out))?;
                    out.advance(sent);
                }
                Pin::new(socket).poll_flush(cx)
            }
            Self::Stream(stream, _) => {
                while !out.is_empty() {
                    stream.reserve_capacity(out.len());
                    let room = ready!(stream.poll_capacity(cx));
                    let room = room.ok_or(io::ErrorKind::BrokenPipe)?.map_err(io::Error::other)?;
                    let piece = out.split_to(room.min(out.len())).freeze();
                    stream.send_data(piece, false).map_err(io::Error::other)?;
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Ends the sending half.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Own(socket) => Pin::new(socket).poll_shutdown(cx).map(drop),
            Self::Stream(stream, _) => {
                let _ = stream.send_data(Bytes::new(), true);
                Poll::Ready(())
            }
        }
    }

    /// More bytes; false at the end.
    fn poll_more(&mut self, cx: &mut Context<'_>, held: &mut Vec<u8>) -> Poll<io::Result<bool>> {
        match self {
            Self::Own(socket) => {
                let mut room = [0; 16 * 1024];
                let mut room = ReadBuf::new(&mut room);
                ready!(Pin::new(socket).poll_read(cx, &mut room))?;
                held.extend_from_slice(room.filled());
                Poll::Ready(Ok(!room.filled().is_empty()))
            }
            Self::Stream(_, stream) => match ready!(stream.poll_data(cx)) {
                None => Poll::Ready(Ok(false)),
                Some(Ok(data)) => {
                    held.extend_from_slice(&data);
                    // The window is the doctor's own to open.
                    let _ = stream.flow_control().release_capacity(data.len());
                    Poll::Ready(Ok(true))
                }
                Some(Err(error)) if error.is_reset() => {
                    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
                }
                Some(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            },
        }
    }
}

/// The largest frame that is taken, and the largest message.
const LARGEST: usize = 1 << 20;

/// What came.
#[derive(Debug)]
enum Heard {
    Message(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Session {
    pipe: Pipe,
    held: Vec<u8>,
    out: BytesMut,
    /// Nothing more is to be said behind `out`; and that has been told.
    leaves: bool,
    left: bool,
    opened: Instant,
    deflate: Option<(Deflate, Inflater)>,
    /// A message of which more is to come, and whether it is compressed.
    message: Option<(Vec<u8>, bool)>,
    end: Option<Ended>,
    pub(super) hello: Option<Duration>,
    /// Anything came that was no answer.
    pub(super) spoken: bool,
}

/// What goes round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Pings, which every end answers (RFC 6455 section 5.5.2): so many bytes of them.
    Pings(usize),
    /// A text message that the far side echoes.
    Text(usize),
    /// A binary one.
    Binary(usize),
}

const PING: usize = 125;
/// How many of them wait for their answer at most: Node's `ws` ends connections at which 60 do.
const AT_ONCE: usize = 32;

impl Session {
    /// Begins with what was read behind the answer.
    pub(super) fn new(pipe: Pipe, held: Vec<u8>, deflate: Option<Deflate>) -> Self {
        Self {
            pipe,
            held,
            out: BytesMut::new(),
            leaves: false,
            left: false,
            opened: Instant::now(),
            deflate: deflate.map(|deflate| {
                let [_, server] = deflate.sides;
                (deflate, Inflater::new(server))
            }),
            message: None,
            end: None,
            hello: None,
            spoken: false,
        }
    }

    /// How it ended, if that was noticed.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.end.as_ref()
    }

    fn over(&mut self, how: End) -> Ended {
        let after = self.opened.elapsed();
        self.end.get_or_insert(Ended { how, after }).clone()
    }

    fn failed(&mut self, error: &io::Error) -> Ended {
        let how = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => End::Reset,
            _ if alert::is_end(error) => End::Closed,
            _ => End::Violation(clean(error.to_string().as_bytes())),
        };
        self.over(how)
    }

    /// Reads more while what is to be said goes out: who waits with reading until all is said may wait for ever. What
    /// cannot be said any more is dropped; what is still to be read tells why.
    async fn more(&mut self) -> io::Result<bool> {
        poll_fn(|cx| {
            match self.pipe.poll_send(cx, &mut self.out) {
                Poll::Ready(Ok(())) if self.leaves && !self.left => {
                    self.left = self.pipe.poll_end(cx).is_ready();
                }
                Poll::Ready(Err(_)) => self.out.clear(),
                _ => {}
            }
            self.pipe.poll_more(cx, &mut self.held)
        })
        .await
    }

    /// The next thing that comes; pings are answered. Nothing is lost if the future is dropped while it waits.
    async fn hear(&mut self) -> Result<Heard, Ended> {
        loop {
            if let Some(ended) = &self.end {
                return Err(ended.clone());
            }
            if let Some(heard) = self.taken()? {
                if let Heard::Message(_) = heard {
                    self.hello.get_or_insert(self.opened.elapsed());
                }
                return Ok(heard);
            }
            match self.more().await {
                Ok(false) => return Err(self.over(End::Closed)),
                Ok(true) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    /// Takes a whole frame off what was read, and a message if that is its last.
    fn taken(&mut self) -> Result<Option<Heard>, Ended> {
        loop {
            let allowed = if self.deflate.is_some() { 0x40 } else { 0 };
            let wrong = match self.held.as_slice() {
                [first, ..] if first & 0x70 & !allowed != 0 => Some(format!(
                    "a frame has reserved bits set ({:#x}) that nothing was agreed on for",
                    first & 0x70
                )),
                [_, second, ..] if second & 0x80 != 0 => Some("a frame is masked".to_owned()),
                held if held.len() > LARGEST + 16 => Some("a frame of more than 1 MiB".to_owned()),
                _ => None,
            };
            if let Some(wrong) = wrong {
                return Err(self.over(End::Violation(wrong)));
            }
            let Some((head, raw, payload)) = whole_frame(&self.held) else {
                return Ok(None);
            };
            let (size, payload) = (raw.len() + payload.len(), payload.to_vec());
            self.held.drain(..size);
            if let Some(heard) = self.frame(head, payload)? {
                return Ok(Some(heard));
            }
        }
    }

    fn frame(&mut self, head: DataHead, payload: Vec<u8>) -> Result<Option<Heard>, Ended> {
        match head.opcode {
            Opcode::Close => {
                let code = payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
                let reason = clean(payload.get(2..).unwrap_or_default());
                return Err(self.over(End::Close(code, reason)));
            }
            Opcode::Ping => {
                let mut pong = Vec::new();
                frame(&mut pong, Opcode::Pong, false, &payload);
                self.out.extend_from_slice(&pong);
                return Ok(Some(Heard::Ping));
            }
            Opcode::Pong => return Ok(Some(Heard::Pong(payload))),
            Opcode::Text | Opcode::Binary => self.message = Some((Vec::new(), head.rsv1)),
            Opcode::Continuation => {}
        }
        let Some((message, compressed)) = &mut self.message else {
            return Err(self.over(End::Violation("a message that never began goes on".to_owned())));
        };
        message.extend_from_slice(&payload);
        if message.len() > LARGEST {
            return Err(self.over(End::Violation("a message of more than 1 MiB".to_owned())));
        }
        if !head.fin {
            return Ok(None);
        }
        let (message, compressed) = (std::mem::take(message), *compressed);
        self.message = None;
        if !compressed {
            return Ok(Some(Heard::Message(message)));
        }
        let Some((_, inflater)) = &mut self.deflate else {
            return Ok(Some(Heard::Message(message)));
        };
        let (mut pool, mut plain) = (Inflaters::default(), Vec::new());
        let mut take = |piece: &[u8]| plain.extend_from_slice(piece);
        let fed = inflater.feed(&mut pool, &message, LARGEST as u64, &mut take);
        let done = fed.and_then(|_| inflater.end(&mut pool, LARGEST as u64, &mut take));
        match done {
            Ok(_) => Ok(Some(Heard::Message(plain))),
            Err(error) => Err(self.over(End::Violation(error.to_string()))),
        }
    }

    /// Sends a load and waits until all of it has come back.
    pub(super) async fn trip(&mut self, load: Load, limit: Duration) -> Trip {
        let begun = Instant::now();
        let (bytes, wanted) = match load {
            Load::Pings(size) => return self.pings(size, limit).await.map(|()| begun.elapsed()),
            Load::Text(size) => self.packed(Opcode::Text, size),
            Load::Binary(size) => self.packed(Opcode::Binary, size),
        };
        self.out.extend_from_slice(&bytes);
        match timeout(limit, self.until(&wanted)).await {
            Ok(Ok(())) => Ok(begun.elapsed()),
            Ok(Err(ended)) => Err(Lost::Ended(ended)),
            Err(_) => {
                let late = self.comes_late(&wanted, limit).await;
                Err(Lost::Silence { waited: limit, late })
            }
        }
    }

    /// Sends so many bytes of pings, few of them at a time, until the last was answered. `limit` is for silence: what is slow
    /// and goes on is no failure.
    async fn pings(&mut self, size: usize, limit: Duration) -> Result<(), Lost> {
        let count = size.div_ceil(PING).max(1);
        let payload = |at| filler(PING.min(size), at);
        let (mut sent, mut waiting) = (0, VecDeque::new());
        while sent < count || !waiting.is_empty() {
            while sent < count && waiting.len() < AT_ONCE {
                let ping = payload(sent);
                let mut bytes = Vec::new();
                frame(&mut bytes, Opcode::Ping, false, &ping);
                self.out.extend_from_slice(&bytes);
                waiting.push_back(ping);
                sent += 1;
            }
            match timeout(limit, self.hear()).await {
                Ok(Ok(Heard::Pong(pong))) => {
                    // Who has several to answer may answer the last alone (RFC 6455 section 5.5.3).
                    if let Some(at) = waiting.iter().position(|ping| *ping == pong) {
                        waiting.drain(..=at);
                    }
                }
                Ok(Ok(Heard::Message(_) | Heard::Ping)) => self.spoken = true,
                Ok(Err(ended)) => return Err(Lost::Ended(ended)),
                Err(_) => {
                    let last = waiting.pop_back().unwrap_or_default();
                    let late = self.comes_late(&Wanted::Pong(last), limit).await;
                    return Err(Lost::Silence { waited: limit, late });
                }
            }
        }
        Ok(())
    }

    /// A message, and what is to come back.
    fn packed(&mut self, opcode: Opcode, size: usize) -> (Vec<u8>, Wanted) {
        let plain = filler(size, 0);
        let (mut out, mut packed) = (Vec::new(), Vec::new());
        let is_packed = self.deflate.as_ref().is_some_and(|(deflate, _)| {
            let [client, _] = deflate.sides;
            Deflaters::default().compress(client, &plain, &mut packed)
        });
        let sent = if is_packed { &packed } else { &plain };
        frame(&mut out, opcode, is_packed, sent);
        (out, Wanted::Message(plain))
    }

    async fn until(&mut self, wanted: &Wanted) -> Result<(), Ended> {
        loop {
            let heard = self.hear().await?;
            match (&heard, wanted) {
                (Heard::Pong(payload), Wanted::Pong(last)) if payload == last => return Ok(()),
                (Heard::Message(message), Wanted::Message(sent)) if message == sent => return Ok(()),
                (Heard::Message(_) | Heard::Ping, _) => self.spoken = true,
                _ => {}
            }
        }
    }

    /// Says goodbye, and looks whether what did not come in time comes now: then somebody had held it back.
    async fn comes_late(&mut self, wanted: &Wanted, limit: Duration) -> bool {
        let end = Instant::now() + limit.min(Duration::from_secs(2));
        self.goodbye();
        timeout_at(end, async { self.until(wanted).await.is_ok() })
            .await
            .unwrap_or(false)
    }

    /// Says a Close, and nothing more.
    fn goodbye(&mut self) {
        let close = close_frame(Direction::ToOrigin, 1000, "", random());
        self.out.extend_from_slice(&close);
        self.leaves = true;
    }

    /// Watches until it is `age` old, or has ended.
    pub(super) async fn watch(&mut self, age: Duration) {
        let until = self.opened + age;
        let listening = async { while self.hear().await.is_ok_and(|heard| self.note(&heard)) {} };
        let _ = timeout_at(until, listening).await;
    }

    fn note(&mut self, heard: &Heard) -> bool {
        self.spoken |= matches!(heard, Heard::Message(_) | Heard::Ping);
        true
    }

    /// Ends it in good order, without waiting for long.
    pub(super) async fn leave(mut self) {
        if self.end.is_none() {
            self.goodbye();
            let leaving = async { while self.hear().await.is_ok() {} };
            let _ = timeout(Duration::from_millis(500), leaving).await;
        }
    }
}

/// What a trip waits for.
#[derive(Debug)]
enum Wanted {
    Pong(Vec<u8>),
    Message(Vec<u8>),
}

/// Bytes that are text, no two pieces alike, and do not become much smaller.
fn filler(size: usize, seed: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed as u64 + 1);
    let letter = |_| {
        // xorshift64: nobody's secret hangs on it.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        LETTERS[(state >> 58) as usize]
    };
    (0..size).map(letter).collect()
}

fn frame(out: &mut Vec<u8>, opcode: Opcode, compressed: bool, payload: &[u8]) {
    let head = DataHead {
        opcode,
        fin: true,
        rsv1: compressed,
        payload: payload.len() as u64,
        mask: Some(random()),
    };
    write_frame(out, Direction::ToOrigin, head, payload);
}

/// Random bytes; zeros if there are none to be had, which only makes masks that hide nothing.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = rand::fill(&mut bytes);
    bytes
}
