//! Connections that were meant for somebody else, and that the kernel has brought here: by REDIRECT, which writes the address
//! anew and remembers the old one, or by TPROXY, which leaves it alone.

use super::entrance::Entrance;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Why nobody knows where a connection was meant to go.
#[derive(Debug)]
pub enum NotCaught {
    /// The kernel has no record of it: it was not redirected, or in another network namespace, or is exempt from being tracked.
    NoRecord(io::Error),
    /// It was meant for the listener itself.
    Direct(SocketAddr),
}

impl fmt::Display for NotCaught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord(error) => write!(
                f,
                "the kernel does not know where this connection was meant to go ({error}): it was not redirected here, or not in this network namespace"
            ),
            Self::Direct(address) => write!(
                f,
                "this connection was meant for {address}, which is this proxy itself: this port is for connections that the kernel catches"
            ),
        }
    }
}

/// Where a connection was meant to go that came in by this entrance. It is never guessed by what the client says.
///
/// # Errors
/// See [`NotCaught`].
pub fn original_destination(
    stream: &impl AsFd,
    entrance: Entrance,
    local: SocketAddr,
) -> Result<SocketAddr, NotCaught> {
    if entrance == Entrance::Tproxy {
        // What the kernel remembers of a connection may be turned round, or missing; the socket's own end is what was dialled.
        return Ok(canonical(local));
    }
    let remembered = match local.ip().to_canonical() {
        // IPv4 on a socket of both families, too.
        IpAddr::V4(_) => rustix::net::sockopt::ip_original_dst(stream).map(SocketAddr::V4),
        IpAddr::V6(_) => rustix::net::sockopt::ipv6_original_dst(stream).map(SocketAddr::V6),
    };
    let to = canonical(remembered.map_err(|error| NotCaught::NoRecord(error.into()))?);
    match to == canonical(local) {
        true => Err(NotCaught::Direct(to)),
        false => Ok(to),
    }
}

/// An address of IPv4 as such, and without what only means something on one machine.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether an address is one of this machine's: then the kernel takes it for its own end as well. Nothing is sent.
pub fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let any: SocketAddr = match ip {
        IpAddr::V4(_) => ([0; 4], 0).into(),
        IpAddr::V6(_) => ([0; 16], 0).into(),
    };
    let own_end = || {
        let socket = UdpSocket::bind(any)?;
        socket.connect(SocketAddr::new(ip, 9))?;
        socket.local_addr()
    };
    own_end().is_ok_and(|own: SocketAddr| own.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_that_nobody_has_caught_goes_nowhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let local = stream.local_addr().unwrap();
        // Where connections are tracked, the kernel remembers that it was meant for the listener.
        let error = original_destination(&stream, Entrance::Redirect, local).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("does not know") || text.contains("this proxy itself"),
            "{text}"
        );
        let to = original_destination(&stream, Entrance::Tproxy, local).unwrap();
        assert_eq!(to, local);
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        for (ip, local) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::ffff:127.0.0.1", true),
            ("::1", true),
            ("0.0.0.0", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_local(ip.parse().unwrap()), local, "{ip}");
        }
    }
}
