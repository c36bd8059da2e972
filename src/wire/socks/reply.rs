//! How requests are answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The answer to a request: the codes of RFC 1928 section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It is granted: what follows is the destination's.
    Granted = 0,
    /// The proxy cannot do it.
    Failure = 1,
    /// It is not allowed.
    NotAllowed = 2,
    /// There is no way to the network.
    NetworkUnreachable = 3,
    /// The host cannot be found or does not answer.
    HostUnreachable = 4,
    /// The host does not accept it.
    Refused = 5,
    /// There is only CONNECT.
    CommandNotSupported = 7,
    /// There are only names, IPv4 and IPv6.
    AddressNotSupported = 8,
}

impl Reply {
    /// As SOCKS 5 says it; `bound` is the proxy's end of the connection that was made. Clients read as many bytes as the
    /// kind of the address says, whatever the code is.
    pub fn v5(self, bound: Option<SocketAddr>) -> Vec<u8> {
        let bound = bound.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let mut bytes = vec![5, self as u8, 0];
        match bound.ip().to_canonical() {
            IpAddr::V4(ip) => {
                bytes.push(1);
                bytes.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                bytes.push(4);
                bytes.extend(ip.octets());
            }
        }
        bytes.extend(bound.port().to_be_bytes());
        bytes
    }

    /// As SOCKS 4 says it, which knows yes and no, and ignores the rest where something was connected to.
    pub fn v4(self) -> [u8; 8] {
        let code = if self == Self::Granted { 90 } else { 91 };
        [0, code, 0, 0, 0, 0, 0, 0]
    }
}
