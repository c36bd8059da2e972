//! Ranges of clients' addresses.

use ipnet::IpNet;
use std::net::IpAddr;

/// Addresses from one to another, both of them included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    first: IpAddr,
    last: IpAddr,
}

impl Addresses {
    /// `None` if they are of two families, or the last is before the first.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// The lowest.
    pub(super) fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest.
    pub(super) fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether an address is one of them; an IPv4 address inside an IPv6 one is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }

    /// Whether all of `other` are among them.
    pub fn covers(&self, other: &Self) -> bool {
        self.contains(other.first) && self.contains(other.last)
    }
}

impl From<IpNet> for Addresses {
    fn from(net: IpNet) -> Self {
        Self {
            first: net.network(),
            last: net.broadcast(),
        }
    }
}
