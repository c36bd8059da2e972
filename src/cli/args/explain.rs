//! `wsbump explain`.

use super::place::ConfigArgs;
use clap::Args;
use std::net::IpAddr;

pub(super) const AFTER_EXPLAIN: &str = "\
Examples:
  Is Slack's WebSocket spliced, and by which line of which list?
      wsbump explain --config wsbump.toml wss-primary.slack.com:443

  May clients reach this address?
      wsbump explain --config wsbump.toml 10.0.0.7:443
      wsbump explain '[2001:db8::1]:443'

  May Ada post there on a Saturday, and which rule says so?
      wsbump explain --user ada --time 'Sat 10:00' --method POST \\
          https://files.example/upload";

/// What `wsbump explain` is told.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Which configuration.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// The destination, as a client asks for it; the port is 443 if left out. A URL tells the path too
    #[arg(value_name = "HOST:PORT|URL")]
    pub target: String,
    /// The client's address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub client: IpAddr,
    /// Who the client has shown to be
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A group that the user is in; may be given several times
    #[arg(long, value_name = "NAME", requires = "user")]
    pub group: Vec<String>,
    /// The server name in the ClientHello
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// The request's method
    #[arg(long)]
    pub method: Option<String>,
    /// The request's path, with its query
    #[arg(long)]
    pub path: Option<String>,
    /// The time, by the policy's time zone, such as "Mon 09:30"; now if left out
    #[arg(long, value_name = "DAY HH:MM")]
    pub time: Option<String>,
    /// The listener that the client comes in by; the first that there is if left out
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// Print JSON: {"action": "bump" | "splice" | "deny" | "authenticate", "rule": ..., "steps": [...]}
    #[arg(long)]
    pub json: bool,
}
