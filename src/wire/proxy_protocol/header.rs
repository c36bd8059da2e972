//! What both versions say.

use super::tlv::Told;
use std::net::SocketAddr;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyHeader {
    /// The client, and what it connected to; `None` where the sender speaks for itself, or of nothing with an address of
    /// the internet's.
    pub endpoints: Option<Endpoints>,
    /// What else is told of the client.
    pub told: Told,
}

/// Both ends of the connection that the sender has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// What it connected to.
    pub destination: SocketAddr,
}

/// Whether `bytes` begin with `word`, as far as both go; `None` while that cannot be told.
pub(super) fn begins(bytes: &[u8], word: &[u8]) -> Option<bool> {
    let seen = bytes.len().min(word.len());
    match bytes[..seen] == word[..seen] {
        false => Some(false),
        true if seen == word.len() => Some(true),
        true => None,
    }
}
