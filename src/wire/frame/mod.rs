//! WebSocket frames, followed as they pass (RFC 6455 section 5).

mod close;
mod counts;
mod cutter;
mod direction;
mod follower;
mod head;
mod opcode;
#[cfg(test)]
mod tests;
mod violation;

pub use close::{close_code_may_be_sent, close_frame};
pub use counts::{FrameCounts, SIZE_BOUNDS};
pub use cutter::{Cutter, DataHead, FramePiece, is_masked_ascii, mask_payload, whole_frame, write_frame};
pub use direction::Direction;
pub use follower::{Follower, See};
pub use opcode::Opcode;
pub use violation::Violation;
