//! DEFLATE that refers to nothing before it, written as its content comes.

use flate2::{Compress, Compression, FlushCompress, Status};

/// A sync flush. What every compressed message ends with on the wire's inside: the sender leaves it out (RFC 7692 section
/// 7.2.1).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Room for output that is asked for at once. More than a flush marker takes, or zlib would write it again.
const ROOM: usize = 4096;

const LEVEL: Compression = Compression::new(4);

/// Encodes one piece of a stream whose other pieces somebody else has written. It ends on a whole byte with an empty
/// stored block (a sync flush), and any DEFLATE block may follow.
#[derive(Debug)]
pub struct Alone {
    state: Compress,
    out: Vec<u8>,
    failed: bool,
}

impl Alone {
    /// Begins behind what is in `out`. A receiver needs a window of 2 to `window_bits` bytes, 9 to 15.
    pub fn new(window_bits: u8, out: Vec<u8>) -> Self {
        let bits = window_bits.clamp(9, 15);
        Self {
            state: Compress::new_with_window_bits(LEVEL, false, bits),
            out,
            failed: false,
        }
    }

    /// A zlib stream (RFC 1950) with this content. `None` as for [`Alone::end`].
    pub fn zlib(plain: &[u8]) -> Option<Vec<u8>> {
        let mut whole = Self {
            state: Compress::new(LEVEL, true),
            out: Vec::new(),
            failed: false,
        };
        whole.run(plain, FlushCompress::Finish);
        (!whole.failed).then_some(whole.out)
    }

    /// Takes in more of the content.
    pub fn feed(&mut self, plain: &[u8]) {
        self.run(plain, FlushCompress::None);
    }

    /// Ends the piece. `None` if it could not be encoded, which would be an error of the encoder's own.
    pub fn end(mut self) -> Option<Vec<u8>> {
        self.run(&[], FlushCompress::Sync);
        (!self.failed && self.out.ends_with(&TAIL)).then_some(self.out)
    }

    fn run(&mut self, mut plain: &[u8], flush: FlushCompress) {
        loop {
            self.out.reserve(ROOM);
            let before = self.state.total_in();
            let status = self.state.compress_vec(plain, &mut self.out, flush);
            match status {
                Ok(Status::StreamEnd) => return,
                Ok(_) => {}
                Err(_) => {
                    self.failed = true;
                    return;
                }
            }
            let read = usize::try_from(self.state.total_in() - before).unwrap_or(usize::MAX);
            plain = plain.get(read..).unwrap_or_default();
            // What has room left has nothing more to say.
            if plain.is_empty()
                && self.out.len() < self.out.capacity()
                && !matches!(flush, FlushCompress::Finish)
            {
                return;
            }
        }
    }
}
