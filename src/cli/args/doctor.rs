//! `wsbump doctor`.

use crate::settings::duration;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const AFTER_DOCTOR: &str = "\
It goes the way of a program step by step, through any proxy, and beside it
the way without one. The last line says whose doing it is. Pings are sent,
and no messages unless --echo is given. Passwords, tokens and queries are
left out of what it prints. docs/troubleshooting.md goes by symptom.

The exit code is 0 if all is well, 1 if not, and 2 for a wrong command line.

Examples:
  Why does Slack not update by itself?
      wsbump doctor slack

  Does a WebSocket work through this proxy, and live through a quiet hour?
      wsbump doctor wss://chat.example/socket \\
          --proxy http://proxy.example:3128 --idle 1h

  With the variables of the program that fails, for a support ticket:
      wsbump doctor https://api.example/ --env-of $(pidof code) --json

  Through a wsbump that runs here, trusting its CA:
      wsbump doctor wss://chat.example/socket --proxy http://127.0.0.1:3128 \\
          --ca ~/.local/share/wsbump/ca.pem";

/// What `wsbump doctor` is told.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// What to reach: a URL (https, wss, http, ws), a host, or a service that it knows: slack
    #[arg(value_name = "URL|SERVICE")]
    pub target: String,
    /// Which proxy.
    #[arg(
        help = "The proxy, http://[USER:PASSWORD@]HOST:PORT, https://, socks5:// or socks5h://; none for no proxy. Default: as the environment says"
    )]
    #[arg(short, long, value_name = "PROXY")]
    pub proxy: Option<String>,
    /// Take the proxy variables of this process instead of one's own
    #[arg(long, value_name = "PID", conflicts_with = "proxy")]
    pub env_of: Option<u32>,
    /// Show the proxy a Kerberos ticket of this login, as browsers do (KRB5CCNAME, KRB5_CONFIG)
    #[arg(long)]
    pub negotiate: bool,
    /// A file of roots that the program trusts besides this machine's, such as the proxy's CA (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Vec<PathBuf>,
    /// Leave WebSockets alone for up to this long, and see whether they live: 90s, 2m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub idle: Option<Duration>,
    /// The target echoes: send messages of 200 B and 200 KiB instead of pings
    #[arg(long)]
    pub echo: bool,
    /// The Origin of WebSocket upgrades
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// Take this address instead of looking the name up (repeatable)
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
    /// How long each step may take
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub timeout: Duration,
    /// Show what each step goes by, not only of those that failed
    #[arg(short, long)]
    pub verbose: bool,
    /// Print JSON, each step with its id, status, evidence and remedy
    #[arg(long)]
    pub json: bool,
}
