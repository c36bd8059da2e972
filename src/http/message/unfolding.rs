//! A content coding that is taken off while the content passes.

use crate::http::message::coding::{self, CodingError};
use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use std::fmt;
use std::io::{self, Write};

/// Takes a content coding off, piece by piece.
pub(in crate::http) struct Unfolding(State);

enum State {
    Plain,
    Gzip(MultiGzDecoder<Piece>),
    /// Which form of "deflate" it is shows in its first byte.
    Deflate,
    Zlib(ZlibDecoder<Piece>),
    Bare(DeflateDecoder<Piece>),
    Brotli(Box<DecompressorWriter<Piece>>),
}

/// What one piece becomes, up to a limit.
#[derive(Default)]
struct Piece {
    plain: Vec<u8>,
    limit: usize,
}

impl Write for Piece {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.plain.len() + data.len() > self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.plain.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Unfolding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unfolding")
    }
}

impl Unfolding {
    /// For content with this head; `None` where its coding cannot be taken off in this way.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Option<Self> {
        let codings = coding::codings(headers);
        let state = match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => State::Plain,
            ["gzip" | "x-gzip"] => State::Gzip(MultiGzDecoder::new(Piece::default())),
            ["deflate"] => State::Deflate,
            ["br"] => State::Brotli(Box::new(DecompressorWriter::new(Piece::default(), 4096))),
            _ => return None,
        };
        Some(Self(state))
    }

    pub(in crate::http) fn is_plain(&self) -> bool {
        matches!(self.0, State::Plain)
    }

    /// What the next piece becomes, which is at most `limit` bytes.
    ///
    /// # Errors
    /// It is broken, or becomes more. Nothing more can be had then.
    pub(in crate::http) fn next(&mut self, data: &[u8], limit: usize) -> Result<Vec<u8>, CodingError> {
        if let (State::Deflate, Some(first)) = (&self.0, data.first()) {
            // RFC 1950 section 2.2: the method 8 and a window of at most 32 KiB.
            self.0 = match first & 0x0f == 8 && first >> 4 <= 7 {
                true => State::Zlib(ZlibDecoder::new(Piece::default())),
                false => State::Bare(DeflateDecoder::new(Piece::default())),
            };
        }
        match &mut self.0 {
            State::Plain => Ok(data.to_vec()),
            State::Deflate => Ok(Vec::new()),
            State::Gzip(decoder) => run(decoder, MultiGzDecoder::get_mut, data, limit),
            State::Zlib(decoder) => run(decoder, ZlibDecoder::get_mut, data, limit),
            State::Bare(decoder) => run(decoder, DeflateDecoder::get_mut, data, limit),
            State::Brotli(decoder) => run(&mut **decoder, DecompressorWriter::get_mut, data, limit),
        }
    }
}

fn run<D: Write>(
    decoder: &mut D,
    piece: fn(&mut D) -> &mut Piece,
    data: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CodingError> {
    piece(decoder).limit = limit;
    // What the sender has flushed its receiver can read, and so can the rules.
    let written = decoder.write_all(data).and_then(|()| decoder.flush());
    let plain = std::mem::take(&mut piece(decoder).plain);
    match written {
        Ok(()) => Ok(plain),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(CodingError::Limit),
        Err(_) => Err(CodingError::Corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::header::CONTENT_ENCODING;
    use proptest::prelude::*;

    fn of(coding: &str) -> Option<Unfolding> {
        Unfolding::of(&HeaderMap::from_iter([(
            CONTENT_ENCODING,
            coding.parse().unwrap(),
        )]))
    }

    /// Each event behind a flush of its encoder, as servers send them.
    fn flushed<E: Write>(mut encoder: E, take: fn(&mut E) -> &mut Vec<u8>, events: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        for event in events {
            encoder.write_all(event).unwrap();
            encoder.flush().unwrap();
            pieces.push(std::mem::take(take(&mut encoder)));
        }
        pieces
    }

    #[test]
    fn each_event_can_be_read_when_its_sender_has_flushed_it() {
        let events: [&[u8]; 3] = [b"data: one\n\n", b"data: two, and one\n\n", &[b'x'; 5000]];
        let (level, out) = (Compression::default(), Vec::new);
        for (coding, pieces) in [
            (
                "gzip",
                flushed(GzEncoder::new(out(), level), GzEncoder::get_mut, &events),
            ),
            (
                "deflate",
                flushed(ZlibEncoder::new(out(), level), ZlibEncoder::get_mut, &events),
            ),
            (
                "deflate",
                flushed(
                    DeflateEncoder::new(out(), level),
                    DeflateEncoder::get_mut,
                    &events,
                ),
            ),
            ("identity", events.map(<[u8]>::to_vec).to_vec()),
        ] {
            let mut unfolding = of(coding).unwrap();
            for (piece, event) in pieces.iter().zip(events) {
                // Cut anywhere, nothing is lost.
                let (begin, end) = piece.split_at(piece.len() / 2);
                let mut plain = unfolding.next(begin, 10_000).unwrap();
                plain.extend(unfolding.next(end, 10_000).unwrap());
                assert!(plain == event, "{coding}");
            }
        }
        // Written by the `brotli` module of Python, byte by byte.
        let mut unfolding = of("br").unwrap();
        let mut plain = Vec::new();
        for byte in b"\x8b\x07\x80the same words, \x03" {
            plain.extend(unfolding.next(&[*byte], 100).unwrap());
        }
        assert_eq!(plain, b"the same words, ");
    }

    #[test]
    fn what_is_broken_too_large_or_unknown_says_so() {
        for coding in ["gzip", "deflate", "br"] {
            let mut unfolding = of(coding).unwrap();
            let broken = unfolding.next(b"no such thing \xff\xff\xff\xff\xff\xff", 1000);
            assert_eq!(broken, Err(CodingError::Corrupt), "{coding}");
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&[0; 1 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert_eq!(of("gzip").unwrap().next(&bomb, 10_000), Err(CodingError::Limit));
        for coding in ["zstd", "gzip, br", "compress"] {
            assert!(of(coding).is_none(), "{coding}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0..3_usize, cut in 0..200_usize) {
            let mut unfolding = of(["gzip", "deflate", "br"][at]).unwrap();
            let (begin, end) = noise.split_at(cut.min(noise.len()));
            let _ = unfolding.next(begin, 10_000).and_then(|_| unfolding.next(end, 10_000));
        }
    }
}
