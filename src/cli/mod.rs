//! The command line: its words, its help, and the commands that only look.

mod args;
mod auth_test;
mod ca;
mod doctor;
mod explain;
mod health;
mod hints;
mod import;
mod live;
mod look;
mod man;
mod output;
mod recorded;
mod test_rules;
mod transparent_rules;

pub use args::{
    Arguments, AuthTestArgs, CaCommand, Command, ConfigArgs, DoctorArgs, ExplainArgs, HealthArgs, ImportArgs,
    LivePlace, RunOptions, TailArgs, TestRules, TransparentArgs,
};
pub use auth_test::auth_test;
pub use ca::ca;
pub use doctor::doctor;
pub use explain::explain;
pub use health::health;
pub use hints::{ConsoleAt, Listening, announce, login};
pub use import::import;
pub use live::{console, print_own, tail, top};
pub use look::{check, completions};
pub use man::man;
pub use output::{CommandError, emit, log_to_stderr, tell};
pub use test_rules::test_rules;
pub use transparent_rules::transparent_rules;
