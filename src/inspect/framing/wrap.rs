//! How a text is put back into a zlib stream (RFC 1950).

use crate::wire::deflate::Alone;

/// How a text is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspect) enum Wrap {
    /// As a part of a stream, with the header that is still missing.
    FramedValue(Option<[u8; 2]>, u8),
    /// As a stream of its own.
    Whole,
}

impl Wrap {
    pub(super) fn write(self, text: &[u8]) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::FramedValue(header, window_bits) => {
                let mut alone = Alone::new(window_bits, head(header));
                alone.feed(text);
                alone.end()
            }
            Self::Whole => Alone::zlib(text),
        }
        .ok_or("the result cannot be compressed")
    }
}

pub(super) fn head(header: Option<[u8; 2]>) -> Vec<u8> {
    header.map_or_else(Vec::new, |header| header.to_vec())
}
