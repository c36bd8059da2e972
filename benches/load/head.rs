//! The heads of HTTP/1.1 messages, read by hand.

use std::io;
use tokio::io::AsyncBufReadExt;

/// Socket reads are this large: rustls alone would ask for 4 KiB at a time.
pub(crate) const SOCKET_BUFFER: usize = 64 * 1024;
/// A request or response head longer than this is refused.
const HEAD: usize = 16 * 1024;

/// Reads one HTTP head, and not a byte more. `None` when the peer closed between two messages.
pub(crate) async fn read_head<R: AsyncBufReadExt + Unpin>(io: &mut R) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    loop {
        let chunk = io.fill_buf().await?;
        if chunk.is_empty() {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let (before, taken) = (head.len(), chunk.len());
        head.extend_from_slice(chunk);
        let from = before.saturating_sub(3);
        if let Some(at) = head
            .get(from..)
            .and_then(|tail| tail.windows(4).position(|w| w == b"\r\n\r\n"))
        {
            let end = from + at + 4;
            head.truncate(end);
            io.consume(end - before);
            return String::from_utf8(head)
                .map(Some)
                .map_err(|_| io::ErrorKind::InvalidData.into());
        }
        io.consume(taken);
        if head.len() > HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "head too long"));
        }
    }
}

/// A header's value in a head, by its lower-case name.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The status code of a response head.
pub(crate) fn status(head: &str) -> Option<&str> {
    head.split_whitespace().nth(1)
}

/// The first line of a head, for messages.
pub(crate) fn first_line(head: &str) -> &str {
    head.lines().next().unwrap_or_default()
}
