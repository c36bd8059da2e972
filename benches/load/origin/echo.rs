//! The origin's WebSocket: every message goes back.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A frame longer than this is refused.
const FRAME: usize = 16 * 1024 * 1024;
/// Below this many free bytes the read buffer grows.
const ROOM: usize = 16 * 1024;

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
