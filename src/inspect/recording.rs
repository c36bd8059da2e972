//! What is recorded, and how much memory the copies under way may take.

use super::hosts::HostScope;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which sessions are recorded, and how much is copied for that.
#[derive(Debug, Default)]
pub struct Recording {
    /// Whose.
    pub scope: HostScope,
    /// The most of one body that is copied, in bytes as it was sent.
    pub body: usize,
    /// What all bodies and messages that are being copied take together.
    pub room: Arc<Room>,
}

/// Memory that several share.
#[derive(Debug)]
pub struct Room {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Room {
    /// So many bytes in all.
    pub const fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            taken: AtomicUsize::new(0),
        }
    }

    /// From now on there are so many. Who has more keeps it.
    pub fn limit_to(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// One holder's part of a room, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub const fn new(room: Arc<Room>) -> Self {
        Self { room, bytes: 0 }
    }

    /// Takes or gives back, so that it has `bytes`; says whether there is room. If not, nothing changes.
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            // Added first, so that of two that want the last of it at most one gets it.
            if self
                .room
                .taken
                .fetch_add(more, Ordering::Relaxed)
                .saturating_add(more)
                > self.room.limit.load(Ordering::Relaxed)
            {
                self.room.taken.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            self.room.taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_room_are_bounded_and_given_back() {
        let room = Arc::new(Room::new(10));
        let (mut a, mut b) = (Share::new(room.clone()), Share::new(room.clone()));
        assert!(a.resize(7) && !b.resize(4) && b.resize(3));
        assert!(a.resize(6) && b.resize(4) && room.taken() == 10);
        drop(a);
        assert!(b.resize(10));
        drop(b);
        assert_eq!(room.taken(), 0);
    }
}
