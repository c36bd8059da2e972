//! Content codings (RFC 9110 section 8.4.1), taken off a copy of a body within a budget.

use crate::http::message::capped::Capped;
use crate::http::message::zstd_writer::ZstdWriter;
use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};
use std::io::{ErrorKind, Read, Write};

/// Codings on top of each other that are taken off.
pub(super) const MOST: usize = 3;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum CodingError {
    /// A coding that is not known, or too many of them.
    Unknown,
    /// It is not what its coding says.
    Corrupt,
    /// It becomes more than it may.
    Limit,
}

/// The codings of a message, the one that was applied last at the end; without `identity`.
pub(in crate::http) fn codings(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|coding| coding.trim().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != "identity")
        .collect()
}

/// What is under the codings of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Decoded {
    /// The content, as far as it could be had.
    pub(in crate::http) plain: Vec<u8>,
    /// Where that is not all of it: what else a receiver may make of the body, the body as it came included.
    pub(in crate::http) others: Vec<Vec<u8>>,
    /// Why that is not all of it.
    pub(in crate::http) error: Option<CodingError>,
}

/// Takes the codings off `body`, which becomes at most `limit` bytes at each step: all of them, or as many as can be.
pub(in crate::http) fn decode(codings: &[String], body: Vec<u8>, limit: usize) -> Decoded {
    let mut decoded = Decoded {
        plain: body,
        others: Vec::new(),
        error: None,
    };
    for (at, coding) in codings.iter().rev().enumerate() {
        if decoded.plain.is_empty() {
            // Nothing is nothing in every coding.
            break;
        }
        if at == MOST {
            decoded.error = Some(CodingError::Unknown);
        }
        if decoded.error.is_some() {
            break;
        }
        let (plain, error) = match take_off(coding, &decoded.plain, limit, &mut decoded.others) {
            Some(taken) => taken,
            None => (Vec::new(), Some(CodingError::Unknown)),
        };
        let coded = std::mem::replace(&mut decoded.plain, plain);
        decoded.error = error;
        decoded.others.push(coded);
    }
    match decoded.error {
        // What was under a coding came to nothing that a receiver could read.
        None => decoded.others.clear(),
        Some(_) if decoded.plain.is_empty() => decoded.plain = decoded.others.pop().unwrap_or_default(),
        Some(_) => {}
    }
    decoded.others.retain(|other| !other.is_empty());
    decoded
}

/// Takes one coding off; `None` where it is not known. What some receivers would make of it beside that is put to `others`.
fn take_off(
    coding: &str,
    body: &[u8],
    limit: usize,
    others: &mut Vec<Vec<u8>>,
) -> Option<(Vec<u8>, Option<CodingError>)> {
    Some(match coding {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(body), limit),
        "deflate" => {
            let mut decoder = ZlibDecoder::new(body);
            let (plain, error) = read(&mut decoder, limit);
            match error {
                None => (plain, behind(decoder.total_in(), body)),
                Some(CodingError::Corrupt) => {
                    // Some servers leave out the wrapper of RFC 1950 that "deflate" means.
                    let mut bare = DeflateDecoder::new(body);
                    let (other, error) = read(&mut bare, limit);
                    let error = error.or_else(|| behind(bare.total_in(), body));
                    if error.is_some() && !plain.is_empty() {
                        others.push(other);
                        (plain, error)
                    } else {
                        (other, error)
                    }
                }
                Some(error) => (plain, Some(error)),
            }
        }
        "br" => {
            let mut rest = body;
            let (plain, error) = read(Decompressor::new(&mut rest, 4096), limit);
            let behind = (!rest.is_empty()).then_some(CodingError::Corrupt);
            (plain, error.or(behind))
        }
        "zstd" => zstd(body, limit),
        _ => return None,
    })
}

/// What a decoder has left behind the end of its stream is content to those who read on.
fn behind(taken: u64, body: &[u8]) -> Option<CodingError> {
    (taken < body.len() as u64).then_some(CodingError::Corrupt)
}

/// The beginning of a body without its codings, of which `raw` is the beginning: at most `limit` bytes, and as much as
/// can be read. `None` if a coding is not known.
pub fn beginning(headers: &HeaderMap, raw: &[u8], limit: usize) -> Option<Vec<u8>> {
    let codings = codings(headers);
    if codings.len() > MOST {
        return None;
    }
    let mut body = raw.to_vec();
    for coding in codings.iter().rev() {
        let mut others = Vec::new();
        let (plain, _) = take_off(coding, &body, limit, &mut others)?;
        body = plain;
    }
    body.truncate(limit);
    Some(body)
}

/// Frames one after another (RFC 8878 section 3.1).
fn zstd(body: &[u8], limit: usize) -> (Vec<u8>, Option<CodingError>) {
    let plain = Vec::new();
    let Ok(mut decoder) = ZstdWriter::new(Capped { plain, limit }) else {
        return (Vec::new(), Some(CodingError::Corrupt));
    };
    let error = match decoder.write_all(body) {
        Ok(()) => decoder.is_inside().then_some(CodingError::Corrupt),
        Err(error) if error.kind() == ErrorKind::StorageFull => Some(CodingError::Limit),
        Err(_) => Some(CodingError::Corrupt),
    };
    (std::mem::take(&mut decoder.get_mut().plain), error)
}

/// What comes before the limit, the end, or what is broken or cut.
fn read(decoder: impl Read, limit: usize) -> (Vec<u8>, Option<CodingError>) {
    let mut plain = Vec::new();
    let mut limited = decoder.take(limit as u64 + 1);
    // What was read before an error stays.
    let ended = limited.read_to_end(&mut plain);
    if plain.len() > limit {
        plain.truncate(limit);
        return (plain, Some(CodingError::Limit));
    }
    (plain, ended.is_err().then_some(CodingError::Corrupt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn names(text: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, text.parse().unwrap());
        codings(&headers)
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(1000);
        zstd_safe::compress(&mut packed, plain, 3).unwrap();
        packed
    }

    /// All of the content, or why it cannot be had.
    fn decode(codings: &[String], body: Vec<u8>, limit: usize) -> Result<Vec<u8>, CodingError> {
        let decoded = super::decode(codings, body, limit);
        match decoded.error {
            None => Ok(decoded.plain),
            Some(error) => Err(error),
        }
    }

    const TEXT: &[u8] = b"the same words, the same words, the same words";

    #[test]
    fn every_coding_is_taken_off() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        // Written by the `brotli` module of Python.
        let brotli = b"\x8b\x07\x80the same words, \x03";
        let zstd = zstd(TEXT);
        for (coding, body) in [
            ("gzip", gzip(TEXT)),
            ("X-GZip", gzip(TEXT)),
            ("gzip", [gzip(&TEXT[..9]), gzip(&TEXT[9..])].concat()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("zstd", zstd.clone()),
            ("identity, gzip, gzip", gzip(&gzip(TEXT))),
            ("zstd, gzip", gzip(&zstd)),
            ("identity", TEXT.to_vec()),
        ] {
            assert_eq!(
                decode(&names(coding), body, 1000).as_deref(),
                Ok(TEXT),
                "{coding}"
            );
        }
        assert_eq!(
            decode(&names("br"), brotli.to_vec(), 1000).as_deref(),
            Ok(&b"the same words, "[..])
        );
    }

    #[test]
    fn what_is_unknown_broken_or_too_large_says_so() {
        assert_eq!(
            decode(&names("compress"), vec![b'x'], 10),
            Err(CodingError::Unknown)
        );
        let four = gzip(&gzip(&gzip(&gzip(TEXT))));
        assert_eq!(
            decode(&names("gzip, gzip, gzip, gzip"), four, 1000),
            Err(CodingError::Unknown)
        );
        assert_eq!(decode(&names("gzip"), vec![], 10), Ok(vec![]));
        for coding in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(
                decode(&names(coding), b"no such thing \xff\xff".to_vec(), 1000),
                Err(CodingError::Corrupt),
                "{coding}"
            );
        }
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(
            decode(&names("gzip"), bomb.clone(), 1 << 20),
            Err(CodingError::Limit)
        );
        assert_eq!(
            decode(&names("gzip, gzip"), gzip(&bomb), 1 << 20),
            Err(CodingError::Limit)
        );
    }

    #[test]
    fn the_beginning_of_a_body_can_be_had_though_its_end_is_missing() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        let long: Vec<u8> = (0..100_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let packed = gzip(&long);
        assert_eq!(beginning(&headers, &packed, 50).unwrap(), long[..50]);
        let cut = beginning(&headers, &packed[..packed.len() / 2], 1 << 20).unwrap();
        assert!(cut.len() > 100_000 && long.starts_with(&cut), "{}", cut.len());
        assert_eq!(beginning(&headers, b"no gzip", 50).unwrap(), b"");
        assert_eq!(beginning(&HeaderMap::new(), b"plain", 3).unwrap(), b"pla");
        headers.insert(CONTENT_ENCODING, "compress".parse().unwrap());
        assert_eq!(beginning(&headers, b"x", 50), None);
    }

    /// The content and everything else that is to be looked at, and why.
    fn seen(coding: &str, body: Vec<u8>) -> (Vec<Vec<u8>>, Option<CodingError>) {
        let decoded = super::decode(&names(coding), body, 1000);
        let mut all = vec![decoded.plain];
        all.extend(decoded.others);
        (all, decoded.error)
    }

    #[test]
    fn what_cannot_be_decoded_whole_is_seen_as_far_as_it_can_and_as_it_came() {
        let whole = gzip(TEXT);
        let cut = whole[..whole.len() - 9].to_vec();
        let mut unsound = whole.clone();
        let sum = unsound.len() - 6;
        unsound[sum] ^= 1;
        let behind = [&whole[..], b"behind"].concat();
        let corrupt = Some(CodingError::Corrupt);
        for body in [cut, unsound, behind.clone()] {
            let (all, error) = seen("gzip", body.clone());
            assert_eq!(error, corrupt);
            assert!(TEXT.starts_with(&all[0]) && all[0].len() > 10, "{all:?}");
            assert_eq!(all[1..], [body]);
        }
        // A label that is a lie, and codings under and over one that is not known.
        assert_eq!(seen("br", TEXT.to_vec()), (vec![TEXT.to_vec()], corrupt));
        let unknown = Some(CodingError::Unknown);
        assert_eq!(
            seen("compress, gzip", whole.clone()),
            (vec![TEXT.to_vec(), whole.clone()], unknown)
        );
        assert_eq!(
            seen("gzip, compress", TEXT.to_vec()),
            (vec![TEXT.to_vec()], unknown)
        );
        // One layer more than is taken off.
        let four = gzip(&gzip(&gzip(&gzip(TEXT))));
        let (all, error) = seen("gzip, gzip, gzip, gzip", four.clone());
        assert_eq!((&all[0], error), (&gzip(TEXT), unknown));
        assert!(all.contains(&four) && all.len() == 4);
        // What stands behind the end, in the codings whose decoders do not mind it.
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let zlib = [&zlib.finish().unwrap()[..], b"behind"].concat();
        let zstd = [&zstd(TEXT)[..], b"behind"].concat();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(TEXT).unwrap();
        let bare = [&bare.finish().unwrap()[..], b"behind"].concat();
        let brotli = [&b"\x8b\x07\x80the same words, \x03"[..], &[b'x'; 9000]].concat();
        for (coding, body, plain) in [
            ("deflate", zlib, TEXT),
            ("deflate", bare, TEXT),
            ("zstd", zstd, TEXT),
            ("br", brotli, &b"the same words, "[..]),
        ] {
            let (all, error) = seen(coding, body.clone());
            assert_eq!((&all[0][..], error), (plain, corrupt), "{coding}");
            assert!(all.contains(&body), "{coding}");
        }
        // Too large: as much as may be.
        let (all, error) = seen("gzip", gzip(&[7; 5000]));
        assert_eq!((all[0].len(), error), (1000, Some(CodingError::Limit)));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0..4_usize, cut in 0..60_usize) {
            let coding = [["gzip", "deflate", "br", "zstd"][at].to_owned()];
            let decoded = super::decode(&coding, noise.clone(), 10_000);
            if decoded.error.is_some() {
                prop_assert!(decoded.plain == noise || decoded.others.contains(&noise), "what came is looked at");
            }
            let whole = zstd(TEXT);
            let _ = decode(&["zstd".to_owned()], whole[..cut.min(whole.len())].to_vec(), 10_000);
        }
    }
}
