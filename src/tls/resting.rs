//! A TLS connection that nobody uses for now, and that no event loop watches.

use super::buffer::{READ, with_scratch};
use super::outgoing::Outgoing;
use super::records::Records;
use super::stream::{TlsParts, TlsStream};
use crate::accept::Socket;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::io;
use tokio::net::TcpStream;

/// A server that says more of TLS's own than so many reads while nobody asks it anything is left.
const READS: usize = 4;

/// A TLS connection between two uses.
#[derive(Debug)]
pub struct RestingTls {
    socket: std::net::TcpStream,
    records: Box<Records>,
    /// Answers of TLS's own, which go out with what is said next.
    out: Outgoing,
}

impl RestingTls {
    /// Takes it out of this thread's event loop, so that another may use it. `None` if it ends here: something is
    /// under way on it, or it has been closed.
    pub fn new(mut stream: TlsStream) -> Option<Self> {
        if !stream.is_idle() {
            stream.farewell();
            return None;
        }
        let TlsParts {
            socket, records, out, ..
        } = stream.into_parts();
        let Socket::Tcp(socket) = socket else { return None };
        Some(Self {
            socket: socket.into_std().ok()?,
            records,
            out,
        })
    }

    /// Whether the peer neither closed it nor said anything unasked. What TLS says by itself (tickets, new keys) is
    /// taken in.
    pub fn is_quiet(&mut self) -> bool {
        (0..READS).find_map(|_| self.listen()).unwrap_or(false)
    }

    /// Reads once; `None` while there may be more.
    fn listen(&mut self) -> Option<bool> {
        with_scratch(|scratch| {
            let n = match recv(&self.socket, &mut scratch[..READ], RecvFlags::DONTWAIT) {
                Ok((n, _)) if n > 0 => n,
                Err(Errno::AGAIN) => return Some(true),
                Ok(_) | Err(_) => return Some(false),
            };
            let mut said = 0;
            let opened = self
                .records
                .open(&mut scratch[..n], &mut self.out, &mut |plain| said += plain.len());
            // Part of a record may become an answer that nobody has asked for.
            let fine = said == 0 && opened.is_ok_and(|used| used == n) && !self.records.is_closed();
            (!fine).then_some(false)
        })
    }

    /// Puts it into this thread's event loop.
    ///
    /// # Errors
    /// The event loop does not take it.
    pub fn wake(self) -> io::Result<TlsStream> {
        let socket = TcpStream::from_std(self.socket)?;
        Ok(TlsStream::new(socket.into(), *self.records, Vec::new(), self.out))
    }

    /// Ends it with a close_notify, if the socket takes that at once.
    pub fn farewell(mut self) {
        self.records.close_notify(&mut self.out);
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = send(&self.socket, self.out.from(0), flags);
    }
}

#[cfg(test)]
mod tests;
