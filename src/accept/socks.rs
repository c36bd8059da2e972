//! A client that speaks SOCKS, message by message. What is read ahead of a message stays for the next one: clients may send
//! all that they have to say in one piece.

use crate::wire::Parse;
use crate::wire::socks::{self, Beginning, LIMIT, Login, Request, V4_LIMIT};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The client's end of a connection.
#[derive(Debug)]
pub struct SocksClient<S> {
    stream: S,
    bytes: BytesMut,
}

/// Why a client is not served.
#[derive(Debug)]
pub enum SocksError {
    /// It went away.
    Closed,
    /// It speaks something else.
    NotThis,
    /// What it says is broken; the text says how.
    Invalid(&'static str),
    /// The connection broke.
    Io(io::Error),
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client went away before it had said what it wants"),
            Self::NotThis => {
                f.write_str("this port speaks SOCKS, and the client does not: use a socks5h:// proxy URL")
            }
            Self::Invalid(why) => f.write_str(why),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SocksClient<S> {
    /// A client that has just come.
    pub fn new(stream: S) -> Self {
        let bytes = BytesMut::with_capacity(LIMIT);
        Self { stream, bytes }
    }

    /// What it begins with.
    ///
    /// # Errors
    /// See [`SocksError`]; the same of all that follow.
    pub async fn beginning(&mut self) -> Result<Beginning, SocksError> {
        self.next(socks::beginning, V4_LIMIT).await
    }

    /// A name and a password, after [`socks::PASSWORD`] was chosen.
    pub async fn login(&mut self) -> Result<Login, SocksError> {
        self.next(socks::login, LIMIT).await
    }

    /// What it wants.
    pub async fn request(&mut self) -> Result<Request, SocksError> {
        self.next(socks::request, LIMIT).await
    }

    /// Says something.
    pub async fn say(&mut self, bytes: &[u8]) -> Result<(), SocksError> {
        self.stream.write_all(bytes).await.map_err(SocksError::Io)
    }

    /// What was read beyond its last message, and the stream.
    pub fn into_parts(self) -> (Bytes, S) {
        (self.bytes.freeze(), self.stream)
    }

    async fn next<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Parse<(T, usize)>,
        limit: usize,
    ) -> Result<T, SocksError> {
        loop {
            match parse(&self.bytes) {
                Parse::Complete((message, length)) => {
                    let _ = self.bytes.split_to(length);
                    return Ok(message);
                }
                Parse::NeedMore if self.bytes.len() <= limit => {}
                Parse::NeedMore => return Err(SocksError::Invalid("a message does not end")),
                Parse::Invalid(why) => return Err(SocksError::Invalid(why)),
                Parse::NotThis => return Err(SocksError::NotThis),
            }
            match self.stream.read_buf(&mut self.bytes).await {
                Ok(0) => return Err(SocksError::Closed),
                Ok(_) => {}
                Err(error) => return Err(SocksError::Io(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::socks::{NO_PASSWORD, PASSWORD};

    #[tokio::test]
    async fn all_of_it_in_one_piece_and_byte_by_byte() {
        let all = b"\x05\x02\x00\x02\x01\x03ada\x06secret\x05\x01\x00\x03\x09a.example\x01\xbbhello";
        for pieces in [all.len(), 1] {
            let (near, mut far) = tokio::io::duplex(4096);
            let mut client = SocksClient::new(near);
            let talk = async {
                let Beginning::V5(greeting) = client.beginning().await.unwrap() else {
                    panic!("another version")
                };
                assert!(greeting.offers(NO_PASSWORD) && greeting.offers(PASSWORD));
                client.say(&[5, PASSWORD]).await.unwrap();
                let login = client.login().await.unwrap();
                assert_eq!((&*login.name, &*login.password), (&b"ada"[..], &b"secret"[..]));
                let request = client.request().await.unwrap();
                assert_eq!(request.to.unwrap().to_string(), "a.example:443");
            };
            let write = async {
                for piece in all.chunks(pieces) {
                    far.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            tokio::join!(talk, write);
            let (early, mut near) = client.into_parts();
            let mut rest = early.to_vec();
            drop(far);
            near.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"hello");
        }
    }

    #[tokio::test]
    async fn who_says_nothing_of_the_kind_is_told_apart() {
        for (sent, what) in [
            (&b"GET / HTTP/1.1\r\n"[..], "speaks SOCKS"),
            (b"\x05\x00", "no way"),
            (b"\x05\x02\x00", "went away"),
            (b"", "went away"),
        ] {
            let (near, mut far) = tokio::io::duplex(4096);
            far.write_all(sent).await.unwrap();
            drop(far);
            let error = SocksClient::new(near).beginning().await.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
