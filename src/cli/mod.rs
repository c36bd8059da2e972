//! The command line: its words, its help, and the commands that only look.

mod args;
mod ca;
mod hints;
mod look;
mod output;

pub use args::{Arguments, CaCommand, Command, RunOptions, Where};
pub use ca::ca;
pub use hints::announce;
pub use look::{check, completions, explain};
pub use output::{Failure, emit, log_to_stderr, tell};
