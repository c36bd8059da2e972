//! The PROXY protocol (haproxy.org, "The PROXY protocol, versions 1 and 2", March 2020): what a load balancer says of the
//! client before the first byte of it.

mod crc32c;
mod header;
mod read;
#[cfg(test)]
mod tests;
mod tlv;
mod v1;
mod v2;
pub mod write;

pub use header::{Endpoints, ProxyHeader};
pub use read::{LIMIT, parse};
pub use tlv::{Told, ToldTls};
