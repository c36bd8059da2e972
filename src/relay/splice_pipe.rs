//! Pipes that carry bytes from socket to socket inside the kernel. A pipe is on loan only while bytes are in it,
//! empty ones wait in a small pool of the thread, and all there are at once is bounded: what slow receivers hold
//! up must not eat the descriptors that new connections need.

use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;

/// The most that is asked for at once, in bytes, and what a pipe is asked to have room for: 64 slots, each for a
/// piece of up to 32 KiB, so the slots are the limit where the sender writes less at a time.
const FILL: usize = 256 * 1024;

/// Pipes in the process, on loan and in pools. With 64 pages each this is half of the kernel's limit for
/// unprivileged users (`pipe-user-pages-soft`, 16,384), past which pipes shrink to two slots.
pub(super) const MOST: usize = 128;

/// Empty pipes that a thread keeps.
pub(super) const KEPT: usize = 8;

static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// One of the places among the `MOST`.
#[derive(Debug)]
struct PipePermit;

impl PipePermit {
    fn take() -> Option<Self> {
        let more = |open: usize| (open < MOST).then_some(open + 1);
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()
            .map(|_| Self)
    }
}

impl Drop for PipePermit {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pipe on loan. Dropping one closes it, whatever is inside.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    inside: usize,
    // Last, so that the place is free only when the descriptors are.
    _place: PipePermit,
}

impl Pipe {
    /// An empty pipe; `None` when there are too many already or the system gives no more.
    pub(super) fn take() -> Option<Self> {
        if let Some(pipe) = POOL.with_borrow_mut(Vec::pop) {
            return Some(pipe);
        }
        let place = PipePermit::take()?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Where the system gives no more it stays as it was made, with 16 slots.
        let _ = fcntl_setpipe_size(&write, FILL);
        Some(Self {
            read,
            write,
            inside: 0,
            _place: place,
        })
    }

    /// Ends the loan: the pipe waits in the thread's pool if it is empty and there is room.
    pub(super) fn give_back(self) {
        if self.inside == 0 {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < KEPT {
                    pool.push(self);
                }
            });
        }
    }

    /// How many bytes have gone in and not come out.
    pub(super) fn inside(&self) -> usize {
        self.inside
    }

    /// Moves what the socket has received into the pipe, which must be empty: only then does `WouldBlock` speak
    /// of the socket. 0 is the end of the stream.
    pub(super) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let n = retry_on_intr(|| splice(from, None, &self.write, None, FILL, flags))?;
        self.inside += n;
        Ok(n)
    }

    /// Moves what is inside into the socket, as far as it takes it.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let n = retry_on_intr(|| splice(&self.read, None, to, None, self.inside, flags))?;
        self.inside = self.inside.saturating_sub(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_has_room_for_what_is_asked_for_at_once() {
        // Another test takes all there may be for a while.
        let pipe = loop {
            match Pipe::take() {
                Some(pipe) => break pipe,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(rustix::pipe::fcntl_getpipe_size(&pipe.write).unwrap(), FILL);
    }
}
