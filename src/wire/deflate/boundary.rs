//! Whether a message ended where a block may begin.
//!
//! One that ends inside a block, stored bytes for instance, makes its receiver read the next message as the rest of that
//! block. A state that is kept for the next message would do the same, one that is primed with the window would not, and
//! which of the two comes to pass depends on what else its thread does. So such a message is refused as broken.

use super::pool::{InflateDecoder, Inflaters};
use super::{InflateError, Inflater, TAIL};
use zlib_rs::{InflateFlush, Status};

/// The tail, and one byte that only a block that is not over would take.
const TAIL_AND_MORE: [u8; TAIL.len() + 1] = [0x00, 0x00, 0xff, 0xff, 0x00];
/// A stored block of no bytes, which is not the last one.
const EMPTY: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];

impl Inflater {
    /// Decodes what the sender left out of its message's end. The state is then between two blocks and on a whole byte,
    /// with the window in it.
    pub(super) fn run_tail(
        &mut self,
        pool: &mut Inflaters,
        limit: u64,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<u64, InflateError> {
        let mut state = self.state(pool)?;
        let (mut at, mut produced) = (0, 0);
        loop {
            let rest = TAIL_AND_MORE.get(at..).unwrap_or_default();
            // Stops between blocks, before it takes another byte.
            let step = self.step(
                &mut state,
                rest,
                InflateFlush::Block,
                pool,
                limit - produced,
                each,
            )?;
            at += step.read;
            produced += step.wrote as u64;
            match step.status {
                Status::StreamEnd => self.begin_anew(&mut state)?,
                _ if at > TAIL.len() => return Err(InflateError::Corrupt),
                _ if at < TAIL.len() && step.read == 0 && step.wrote == 0 => {
                    return Err(InflateError::Corrupt);
                }
                _ => {}
            }
            if at == TAIL.len() {
                break;
            }
        }
        match end(&mut state) {
            Boundary::Block => {}
            Boundary::Stream => self.begin_anew(&mut state)?,
            Boundary::None => return Err(InflateError::Corrupt),
        }
        self.state = Some(state);
        Ok(produced)
    }
}

/// Where a state stands that has stopped between two blocks.
enum Boundary {
    /// On a whole byte.
    Block,
    /// Behind a last block: the next one begins on a byte again.
    Stream,
    /// Inside a block, or inside a byte.
    None,
}

/// Finds out. Bits that are left of the tail's last byte are ones: they would make an empty block behind them the last
/// one, or no block at all.
fn end(state: &mut InflateDecoder) -> Boundary {
    let (before_in, before_out) = (state.0.total_in(), state.0.total_out());
    let status = state.0.decompress(&EMPTY, &mut [0; 8], InflateFlush::SyncFlush);
    let read = state.0.total_in() - before_in;
    let is_silent = state.0.total_out() == before_out;
    match status {
        Ok(Status::Ok) if read == EMPTY.len() as u64 && is_silent => Boundary::Block,
        Ok(Status::StreamEnd) if read == 0 => Boundary::Stream,
        _ => Boundary::None,
    }
}
