//! Where decoders write to: memory, up to a limit.

use std::io::{self, Write};

/// What has been written; one byte more than `limit` is [`io::ErrorKind::StorageFull`].
#[derive(Debug, Default)]
pub(super) struct Capped {
    pub(super) plain: Vec<u8>,
    pub(super) limit: usize,
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let room = self.limit.saturating_sub(self.plain.len());
        self.plain.extend_from_slice(&data[..room.min(data.len())]);
        match data.len() > room {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(data.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
