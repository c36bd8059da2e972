//! The words of the command line.

use crate::report::admin::AdminAddress;
use crate::settings::reload::ConfigSource;
use crate::settings::{ConsoleWanted, Overrides, address, admin_address, console_address, duration};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const ABOUT: &str = "A forward proxy that inspects all TLS and never breaks a WebSocket";

const AFTER: &str = "\
Examples:
  Try it, on this machine only, with a CA of its own:
      wsbump run
      curl --proxy http://127.0.0.1:3128 \\
          --cacert ~/.local/share/wsbump/ca.pem https://example.com/

  Check a configuration, ask what it would do, run it:
      wsbump check --config /etc/wsbump/wsbump.toml
      wsbump explain --config /etc/wsbump/wsbump.toml \\
          wss-primary.slack.com:443
      wsbump run --config /etc/wsbump/wsbump.toml

  Try rules on a message:
      wsbump test-rules rules/secrets.toml --message 'AKIA...'

  Load the configuration again after a change (saving a file does it too):
      kill -HUP $(pidof wsbump)

`wsbump help COMMAND` shows each command's examples.";

const AFTER_RUN: &str = "\
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

const AFTER_CHECK: &str = "\
Every problem is printed as FILE:LINE:COLUMN: KEY: what is wrong; what would
be right. The exit code is 0 if there is none, 2 otherwise.

Examples:
      wsbump check --config /etc/wsbump/wsbump.toml

  Before a reload, in a script:
      wsbump check --config new.toml && mv new.toml /etc/wsbump/wsbump.toml";

const AFTER_IMPORT: &str = "\
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

const AFTER_EXPLAIN: &str = "\
Examples:
  Is Slack's WebSocket spliced, and by which line of which list?
      wsbump explain --config wsbump.toml wss-primary.slack.com:443

  May clients reach this address?
      wsbump explain --config wsbump.toml 10.0.0.7:443
      wsbump explain '[2001:db8::1]:443'

  May Ada post there on a Saturday, and which rule says so?
      wsbump explain --user ada --time 'Sat 10:00' --method POST \\
          https://files.example/upload";

const AFTER_AUTH_TEST: &str = "\
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

const AFTER_TEST_RULES: &str = "\
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

const AFTER_DOCTOR: &str = "\
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

const AFTER_TAIL: &str = "\
Without --messages and --bodies no content is shown: requests, WebSockets that
open and close, findings, refused CAs, connections that end, reloads. Pings and
pongs are counted and not shown. Whoever looks at content has a line in the
audit log.

Examples:
  See what goes on:
      wsbump tail

  The messages of Slack's WebSockets, towards its clients:
      wsbump tail slack.com --messages --direction to_client

  One that holds a word, for a program:
      wsbump tail --messages --text deploy --limit 1 --json

  Proxy and messages at once, to try it out:
      wsbump run --tail";

const AFTER_TOP: &str = "\
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

const AFTER_CA: &str = "\
Examples:
  Make the CA before the first start, say in an image or a package:
      wsbump ca init --data-dir /var/lib/wsbump

  Compare the fingerprint with what a browser shows:
      wsbump ca show

  Trust the CA on Debian:
      wsbump ca export --out /usr/local/share/ca-certificates/wsbump.crt
      update-ca-certificates

  Trust it on Windows, which wants DER:
      wsbump ca export --format der --out wsbump.cer";

const AFTER_HEALTH: &str = "\
The exit code is 0 if it is well, 1 if not or if nobody answers, and 2 if the
configuration is wrong.

Examples:
  As a container's or a script's check:
      wsbump health --config /etc/wsbump/wsbump.toml

  Whether it takes new connections, which ends when it drains:
      wsbump health --ready --admin 127.0.0.1:9128";

const AFTER_TRANSPARENT: &str = "\
The kernel is not touched: what is printed is for nft and ip, run by root.

Examples:
  The rules for the listeners of a configuration:
      wsbump transparent-rules --config /etc/wsbump/wsbump.toml

  What is missing of them in this machine's kernel:
      wsbump transparent-rules --config /etc/wsbump/wsbump.toml --check";

const AFTER_MAN: &str = "\
Examples:
      wsbump man /usr/local/share/man/man1";

const AFTER_COMPLETIONS: &str = "\
Examples:
      wsbump completions bash > /etc/bash_completion.d/wsbump
      wsbump completions zsh > \"${fpath[1]}/_wsbump\"
      wsbump completions fish > ~/.config/fish/completions/wsbump.fish";

const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nTLS 1.2 and 1.3 by rustls with aws-lc, HTTP/1.1 and HTTP/2, WebSockets over both (RFC 6455, RFC 8441)"
);

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "wsbump",
    version,
    long_version = LONG_VERSION,
    about = ABOUT,
    after_help = AFTER,
    max_term_width = 80,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can be told to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy
    #[command(after_help = AFTER_RUN)]
    Run(RunOptions),
    /// Say what is wrong with a configuration, without running it
    #[command(after_help = AFTER_CHECK)]
    Check(CheckArgs),
    /// Say what would happen to a destination, and why
    #[command(after_help = AFTER_EXPLAIN)]
    Explain(ExplainArgs),
    /// Try a login: which steps it takes, and whom the policy then sees
    #[command(after_help = AFTER_AUTH_TEST)]
    AuthTest(AuthTestArgs),
    /// Try rules on messages: which fire, and what comes out
    #[command(
        after_help = AFTER_TEST_RULES,
        override_usage = "wsbump test-rules [FILE] [--config <CONFIG>] <MESSAGES> [OPTIONS]"
    )]
    TestRules(TestRules),
    /// Print what happens in a running proxy, while it happens
    #[command(after_help = AFTER_TAIL)]
    Tail(TailArgs),
    /// Show what is open in a running proxy, as a table that renews itself
    #[command(after_help = AFTER_TOP)]
    Top(LivePlace),
    /// Find out why a program fails behind a proxy, and whose doing it is
    #[command(after_help = AFTER_DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the rules by which the kernel brings connections here, or say what is missing of them
    #[command(after_help = AFTER_TRANSPARENT)]
    TransparentRules(TransparentArgs),
    /// Make, show or export the CA that clients have to trust
    #[command(after_help = AFTER_CA)]
    Ca {
        /// What to do with it.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Ask a running proxy whether it is well
    #[command(after_help = AFTER_HEALTH)]
    Health(HealthArgs),
    /// Write the manual's pages into a folder
    #[command(hide = true, after_help = AFTER_MAN)]
    Man {
        /// Where to
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Write a configuration from a squid.conf, and say what has become of it
    #[command(after_help = AFTER_IMPORT)]
    Import(ImportArgs),
    /// Print a completion script for a shell
    #[command(after_help = AFTER_COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Which configuration is meant.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The configuration file; without one, everything has its default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where the CA is kept if the configuration names none
    ///
    /// Default: $WSBUMP_DATA_DIR, $STATE_DIRECTORY (set by systemd), $XDG_DATA_HOME/wsbump or
    /// ~/.local/share/wsbump.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
}

/// Which configuration is checked.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration file, as with --config
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "config")]
    pub file: Option<PathBuf>,
    /// The same as an option, and the data directory.
    #[command(flatten)]
    pub place: ConfigArgs,
}

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
    #[arg(long, value_enum, default_value_t = Way::ToOrigin)]
    pub direction: Way,
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

/// Which running proxy is meant.
#[derive(Debug, Clone, Args)]
pub struct LivePlace {
    /// Which configuration it runs with.
    #[command(flatten)]
    pub place: ConfigArgs,
    /// Its live socket; without it, that of the configuration, or live.sock in the data directory
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
}

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
    pub direction: Option<Way>,
    /// Only messages of this kind, and nothing else
    #[arg(long, value_enum)]
    pub opcode: Option<MessageKind>,
    /// Only messages (or with --bodies, bodies) that hold this, and nothing else
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
    /// Print one JSON line for each event
    #[arg(long)]
    pub json: bool,
}

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

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Way {
    /// From the client to the origin
    ToOrigin,
    /// From the origin to the client
    ToClient,
}

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageKind {
    /// UTF-8 text
    Text,
    /// Any bytes
    Binary,
}

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

/// What to do with the CA.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make a CA, unless there is one
    Init {
        /// Where the CA is to be kept (default: as for `run`)
        #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        data_dir: Option<PathBuf>,
    },
    /// Show whose it is, until when it holds, and its fingerprint
    Show(ConfigArgs),
    /// Write the certificate, never the key
    Export {
        /// Which configuration.
        #[command(flatten)]
        place: ConfigArgs,
        /// How the certificate is written
        #[arg(short, long, value_enum, default_value_t = CertificateFormat::Pem)]
        format: CertificateFormat,
        /// Write to this file instead of standard output
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
}

/// How a certificate is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CertificateFormat {
    /// Base64 text, for most programs
    Pem,
    /// Binary, for Windows and some phones
    Der,
}

impl ConfigArgs {
    /// The configuration's source, with the data directory's default filled in.
    pub fn source(&self) -> ConfigSource {
        ConfigSource {
            config: self.config.clone(),
            data_dir: self.data_dir.clone().or_else(default_data_dir),
            overrides: Overrides::default(),
        }
    }
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

/// Where the CA is kept if nobody says anything else.
pub(super) fn default_data_dir() -> Option<PathBuf> {
    data_dir(|name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    })
}

/// The data directory, from the environment (XDG Base Directory specification; systemd.exec, STATE_DIRECTORY).
fn data_dir(env: impl Fn(&'static str) -> Option<PathBuf>) -> Option<PathBuf> {
    // systemd lists several directories with colons; the first is the service's own.
    let state = || {
        let listed = env("STATE_DIRECTORY")?;
        listed.to_str()?.split(':').next().map(PathBuf::from)
    };
    // The specification has relative paths ignored.
    let xdg = || {
        env("XDG_DATA_HOME")
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join("wsbump"))
    };
    let home = || env("HOME").map(|dir| dir.join(".local/share/wsbump"));
    env("WSBUMP_DATA_DIR").or_else(state).or_else(xdg).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_the_definitions_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_example_within_80_columns() {
        let mut command = Arguments::command();
        command.build();
        let mut left = vec![command];
        while let Some(mut command) = left.pop() {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                for line in help.lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
            left.extend(
                command
                    .get_subcommands()
                    .filter(|c| c.get_name() != "help")
                    .cloned(),
            );
        }
        for sub in Arguments::command().get_subcommands() {
            let help = sub.clone().render_help().to_string();
            assert!(help.contains("Examples:\n"), "{}", sub.get_name());
        }
    }

    #[test]
    fn the_data_directory_follows_the_environment() {
        let with = |set: &'static [(&str, &str)]| {
            data_dir(move |name| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, v)| PathBuf::from(v))
            })
        };
        let all = &[
            ("HOME", "/h"),
            ("XDG_DATA_HOME", "/x"),
            ("STATE_DIRECTORY", "/s:/t"),
            ("WSBUMP_DATA_DIR", "/w"),
        ];
        assert_eq!(with(all), Some("/w".into()));
        assert_eq!(with(&all[..3]), Some("/s".into()));
        assert_eq!(with(&all[..2]), Some("/x/wsbump".into()));
        assert_eq!(with(&all[..1]), Some("/h/.local/share/wsbump".into()));
        assert_eq!(
            with(&[("XDG_DATA_HOME", "rel"), ("HOME", "/h")]),
            Some("/h/.local/share/wsbump".into())
        );
        assert_eq!(with(&[]), None);
    }
}
