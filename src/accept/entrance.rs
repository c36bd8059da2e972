//! The kinds of ways in, and the sockets that they begin with.

use crate::error::words;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

words! {
    /// What clients begin with at a listener.
    pub enum Entrance {
        /// HTTP/1.1: an `http://` proxy.
        Http = "http",
        /// TLS, and HTTP/1.1 or HTTP/2 inside: an `https://` proxy.
        Https = "https",
        /// SOCKS 5, 4 or 4a.
        Socks = "socks",
        /// Connections that the kernel has redirected, whatever is in them.
        Redirect = "redirect",
        /// Connections that the kernel has brought as they were, whatever is in them.
        Tproxy = "tproxy",
        /// TLS for one's own origins, whose clients know of no proxy.
        Reverse = "reverse",
    }
}

/// A way in by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// What policy and logs call it.
    pub name: Arc<str>,
    /// What clients begin with there.
    pub entrance: Entrance,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// The sockets that a service manager hands over under this name are its own too.
    pub socket: Option<String>,
    /// Other processes may listen at the same addresses, and share the connections (SO_REUSEPORT).
    pub reuse_port: bool,
}

/// Connections that the kernel accepts ahead of the program.
const BACKLOG: i32 = 1024;

impl Entrance {
    /// Whether clients have meant to go elsewhere, and the kernel has brought them.
    pub const fn is_caught(self) -> bool {
        matches!(self, Self::Redirect | Self::Tproxy)
    }

    /// Whether clients speak HTTP with the proxy itself.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

impl ListenerConfig {
    /// Listens at one of its addresses.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // A restart need not wait until the connections of the last run are forgotten.
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if self.entrance == Entrance::Tproxy {
            transparent(&socket)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }

    /// Takes over a socket that listens already.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn adopt(&self, socket: std::net::TcpListener) -> io::Result<TcpListener> {
        socket.set_nonblocking(true)?;
        if self.entrance == Entrance::Tproxy {
            transparent(&socket2::SockRef::from(&socket))?;
        }
        TcpListener::from_std(socket)
    }
}

/// Lets a socket take what is meant for other machines; one of IPv6, too.
fn transparent(socket: &Socket) -> io::Result<()> {
    socket.set_ip_transparent_v4(true).map_err(|error| {
        io::Error::other(format!(
            "a listener of kind \"tproxy\" needs CAP_NET_ADMIN or CAP_NET_RAW: {error}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(reuse_port: bool) -> ListenerConfig {
        ListenerConfig {
            name: "lan".into(),
            entrance: Entrance::Http,
            addresses: Vec::new(),
            socket: None,
            reuse_port,
        }
    }

    #[tokio::test]
    async fn an_address_is_shared_only_where_that_is_asked_for() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        for (shares, wanted) in [(true, true), (false, false)] {
            let first = at(shares).listen(any).unwrap();
            let address = first.local_addr().unwrap();
            assert_eq!(at(shares).listen(address).is_ok(), wanted);
            let client = tokio::net::TcpStream::connect(address);
            let (client, accepted) = tokio::join!(client, async {
                match shares {
                    // Either of them may get it.
                    true => Ok(()),
                    false => first.accept().await.map(|_| ()),
                }
            });
            assert!(client.is_ok() && accepted.is_ok());
        }
    }

    #[tokio::test]
    async fn a_socket_that_listens_already_is_taken_over() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        let adopted = at(false).adopt(listening).unwrap();
        let (client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), adopted.accept());
        assert!(client.is_ok() && accepted.is_ok());
    }
}
