//! How much memory what is kept may take, and what takes how much of it.

use crate::error::words;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

words! {
    /// What is kept; also the metric label.
    pub enum Buffered {
        /// HTTP content that is judged before it goes on, or a copy that is judged behind its back.
        Bodies = "bodies",
        /// WebSocket messages under way to their verdict, and what waits behind them.
        Messages = "messages",
        /// What bodies are without their codings, while rules look at that.
        Decoded = "decoded",
        /// What streams of HTTP/2 have brought whose receivers take their time.
        Streams = "streams",
        /// Copies for recordings: those under way, and those that wait to be written.
        Recordings = "recordings",
    }
}

/// Kinds of what is kept.
const KINDS: usize = Buffered::ALL.len();

/// Memory that several share.
#[derive(Debug)]
pub struct Room {
    limit: AtomicUsize,
    taken: AtomicUsize,
    kinds: [AtomicUsize; KINDS],
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
            kinds: [const { AtomicUsize::new(0) }; KINDS],
        }
    }

    /// From now on there are so many. Who has more keeps it.
    pub fn limit_to(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many bytes there are.
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many bytes this takes.
    pub fn taken_by(&self, kind: Buffered) -> usize {
        self.kinds[kind as usize].load(Ordering::Relaxed)
    }

    /// Whether nothing more should be kept.
    pub fn is_spent(&self) -> bool {
        self.taken() >= self.limit()
    }

    /// Takes bytes if there is room for them. Recordings look on: they leave half of it to what waits for a verdict.
    pub fn try_take(&self, kind: Buffered, bytes: usize) -> bool {
        let limit = match kind {
            Buffered::Recordings => self.limit() / 2,
            _ => self.limit(),
        };
        // Added first, so that of two that want the last of it at most one gets it.
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before.saturating_add(bytes) <= limit;
        if has_room {
            self.kinds[kind as usize].fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }

    /// Takes bytes in any case.
    pub fn take(&self, kind: Buffered, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.kinds[kind as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what was taken.
    pub fn give_back(&self, kind: Buffered, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.kinds[kind as usize].fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One holder's part of a room, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    kind: Buffered,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub const fn new(room: Arc<Room>, kind: Buffered) -> Self {
        Self { room, kind, bytes: 0 }
    }

    /// Takes or gives back, so that it has `bytes`; says whether there is room. If not, nothing changes.
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes && !self.room.try_take(self.kind, bytes - self.bytes) {
            return false;
        }
        if bytes < self.bytes {
            self.room.give_back(self.kind, self.bytes - bytes);
        }
        self.bytes = bytes;
        true
    }

    /// The same for what is there in any case: it counts, whether or not there was room for it.
    pub fn count(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.room.take(self.kind, bytes - self.bytes);
            self.bytes = bytes;
        } else if bytes < self.bytes {
            self.resize(bytes);
        }
    }

    /// How many bytes it has.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing more should be kept by anybody.
    pub fn is_spent(&self) -> bool {
        self.room.is_spent()
    }

    /// Has content take its part until nobody has any of it.
    pub fn hold(self, content: Vec<u8>) -> Bytes {
        Bytes::from_owner(HeldContent {
            content,
            _share: self,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// Content that takes room until nobody has it any more.
struct HeldContent {
    content: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for HeldContent {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_room_are_bounded_and_given_back() {
        let room = Arc::new(Room::new(10));
        let share = |kind| Share::new(room.clone(), kind);
        let (mut a, mut b) = (share(Buffered::Bodies), share(Buffered::Messages));
        assert!(a.resize(7) && !b.resize(4) && b.resize(3));
        assert_eq!(
            Buffered::ALL
                .iter()
                .map(|kind| room.taken_by(*kind))
                .collect::<Vec<_>>(),
            [7, 3, 0, 0, 0]
        );
        assert!(a.resize(6) && b.resize(4) && room.taken() == 10 && room.is_spent());
        drop(a);
        assert!(b.resize(10));
        drop(b);
        assert_eq!((room.taken(), room.taken_by(Buffered::Messages)), (0, 0));
    }

    #[test]
    fn what_is_there_counts_and_recordings_leave_half_to_others() {
        let room = Arc::new(Room::new(10));
        let share = |kind| Share::new(room.clone(), kind);
        let (mut read, mut recording) = (share(Buffered::Messages), share(Buffered::Recordings));
        assert!(!recording.resize(6) && recording.resize(5));
        read.count(12);
        assert_eq!((room.taken(), room.is_spent()), (17, true));
        assert!(!share(Buffered::Bodies).resize(1) && recording.resize(2));
        read.count(1);
        assert!(share(Buffered::Bodies).resize(7) && !recording.resize(5));
        let held = {
            let mut share = share(Buffered::Decoded);
            share.count(3);
            share.hold(vec![1, 2, 3])
        };
        let part = held.slice(1..);
        drop(held);
        assert_eq!((&part[..], room.taken_by(Buffered::Decoded)), (&[2, 3][..], 3));
        drop(part);
        assert_eq!(room.taken_by(Buffered::Decoded), 0);
    }
}
