//! What a message says, and where in it.

use super::wrap::Wrap;
use serde_json::Value;
use std::ops::Range;

/// How a piece is written in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspect) enum Written {
    /// As it is.
    Plain,
    /// A JSON string or number, quotes included.
    Json,
    /// A header of STOMP, with escapes.
    Header,
    /// One without escapes.
    PlainHeader,
    /// Up to a zero byte.
    NoZero,
    /// UTF-8 without U+0000.
    Text,
    /// The same without wildcards.
    Topic,
    /// A string of MessagePack, with its length.
    PackedText,
    /// A byte string of it.
    PackedBytes,
}

impl Written {
    /// Whether bytes of a length or a type may stand right beside it.
    pub(in crate::inspect) const fn is_binary(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Text | Self::Topic | Self::PackedText | Self::PackedBytes
        )
    }
}

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspect) enum LengthForm {
    Decimal,
    U16,
    /// A variable byte integer: seven bits to a byte, the lowest first; at most this.
    Varint(usize),
}

/// A length that the framing states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inspect) struct Length {
    pub(super) at: Range<usize>,
    pub(super) count: LengthForm,
    /// The part of the message whose length it is.
    pub(super) covers: Range<usize>,
}

/// A value of the application's, without the framing and without escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inspect) struct FramedValue {
    /// Where it is in the message; `None` where it, or a part of it, came in an earlier one.
    pub(in crate::inspect) at: Option<Range<usize>>,
    /// What it says.
    pub(in crate::inspect) text: Vec<u8>,
    pub(in crate::inspect) written: Written,
}

/// One of the application's messages.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::inspect) struct Unit {
    /// Its part of the WebSocket message.
    pub(in crate::inspect) at: Range<usize>,
    pub(in crate::inspect) pieces: Vec<FramedValue>,
    /// What JSON pointers lead into; null where there is nothing yet.
    pub(in crate::inspect) document: Value,
}

/// What a WebSocket message says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::inspect) struct Decoded {
    pub(in crate::inspect) units: Vec<Unit>,
    pub(super) lengths: Vec<Length>,
    /// Its first frame began in an earlier message.
    pub(super) begins_inside: bool,
    /// Why the receiver could make no sense of what follows if this message were left out.
    pub(in crate::inspect) needed: Option<&'static str>,
    /// It belongs to a message that was left out.
    pub(in crate::inspect) orphaned: bool,
    /// What places are in, where that is not the message itself, and how it is put back.
    pub(super) inside: Option<(Vec<u8>, Wrap)>,
}

impl Decoded {
    /// What the places of units and pieces are in.
    pub(in crate::inspect) fn content<'a>(&'a self, message: &'a [u8]) -> &'a [u8] {
        self.inside.as_ref().map_or(message, |(content, _)| content)
    }
}
