//! Tells the versions apart.

use super::v4::{self, Request4};
use super::v5::{self, Greeting};
use crate::wire::Parse;

/// What a client begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// SOCKS 5: how it can say who it is.
    V5(Greeting),
    /// SOCKS 4: all that it has to say.
    V4(Request4),
}

/// Reads the beginning; also says how long it is.
pub fn beginning(bytes: &[u8]) -> Parse<(Beginning, usize)> {
    match bytes.first() {
        None => Parse::NeedMore,
        Some(5) => v5::greeting(bytes).map(|(greeting, length)| (Beginning::V5(greeting), length)),
        Some(4) => v4::request(bytes).map(|(request, length)| (Beginning::V4(request), length)),
        Some(_) => Parse::NotThis,
    }
}
