//! What applications say inside of WebSocket messages: the framing is taken off, and put back around what changed.
//!
//! Pure: a message and what is known of the direction so far go in; what it says and what is known then come out.
//! A message that is not of the framing gives `None`, and forgets what was begun.

mod decoded;
mod edit;
mod graphql;
mod mqtt;
mod msgpack;
mod pieces;
mod signalr;
mod socketio;
mod stomp;
mod stream;
mod taken;
#[cfg(test)]
mod tests;
mod wrap;
mod zlib;

use super::Blind;
use super::rule::AppFraming;
use crate::wire::frame::Opcode;
pub(super) use decoded::{Decoded, FramedValue, Unit};
pub(super) use edit::redact;
pub(super) use taken::{FramingLimits, Unframed};

/// What is known of a direction before a message.
#[derive(Debug, Default)]
pub(super) enum FramingState {
    #[default]
    Begin,
    SocketIo(socketio::Awaited),
    Cut(stream::Pending),
    Zlib(zlib::Shadow),
}

impl FramingState {
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

/// Takes the framing off. `opcode` is `None` for a body.
pub(super) fn decode(
    framing: AppFraming,
    state: FramingState,
    data: &[u8],
    opcode: Option<Opcode>,
    limits: FramingLimits,
) -> Unframed<FramingState> {
    let (decoded, after) = match framing {
        AppFraming::SocketIo => {
            let before = match &state {
                FramingState::SocketIo(awaited) => Some(awaited),
                _ => None,
            };
            let (decoded, after) = socketio::decode(before, data, opcode);
            (decoded, after.map_or(FramingState::Begin, FramingState::SocketIo))
        }
        AppFraming::SignalR => (signalr::decode(data), FramingState::Begin),
        AppFraming::GraphQlWs => (graphql::decode(data), FramingState::Begin),
        AppFraming::Stomp => return cut(state, data, limits, stomp::front),
        AppFraming::Mqtt if opcode != Some(Opcode::Text) => return cut(state, data, limits, mqtt::front),
        AppFraming::ZlibStream if opcode == Some(Opcode::Binary) => {
            let shadow = match state {
                FramingState::Zlib(shadow) => Some(shadow),
                _ => None,
            };
            let taken = zlib::decode(shadow, data, limits);
            return taken.map(|shadow| shadow.map_or(FramingState::Begin, FramingState::Zlib));
        }
        AppFraming::ZlibStream => (None, state),
        AppFraming::Json | AppFraming::Mqtt => (None, FramingState::Begin),
    };
    Unframed::of(decoded, after)
}

/// Where frames were looked for in a message that may end inside of one.
#[derive(Debug)]
pub(super) enum Cursor {
    Frames(stream::StreamCursor),
    /// Whether the stream has begun before it.
    Zlib(bool),
}

/// Where a message begins, if that is where a frame does.
pub(super) fn boundary(framing: AppFraming, before: &FramingState) -> Option<Cursor> {
    match (framing, before) {
        (AppFraming::ZlibStream, FramingState::Zlib(shadow)) => {
            shadow.is_at_boundary().then_some(Cursor::Zlib(true))
        }
        (AppFraming::ZlibStream, _) => Some(Cursor::Zlib(false)),
        (_, FramingState::Cut(pending)) => pending.boundary().map(Cursor::Frames),
        _ => Some(Cursor::Frames(stream::StreamCursor::default())),
    }
}

/// Whether a message ends inside of a frame. `cursor` is where it begins, and makes another call cheap, with the same
/// message and what came behind it.
pub(super) fn ends_inside(
    framing: AppFraming,
    cursor: &mut Cursor,
    data: &[u8],
    opcode: Opcode,
    limits: FramingLimits,
) -> bool {
    match (framing, cursor) {
        (AppFraming::Stomp, Cursor::Frames(cursor)) => cursor.ends_inside(data, stomp::front),
        (AppFraming::Mqtt, Cursor::Frames(cursor)) if opcode == Opcode::Binary => {
            cursor.ends_inside(data, mqtt::front)
        }
        (AppFraming::ZlibStream, Cursor::Zlib(has_begun)) if opcode == Opcode::Binary => {
            let is_cut = zlib::ends_inside(*has_begun, data, limits);
            // What has begun as a stream is looked at once: it may come in very small pieces.
            *has_begun |= is_cut;
            is_cut
        }
        _ => false,
    }
}

fn cut(
    state: FramingState,
    data: &[u8],
    limits: FramingLimits,
    front: impl Fn(&[u8], usize, &mut Option<u8>) -> stream::Front,
) -> Unframed<FramingState> {
    let pending = match state {
        FramingState::Cut(pending) => pending,
        _ => stream::Pending::default(),
    };
    let (decoded, pending, is_spent) = stream::cut(pending, data, limits.kept, front);
    Unframed {
        blind: is_spent.then_some(Blind::MessageBudget),
        ..Unframed::of(decoded, FramingState::Cut(pending))
    }
}
