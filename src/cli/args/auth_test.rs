//! `wsbump auth-test`.

use super::place::ConfigArgs;
use clap::{Args, ValueHint};
use std::path::PathBuf;

pub(super) const AFTER_AUTH_TEST: &str = "\
The directory is asked as the proxy would ask it, and counts a wrong
password. What the proxy remembers or holds back is not known here.

The exit code is 0 if the user is let in, 1 if not, and 2 if the
configuration is wrong.

Examples:
  Does Ada's password work, and which groups is she in?
      wsbump auth-test --config /etc/wsbump/wsbump.toml 'CORP\\ada'

  In a script:
      printf %s \"$PASSWORD\" | \\
          wsbump auth-test ada --password-file - --json

  Whom does a token name, and is it accepted?
      wsbump auth-test --token-file token.jwt";

/// Whose login is tried.
#[derive(Debug, Clone, Args)]
pub struct AuthTestArgs {
    /// Which configuration.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// The name, as a user would type it: ada, 'CORP\ada', ada@corp.example
    #[arg(value_name = "NAME", required_unless_present = "token_file")]
    pub name: Option<String>,
    /// A file with the password in its only line; - is standard input. Without it, the password is typed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// In place of a name: a file with a bearer token in its only line; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["name", "password_file"])]
    pub token_file: Option<PathBuf>,
    /// Print JSON: {"status": 200 | 407 | 503, "user": ..., "groups": [...], "steps": [...], "rules": [...]}
    #[arg(long)]
    pub json: bool,
}
