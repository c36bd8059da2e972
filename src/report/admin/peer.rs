//! Who asks for the operator's pages.

use std::net::IpAddr;

/// Who has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminPeer {
    /// Somebody at this address: a page in a browser there, or a program.
    Address(IpAddr),
    /// A user of this machine, by a socket in the file system.
    User(u32),
    /// Somebody by such a socket of whom the system does not say more.
    Unknown,
}
