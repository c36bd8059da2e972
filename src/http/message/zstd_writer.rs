//! Zstandard (RFC 8878) that is taken off while it comes: what its sender has flushed can be read at once.

use std::fmt;
use std::io::{self, Write};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

/// What a decoder may ask for as its window, as a power of two: 8 MiB (RFC 9659 section 3).
const WINDOW_LOG: u32 = 23;
/// The fewest bytes that say something of a frame.
const PREFIX: usize = 5;
/// A block's header, which the library asks for with the block before it.
const BLOCK_HEADER: usize = 3;
/// What is written on at once, in bytes.
const PIECE: usize = 16 * 1024;

/// Frames one after another, whose content is written to `out`.
pub(super) struct ZstdWriter<W> {
    context: DCtx<'static>,
    piece: Vec<u8>,
    /// How many bytes it wants next.
    wanted: usize,
    is_inside: bool,
    out: W,
}

impl<W> fmt::Debug for ZstdWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdWriter")
            .field("is_inside", &self.is_inside)
            .finish_non_exhaustive()
    }
}

impl<W: Write> ZstdWriter<W> {
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
            .map_err(broken)?;
        Ok(Self {
            context,
            piece: vec![0; PIECE],
            wanted: PREFIX,
            is_inside: false,
            out,
        })
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Whether a frame has begun and not ended.
    pub(super) const fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// The memory that it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        self.context.sizeof() + self.piece.capacity()
    }

    /// Takes in as much as makes at most one block: where the next one is broken, the library keeps to itself what it has
    /// made of all that it was given.
    fn step(&mut self, data: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(data);
        loop {
            let mut output = OutBuffer::around(&mut self.piece[..]);
            let wanted = self.context.decompress_stream(&mut output, &mut input);
            let made = output.pos();
            self.out.write_all(&self.piece[..made])?;
            let wanted = wanted.map_err(broken)?;
            self.is_inside = wanted > 0;
            self.wanted = if wanted == 0 { PREFIX } else { wanted };
            if input.pos() == data.len() && (made < PIECE || !self.is_inside) {
                return Ok(());
            }
        }
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut rest = data;
        while !rest.is_empty() {
            let step = match self.wanted {
                few @ ..=BLOCK_HEADER => few,
                more => more - BLOCK_HEADER,
            };
            let (now, later) = rest.split_at(step.min(rest.len()));
            self.step(now)?;
            rest = later;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn broken(code: zstd_safe::ErrorCode) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, zstd_safe::get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::capped::Capped;
    use proptest::prelude::*;

    fn packed(plain: &[u8], is_checked: bool) -> Vec<u8> {
        let mut context = zstd_safe::CCtx::create();
        let flag = zstd_safe::CParameter::ChecksumFlag(is_checked);
        context.set_parameter(flag).unwrap();
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
        context.compress2(&mut out, plain).unwrap();
        out
    }

    fn text(size: usize) -> Vec<u8> {
        (0_u32..)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes())
            .take(size)
            .collect()
    }

    fn unpacked(pieces: &[&[u8]]) -> (Vec<u8>, Result<bool, io::ErrorKind>) {
        let out = Capped {
            plain: Vec::new(),
            limit: 2_000_000,
        };
        let mut writer = ZstdWriter::new(out).unwrap();
        let all = pieces.iter().try_for_each(|piece| writer.write_all(piece));
        let ended = all.map(|()| !writer.is_inside()).map_err(|error| error.kind());
        (std::mem::take(&mut writer.get_mut().plain), ended)
    }

    #[test]
    fn what_was_made_before_something_broken_stays() {
        let plain = text(700_000);
        let mut unsound = packed(&plain, true);
        *unsound.last_mut().unwrap() ^= 1;
        let broken = Err(io::ErrorKind::InvalidData);
        let (got, ended) = unpacked(&[&unsound]);
        assert!(got == plain && ended == broken, "{} {ended:?}", got.len());
        let whole = packed(&plain, false);
        let (got, ended) = unpacked(&[&whole, b"no frame at all"]);
        assert!(got == plain && ended == broken, "{} {ended:?}", got.len());
        // Cut in its last block: all blocks before it are there.
        let (got, ended) = unpacked(&[&whole[..whole.len() - 1]]);
        assert!(
            plain.starts_with(&got) && got.len() >= 5 * (128 << 10),
            "{}",
            got.len()
        );
        assert_eq!(ended, Ok(false));
        // A block of a kind that there is not, behind one that is sound.
        let small = packed(b"the first block", false);
        let first = &small[..small.len()];
        let mut two = first.to_vec();
        let at = two.len() - 15 - 3;
        assert_eq!(&two[at + 3..], b"the first block", "it is a raw block");
        two[at] &= !1;
        two.extend([0b111, 0, 0]);
        assert_eq!(unpacked(&[&two]), (b"the first block".to_vec(), broken));
    }

    #[test]
    fn a_window_that_is_too_large_is_refused() {
        // RFC 8878 section 3.1.1.1.2: a window of 1 KiB times 2 to the exponent's power.
        let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3, 0x01, 0, 0];
        assert_eq!(unpacked(&[&frame(13)]), (Vec::new(), Ok(true)), "8 MiB");
        let refused = (Vec::new(), Err(io::ErrorKind::InvalidData));
        assert_eq!(unpacked(&[&frame(14)]), refused);
    }

    proptest! {
        #[test]
        fn frames_are_read_wherever_they_are_cut(
            sizes in prop::collection::vec(0..200_000_usize, 1..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            is_checked: bool,
        ) {
            let plain: Vec<_> = sizes.iter().map(|size| text(*size)).collect();
            let whole = plain.iter().map(|plain| packed(plain, is_checked)).collect::<Vec<_>>().concat();
            let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
            at.extend([0, whole.len()]);
            at.sort_unstable();
            let pieces: Vec<_> = at.windows(2).map(|two| &whole[two[0]..two[1]]).collect();
            let (got, ended) = unpacked(&pieces);
            prop_assert!(got == plain.concat() && ended == Ok(true));
        }
    }
}
