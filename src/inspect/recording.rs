//! What is recorded, and how much memory the copies under way may take.

use super::hosts::HostScope;
use super::room::Room;
use std::sync::Arc;

/// Which sessions are recorded or may be watched, and how much is copied for that.
#[derive(Debug, Default)]
pub struct Recording {
    /// Whose.
    pub scope: HostScope,
    /// The most of one body that is copied, in bytes as it was sent.
    pub body: usize,
    /// What all bodies and messages that are being copied take together.
    pub room: Arc<Room>,
}
