//! `wsbump import`.

use clap::{Args, ValueHint};
use std::path::PathBuf;

pub(super) const AFTER_IMPORT: &str = "\
What has become of each line is said on standard error, as
FILE:LINE: DIRECTIVE: OUTCOME: what it is now, or what to do instead.

  taken over      it means the same here
  not needed      it is about something that is not here, such as a cache
  surprise        Squid does not do what people think, or wsbump does
  changed         something differs
  no counterpart  it is left out; what it allowed is refused
  GUARD LOST      it is left out, and it forbade or watched something

Exit codes:
  0  every line is taken over or not needed
  1  the result cannot be written; --force replaces what is there
  2  the file cannot be read, or Squid would not start with it
  3  there are other notes: read them before you use the result
  4  a guard is lost; nothing is written without --force

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
    /// Write it although a guard is lost, and over what is there
    #[arg(long)]
    pub force: bool,
    /// Leave the verification of certificates off where Squid has it off
    #[arg(long)]
    pub allow_invalid_certificates: bool,
    /// Print JSON: {"exit_code": 0 | 3 | 4, "written": ..., "files": [...], "notes": [...]}
    #[arg(long)]
    pub json: bool,
}
