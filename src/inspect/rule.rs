//! A rule as the configuration states it, before it is compiled.

use super::facts::Surface;
use super::hosts::HostScope;
use super::scan::ScannerId;
use crate::wire::frame::{Direction, Opcode};
use ipnet::IpNet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One rule: where it looks, what it looks for, and what it does then. Every condition that is set must hold.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// Its name: a metric label, unique among the rules.
    pub name: Arc<str>,
    /// Whether it acts.
    pub mode: Mode,
    /// What it does.
    pub action: Action,
    /// Where it looks.
    pub place: Where,
    /// What it looks for.
    pub what: LooksFor,
    /// The application's framing that is taken off before `what` is looked for.
    pub decode: Option<AppFraming>,
}

/// Whether a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does what its action says.
    Enforce,
    /// It only counts what it would have done.
    Observe,
}

/// What a rule does when it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing, and no later rule is asked.
    Allow,
    /// States the finding.
    Log,
    /// States the finding as one that somebody should look at now.
    Alert,
    /// Puts this in the place of each match; later rules see the result.
    Redact(String),
    /// Leaves the message out, or answers the HTTP exchange with 403; no later rule is asked.
    Drop,
    /// Closes both sides with 1008 and this reason; no later rule is asked.
    Close(String),
}

impl Action {
    /// Every label, for metrics that start at zero.
    pub const LABELS: [&'static str; 6] = ["allow", "log", "alert", "redact", "drop", "close"];

    /// The metric label and log word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Log => "log",
            Self::Alert => "alert",
            Self::Redact(_) => "redact",
            Self::Drop => "drop",
            Self::Close(_) => "close",
        }
    }

    /// Whether content has to wait for it.
    pub const fn holds(&self) -> bool {
        matches!(self, Self::Redact(_) | Self::Drop | Self::Close(_))
    }
}

/// Where a rule looks. Empty lists and `None` mean everywhere.
#[derive(Debug, Clone, Default)]
pub struct Where {
    /// Which parts; empty means messages and bodies.
    pub surfaces: Vec<Surface>,
    /// Destinations.
    pub scope: HostScope,
    /// A regular expression (the `regex` crate's syntax) that is searched in the path with its query.
    pub path: Option<String>,
    /// Which way.
    pub direction: Option<Direction>,
    /// `Text` or `Binary`; only messages have one.
    pub opcode: Option<Opcode>,
    /// One of these subprotocols was chosen.
    pub subprotocols: Vec<String>,
    /// A regular expression that is searched in the Origin header.
    pub origin: Option<String>,
    /// The client's address is in one of these networks.
    pub clients: Vec<IpNet>,
    /// The client is one of these users, in lower case; `*` is anyone who is known.
    pub users: Vec<String>,
    /// And in one of these groups, in lower case.
    pub groups: Vec<String>,
    /// And none of these users.
    pub except_users: Vec<String>,
    /// The body's Content-Type begins with one of these, in any case.
    pub content_types: Vec<String>,
}

/// What a rule looks for. Kinds that are set must all match; within a kind, one of its members is enough.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LooksFor {
    /// Regular expressions over bytes, in the `regex` crate's syntax.
    pub regex: Vec<String>,
    /// Plain strings.
    pub keywords: Vec<String>,
    /// Whether `regex` and `keywords` match in any case.
    pub ignore_case: bool,
    /// Known secret formats.
    pub secrets: Vec<Secret>,
    /// Tokens of at least this many bits of entropy a character (and at least 20 characters).
    pub entropy: Option<f64>,
    /// Tests of a JSON document's members; all have to hold.
    pub json: Vec<JsonTest>,
    /// Files, by what their first bytes say.
    pub files: Vec<FileType>,
    /// At least this many bytes.
    pub min_size: Option<u64>,
    /// At most this many bytes.
    pub max_size: Option<u64>,
    /// More than so many of this session's messages in this direction, in a sliding window.
    pub rate: Option<Rate>,
    /// What this scanner finds.
    pub scan: Option<ScannerId>,
}

/// More than `count` in `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many are still fine.
    pub count: u32,
    /// The length of the sliding window.
    pub per: Duration,
}

/// A test of one member of a JSON document.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonTest {
    /// Where (RFC 6901); `*` as a whole segment stands for every member or element.
    pub pointer: String,
    /// What has to hold there.
    pub test: Test,
}

/// What has to hold of a JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is there.
    Exists,
    /// It is not there.
    Absent,
    /// It is this value.
    Equals(serde_json::Value),
    /// It is a string in which this regular expression is found.
    Matches(String),
    /// It is a number above this.
    Above(f64),
    /// It is a number below this.
    Below(f64),
}

/// Lists the variants once, for the type and for [`Secret::ALL`].
macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Known formats of secrets.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Secret {
            $($(#[$doc])* $name,)*
        }

        impl Secret {
            /// Every format, in the order of the type.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

secrets! {
    /// A payment card's number: 13 to 19 digits with their issuer's prefix and Luhn's check digit.
    CardNumber,
    /// An AWS access key id or secret access key.
    Aws,
    /// A Slack token or webhook URL.
    Slack,
    /// A GitHub token.
    GitHub,
    /// A GitLab token.
    GitLab,
    /// A Google API key, OAuth client secret or service account key.
    Google,
    /// A Stripe key.
    Stripe,
    /// An OpenAI or Anthropic API key.
    AiProvider,
    /// An Azure storage or connection-string key.
    Azure,
    /// A PEM private key of any kind, or a PuTTY one.
    PrivateKey,
    /// A signed JSON Web Token.
    Jwt,
    /// An international bank account number with its check digits.
    Iban,
    /// A United States social security number.
    UsSsn,
}

/// Files by their first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// Programs: PE, ELF, Mach-O, Java classes, WebAssembly, Windows shortcuts and installers, scripts with `#!`.
    Executable,
    /// Archives: ZIP, RAR, 7z, gzip, xz, bzip2, tar, cab, ISO.
    Archive,
    /// Documents: PDF, OLE (old Office), OOXML and OpenDocument by their first entry.
    Document,
    /// Images: PNG, JPEG, GIF, WebP, BMP, TIFF.
    Image,
}

/// An application's own framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppFraming {
    /// The message is JSON.
    Json,
    /// Engine.IO 3 and 4 and Socket.IO: packets, their JSON arguments and their binary attachments.
    SocketIo,
    /// SignalR's JSON protocol (records that end in 0x1E) and MessagePack protocol.
    SignalR,
    /// `graphql-transport-ws` and the older `graphql-ws`.
    GraphQlWs,
    /// MQTT 3.1.1 and 5 over WebSocket.
    Mqtt,
    /// STOMP 1.0 to 1.2.
    Stomp,
    /// One zlib stream over the messages of a direction, as Discord's gateway has it.
    ZlibStream,
}

impl AppFraming {
    /// How many there are.
    pub(super) const COUNT: usize = Self::ZlibStream as usize + 1;
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Its place in the list of rules, from 0.
    pub rule: usize,
    /// The key, as the configuration writes it: `regex`, `json`, `path`.
    pub key: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for RuleError {}
