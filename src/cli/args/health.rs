//! `wsbump health`.

use super::place::ConfigArgs;
use crate::report::admin::AdminAddress;
use crate::settings::admin_address;
use clap::Args;

pub(super) const AFTER_HEALTH: &str = "\
The exit code is 0 if it is well, 1 if not or if nobody answers, and 2 if the
configuration is wrong.

Examples:
  As a container's or a script's check:
      wsbump health --config /etc/wsbump/wsbump.toml

  Whether it takes new connections, which ends when it drains:
      wsbump health --ready --admin 127.0.0.1:9128";

/// Whom `wsbump health` asks.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Which configuration.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// Ask here instead of at listen.admin: an address, or unix:/PATH
    #[arg(short, long, value_name = "ADDR", value_parser = admin_address)]
    pub admin: Option<AdminAddress>,
    /// Ask whether it takes new connections, and not only whether it lives
    #[arg(long)]
    pub ready: bool,
}
