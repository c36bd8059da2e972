//! What is kept of a body until it is judged, in one piece whatever pieces it comes in, and the room that it takes: in its
//! connection's budget, and in that of all connections.

use crate::inspect::{Blind, Buffered, Room, Share};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use std::collections::VecDeque;
use std::sync::Arc;

/// In such pieces it goes on: what one frame of HTTP/2 holds.
const PIECE: usize = 16 * 1024;

/// Room in the budgets of a connection and of all; given back when dropped.
#[derive(Debug)]
pub(in crate::http) struct Taken {
    connection: Share,
    process: Share,
}

impl Taken {
    /// Nothing yet of the room of a connection and of that of all.
    pub(super) fn none([connection, process]: &[Arc<Room>; 2]) -> Self {
        Self {
            connection: Share::new(Arc::clone(connection), Buffered::Bodies),
            process: Share::new(Arc::clone(process), Buffered::Bodies),
        }
    }

    /// Takes or gives back, so that it has so many bytes; says why there is no room for them, if there is none.
    pub(super) fn resize(&mut self, bytes: usize) -> Option<Blind> {
        if !self.connection.resize(bytes) {
            return Some(Blind::ConnectionBudget);
        }
        (!self.process.resize(bytes)).then_some(Blind::ProcessBudget)
    }
}

/// A body that is read before it goes on.
#[derive(Debug)]
pub(super) struct Kept {
    raw: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Hardly any grows beyond this.
    limit: usize,
    taken: Taken,
}

impl Kept {
    /// Nothing yet of a body of which at most so much is kept.
    pub(super) fn new(rooms: &[Arc<Room>; 2], limit: usize) -> Self {
        Self {
            raw: Vec::new(),
            trailers: None,
            limit,
            taken: Taken::none(rooms),
        }
    }

    /// How large its content is.
    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }

    /// Its content so far.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Keeps one frame more, which is there in any case; says why there must be no other, if that is so.
    pub(super) fn push(&mut self, frame: Frame<Bytes>) -> Option<Blind> {
        match frame.into_data() {
            Ok(data) => {
                let needed = self.raw.len() + data.len();
                if needed > self.raw.capacity() {
                    // Twice as much each time, but not twice what it may have at last.
                    let most = needed.max(self.limit);
                    let wanted = (2 * self.raw.capacity()).clamp(needed, most);
                    self.raw.reserve_exact(wanted - self.raw.len());
                }
                self.raw.extend_from_slice(&data);
            }
            Err(frame) => self.trailers = frame.into_trailers().ok(),
        }
        self.taken.resize(self.raw.capacity())
    }

    /// The frames in which it goes on, and the content in one piece: the same memory, whose room is given back when nobody
    /// has any of it.
    pub(super) fn into_parts(self) -> (VecDeque<Frame<Bytes>>, Bytes) {
        let Self {
            raw, trailers, taken, ..
        } = self;
        let whole = Bytes::from_owner(Counted { raw, _taken: taken });
        let pieces = (0..whole.len()).step_by(PIECE);
        let pieces = pieces.map(|at| Frame::data(whole.slice(at..whole.len().min(at + PIECE))));
        let frames = pieces.chain(trailers.map(Frame::trailers)).collect();
        (frames, whole)
    }
}

/// Content that takes room until nobody has it any more.
struct Counted {
    raw: Vec<u8>,
    _taken: Taken,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(connection: usize, process: usize) -> [Arc<Room>; 2] {
        [connection, process].map(|limit| Arc::new(Room::new(limit)))
    }

    fn data(bytes: &[u8]) -> Frame<Bytes> {
        Frame::data(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn pieces_of_one_byte_take_what_they_hold() {
        let rooms = rooms(1 << 20, 1 << 20);
        let mut kept = Kept::new(&rooms, 100_000);
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        for byte in &bytes {
            assert_eq!(kept.push(data(&[*byte])), None);
        }
        assert_eq!(rooms[0].taken(), 100_000);
        assert_eq!(kept.push(Frame::trailers(HeaderMap::new())), None);
        let (frames, whole) = kept.into_parts();
        assert_eq!(whole, bytes);
        let sizes: Vec<_> = frames
            .iter()
            .filter_map(|frame| Some(frame.data_ref()?.len()))
            .collect();
        assert_eq!(
            sizes,
            [PIECE, PIECE, PIECE, PIECE, PIECE, PIECE, 100_000 - 6 * PIECE]
        );
        assert!(frames[7].is_trailers());
    }

    #[test]
    fn room_is_taken_until_the_last_piece_has_gone() {
        let rooms = rooms(1 << 20, 1 << 20);
        let mut kept = Kept::new(&rooms, 1 << 20);
        kept.push(data(&[7; 3 * PIECE]));
        let (mut frames, whole) = kept.into_parts();
        drop(whole);
        while frames.len() > 1 {
            assert_eq!(rooms.each_ref().map(|room| room.taken()), [3 * PIECE; 2]);
            frames.pop_front();
        }
        drop(frames);
        assert_eq!(rooms.each_ref().map(|room| room.taken()), [0; 2]);
    }

    #[test]
    fn the_first_budget_that_is_spent_is_named() {
        for (connection, process, why) in [
            (100, 1000, Blind::ConnectionBudget),
            (1000, 100, Blind::ProcessBudget),
        ] {
            let rooms = rooms(connection, process);
            let mut kept = Kept::new(&rooms, 1 << 20);
            assert_eq!(kept.push(data(&[7; 60])), None);
            assert_eq!(kept.push(data(&[7; 60])), Some(why));
            assert_eq!(kept.len(), 120, "what is there is there");
            drop(kept);
            assert_eq!(rooms.each_ref().map(|room| room.taken()), [0; 2]);
        }
    }
}
