//! The buffers that a thread lends to whoever reads a socket, so that an idle connection owns none.

use super::records::MAX_RECORD;
use std::cell::{Cell, RefCell};

/// One read of a socket into the buffer of [`with_buffer`]. Large enough for a batch of small frames or two full TLS
/// records, small enough to stay in the first-level caches together with what is made of it.
const WIDE: usize = 32 * 1024;

/// One read of a socket into the buffer of [`with_scratch`].
pub(super) const READ: usize = 16 * 1024;

thread_local! {
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };

    /// A connection inside another one uses two at a time.
    static SCRATCH: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `work` the thread's buffer for one read of a [`Leg`](super::Leg): room for 32 KiB behind a record that has not
/// come in whole. It holds anything.
pub fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let spare = BUFFER.take();
    // Only who borrows within `work`, or for the first time, has to pay for one.
    let mut buffer = spare.unwrap_or_else(|| vec![0; MAX_RECORD + WIDE].into());
    let done = work(&mut buffer);
    BUFFER.set(Some(buffer));
    done
}

/// Lends `work` one of the thread's buffers where [`TlsStream`](super::TlsStream) reads and opens records. Only a record
/// that has not come in whole leaves it.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let spare = SCRATCH.with_borrow_mut(Vec::pop);
    let mut scratch = spare.unwrap_or_else(|| vec![0; MAX_RECORD + READ].into());
    let done = work(&mut scratch);
    SCRATCH.with_borrow_mut(|spare| spare.push(scratch));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_lent_again_and_to_two_at_a_time() {
        let first = with_buffer(|outer| {
            outer[0] = 7;
            with_buffer(|inner| {
                assert_eq!(inner.len(), MAX_RECORD + WIDE);
                assert_ne!(inner.as_ptr(), outer.as_ptr());
            });
            outer.as_ptr()
        });
        assert_eq!(with_buffer(|again| (again.as_ptr(), again[0])), (first, 7));
    }

    #[test]
    fn scratch_buffers_are_lent_again_and_to_two_at_a_time() {
        let (outer, inner) = with_scratch(|outer| (outer.as_ptr(), with_scratch(|inner| inner.as_ptr())));
        assert_ne!(outer, inner);
        let again = with_scratch(|outer| (outer.as_ptr(), with_scratch(|inner| inner.as_ptr())));
        assert_eq!(again, (outer, inner));
    }
}
