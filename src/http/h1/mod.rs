//! HTTP/1.1 on a pair of legs: one origin connection for one client connection, which keeps identity, limits and closing
//! simple. An upgrade hands both legs back, with every byte that was read ahead.

mod client;
mod clock;
mod conn;
mod content;
mod door;
mod exchange;
mod outbound;
mod target;
mod transfer;
mod tunnel;

pub use door::{Door, DoorStep, Origins, Reached, Unasked};
pub(super) use outbound::{NoHead, Outbound, OwnContent};
pub use tunnel::{refuse, serve};
