//! What a load balancer says of its client, before the client has its say.

use crate::wire::Parse;
use crate::wire::proxy_protocol::{LIMIT, ProxyHeader, parse};
use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Who speaks the PROXY protocol. Whoever is named here has to, and nobody else is listened to: a header that may be there or
/// not is one that anybody can write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// From where.
    pub from: Vec<IpNet>,
    /// How long a header may take.
    pub deadline: Duration,
}

/// Why there is no header where one has to be.
#[derive(Debug)]
pub enum NoHeader {
    /// The connection was closed before anything came, as by those who only look whether somebody listens.
    Closed,
    /// It did not come in time.
    Late(Duration),
    /// Something else came.
    NotThis,
    /// It is broken; the text says how.
    Invalid(&'static str),
    /// The connection broke.
    Io(io::Error),
}

impl fmt::Display for NoHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the PROXY protocol's header is cut short"),
            Self::Late(deadline) => write!(f, "no header of the PROXY protocol within {deadline:?}"),
            Self::NotThis => f.write_str(
                "this peer has to speak the PROXY protocol, and does not: see listener.proxy_protocol",
            ),
            Self::Invalid(why) => write!(f, "the PROXY protocol's header is broken: {why}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl ProxyProtocol {
    /// Whether a connection from this address begins with a header.
    pub fn is_spoken_by(&self, peer: IpAddr) -> bool {
        among(&self.from, peer)
    }

    /// Reads the header, and what came behind it in the same piece.
    ///
    /// # Errors
    /// See [`NoHeader`].
    pub async fn read(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<(ProxyHeader, Bytes), NoHeader> {
        match tokio::time::timeout(self.deadline, header(stream)).await {
            Ok(read) => read,
            Err(_) => Err(NoHeader::Late(self.deadline)),
        }
    }
}

/// Whether an address is in one of these networks. A socket of both families shows IPv4 inside of IPv6.
pub(super) fn among(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

async fn header(stream: &mut (impl AsyncRead + Unpin)) -> Result<(ProxyHeader, Bytes), NoHeader> {
    // Most headers have less than this.
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(NoHeader::Closed),
            Ok(_) => {}
            Err(error) => return Err(NoHeader::Io(error)),
        }
        match parse(&bytes) {
            Parse::Complete((header, length)) => {
                let rest = bytes.split_off(length).freeze();
                return Ok((header, rest));
            }
            Parse::NeedMore if bytes.len() < LIMIT => {}
            Parse::NeedMore => return Err(NoHeader::Invalid("it has no end")),
            Parse::Invalid(why) => return Err(NoHeader::Invalid(why)),
            Parse::NotThis => return Err(NoHeader::NotThis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn protocol() -> ProxyProtocol {
        ProxyProtocol {
            from: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            deadline: Duration::from_millis(200),
        }
    }

    #[test]
    fn who_speaks_it_is_told_by_the_address() {
        for (peer, speaks) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("2001:db8::1", true),
            ("192.0.3.1", false),
            ("::1", false),
        ] {
            assert_eq!(protocol().is_spoken_by(peer.parse().unwrap()), speaks, "{peer}");
        }
    }

    #[tokio::test]
    async fn a_header_comes_byte_by_byte_and_with_what_follows() {
        let (mut near, mut far) = tokio::io::duplex(4096);
        let all = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nGET /";
        let write = async {
            for byte in &all[..all.len() - 5] {
                far.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let protocol = protocol();
        let (read, ()) = tokio::join!(protocol.read(&mut near), write);
        let (header, rest) = read.unwrap();
        assert_eq!(header.endpoints.unwrap().source.to_string(), "192.0.2.7:40000");
        assert_eq!(rest, b""[..]);
        far.write_all(all).await.unwrap();
        let (_, rest) = protocol.read(&mut near).await.unwrap();
        assert_eq!(rest, b"GET /"[..]);
    }

    #[tokio::test]
    async fn what_is_no_header_is_told_apart() {
        for (sent, closes, what) in [
            (&b"GET / HTTP/1.1\r\n"[..], false, "has to speak"),
            (b"PROXY TCP4 x\r\n", false, "broken"),
            (b"PROXY TCP4", true, "cut short"),
            (b"", true, "cut short"),
            (b"PROXY", false, "within"),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", false, "within"),
        ] {
            let (mut near, mut far) = tokio::io::duplex(4096);
            far.write_all(sent).await.unwrap();
            let held = (!closes).then_some(far);
            let error = protocol().read(&mut near).await.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            drop(held);
        }
    }
}
