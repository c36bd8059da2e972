//! permessage-deflate (RFC 7692): a shadow of a direction's decoder, and an encoder for messages of the proxy's own.
//!
//! A decoder's state takes 48 KB, most of which only matters while a message is decoded. A direction therefore
//! keeps its window alone, and borrows a state from its thread's [`Inflaters`] for each message. So every message is
//! decoded from the window and from nothing else, which a message that ends inside a block cannot change.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::fmt;

/// What every compressed message ends with on the wire's inside: the sender leaves it out (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// Decoded bytes that are handed on at once.
const CHUNK: usize = 16 * 1024;
/// Decoders that a thread keeps, 48 KB each.
const SPARE: usize = 16;

/// What both ends agreed to (section 7.1), by [`super::frame::Direction::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// The client's side first: it compresses what goes to the origin.
    pub sides: [Side; 2],
}

/// How one end compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// Whether a message may refer to what was in the ones before it.
    pub takeover: bool,
    /// How far back it may refer: 2 to this many bytes, 8 to 15.
    pub window_bits: u8,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            takeover: true,
            window_bits: 15,
        }
    }
}

impl Side {
    const fn window(self) -> usize {
        1 << self.window_bits
    }
}

/// Why a message cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflateError {
    /// It is not DEFLATE, or refers to what never was.
    Corrupt,
    /// It becomes more than it may.
    Limit,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "the compressed data is broken",
            Self::Limit => "the compressed data becomes larger than it may",
        })
    }
}

impl std::error::Error for InflateError {}

/// Decodes one direction. After an error it stays broken: what follows refers to what was not decoded.
#[derive(Debug)]
pub struct Inflater {
    side: Side,
    /// The last bytes that were decoded, as a ring once it is full.
    window: Vec<u8>,
    oldest: usize,
    /// Owned only inside a message.
    state: Option<Box<Decompress>>,
    broken: Option<InflateError>,
}

impl Inflater {
    /// Starts with an empty window, right after the handshake.
    pub fn new(side: Side) -> Self {
        Self {
            side,
            window: Vec::new(),
            oldest: 0,
            state: None,
            broken: None,
        }
    }

    /// Decodes the next piece of a message's payload, unmasked, and hands what it becomes to `each`: at most
    /// `limit` bytes. Returns how many those were.
    ///
    /// # Errors
    /// When it is broken, or when one more byte than `limit` would come.
    pub fn feed(
        &mut self,
        pool: &mut Inflaters,
        payload: &[u8],
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, InflateError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let done = self.run(pool, payload, limit, each);
        if let Err(error) = done {
            self.broken = Some(error);
            self.state = None;
            self.window = Vec::new();
        }
        done
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`Inflater::feed`].
    pub fn end(
        &mut self,
        pool: &mut Inflaters,
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, InflateError> {
        let done = self.feed(pool, &TAIL, limit, each)?;
        if let Some(mut state) = self.state.take() {
            if !is_between_blocks(&mut state) {
                self.broken = Some(InflateError::Corrupt);
                self.window = Vec::new();
                return Err(InflateError::Corrupt);
            }
            pool.give_back(state);
        }
        Ok(done)
    }

    /// Whether a message has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.state.is_some()
    }

    /// What is kept between messages, in bytes.
    pub fn held(&self) -> usize {
        self.window.capacity()
    }

    fn run(
        &mut self,
        pool: &mut Inflaters,
        mut payload: &[u8],
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, InflateError> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => {
                let mut state = pool.take();
                self.remind(&mut state)?;
                state
            }
        };
        let mut out = std::mem::take(&mut pool.out);
        out.resize(CHUNK, 0);
        let mut produced = 0;
        let result = loop {
            let (before_in, before_out) = (state.total_in(), state.total_out());
            // One byte more than may come tells whether it would.
            let room = usize::try_from((limit - produced).saturating_add(1))
                .unwrap_or(CHUNK)
                .min(CHUNK);
            let status = state.decompress(payload, &mut out[..room], FlushDecompress::Sync);
            let read = (state.total_in() - before_in) as usize;
            let wrote = (state.total_out() - before_out) as usize;
            payload = payload.get(read..).unwrap_or_default();
            produced += wrote as u64;
            if produced > limit {
                break Err(InflateError::Limit);
            }
            if wrote > 0 {
                let plain = &out[..wrote];
                if self.side.takeover {
                    self.remember(plain);
                }
                each(plain);
            }
            match status {
                Err(_) => break Err(InflateError::Corrupt),
                // A last block may stand anywhere (section 7.2.3.4): the next one begins on a byte again.
                Ok(Status::StreamEnd) => {
                    state.reset(false);
                    if let Err(error) = self.remind(&mut state) {
                        break Err(error);
                    }
                    if payload.is_empty() {
                        break Ok(produced);
                    }
                }
                Ok(_) if wrote == room => {}
                Ok(_) if payload.is_empty() => break Ok(produced),
                Ok(_) if read == 0 && wrote == 0 => break Err(InflateError::Corrupt),
                Ok(_) => {}
            }
        };
        pool.out = out;
        self.state = Some(state);
        result
    }

    /// Gives a fresh state this direction's window.
    fn remind(&self, state: &mut Decompress) -> Result<(), InflateError> {
        if self.window.is_empty() {
            return Ok(());
        }
        let (newer, older) = self.window.split_at(self.oldest);
        for part in [older, newer] {
            if !part.is_empty() && state.set_dictionary(part).is_err() {
                return Err(InflateError::Corrupt);
            }
        }
        Ok(())
    }

    fn remember(&mut self, plain: &[u8]) {
        let size = self.side.window();
        let mut plain = &plain[plain.len().saturating_sub(size)..];
        if self.window.len() < size {
            let (now, rest) = plain.split_at(plain.len().min(size - self.window.len()));
            if self.window.capacity() - self.window.len() < now.len() {
                // Doubling would go beyond the window.
                let more = now.len().max(self.window.len()).min(size - self.window.len());
                self.window.reserve_exact(more);
            }
            self.window.extend_from_slice(now);
            plain = rest;
        }
        while !plain.is_empty() {
            let (now, rest) = plain.split_at(plain.len().min(size - self.oldest));
            self.window[self.oldest..self.oldest + now.len()].copy_from_slice(now);
            self.oldest = (self.oldest + now.len()) % size;
            plain = rest;
        }
    }
}

/// Whether the message ended where a block may begin. One that ends inside a block, stored bytes for instance, makes
/// its receiver read the next message as the rest of that block: what is decoded here would not be what is read there.
/// An empty last block in its place tells; the state is of no use after that.
fn is_between_blocks(state: &mut Decompress) -> bool {
    const LAST: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];
    let (before_in, before_out) = (state.total_in(), state.total_out());
    let status = state.decompress(&LAST, &mut [0; 8], FlushDecompress::Sync);
    matches!(status, Ok(Status::StreamEnd))
        && state.total_in() - before_in == LAST.len() as u64
        && state.total_out() == before_out
}

/// Decoder states of one thread.
#[derive(Debug, Default)]
pub struct Inflaters {
    /// Boxed, since they move between here and the directions that borrow them.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Decompress>>,
    /// Decoded bytes on their way.
    out: Vec<u8>,
}

impl Inflaters {
    /// A state with nothing in it.
    fn take(&mut self) -> Box<Decompress> {
        match self.spare.pop() {
            Some(mut state) => {
                state.reset(false);
                state
            }
            None => Box::new(Decompress::new(false)),
        }
    }

    fn give_back(&mut self, state: Box<Decompress>) {
        if self.spare.len() < SPARE {
            self.spare.push(state);
        }
    }
}

/// Encoder states of one thread, by window size.
///
/// Each message is compressed by itself, which every decoder takes (section 7.2.3.3 lets a sender refer to
/// nothing): no connection owns a state of 380 KB, and nothing that was dropped leaves a hole.
#[derive(Debug, Default)]
pub struct Deflaters {
    states: [Option<Box<Compress>>; 16],
}

impl Deflaters {
    /// Compresses one message behind what is in `out`. Returns false, with nothing written, where it is better sent
    /// as it is: it would not become smaller, or the window is the smallest, which zlib cannot write.
    pub fn compress(&mut self, side: Side, plain: &[u8], out: &mut Vec<u8>) -> bool {
        if !(9..=15).contains(&side.window_bits) {
            return false;
        }
        let Some(slot) = self.states.get_mut(usize::from(side.window_bits)) else {
            return false;
        };
        let state = slot.get_or_insert_with(|| {
            Box::new(Compress::new_with_window_bits(
                Compression::new(4),
                false,
                side.window_bits,
            ))
        });
        state.reset();
        let start = out.len();
        // What needs more room than it had before it was compressed is not wanted.
        out.resize(start + plain.len() + TAIL.len(), 0);
        let done = state.compress(plain, &mut out[start..], FlushCompress::Sync);
        let wrote = state.total_out() as usize;
        let whole = done.is_ok() && state.total_in() as usize == plain.len();
        out.truncate(start + wrote);
        if whole && wrote < plain.len() + TAIL.len() && out.ends_with(&TAIL) {
            out.truncate(start + wrote - TAIL.len());
            return true;
        }
        out.truncate(start);
        false
    }
}

#[cfg(test)]
mod tests;
