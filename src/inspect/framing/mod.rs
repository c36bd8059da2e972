//! What applications say inside of WebSocket messages: the framing is taken off, and put back around what changed.
//!
//! Pure: a message and what is known of the direction so far go in; what it says and what is known then come out.
//! A message that is not of the framing gives `None`, and forgets what was begun.

mod edit;
mod graphql;
mod mqtt;
mod msgpack;
mod pieces;
mod signalr;
mod socketio;
mod stomp;
mod stream;
#[cfg(test)]
mod tests;

use super::rule::Framing;
use crate::wire::frame::Opcode;
pub(super) use edit::redact;
use serde_json::Value;
use std::ops::Range;
pub(super) use stream::Cursor;

/// How a piece is written in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
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
    pub(super) const fn is_binary(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Text | Self::Topic | Self::PackedText | Self::PackedBytes
        )
    }
}

/// How a length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Decimal,
    U16,
    /// A variable byte integer: seven bits to a byte, the lowest first; at most this.
    Varint(usize),
}

/// A length that the framing states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Length {
    at: Range<usize>,
    count: Count,
    /// Of what.
    covers: Range<usize>,
}

/// A value of the application's, without the framing and without escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it is in the message; `None` where it, or a part of it, came in an earlier one.
    pub(super) at: Option<Range<usize>>,
    /// What it says.
    pub(super) text: Vec<u8>,
    pub(super) written: Written,
}

/// One of the application's messages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    /// Its part of the WebSocket message.
    pub(super) at: Range<usize>,
    pub(super) pieces: Vec<Piece>,
    /// What JSON pointers lead into; null where there is nothing yet.
    pub(super) document: Value,
}

/// What a WebSocket message says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Decoded {
    pub(super) units: Vec<Unit>,
    lengths: Vec<Length>,
    /// Its first frame began in an earlier message.
    begins_inside: bool,
    /// Why the receiver could make no sense of what follows if this message were left out.
    pub(super) needed: Option<&'static str>,
    /// It belongs to a message that was left out.
    pub(super) orphaned: bool,
}

/// What is known of a direction before a message.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Begin,
    SocketIo(socketio::Awaited),
    Cut(stream::Pending),
}

impl State {
    /// Enough of it to read the message again that it is before, if that did not begin inside of a frame.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::SocketIo(awaited) => Self::SocketIo(awaited.clone()),
            Self::Cut(pending) => Self::Cut(pending.begin()),
            Self::Begin => Self::Begin,
        }
    }

    /// What is still known behind a message that nobody saw.
    pub(super) fn begun_anew(&self) -> Self {
        match self {
            Self::Cut(_) => self.again(),
            _ => Self::Begin,
        }
    }

    /// What it keeps, in bytes.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Cut(pending) => pending.bytes.capacity(),
            _ => 0,
        }
    }

    /// The message that led to this state does not go on.
    pub(super) fn left_out(&mut self) {
        if let Self::SocketIo(awaited) = self {
            awaited.left_out = true;
        }
    }

    /// Whether messages are still to come that belong to the last one.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::SocketIo(_))
    }
}

/// What taking a framing off gave.
pub(super) struct Taken {
    /// `None` where the message is not of that framing.
    pub(super) decoded: Option<Decoded>,
    pub(super) after: State,
    /// More would have had to be kept than may be.
    pub(super) is_spent: bool,
}

/// Takes the framing off. `opcode` is `None` for a body. At most `limit` bytes are kept for the next message.
pub(super) fn decode(
    framing: Framing,
    state: State,
    data: &[u8],
    opcode: Option<Opcode>,
    limit: usize,
) -> Taken {
    let (decoded, after) = match framing {
        Framing::SocketIo => socketio::decode(&state, data, opcode),
        Framing::SignalR => (signalr::decode(data), State::Begin),
        Framing::GraphQlWs => (graphql::decode(data), State::Begin),
        Framing::Stomp => return cut(state, data, limit, stomp::front),
        Framing::Mqtt if opcode != Some(Opcode::Text) => return cut(state, data, limit, mqtt::front),
        _ => (None, State::Begin),
    };
    Taken {
        decoded,
        after,
        is_spent: false,
    }
}

/// Where a message begins, if that is where a frame does.
pub(super) fn boundary(before: &State) -> Option<Cursor> {
    match before {
        State::Cut(pending) => pending.boundary(),
        _ => Some(Cursor::default()),
    }
}

/// Whether a message ends inside of a frame. `cursor` is where it begins, and makes another call cheap, with the same
/// message and what came behind it.
pub(super) fn ends_inside(framing: Framing, cursor: &mut Cursor, data: &[u8], opcode: Opcode) -> bool {
    match framing {
        Framing::Stomp => cursor.ends_inside(data, stomp::front),
        Framing::Mqtt if opcode != Opcode::Text => cursor.ends_inside(data, mqtt::front),
        _ => false,
    }
}

fn cut(
    state: State,
    data: &[u8],
    limit: usize,
    front: impl Fn(&[u8], usize, &mut Option<u8>) -> stream::Front,
) -> Taken {
    let pending = match state {
        State::Cut(pending) => pending,
        _ => stream::Pending::default(),
    };
    let (decoded, pending, is_spent) = stream::cut(pending, data, limit, front);
    Taken {
        decoded,
        after: State::Cut(pending),
        is_spent,
    }
}
