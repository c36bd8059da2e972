//! The commands that watch a running proxy: `wsbump tail` and `wsbump top`.

mod client;
mod hex;
mod lines;
mod pretty;
mod sizes;
mod tail;

pub use tail::{print_own, tail};
