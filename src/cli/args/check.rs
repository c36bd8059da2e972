//! `wsbump check`.

use super::place::ConfigArgs;
use clap::{Args, ValueHint};
use std::path::PathBuf;

pub(super) const AFTER_CHECK: &str = "\
Every problem is printed as FILE:LINE:COLUMN: KEY: what is wrong; what would
be right. The exit code is 0 if there is none, 2 otherwise.

Examples:
      wsbump check --config /etc/wsbump/wsbump.toml

  Before a reload, in a script:
      wsbump check --config new.toml && mv new.toml /etc/wsbump/wsbump.toml";

/// Which configuration is checked.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration file, as with --config
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// The same as an option, and the data directory.
    #[command(flatten)]
    pub place: ConfigArgs,
}
