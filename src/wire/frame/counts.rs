//! Frames and messages, as they are counted.

use super::Opcode;

/// Upper bounds of the sizes that messages are counted by, in bytes; one more bucket holds the rest.
pub const SIZE_BOUNDS: [u64; 12] = [
    64,
    125,
    256,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
];

/// So many frames and messages of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Frames by [`Opcode::index`].
    pub frames: [u32; Opcode::ALL.len()],
    /// Payload bytes by opcode.
    pub payload_bytes: [u64; Opcode::ALL.len()],
    /// Messages by size bucket of [`SIZE_BOUNDS`].
    pub messages: [u32; SIZE_BOUNDS.len() + 1],
    /// The sum of those messages' sizes.
    pub message_bytes: u64,
}

impl FrameCounts {
    /// One frame.
    #[inline]
    pub fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.frames[opcode.index()] += 1;
        self.payload_bytes[opcode.index()] += payload;
    }

    /// One message, whose frames have this payload together.
    #[inline]
    pub fn message(&mut self, size: u64) {
        let bucket = SIZE_BOUNDS
            .iter()
            .position(|bound| size <= *bound)
            .unwrap_or(SIZE_BOUNDS.len());
        self.messages[bucket] += 1;
        self.message_bytes += size;
    }

    /// One frame by itself.
    pub fn of_frame(opcode: Opcode, payload: u64) -> Self {
        let mut counts = Self::default();
        counts.frame(opcode, payload);
        counts
    }

    /// One message by itself, without its frames.
    pub fn of_message(size: u64) -> Self {
        let mut counts = Self::default();
        counts.message(size);
        counts
    }

    /// How many frames, of whatever kind.
    pub fn all_frames(&self) -> u64 {
        self.frames.iter().map(|frames| u64::from(*frames)).sum()
    }

    /// How many messages, of whatever size.
    pub fn all_messages(&self) -> u64 {
        self.messages.iter().map(|messages| u64::from(*messages)).sum()
    }

    /// Counts these too. What was taken out before goes round, so that the order does not matter.
    pub fn add(&mut self, more: &Self) {
        self.each(more, u32::wrapping_add, u64::wrapping_add);
    }

    /// Takes these out again.
    pub fn take_out(&mut self, less: &Self) {
        self.each(less, u32::wrapping_sub, u64::wrapping_sub);
    }

    fn each(&mut self, other: &Self, count: impl Fn(u32, u32) -> u32, bytes: impl Fn(u64, u64) -> u64) {
        for (own, other) in self.frames.iter_mut().zip(other.frames) {
            *own = count(*own, other);
        }
        for (own, other) in self.payload_bytes.iter_mut().zip(other.payload_bytes) {
            *own = bytes(*own, other);
        }
        for (own, other) in self.messages.iter_mut().zip(other.messages) {
            *own = count(*own, other);
        }
        self.message_bytes = bytes(self.message_bytes, other.message_bytes);
    }
}
