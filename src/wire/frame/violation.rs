//! What a frame may not do.

/// How a frame breaks RFC 6455; the proxy closes both sides for it, with [`Violation::close_code`].
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

    /// What both sides are closed with: text that is not UTF-8 has a code of its own (section 8.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::BadCloseReason => 1007,
            _ => 1002,
        }
    }

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
