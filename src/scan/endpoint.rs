//! Where a scanner listens, and a connection to it.

use crate::dial::ServiceNames;
use crate::tls::{RestingTls, TlsStream};
use crate::wire::names::Authority;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Where a scanner listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port. A name is resolved at every connect, and its addresses are raced.
    Tcp(Authority),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads `host:port`, `tcp://host:port`, `unix:/path` or `/path`. Without a port it is `default_port`. The error
    /// says what to write.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let path = text
            .strip_prefix("unix://")
            .or_else(|| text.strip_prefix("unix:"))
            .or_else(|| text.starts_with('/').then_some(text));
        if let Some(path) = path {
            // The kernel's limit for a socket's path, with the zero byte at its end.
            return if path.starts_with('/') && path.len() < 108 && !path.contains('\0') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!(
                    "{path:?} is not the full path of a socket (at most 107 bytes)"
                ))
            };
        }
        let authority = text.strip_prefix("tcp://").unwrap_or(text);
        Authority::parse(authority, Some(default_port))
            .map(Self::Tcp)
            .ok_or_else(|| format!("{text:?} is not host:port, and not unix:/path"))
    }

    pub(super) async fn connect(&self, names: &ServiceNames) -> io::Result<ScannerStream> {
        match self {
            Self::Tcp(authority) => {
                let stream = names.connect(authority).await?;
                // A request is a few writes, and the last of them must not wait for the first's acknowledgement.
                stream.set_nodelay(true)?;
                Ok(ScannerStream::Tcp(stream))
            }
            Self::Unix(path) => UnixStream::connect(path).await.map(ScannerStream::Unix),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => authority.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection to a scanner, by whatever its endpoint is.
#[derive(Debug)]
pub(super) enum ScannerStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl ScannerStream {
    /// Takes it out of this thread's event loop, so that another may use it; `None` if it cannot be used again.
    pub(super) fn rest(self) -> Option<Resting> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Resting::Tcp).ok(),
            Self::Unix(stream) => stream.into_std().map(Resting::Unix).ok(),
            Self::Tls(stream) => RestingTls::new(*stream).map(Box::new).map(Resting::Tls),
        }
    }

    /// Closes it, in the words of its protocol if it has any.
    pub(super) fn close(self) {
        if let Self::Tls(mut stream) = self {
            stream.farewell();
        }
    }
}

/// A connection that no event loop watches.
#[derive(Debug)]
pub(super) enum Resting {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    Tls(Box<RestingTls>),
}

impl Resting {
    /// Whether the other side neither closed it nor said anything unasked.
    pub(super) fn is_quiet(&mut self) -> bool {
        match self {
            Self::Tcp(stream) => is_quiet(stream),
            Self::Unix(stream) => is_quiet(stream),
            Self::Tls(stream) => stream.is_quiet(),
        }
    }

    pub(super) fn wake(self) -> io::Result<ScannerStream> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(ScannerStream::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(ScannerStream::Unix),
            Self::Tls(stream) => stream.wake().map(Box::new).map(ScannerStream::Tls),
        }
    }

    /// Closes it, in the words of its protocol if it has any.
    pub(super) fn close(self) {
        if let Self::Tls(stream) = self {
            stream.farewell();
        }
    }
}

fn is_quiet(socket: &impl AsFd) -> bool {
    use rustix::net::{RecvFlags, recv};
    let mut byte = [0_u8; 1];
    let peeked = recv(socket, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(peeked, Err(rustix::io::Errno::AGAIN))
}

impl AsyncRead for ScannerStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ScannerStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_endpoint() {
        for (text, wanted) in [
            ("127.0.0.1:3310", "127.0.0.1:3310"),
            ("tcp://clamd.internal:3311", "clamd.internal:3311"),
            ("localhost", "localhost:3310"),
            ("[::1]:9", "[::1]:9"),
            ("/run/clamd.ctl", "unix:/run/clamd.ctl"),
            ("unix:/run/clamd.ctl", "unix:/run/clamd.ctl"),
            ("unix:///run/clamd.ctl", "unix:/run/clamd.ctl"),
        ] {
            assert_eq!(Endpoint::parse(text, 3310).unwrap().to_string(), wanted, "{text}");
        }
        for text in [
            "",
            "host:0",
            "host:70000",
            "unix:clamd.ctl",
            "a b:3310",
            "udp://host:1",
        ] {
            let error = Endpoint::parse(text, 3310).unwrap_err();
            assert!(error.contains(" not "), "{text}: {error}");
        }
        assert!(Endpoint::parse(&format!("/{}", "x".repeat(107)), 1).is_err());
    }
}
