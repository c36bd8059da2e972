//! What a connection's bytes go through: a socket, or a stream inside another connection.

use super::Prefixed;
use bytes::Bytes;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that come and go inside another connection: a stream of HTTP/2, or what is inside TLS.
pub trait Inner: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Inner for T {}

/// One end of a connection. Nearly always a TCP socket, which is therefore reached without indirection.
#[derive(Debug)]
pub enum Socket {
    /// A socket of the kernel's.
    Tcp(TcpStream),
    /// A stream inside another connection.
    Inner(Box<dyn Inner>),
}

impl Socket {
    /// A stream inside another connection.
    pub fn inner(stream: impl Inner + 'static) -> Self {
        Self::Inner(Box::new(stream))
    }

    /// This end's address; `None` inside another connection.
    pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Inner(_) => None,
        }
    }

    /// Writes what can be written without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when that is nothing, and those of the stream.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Inner(stream) => {
                let mut cx = Context::from_waker(Waker::noop());
                match Pin::new(stream).poll_write(&mut cx, bytes) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl From<TcpStream> for Prefixed<Socket> {
    fn from(socket: TcpStream) -> Self {
        Self::new(Bytes::new(), socket)
    }
}

impl From<Socket> for Prefixed<Socket> {
    fn from(socket: Socket) -> Self {
        Self::new(Bytes::new(), socket)
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Inner(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Inner(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Inner(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.is_write_vectored(),
            Self::Inner(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Inner(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Inner(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_stream_inside_another_connection_is_a_socket_too() {
        let (near, far) = tokio::io::duplex(4);
        let (mut near, mut far) = (Socket::inner(near), Socket::inner(far));
        assert_eq!(near.try_write(b"123456").unwrap(), 4, "what fits");
        assert_eq!(
            near.try_write(b"56").unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        let mut read = [0; 4];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"1234");
        near.shutdown().await.unwrap();
        assert_eq!(far.read(&mut read).await.unwrap(), 0);
    }
}
