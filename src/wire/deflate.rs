//! permessage-deflate (RFC 7692): a shadow of a direction's decoder, and an encoder for messages of the proxy's own.
//!
//! A decoder's state takes 48 KB, most of which only matters while a message is decoded. A direction therefore
//! keeps its window alone, and borrows a state from its thread's [`Inflaters`] for each message. The state that it gave
//! back last still holds that very window, until another direction needs it: only who was idle has its window copied.

mod alone;
mod boundary;
mod pool;

pub use alone::{Alone, TAIL};
use flate2::{Compress, Compression, FlushCompress};
pub use pool::Inflaters;
use pool::{InflateDecoder, Mark};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use zlib_rs::{InflateFlush, Status};

/// Decoded bytes that are handed on at once.
const CHUNK: usize = 16 * 1024;

/// What both ends agreed to (section 7.1), by [`super::frame::Direction::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// The client's side first: it compresses what goes to the origin.
    pub sides: [DeflateSide; 2],
}

/// How one end compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateSide {
    /// Whether a message may refer to what was in the ones before it.
    pub takeover: bool,
    /// How far back it may refer: 2 to this many bytes, 8 to 15.
    pub window_bits: u8,
}

impl Default for DeflateSide {
    fn default() -> Self {
        Self {
            takeover: true,
            window_bits: 15,
        }
    }
}

impl DeflateSide {
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
    side: DeflateSide,
    /// The last bytes that were decoded, as a ring once it is full.
    window: Vec<u8>,
    oldest: usize,
    /// Owned only inside a message.
    state: Option<Box<InflateDecoder>>,
    broken: Option<InflateError>,
    /// No other has this number.
    id: u64,
    /// Messages that are over.
    messages: u64,
}

/// Numbers for [`Inflater::id`].
static IDS: AtomicU64 = AtomicU64::new(0);

impl Inflater {
    /// Starts with an empty window, right after the handshake.
    pub fn new(side: DeflateSide) -> Self {
        Self {
            side,
            window: Vec::new(),
            oldest: 0,
            state: None,
            broken: None,
            id: IDS.fetch_add(1, Ordering::Relaxed),
            messages: 0,
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
        let done = match self.broken {
            Some(error) => Err(error),
            None => self.run(pool, payload, limit, each),
        };
        done.inspect_err(|&error| self.fail(error))
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
        let done = match self.broken {
            Some(error) => Err(error),
            None => self.run_tail(pool, limit, each),
        };
        if let Some(state) = self.state.take_if(|_| done.is_ok()) {
            self.messages += 1;
            pool.give_back(state, self.mark());
        }
        done.inspect_err(|&error| self.fail(error))
    }

    fn fail(&mut self, error: InflateError) {
        self.broken = Some(error);
        self.state = None;
        self.window = Vec::new();
    }

    /// Tells a state that holds this window from all others. With a smaller window than a state's own, one that has
    /// seen more would know what a message may not refer to any more.
    fn mark(&self) -> Option<Mark> {
        let keeps_all = self.side.takeover && self.side.window_bits == 15;
        keeps_all.then_some(Mark {
            id: self.id,
            messages: self.messages,
        })
    }

    /// Whether a message has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.state.is_some()
    }

    /// What is kept between messages, in bytes.
    pub fn held(&self) -> usize {
        self.window.capacity()
    }

    /// The state of the message under way; or one with the window in it, when a message begins.
    fn state(&mut self, pool: &mut Inflaters) -> Result<Box<InflateDecoder>, InflateError> {
        if let Some(state) = self.state.take() {
            return Ok(state);
        }
        if let Some(state) = self.mark().and_then(|mark| pool.find(mark)) {
            return Ok(state);
        }
        let mut state = pool.take();
        self.remind(&mut state)?;
        Ok(state)
    }

    fn run(
        &mut self,
        pool: &mut Inflaters,
        mut payload: &[u8],
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, InflateError> {
        let mut state = self.state(pool)?;
        let mut produced = 0;
        let result = loop {
            let step = match self.step(
                &mut state,
                payload,
                InflateFlush::SyncFlush,
                pool,
                limit - produced,
                each,
            ) {
                Ok(step) => step,
                Err(error) => break Err(error),
            };
            payload = payload.get(step.read..).unwrap_or_default();
            produced += step.wrote as u64;
            match step.status {
                // A last block may stand anywhere (section 7.2.3.4): the next one begins on a byte again.
                Status::StreamEnd => {
                    if let Err(error) = self.begin_anew(&mut state) {
                        break Err(error);
                    }
                    if payload.is_empty() {
                        break Ok(produced);
                    }
                }
                _ if step.is_full => {}
                _ if payload.is_empty() => break Ok(produced),
                _ if step.read == 0 && step.wrote == 0 => break Err(InflateError::Corrupt),
                _ => {}
            }
        };
        self.state = Some(state);
        result
    }

    /// Decodes what fits into one piece of output.
    fn step(
        &mut self,
        state: &mut InflateDecoder,
        payload: &[u8],
        flush: InflateFlush,
        pool: &mut Inflaters,
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<InflateStep, InflateError> {
        pool.out.resize(CHUNK, 0);
        // One byte more than may come tells whether it would.
        let room = usize::try_from(limit.saturating_add(1))
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let out = &mut pool.out[..room];
        let (before_in, before_out) = (state.0.total_in(), state.0.total_out());
        let status = state.0.decompress(payload, out, flush);
        let read = (state.0.total_in() - before_in) as usize;
        let wrote = (state.0.total_out() - before_out) as usize;
        if wrote as u64 > limit {
            return Err(InflateError::Limit);
        }
        if wrote > 0 {
            let plain = &out[..wrote];
            if self.side.takeover {
                self.remember(plain);
            }
            each(plain);
        }
        Ok(InflateStep {
            status: status.map_err(|_| InflateError::Corrupt)?,
            read,
            wrote,
            is_full: wrote == room,
        })
    }

    /// Makes a state forget all but the window.
    fn begin_anew(&self, state: &mut InflateDecoder) -> Result<(), InflateError> {
        state.0.reset(false);
        self.remind(state)
    }

    /// Gives a fresh state this direction's window.
    fn remind(&self, state: &mut InflateDecoder) -> Result<(), InflateError> {
        if self.window.is_empty() {
            return Ok(());
        }
        let (newer, older) = self.window.split_at(self.oldest);
        for part in [older, newer] {
            if !part.is_empty() && state.0.set_dictionary(part).is_err() {
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

/// What one call of a decoder did.
struct InflateStep {
    status: Status,
    read: usize,
    wrote: usize,
    /// There may be more output.
    is_full: bool,
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
    pub fn compress(&mut self, side: DeflateSide, plain: &[u8], out: &mut Vec<u8>) -> bool {
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
