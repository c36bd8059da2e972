//! Content codings (RFC 9110 section 8.4.1), taken off a copy of a body within a budget.

use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};
use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

/// Codings on top of each other that are taken off.
const MOST: usize = 3;
/// What a decoder may ask for as its window (RFC 9659 section 3).
const ZSTD_WINDOW: u64 = 8 << 20;

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

/// Takes all codings off `body`, which becomes at most `limit` bytes at each step.
pub(in crate::http) fn decode(
    codings: &[String],
    body: Vec<u8>,
    limit: usize,
) -> Result<Vec<u8>, CodingError> {
    if codings.len() > MOST {
        return Err(CodingError::Unknown);
    }
    let mut body = body;
    for coding in codings.iter().rev() {
        body = match coding.as_str() {
            "gzip" | "x-gzip" => read(MultiGzDecoder::new(&body[..]), limit)?,
            // Some servers leave out the wrapper of RFC 1950 that "deflate" means.
            "deflate" => match read(ZlibDecoder::new(&body[..]), limit) {
                Err(CodingError::Corrupt) => read(DeflateDecoder::new(&body[..]), limit)?,
                done => done?,
            },
            "br" => read(Decompressor::new(&body[..], 4096), limit)?,
            "zstd" => zstd(&body, limit)?,
            _ => return Err(CodingError::Unknown),
        };
    }
    Ok(body)
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
        body = match coding.as_str() {
            "gzip" | "x-gzip" => some(MultiGzDecoder::new(&body[..]), limit),
            "deflate" => match some(ZlibDecoder::new(&body[..]), limit) {
                empty if empty.is_empty() => some(DeflateDecoder::new(&body[..]), limit),
                plain => plain,
            },
            "br" => some(Decompressor::new(&body[..], 4096), limit),
            "zstd" => match StreamingDecoder::new_with_max_window_size(&body[..], ZSTD_WINDOW) {
                Ok(decoder) => some(decoder, limit),
                Err(_) => Vec::new(),
            },
            _ => return None,
        };
    }
    body.truncate(limit);
    Some(body)
}

/// What comes before the limit, the end, or what is broken or cut.
fn some(decoder: impl Read, limit: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    // What was read before an error stays.
    let _ = decoder.take(limit as u64).read_to_end(&mut plain);
    plain
}

/// Frames one after another (RFC 8878 section 3.1).
fn zstd(mut body: &[u8], limit: usize) -> Result<Vec<u8>, CodingError> {
    let mut plain = Vec::new();
    while !body.is_empty() {
        let decoder = StreamingDecoder::new_with_max_window_size(&mut body, ZSTD_WINDOW);
        let decoder = decoder.map_err(|_| CodingError::Corrupt)?;
        plain.extend(read(decoder, limit - plain.len())?);
    }
    Ok(plain)
}

fn read(decoder: impl Read, limit: usize) -> Result<Vec<u8>, CodingError> {
    let mut plain = Vec::new();
    let mut limited = decoder.take(limit as u64 + 1);
    match limited.read_to_end(&mut plain) {
        Ok(_) if plain.len() > limit => Err(CodingError::Limit),
        Ok(_) => Ok(plain),
        Err(_) => Err(CodingError::Corrupt),
    }
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

    const TEXT: &[u8] = b"the same words, the same words, the same words";

    #[test]
    fn every_coding_is_taken_off() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        // Written by the `brotli` module of Python.
        let brotli = b"\x8b\x07\x80the same words, \x03";
        let zstd = ruzstd::encoding::compress_to_vec(TEXT, ruzstd::encoding::CompressionLevel::Fastest);
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
        assert_eq!(decode(&names("compress"), vec![], 10), Err(CodingError::Unknown));
        assert_eq!(
            decode(&names("gzip, gzip, gzip, gzip"), vec![], 10),
            Err(CodingError::Unknown)
        );
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

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0..4_usize, cut in 0..60_usize) {
            let coding = [["gzip", "deflate", "br", "zstd"][at].to_owned()];
            let _ = decode(&coding, noise, 10_000);
            let whole = ruzstd::encoding::compress_to_vec(TEXT, ruzstd::encoding::CompressionLevel::Fastest);
            let _ = decode(&["zstd".to_owned()], whole[..cut.min(whole.len())].to_vec(), 10_000);
        }
    }
}
