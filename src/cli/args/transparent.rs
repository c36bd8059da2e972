//! `wsbump transparent-rules`.

use super::place::ConfigArgs;
use clap::Args;

pub(super) const AFTER_TRANSPARENT: &str = "\
The kernel is not touched: what is printed is for nft and ip, run by root.

Examples:
  The rules for the listeners of a configuration:
      wsbump transparent-rules --config /etc/wsbump/wsbump.toml

  What is missing of them in this machine's kernel:
      wsbump transparent-rules --config /etc/wsbump/wsbump.toml --check";

/// What the kernel is to bring.
#[derive(Debug, Clone, Args)]
pub struct TransparentArgs {
    /// Which configuration.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// The ports whose connections are caught
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_value = "80,443")]
    pub ports: Vec<u16>,
    /// Catch this machine's own connections too, but for those of --user (redirect only)
    #[arg(long)]
    pub own: bool,
    /// Whom the proxy runs as
    #[arg(long, value_name = "NAME", default_value = "wsbump")]
    pub user: String,
    /// Say what is missing of the rules that the kernel has; 1 if anything is
    #[arg(long)]
    pub check: bool,
}
