//! A chunked body (RFC 9112 section 7.1), in and out.

use super::super::answer::ScanFailure;
use super::super::conversation::send_all;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::AsyncWrite;

/// The end of a body.
pub(super) const END: &[u8] = b"0\r\n\r\n";
/// The end of a preview that is the whole body (RFC 3507 section 4.5).
pub(super) const END_OF_ALL: &[u8] = b"0; ieof\r\n\r\n";
/// How large the chunks that are sent are: what every server takes.
const CHUNK: usize = 64 << 10;
/// The longest size line with its extensions, and all trailers together.
const LINE_MAX: usize = 4 << 10;

/// Sends `before`, then `content` in chunks, then `end`.
pub(super) async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    mut before: Bytes,
    mut content: Bytes,
    end: &'static [u8],
) -> io::Result<()> {
    while content.has_remaining() {
        let chunk = content.split_to(content.len().min(CHUNK));
        let size = Bytes::from(format!("{:x}\r\n", chunk.len()));
        let after: &[u8] = if content.is_empty() { end } else { &[] };
        let framed = before.chain(size).chain(chunk).chain(&b"\r\n"[..]);
        if content.is_empty() {
            return send_all(writer, framed.chain(after)).await;
        }
        send_all(writer, framed).await?;
        before = Bytes::new();
    }
    send_all(writer, before.chain(end)).await
}

/// Takes a chunked body apart as it arrives.
#[derive(Debug)]
pub(super) struct Dechunk {
    state: ChunkState,
    body: BytesMut,
    limit: usize,
    /// From where on the content that was sent follows (draft-icap-ext-partial-content section 4.4).
    original: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum ChunkState {
    Size,
    Data(usize),
    /// The line end behind the data.
    DataEnd,
    /// The lines behind the last chunk, of which so many bytes have passed.
    Trailers(usize),
    Done,
}

impl Dechunk {
    /// A body of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: ChunkState::Size,
            body: BytesMut::new(),
            limit,
            original: None,
        }
    }

    /// Takes what it can from `input`; true once the body is whole. What follows the body stays.
    pub(super) fn feed(&mut self, input: &mut BytesMut) -> Result<bool, ScanFailure> {
        let broken = |what: &str| ScanFailure::Scanner(format!("its answer's {what}"));
        loop {
            match self.state {
                ChunkState::Size => match httparse::parse_chunk_size(input) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        if size == 0 {
                            self.original = original(input.get(..line).unwrap_or_default());
                        }
                        input.advance(line);
                        let left = self.limit - self.body.len();
                        let size = usize::try_from(size).unwrap_or(usize::MAX);
                        if size > left {
                            return Err(ScanFailure::Content(format!(
                                "its answer is larger than {} bytes",
                                self.limit
                            )));
                        }
                        self.state = if size == 0 {
                            ChunkState::Trailers(0)
                        } else {
                            ChunkState::Data(size)
                        };
                    }
                    Ok(httparse::Status::Partial) if input.len() <= LINE_MAX => return Ok(false),
                    Ok(httparse::Status::Partial) | Err(_) => {
                        return Err(broken("chunks are broken"));
                    }
                },
                ChunkState::Data(left) => {
                    if input.is_empty() {
                        return Ok(false);
                    }
                    let piece = input.split_to(left.min(input.len()));
                    self.body.extend_from_slice(&piece);
                    self.state = match left - piece.len() {
                        0 => ChunkState::DataEnd,
                        left => ChunkState::Data(left),
                    };
                }
                ChunkState::DataEnd => {
                    if input.len() < 2 {
                        return Ok(false);
                    }
                    if &input.split_to(2)[..] != b"\r\n" {
                        return Err(broken("chunks are broken"));
                    }
                    self.state = ChunkState::Size;
                }
                ChunkState::Trailers(passed) => {
                    let Some(end) = memchr::memmem::find(input, b"\r\n") else {
                        if passed + input.len() > LINE_MAX {
                            return Err(broken("trailers are too long"));
                        }
                        return Ok(false);
                    };
                    input.advance(end + 2);
                    let passed = passed + end + 2;
                    if passed > LINE_MAX {
                        return Err(broken("trailers are too long"));
                    }
                    self.state = if end == 0 {
                        ChunkState::Done
                    } else {
                        ChunkState::Trailers(passed)
                    };
                }
                ChunkState::Done => return Ok(true),
            }
        }
    }

    /// From which byte on the content that was sent follows what the chunks hold; `None` if nothing of it does.
    pub(super) fn original(&self) -> Option<usize> {
        self.original
    }

    /// What the chunks hold, joined.
    pub(super) fn into_body(self) -> Bytes {
        self.body.freeze()
    }
}

/// What the line of the last chunk says of the content that was sent: `0; use-original-body=17`.
fn original(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let mut extensions = line.trim_end().split(';').skip(1);
    extensions.find_map(|extension| {
        let (name, value) = extension.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("use-original-body");
        value.trim().parse().ok().filter(|_| is_it)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(input: &[u8], limit: usize) -> Result<Option<(Bytes, Bytes)>, String> {
        let mut dechunk = Dechunk::new(limit);
        let mut input = BytesMut::from(input);
        let fed = dechunk.feed(&mut input).map_err(ScanFailure::into_text);
        Ok(fed?.then(|| (dechunk.into_body(), input.freeze())))
    }

    #[test]
    fn reads_extensions_and_trailers_and_leaves_what_follows() {
        let (body, rest) = decode(b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\nZ: 1\r\n\r\nICAP", 6)
            .unwrap()
            .unwrap();
        assert_eq!((&body[..], &rest[..]), (&b"hello!"[..], &b"ICAP"[..]));
    }

    #[test]
    fn the_last_chunk_says_what_of_the_original_follows() {
        for (line, wanted) in [
            ("0; use-original-body=17\r\n\r\n", Some(17)),
            ("0;Use-Original-Body = 0;x=y\r\n\r\n", Some(0)),
            ("0\r\n\r\n", None),
            ("0; ieof\r\n\r\n", None),
            ("0; use-original-body=-1\r\n\r\n", None),
            ("1; use-original-body=9\r\na\r\n0\r\n\r\n", None),
        ] {
            let mut dechunk = Dechunk::new(10);
            assert!(dechunk.feed(&mut BytesMut::from(line)).unwrap(), "{line:?}");
            assert_eq!(dechunk.original(), wanted, "{line:?}");
        }
    }

    #[test]
    fn refuses_what_is_broken_or_too_large() {
        for (input, word) in [
            (&b"x\r\n"[..], "broken"),
            (b"1\r\nabc\r\n", "broken"),
            (b"7\r\n", "larger than 6 bytes"),
            (b"5\r\nhello\r\n2\r\n", "larger than 6 bytes"),
            (b"ffffffffffffffff\r\n", "larger"),
        ] {
            let error = decode(input, 6).unwrap_err();
            assert!(error.contains(word), "{input:?}: {error}");
        }
        let long = [b"0\r\n".to_vec(), vec![b'a'; LINE_MAX + 1]].concat();
        assert!(decode(&long, 6).unwrap_err().contains("trailers"));
        let many = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(LINE_MAX)].concat();
        assert!(decode(&many, 6).unwrap_err().contains("trailers"));
        let long = [b"1;".to_vec(), vec![b'a'; LINE_MAX]].concat();
        assert!(decode(&long, 6).unwrap_err().contains("chunks"));
    }

    proptest! {
        /// What is sent comes back, however the network cuts it, and a part of it never does.
        #[test]
        fn comes_back_however_it_is_cut(
            content in proptest::collection::vec(any::<u8>(), 0..200_000),
            cuts in proptest::collection::vec(1_usize..5000, 1..20),
        ) {
            let mut wire = Vec::new();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(send(&mut wire, Bytes::new(), content.clone().into(), END)).unwrap();
            let mut dechunk = Dechunk::new(content.len());
            let (mut input, mut at, mut cut) = (BytesMut::new(), 0, cuts.iter().cycle());
            while at < wire.len() {
                prop_assert!(!dechunk.feed(&mut input).unwrap());
                let next = (at + cut.next().unwrap()).min(wire.len());
                input.extend_from_slice(&wire[at..next]);
                at = next;
            }
            prop_assert!(dechunk.feed(&mut input).unwrap());
            prop_assert!(input.is_empty());
            prop_assert!(dechunk.into_body() == content);
        }
    }
}
