//! `wsbump test-rules`.

use super::message::{MessageKind, MessageWay};
use clap::{ArgGroup, Args, ValueHint};
use std::net::IpAddr;
use std::path::PathBuf;

pub(super) const AFTER_TEST_RULES: &str = "\
For each message: which rules fire, whether they are enforced or only would
act, and what comes out. Of a recording, what no rule fires on is only
counted. Every message is judged, also after one that would close.

The exit code is 0 if no rule fires, 1 if one does, in either mode, and 2 if
the rules or the messages cannot be read.

JSON lines have a message each; only data (or data_base64) is needed:
  {\"direction\": \"to_client\", \"opcode\": \"text\", \"data\": \"...\",
   \"host\": \"chat.example\", \"path\": \"/ws\", \"time\": 12.5}
A HAR file is what browsers' developer tools save: heads, bodies, messages.

Examples:
  Does a rule of this file fire on a message?
      wsbump test-rules rules/secrets.toml \\
          --message 'card 4111 1111 1111 1111'

  What would the running configuration have done to a recorded session?
      wsbump test-rules --config /etc/wsbump/wsbump.toml --har chat.har

  New rules that use the lists of a configuration, results for a program:
      wsbump test-rules new.toml --config /etc/wsbump/wsbump.toml \\
          --jsonl messages.jsonl --json";

/// Which rules are tried on what.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("messages").required(true)))]
pub struct TestRules {
    /// A file of rules, or a whole configuration
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "config")]
    pub file: Option<PathBuf>,
    /// The configuration whose rules are tried, or whose lists FILE uses
    #[arg(short, long, value_name = "CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// One message
    #[arg(short, long, value_name = "TEXT", group = "messages")]
    pub message: Option<String>,
    /// One message, the content of a file; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "messages")]
    pub message_file: Option<PathBuf>,
    /// What a browser recorded
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "messages")]
    pub har: Option<PathBuf>,
    /// A message a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, group = "messages")]
    pub jsonl: Option<PathBuf>,
    /// Which way the message goes
    #[arg(long, value_enum, default_value_t = MessageWay::ToOrigin)]
    pub direction: MessageWay,
    /// Whether it is a text or a binary message
    #[arg(long, value_enum, default_value_t = MessageKind::Text)]
    pub opcode: MessageKind,
    /// The origin
    #[arg(long, value_name = "HOST:PORT", default_value = "example.com:443")]
    pub host: String,
    /// The path of the WebSocket, with its query
    #[arg(long, default_value = "/")]
    pub path: String,
    /// The client's address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub client: IpAddr,
    /// The client's user
    #[arg(long)]
    pub user: Option<String>,
    /// The Origin header
    #[arg(long)]
    pub origin: Option<String>,
    /// The subprotocol that the origin chose
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Option<String>,
    /// Ask the scanners too; without it they are taken to find nothing
    #[arg(long)]
    pub scan: bool,
    /// Print one JSON line for each message
    #[arg(long)]
    pub json: bool,
}
