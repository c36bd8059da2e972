//! The origin: TLS, a WebSocket echo on any path that asks for an upgrade, `/` with 1 KiB and `/1m` with 1 MB.

use crate::{Fallible, h2, pki};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) type Io = TlsStream<BufReader<TcpStream>>;

/// Socket reads are this large: rustls alone would ask for 4 KiB at a time.
pub(crate) const SOCKET_BUFFER: usize = 64 * 1024;
/// A request or response head longer than this is refused.
pub(crate) const HEAD: usize = 16 * 1024;
/// A frame longer than this is refused.
const FRAME: usize = 16 * 1024 * 1024;
/// Below this many free bytes the read buffer grows.
const ROOM: usize = 16 * 1024;

/// Serves until the process ends. Prints the address it listens on.
pub(crate) async fn serve(dir: &Path) -> Fallible<()> {
    let acceptor = TlsAcceptor::from(pki::minting_server(pki::Ca::load(dir, "origin-ca")?)?);
    let pages = Arc::new([page(1024), page(1_000_000)]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (acceptor, pages) = (acceptor.clone(), Arc::clone(&pages));
        tokio::spawn(async move {
            tcp.set_nodelay(true)?;
            let io = acceptor
                .accept(BufReader::with_capacity(SOCKET_BUFFER, tcp))
                .await?;
            if io.get_ref().1.alpn_protocol() == Some(b"h2") {
                return h2::serve(io).await;
            }
            Ok(connection(io, &pages).await?)
        });
    }
}

fn page(size: usize) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\nContent-Length: {size}\r\n\r\n"
    )
    .into_bytes();
    text.resize(text.len() + size, b'x');
    text
}

async fn connection(mut io: Io, pages: &[Vec<u8>; 2]) -> io::Result<()> {
    while let Some(head) = read_head(&mut io).await? {
        if let Some(key) = header(&head, "sec-websocket-key") {
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            // Echoed as they came, compressed messages make the same sense in the other direction.
            let deflate = header(&head, "sec-websocket-extensions")
                .map_or("", |_| "Sec-WebSocket-Extensions: permessage-deflate\r\n");
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{deflate}\r\n"
            );
            io.write_all(answer.as_bytes()).await?;
            io.flush().await?;
            return echo(io).await;
        }
        let [small, large] = pages;
        let page = if head.starts_with("GET /1m ") {
            large
        } else {
            small
        };
        io.write_all(page).await?;
        io.flush().await?;
    }
    io.shutdown().await
}

/// Reads one HTTP head, and not a byte more. `None` when the peer closed between two messages.
pub(crate) async fn read_head<R: AsyncBufReadExt + Unpin>(io: &mut R) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    loop {
        let chunk = io.fill_buf().await?;
        if chunk.is_empty() {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let (before, taken) = (head.len(), chunk.len());
        head.extend_from_slice(chunk);
        let from = before.saturating_sub(3);
        if let Some(at) = head
            .get(from..)
            .and_then(|tail| tail.windows(4).position(|w| w == b"\r\n\r\n"))
        {
            let end = from + at + 4;
            head.truncate(end);
            io.consume(end - before);
            return String::from_utf8(head)
                .map(Some)
                .map_err(|_| io::ErrorKind::InvalidData.into());
        }
        io.consume(taken);
        if head.len() > HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "head too long"));
        }
    }
}

/// A header's value in a head, by its lower-case name.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Echoes whole messages. All frames that one read brought are answered by one write, as an event loop does.
pub(crate) async fn echo<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> io::Result<()> {
    let mut input: Vec<u8> = Vec::with_capacity(ROOM);
    let mut output: Vec<u8> = Vec::new();
    loop {
        let mut done = 0;
        while let Some(frame) = Frame::find(input.get(done..).unwrap_or_default())? {
            let closing = frame.first & 0x0f == 8;
            frame.answer(input.get_mut(done..).unwrap_or_default(), &mut output);
            done += frame.head + frame.payload;
            if closing {
                io.write_all(&output).await?;
                return io.shutdown().await;
            }
        }
        input.drain(..done);
        if !output.is_empty() {
            io.write_all(&output).await?;
            io.flush().await?;
            output.clear();
        }
        input.reserve(ROOM);
        if io.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Where a whole client frame lies.
struct Frame {
    first: u8,
    head: usize,
    payload: usize,
}

impl Frame {
    /// The whole frame that `bytes` begin with, if it has come.
    fn find(bytes: &[u8]) -> io::Result<Option<Self>> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let (extra, payload) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (2, usize::from(u16::from_be_bytes([*a, *b]))),
            (127, [0, 0, 0, 0, a, b, c, d, ..]) => (8, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
            (126 | 127, rest) if rest.len() < 8 => return Ok(None),
            (127, _) => return Err(io::ErrorKind::InvalidData.into()),
            (size, _) => (0, usize::from(size)),
        };
        if second & 0x80 == 0 || payload > FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let frame = Self {
            first: *first,
            head: 2 + extra + 4,
            payload,
        };
        Ok((bytes.len() >= frame.head + payload).then_some(frame))
    }

    /// Unmasks the payload in place and appends the frame as a server sends it.
    fn answer(&self, bytes: &mut [u8], output: &mut Vec<u8>) {
        let Some((head, payload)) = bytes
            .get_mut(..self.head + self.payload)
            .and_then(|b| b.split_at_mut_checked(self.head))
        else {
            return;
        };
        let [length @ .., a, b, c, d] = head else { return };
        let key = u64::from_ne_bytes([*a, *b, *c, *d, *a, *b, *c, *d]);
        output.push(self.first);
        output.extend(
            length
                .iter()
                .skip(1)
                .enumerate()
                .map(|(i, byte)| if i == 0 { byte & 0x7f } else { *byte }),
        );
        let (words, tail) = payload.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
        tail.iter_mut()
            .zip(key.to_ne_bytes())
            .for_each(|(byte, key)| *byte ^= key);
        output.extend_from_slice(payload);
    }
}
