//! The commands that watch a running proxy: `wsbump tail` and `wsbump top`, and the way into its console.

mod client;
mod console;
mod fold;
mod hex;
mod lines;
mod pretty;
mod sizes;
mod tail;
mod top;

pub use console::console;
pub use tail::{print_own, tail};
pub use top::top;
