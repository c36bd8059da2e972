//! WebSocket frames, followed as they pass (RFC 6455 section 5).

mod close;
mod cutter;
mod follower;
mod head;
#[cfg(test)]
mod tests;

pub use close::{close_code_may_be_sent, close_frame};
pub use cutter::{Cutter, DataHead, Piece, is_masked_ascii, mask_payload, whole_frame, write_frame};
pub use follower::{Follower, See};

/// Which way a frame travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the origin: masked.
    ToOrigin,
    /// From the origin to the client: unmasked.
    ToClient,
}

impl Direction {
    /// Both, in the order of [`Direction::index`].
    pub const ALL: [Self; 2] = [Self::ToOrigin, Self::ToClient];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ToOrigin => "to_origin",
            Self::ToClient => "to_client",
        }
    }

    /// A dense index for arrays.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The way back.
    pub const fn other(self) -> Self {
        match self {
            Self::ToOrigin => Self::ToClient,
            Self::ToClient => Self::ToOrigin,
        }
    }
}

/// The opcodes that RFC 6455 defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// 0x0
    Continuation,
    /// 0x1
    Text,
    /// 0x2
    Binary,
    /// 0x8
    Close,
    /// 0x9
    Ping,
    /// 0xA
    Pong,
}

impl Opcode {
    /// Every opcode, in the order of [`Opcode::index`].
    pub const ALL: [Self; 6] = [
        Self::Continuation,
        Self::Text,
        Self::Binary,
        Self::Close,
        Self::Ping,
        Self::Pong,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        }
    }

    /// A dense index for arrays.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Close, Ping and Pong: they may come between the fragments of a message (section 5.5).
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// How a frame breaks RFC 6455; the proxy closes both sides with 1002.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// Opcode 0x3-0x7 or 0xB-0xF (section 5.2).
    ReservedOpcode,
    /// An RSV bit that no agreed extension uses (section 5.2).
    ReservedBit,
    /// A control frame with FIN unset (section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    OversizedControl,
    /// The client sent an unmasked frame (section 5.1).
    Unmasked,
    /// The origin sent a masked frame (section 5.1).
    Masked,
    /// A length in more bytes than it needs (section 5.2).
    NonMinimalLength,
    /// The 64-bit length has its top bit set (section 5.2).
    LengthOverflow,
    /// A continuation with nothing to continue (section 5.4).
    StrayContinuation,
    /// A new data frame inside a fragmented message (section 5.4).
    InterruptedMessage,
    /// A close code that may not be sent, or a payload of one byte (sections 5.5.1, 7.4).
    BadCloseCode,
    /// A close reason that is not UTF-8 (section 5.5.1).
    BadCloseReason,
}

impl Violation {
    /// Every violation, for metrics that start at zero.
    pub const ALL: [Self; 12] = [
        Self::ReservedOpcode,
        Self::ReservedBit,
        Self::FragmentedControl,
        Self::OversizedControl,
        Self::Unmasked,
        Self::Masked,
        Self::NonMinimalLength,
        Self::LengthOverflow,
        Self::StrayContinuation,
        Self::InterruptedMessage,
        Self::BadCloseCode,
        Self::BadCloseReason,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ReservedOpcode => "reserved_opcode",
            Self::ReservedBit => "reserved_bit",
            Self::FragmentedControl => "fragmented_control",
            Self::OversizedControl => "oversized_control",
            Self::Unmasked => "unmasked",
            Self::Masked => "masked",
            Self::NonMinimalLength => "non_minimal_length",
            Self::LengthOverflow => "length_overflow",
            Self::StrayContinuation => "stray_continuation",
            Self::InterruptedMessage => "interrupted_message",
            Self::BadCloseCode => "bad_close_code",
            Self::BadCloseReason => "bad_close_reason",
        }
    }
}
