//! Content codings that are taken off while the content passes.

use crate::http::message::capped::Capped;
use crate::http::message::coding::{self, CodingError};
use crate::http::message::zstd_writer::ZstdWriter;
use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use std::fmt;
use std::io::{self, Write};

/// What an inflater takes, its window included, in bytes.
const INFLATER: usize = 48 * 1024;
/// What a decoder of Brotli takes beside its window.
const BROTLI: usize = 64 * 1024;

/// Takes content codings off, piece by piece: the one that was applied last first.
pub(in crate::http) struct Unfolding(Vec<Layer>);

enum Layer {
    Gzip(MultiGzDecoder<Capped>),
    /// Which form of "deflate" it is shows in its first byte.
    Deflate,
    Zlib(ZlibDecoder<Capped>),
    Bare(DeflateDecoder<Capped>),
    /// With the size of its window, which its first byte tells.
    Brotli(Box<DecompressorWriter<Capped>>, usize),
    Zstd(Box<ZstdWriter<Capped>>),
}

impl fmt::Debug for Unfolding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unfolding")
    }
}

impl Unfolding {
    /// For content with this head; `None` where one of its codings is not known, or there are too many.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Option<Self> {
        let codings = coding::codings(headers);
        if codings.len() > coding::MOST {
            return None;
        }
        let layers = codings.iter().rev().map(|name| Layer::of(name));
        layers.collect::<Option<_>>().map(Self)
    }

    pub(in crate::http) fn is_plain(&self) -> bool {
        self.0.is_empty()
    }

    /// The memory that it takes, in bytes.
    pub(in crate::http) fn size(&self) -> usize {
        self.0.iter().map(Layer::size).sum()
    }

    /// What the next piece becomes, which is at most `limit` bytes at each step; and why that is not all of it, where it is
    /// broken or becomes more. Nothing more can be had then.
    pub(in crate::http) fn next(&mut self, data: &[u8], limit: usize) -> (Vec<u8>, Option<CodingError>) {
        let mut plain = data.to_vec();
        let mut first = None;
        for layer in &mut self.0 {
            let (next, error) = layer.next(&plain, limit);
            plain = next;
            first = first.or(error);
        }
        (plain, first)
    }
}

impl Layer {
    fn of(coding: &str) -> Option<Self> {
        let out = Capped::default();
        Some(match coding {
            "gzip" | "x-gzip" => Self::Gzip(MultiGzDecoder::new(out)),
            "deflate" => Self::Deflate,
            "br" => Self::Brotli(Box::new(DecompressorWriter::new(out, 4096)), 0),
            "zstd" => Self::Zstd(Box::new(ZstdWriter::new(out).ok()?)),
            _ => return None,
        })
    }

    fn size(&self) -> usize {
        match self {
            Self::Deflate => 0,
            Self::Gzip(_) | Self::Zlib(_) | Self::Bare(_) => INFLATER,
            Self::Brotli(_, window) => BROTLI + window,
            Self::Zstd(decoder) => decoder.size(),
        }
    }

    fn next(&mut self, data: &[u8], limit: usize) -> (Vec<u8>, Option<CodingError>) {
        let Some(first) = data.first() else {
            return (Vec::new(), None);
        };
        match self {
            Self::Deflate => {
                let out = Capped::default();
                // RFC 1950 section 2.2: the method 8 and a window of at most 32 KiB.
                *self = match first & 0x0f == 8 && first >> 4 <= 7 {
                    true => Self::Zlib(ZlibDecoder::new(out)),
                    false => Self::Bare(DeflateDecoder::new(out)),
                };
            }
            Self::Brotli(_, window @ 0) => *window = brotli_window(*first),
            _ => {}
        }
        match self {
            Self::Deflate => (Vec::new(), None),
            Self::Gzip(decoder) => run(decoder, MultiGzDecoder::get_mut, data, limit),
            Self::Zlib(decoder) => run(decoder, ZlibDecoder::get_mut, data, limit),
            Self::Bare(decoder) => run(decoder, DeflateDecoder::get_mut, data, limit),
            Self::Brotli(decoder, _) => run(&mut **decoder, DecompressorWriter::get_mut, data, limit),
            Self::Zstd(decoder) => run(&mut **decoder, ZstdWriter::get_mut, data, limit),
        }
    }
}

/// The window that a stream of Brotli announces in its first byte (RFC 7932 section 9.1), in bytes.
const fn brotli_window(first: u8) -> usize {
    let (low, high) = ((first >> 1) & 7, (first >> 4) & 7);
    1 << match (first & 1, low, high) {
        (0, ..) => 16,
        (_, 0, 0) => 17,
        (_, 0, high) => 8 + high,
        (_, low, _) => 17 + low,
    }
}

fn run<D: Write>(
    decoder: &mut D,
    out: fn(&mut D) -> &mut Capped,
    data: &[u8],
    limit: usize,
) -> (Vec<u8>, Option<CodingError>) {
    out(decoder).limit = limit;
    // What the sender has flushed its receiver can read, and so can the rules.
    let written = decoder.write_all(data).and_then(|()| decoder.flush());
    if written.is_err() {
        // What `flate2` has made before the error stays inside until something more is written.
        let _ = decoder.write(&[0]);
    }
    let plain = std::mem::take(&mut out(decoder).plain);
    let error = match written {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Some(CodingError::Limit),
        Err(_) => Some(CodingError::Corrupt),
    };
    (plain, error)
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

    /// What a piece becomes that is sound.
    fn whole(unfolding: &mut Unfolding, data: &[u8]) -> Vec<u8> {
        let (plain, error) = unfolding.next(data, 10_000);
        assert_eq!(error, None);
        plain
    }

    /// Zstandard, as a stream that its sender flushes.
    struct Zstd(zstd_safe::CCtx<'static>, Vec<u8>);

    impl Zstd {
        fn new() -> Self {
            let mut context = zstd_safe::CCtx::create();
            context.init(3).unwrap();
            Self(context, Vec::new())
        }

        fn get_mut(&mut self) -> &mut Vec<u8> {
            &mut self.1
        }

        fn run(&mut self, data: &[u8], how: fn(&mut Self, &mut Vec<u8>, &[u8]) -> usize) {
            let mut out = Vec::with_capacity(zstd_safe::compress_bound(data.len()) + 100);
            assert_eq!(how(self, &mut out, data), 0, "all of it");
            self.1.extend(out);
        }
    }

    impl Write for Zstd {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.run(data, |this, out, data| {
                let mut input = zstd_safe::InBuffer::around(data);
                let mut output = zstd_safe::OutBuffer::around(out);
                this.0.compress_stream(&mut output, &mut input).unwrap();
                data.len() - input.pos()
            });
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.run(&[], |this, out, _| {
                this.0
                    .flush_stream(&mut zstd_safe::OutBuffer::around(out))
                    .unwrap()
            });
            Ok(())
        }
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
        let twice = |pieces: &[Vec<u8>]| {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            flushed(GzEncoder::new(out(), level), GzEncoder::get_mut, &pieces)
        };
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
            ("zstd", flushed(Zstd::new(), Zstd::get_mut, &events)),
            ("zstd, gzip", twice(&flushed(Zstd::new(), Zstd::get_mut, &events))),
            (
                "deflate, gzip",
                twice(&flushed(
                    ZlibEncoder::new(out(), level),
                    ZlibEncoder::get_mut,
                    &events,
                )),
            ),
            ("identity", events.map(<[u8]>::to_vec).to_vec()),
        ] {
            let mut unfolding = of(coding).unwrap();
            for (piece, event) in pieces.iter().zip(events) {
                // Cut anywhere, nothing is lost.
                let (begin, end) = piece.split_at(piece.len() / 2);
                let mut plain = whole(&mut unfolding, begin);
                plain.extend(whole(&mut unfolding, end));
                assert!(plain == event, "{coding}");
            }
        }
        // Written by the `brotli` module of Python, byte by byte.
        let mut unfolding = of("br").unwrap();
        let mut plain = Vec::new();
        for byte in b"\x8b\x07\x80the same words, \x03" {
            plain.extend(whole(&mut unfolding, &[*byte]));
        }
        assert_eq!(plain, b"the same words, ");
    }

    #[test]
    fn what_is_broken_too_large_or_unknown_says_so_behind_what_can_be_read() {
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let mut unfolding = of(coding).unwrap();
            let (_, error) = unfolding.next(b"no such thing \xff\xff\xff\xff\xff\xff", 1000);
            assert_eq!(error, Some(CodingError::Corrupt), "{coding}");
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&[0; 1 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        let (plain, error) = of("gzip").unwrap().next(&bomb, 10_000);
        assert_eq!((plain.len(), error), (10_000, Some(CodingError::Limit)));
        let (level, out, events) = (Compression::default(), Vec::new, [&b"data: one\n\n"[..]]);
        for (coding, mut broken) in [
            ("zstd", flushed(Zstd::new(), Zstd::get_mut, &events)),
            (
                "gzip",
                flushed(GzEncoder::new(out(), level), GzEncoder::get_mut, &events),
            ),
            (
                "deflate",
                flushed(ZlibEncoder::new(out(), level), ZlibEncoder::get_mut, &events),
            ),
        ] {
            broken.push(b"\xff no block at all".to_vec());
            let (plain, error) = of(coding).unwrap().next(&broken.concat(), 1000);
            assert_eq!(
                (&plain[..], error),
                (events[0], Some(CodingError::Corrupt)),
                "{coding}"
            );
        }
        for coding in ["compress", "gzip, compress", "gzip, gzip, gzip, gzip"] {
            assert!(of(coding).is_none(), "{coding}");
        }
    }

    #[test]
    fn what_a_decoder_takes_is_known() {
        // Windows of RFC 7932 section 9.1: each of these bytes ends with the bits of its table.
        for (first, log) in [
            (0x00, 16),
            (0x01, 17),
            (0x03, 18),
            (0x0f, 24),
            (0x21, 10),
            (0x71, 15),
        ] {
            assert_eq!(brotli_window(first), 1 << log, "{first:#x}");
        }
        let mut unfolding = of("br").unwrap();
        whole(&mut unfolding, b"\x8b\x07\x80");
        assert!(unfolding.size() > 4 << 20, "{}", unfolding.size());
        // A frame of Zstandard without its size, and with a window of 8 MiB.
        let mut unfolding = of("zstd").unwrap();
        let before = unfolding.size();
        whole(&mut unfolding, &[0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3, 0, 0, 0]);
        assert!(unfolding.size() - before > 8 << 20, "{}", unfolding.size());
        assert!(of("identity").unwrap().size() == 0 && of("gzip").unwrap().size() < 100_000);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0..5_usize, cut in 0..200_usize) {
            let mut unfolding = of(["gzip", "deflate", "br", "zstd", "br, zstd"][at]).unwrap();
            let (begin, end) = noise.split_at(cut.min(noise.len()));
            let _ = unfolding.next(begin, 10_000);
            let _ = unfolding.next(end, 10_000);
        }
    }
}
