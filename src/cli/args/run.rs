//! `wsbump run`, and what the program is to listen at.

use super::place::ConfigArgs;
use crate::report::admin::AdminAddress;
use crate::settings::reload::ConfigSource;
use crate::settings::{ConsoleWanted, Overrides, address, admin_address, console_address};
use clap::Args;
use std::net::SocketAddr;

pub(super) const AFTER_RUN: &str = "\
Examples:
  With defaults: proxy on 127.0.0.1:3128, metrics on http://127.0.0.1:9128:
      wsbump run

  On other ports (port 0 takes a free one and prints it):
      wsbump run --listen 127.0.0.1:8081 --admin 127.0.0.1:0

  As an https:// proxy too, with a certificate of its CA:
      wsbump run --listen-tls 127.0.0.1:3129
      curl --proxy https://127.0.0.1:3129 \\
          --proxy-cacert ~/.local/share/wsbump/ca.pem \\
          --cacert ~/.local/share/wsbump/ca.pem https://example.com/

  As a service, with everything in one file:
      wsbump run --config /etc/wsbump/wsbump.toml

Signals:
  TERM, INT  stop accepting, close WebSockets with 1001, wait, exit;
             a second one exits at once
  HUP        load the configuration again; a wrong one changes nothing

Environment:
  WSBUMP_DATA_DIR  where the CA is kept, as --data-dir
  WSBUMP_LOG       level of the log on stderr, as log.level: \"debug\"";

/// What `wsbump run` is told.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Which configuration.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// Listen here instead of at listen.proxy (repeatable)
    #[arg(short, long, value_name = "ADDR", value_parser = address)]
    pub listen: Vec<SocketAddr>,
    /// Listen here for clients that speak TLS with the proxy, instead of at
    /// listen.tls (repeatable)
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen_tls: Vec<SocketAddr>,
    /// Serve metrics here instead of at listen.admin (repeatable): an address,
    /// or unix:/PATH
    #[arg(short, long, value_name = "ADDR", value_parser = admin_address)]
    pub admin: Vec<AdminAddress>,
    /// Serve the console here instead of at listen.console (repeatable), or
    /// nowhere: off. Without a configuration it is at 127.0.0.1:9130
    #[arg(long, value_name = "ADDR|off", value_parser = console_address)]
    pub console: Vec<Option<SocketAddr>>,
    /// Print what happens on standard output, messages of WebSockets included,
    /// as `wsbump tail --messages` does; the access log makes room for it
    #[arg(long)]
    pub tail: bool,
}

impl RunOptions {
    /// The configuration's source, with what the options override.
    pub fn source(&self) -> ConfigSource {
        let overrides = Overrides {
            listen: self.listen.clone(),
            tls: self.listen_tls.clone(),
            admin: self.admin.clone(),
            console: self.console(),
            takes_stdout: self.tail,
        };
        ConfigSource {
            overrides,
            ..self.place.source()
        }
    }

    /// Whoever tries the proxy, without a configuration, is offered the console.
    fn console(&self) -> ConsoleWanted {
        if self.console.is_empty() {
            return match self.place.config {
                None => ConsoleWanted::Offered,
                Some(_) => ConsoleWanted::AsConfigured,
            };
        }
        match self.console.iter().copied().collect() {
            Some(addresses) => ConsoleWanted::At(addresses),
            None => ConsoleWanted::Off,
        }
    }
}
