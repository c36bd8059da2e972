//! The commands that watch a running proxy: `wsbump tail` and `wsbump top`.

mod client;
mod hex;
mod lines;
mod pretty;
mod sizes;
mod tail;
mod top;

pub use tail::{print_own, tail};
pub use top::top;
