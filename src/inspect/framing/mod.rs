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
mod zlib;

use super::Blind;
use super::rule::Framing;
use crate::wire::frame::Opcode;
pub(super) use edit::redact;
use serde_json::Value;
use std::ops::Range;

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
    /// What places are in, where that is not the message itself, and how it is put back.
    inside: Option<(Vec<u8>, zlib::Wrap)>,
}

impl Decoded {
    /// What the places of units and pieces are in.
    pub(super) fn content<'a>(&'a self, message: &'a [u8]) -> &'a [u8] {
        self.inside.as_ref().map_or(message, |(content, _)| content)
    }
}

/// What is known of a direction before a message.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Begin,
    SocketIo(socketio::Awaited),
    Cut(stream::Pending),
    Zlib(zlib::Shadow),
}

impl State {
    /// Enough of it to read the message again that it is before, if that did not begin inside of a frame.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::SocketIo(awaited) => Self::SocketIo(awaited.clone()),
            Self::Cut(pending) => Self::Cut(pending.begin()),
            Self::Zlib(shadow) => shadow.again().map_or(Self::Begin, Self::Zlib),
            Self::Begin => Self::Begin,
        }
    }

    /// Forgets what makes no sense behind a message that nobody saw.
    pub(super) fn missed(&mut self, opcode: Option<Opcode>) {
        if !self.is_moved_by(opcode) {
            return;
        }
        match self {
            Self::Cut(pending) => *pending = pending.begin(),
            Self::Zlib(shadow) => shadow.missed(),
            Self::SocketIo(_) | Self::Begin => *self = Self::Begin,
        }
    }

    /// Whether a message of this kind belongs to what the state is about.
    pub(super) fn is_moved_by(&self, opcode: Option<Opcode>) -> bool {
        !matches!(self, Self::Zlib(_)) || opcode == Some(Opcode::Binary)
    }

    /// Why a message of which not everything is known cannot be left out.
    pub(super) fn needs(&self, opcode: Option<Opcode>) -> Option<&'static str> {
        let is_part = matches!(self, Self::Zlib(_)) && self.is_moved_by(opcode);
        is_part.then_some(zlib::LOST)
    }

    /// Whether what goes on has to be written anew, since something before it was.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Self::Zlib(shadow) if shadow.is_own())
    }

    /// The message that led to this state goes on, as it came or `changed`.
    pub(super) fn went_on(&mut self, changed: bool) {
        if let Self::Zlib(shadow) = self {
            shadow.went_on(changed);
        }
    }

    /// What it keeps, in bytes.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Cut(pending) => pending.bytes.capacity(),
            Self::Zlib(shadow) => shadow.held(),
            _ => 0,
        }
    }

    /// The message that led to this state does not go on.
    pub(super) fn left_out(&mut self) {
        match self {
            Self::SocketIo(awaited) => awaited.left_out = true,
            Self::Zlib(shadow) => shadow.left_out(),
            _ => {}
        }
    }

    /// Whether messages are still to come that belong to the last one.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::SocketIo(_))
    }
}

/// How much taking a framing off may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of what is said, and of what is kept for the next message.
    pub(super) kept: usize,
    /// Bytes that a message is inflated to, kept or not.
    pub(super) inflated: u64,
}

/// What taking a framing off gave.
pub(super) struct Taken {
    /// `None` where the message is not of that framing.
    pub(super) decoded: Option<Decoded>,
    pub(super) after: State,
    /// Why it could not be looked into.
    pub(super) blind: Option<Blind>,
    /// Why it cannot be left out, where nothing is decoded that could say so.
    pub(super) needed: Option<&'static str>,
    /// What goes on in its place even if no rule changes it.
    pub(super) rewritten: Option<Vec<u8>>,
}

impl Taken {
    fn of(decoded: Option<Decoded>, after: State) -> Self {
        Self {
            decoded,
            after,
            blind: None,
            needed: None,
            rewritten: None,
        }
    }
}

/// Takes the framing off. `opcode` is `None` for a body.
pub(super) fn decode(
    framing: Framing,
    state: State,
    data: &[u8],
    opcode: Option<Opcode>,
    limits: Limits,
) -> Taken {
    let (decoded, after) = match framing {
        Framing::SocketIo => socketio::decode(&state, data, opcode),
        Framing::SignalR => (signalr::decode(data), State::Begin),
        Framing::GraphQlWs => (graphql::decode(data), State::Begin),
        Framing::Stomp => return cut(state, data, limits, stomp::front),
        Framing::Mqtt if opcode != Some(Opcode::Text) => return cut(state, data, limits, mqtt::front),
        Framing::ZlibStream if opcode == Some(Opcode::Binary) => return zlib::decode(state, data, limits),
        Framing::ZlibStream => (None, state),
        Framing::Json | Framing::Mqtt => (None, State::Begin),
    };
    Taken::of(decoded, after)
}

/// Where frames were looked for in a message that may end inside of one.
#[derive(Debug)]
pub(super) enum Cursor {
    Frames(stream::Cursor),
    /// Whether the stream has begun before it.
    Zlib(bool),
}

/// Where a message begins, if that is where a frame does.
pub(super) fn boundary(framing: Framing, before: &State) -> Option<Cursor> {
    match (framing, before) {
        (Framing::ZlibStream, State::Zlib(shadow)) => shadow.is_at_boundary().then_some(Cursor::Zlib(true)),
        (Framing::ZlibStream, _) => Some(Cursor::Zlib(false)),
        (_, State::Cut(pending)) => pending.boundary().map(Cursor::Frames),
        _ => Some(Cursor::Frames(stream::Cursor::default())),
    }
}

/// Whether a message ends inside of a frame. `cursor` is where it begins, and makes another call cheap, with the same
/// message and what came behind it.
pub(super) fn ends_inside(
    framing: Framing,
    cursor: &mut Cursor,
    data: &[u8],
    opcode: Opcode,
    limits: Limits,
) -> bool {
    match (framing, cursor) {
        (Framing::Stomp, Cursor::Frames(cursor)) => cursor.ends_inside(data, stomp::front),
        (Framing::Mqtt, Cursor::Frames(cursor)) if opcode == Opcode::Binary => {
            cursor.ends_inside(data, mqtt::front)
        }
        (Framing::ZlibStream, Cursor::Zlib(has_begun)) if opcode == Opcode::Binary => {
            let is_cut = zlib::ends_inside(*has_begun, data, limits);
            // What has begun as a stream is looked at once: it may come in very small pieces.
            *has_begun |= is_cut;
            is_cut
        }
        _ => false,
    }
}

fn cut(
    state: State,
    data: &[u8],
    limits: Limits,
    front: impl Fn(&[u8], usize, &mut Option<u8>) -> stream::Front,
) -> Taken {
    let pending = match state {
        State::Cut(pending) => pending,
        _ => stream::Pending::default(),
    };
    let (decoded, pending, is_spent) = stream::cut(pending, data, limits.kept, front);
    Taken {
        blind: is_spent.then_some(Blind::MessageBudget),
        ..Taken::of(decoded, State::Cut(pending))
    }
}
