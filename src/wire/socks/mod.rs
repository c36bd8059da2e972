//! SOCKS 5 (RFC 1928), its passwords (RFC 1929), and SOCKS 4 and 4a (Ying-Da Lee, "SOCKS: A protocol for TCP proxy across
//! firewalls", and the extension by names).

mod beginning;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod v4;
mod v5;

pub use beginning::{Beginning, beginning};
pub use reply::Reply;
pub use request::{Request, SocksCommand};
pub use v4::{LIMIT as V4_LIMIT, Request4};
pub use v5::{Greeting, LIMIT, Login, NO_METHOD, NO_PASSWORD, PASSWORD, UNKNOWN_KIND, login, request};
