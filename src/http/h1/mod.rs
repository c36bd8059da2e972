//! HTTP/1.1 on a pair of legs: one origin connection for one client connection, which keeps identity, limits and closing
//! simple. An upgrade hands both legs back, with every byte that was read ahead.

pub(in crate::http) mod adapted;
pub(in crate::http) mod after;
pub(in crate::http) mod client;
mod clock;
pub(in crate::http) mod conn;
pub(in crate::http) mod content;
pub(in crate::http) mod door;
pub(in crate::http) mod exchange;
pub(in crate::http) mod moving;
pub(in crate::http) mod outbound;
pub(in crate::http) mod prepared;
mod response_head;
pub(in crate::http) mod target;
pub(in crate::http) mod transfer;
pub(in crate::http) mod tunnel;
pub(in crate::http) mod unwanted;

pub use door::{Door, DoorStep, Origins, Reached, Unasked};
pub use tunnel::{refuse, serve};
