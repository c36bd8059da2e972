//! After the upgrade: bytes both ways, followed frame by frame or passed on unread.

mod config;
mod frames;
mod inspected;
mod meter;
mod opaque;
mod pair;
mod pings;
mod splice_pipe;
mod spliced;
mod tallies;
mod totals;
mod unstated;
mod websocket;

pub use config::WebSocket;
pub use meter::{Batch, Meter};
pub use opaque::{OpaqueEnd, splice, tunnel};
pub use pair::WebSocketLegs;
pub use tallies::FrameTallies;
pub use totals::{Closer, End, FirstClose, OpaqueTotals, RuleClose, WebSocketTotals};
pub use websocket::{WebSocketProgress, websocket};

#[cfg(test)]
mod tests;
