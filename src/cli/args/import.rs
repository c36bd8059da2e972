//! `wsbump import`.

use clap::{Args, ValueHint};
use std::path::PathBuf;

pub(super) const AFTER_IMPORT: &str = "\
Each line's fate is told on standard error, as FILE:LINE: DIRECTIVE: what has
become of it. The exit code is 0 if all is taken over, 3 if something is not
as it was, and 4 if something that guards was lost; then nothing is written
without --force. 2 is for a file that Squid would not start with.

Examples:
  See what would become of it:
      wsbump import /etc/squid/squid.conf --output /tmp/new

  Of another machine, whose /etc/squid was copied to ./squid:
      wsbump import squid/squid.conf --output new
      wsbump check --config new/wsbump.toml";

/// What is to be imported.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The squid.conf; what it includes is read with it
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The folder for wsbump.toml and its lists
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "imported")]
    pub output: PathBuf,
    /// Write it although something that guards is lost, and over what is there
    #[arg(long)]
    pub force: bool,
    /// Leave the verification of certificates off where Squid has it off
    #[arg(long)]
    pub allow_invalid_certificates: bool,
    /// Print JSON: {"exit_code": 0 | 3 | 4, "written": ..., "files": [...], "notes": [...]}
    #[arg(long)]
    pub json: bool,
}
