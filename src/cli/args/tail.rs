//! `wsbump tail`, and `wsbump top` and `wsbump console`, which take no more than the place.

use super::message::{MessageKind, MessageWay};
use super::place::LivePlace;
use clap::{Args, ValueHint};
use std::num::NonZeroU32;
use std::path::PathBuf;

pub(super) const AFTER_TAIL: &str = "\
Without --messages and --bodies no content is shown: requests, WebSockets that
open and close, findings, refused CAs, connections that end, reloads. Pings,
pongs and the heartbeats of applications are counted and not shown; what a
WebSocket says again and again stands there once, with a number behind it.
Whoever looks at content has a line in the audit log.

Examples:
  See what goes on:
      wsbump tail

  The messages of Slack's WebSockets, towards its clients:
      wsbump tail slack.com --messages --direction to_client

  One that holds a word, for a program:
      wsbump tail --messages --text deploy --limit 1 --json

  One of a hundred, where there are too many to read:
      wsbump tail --messages --sample 100

  Five minutes of one host, for the developer tools of a browser:
      wsbump tail slack.com --messages --bodies --har slack.har --seconds 300

  Proxy and messages at once, to try it out:
      wsbump run --tail";

pub(super) const AFTER_TOP: &str = "\
One row for each connection, and for each of its WebSockets. Counters are
those of now, also of what has not ended.

Keys:
  arrows, PageUp, PageDown, Home, End   select
  Enter   all that is known of a row    x   close it, when y is pressed then
  s       sort by the next column       r   the other way round
  /       narrow to a text              q   quit

Examples:
      wsbump top
      wsbump top --config /etc/wsbump/wsbump.toml";

pub(super) const AFTER_CONSOLE: &str = "\
The proxy that runs is asked by its live socket, which its user and root may
use. The address works once, for five minutes; the audit log has that it was
given out.

Examples:
  Log in again without a restart:
      wsbump console

  In a browser on this machine:
      xdg-open \"$(wsbump console --config /etc/wsbump/wsbump.toml)\"";

/// What `wsbump tail` is told.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// Which proxy.
    #[command(flatten)]
    pub place: LivePlace,
    /// Only this host and all below it
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
    /// Messages of WebSockets too, with their secrets masked
    #[arg(short, long)]
    pub messages: bool,
    /// Heads and bodies of requests too, with their secrets masked
    #[arg(short, long)]
    pub bodies: bool,
    /// Without a mask, where the configuration lets it (view.raw)
    #[arg(long, requires = "reason")]
    pub raw: bool,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only this client, as clients are called there
    #[arg(long, value_name = "ADDRESS")]
    pub client: Option<String>,
    /// Only this user
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only the connection of this number
    #[arg(long, value_name = "NUMBER")]
    pub connection: Option<u64>,
    /// Only messages that go this way, and nothing else
    #[arg(long, value_enum)]
    pub direction: Option<MessageWay>,
    /// Only messages of this kind, and nothing else
    #[arg(long, value_enum)]
    pub opcode: Option<MessageKind>,
    /// Only messages (or with --bodies, bodies) that hold this, and nothing else
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Only messages (or with --bodies, bodies) of at least so many bytes
    #[arg(long, value_name = "BYTES")]
    pub at_least: Option<u64>,
    /// Only messages (or with --bodies, bodies) of at most so many bytes
    #[arg(long, value_name = "BYTES")]
    pub at_most: Option<u64>,
    /// Only one of so many messages and requests; how many are left out is told
    #[arg(long, value_name = "NUMBER")]
    pub sample: Option<NonZeroU32>,
    /// Heartbeats of applications too
    #[arg(long)]
    pub heartbeats: bool,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub seconds: Option<u64>,
    /// Print one JSON line for each event
    #[arg(long)]
    pub json: bool,
    /// Write it all to a HAR file, at the end; wants --limit or --seconds
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "json")]
    pub har: Option<PathBuf>,
}
